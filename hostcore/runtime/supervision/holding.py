"""Native modules that hold the event loop, which all share.

One that never stops holding it rests in between (`resting`).  One that did so again and again moves to a process of its
own, where it holds nobody up, if the configuration says so and it can run there.  One whose handler ignores its
cancellation again and again has hung.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextvars import Context

from hostcore.contract.lifecycle import State
from hostcore.contract.messages import Envelope
from hostcore.errors import HostcoreError, HungError
from hostcore.hosts.base import Crash
from hostcore.hosts.ending import wait_out
from hostcore.messaging.cell import Cell
from hostcore.runtime import events
from hostcore.runtime.parts import Parts
from hostcore.runtime.registry import Copy, Record
from hostcore.runtime.reload import Orders
from hostcore.runtime.reloads import Reloads
from hostcore.runtime.supervision.judging import STRONGER, can_move
from hostcore.runtime.supervision.resting import Debt, after_holding
from hostcore.runtime.supervision.timing import Timing


class Holding:
    """Hears what holds the loop; `hung` is told of handlers that do not end."""

    def __init__(
        self, parts: Parts, reloads: Reloads, timing: Timing, hung: Callable[[Record, Copy, Crash], None]
    ) -> None:
        self._parts, self._reloads, self._timing, self._hung = parts, reloads, timing, hung
        self._config = parts.config.supervision
        self._debts: dict[str, Debt] = {}
        self._strikes: dict[str, deque[float]] = {}
        self._ignored: dict[str, tuple[str, int]] = {}  # name -> message, how often its handler ignored a cancellation
        self._moving: dict[str, asyncio.Task[None]] = {}
        self._unmovable: dict[str, Copy] = {}
        parts.events.on_blocked, parts.events.on_overran = self.blocked, self.overran

    # --- blocked -----------------------------------------------------------------------------------------------

    def blocked(self, name: str, seconds: float) -> None:
        """Hear that a module held the loop."""
        registry = self._parts.registry
        record = registry.record(name) if name in registry else None
        if record is None or record.cell is None or record.copy is None or record.copy.host != "native":
            return
        self._rest(name, record.cell, seconds)
        wanted = self._config.move_blocking
        if wanted and self._count(name) >= wanted and record.state is State.RUNNING:
            self._move(record, record.copy)

    def _rest(self, name: str, cell: Cell, seconds: float) -> None:
        now, debt = self._timing.now(), self._debts.get(name, Debt())
        rest, self._debts[name] = after_holding(debt, now - seconds, now, self._config.throttle)
        if rest > 0:
            cell.hold()
            self._timing.later(rest, cell.resume)

    def _count(self, name: str) -> int:
        """Write down a strike and return how many there are within the window."""
        now, strikes = self._timing.now(), self._strikes.setdefault(name, deque(maxlen=self._config.move_blocking))
        strikes.append(now)
        while strikes[0] < now - self._config.blocking_window:
            strikes.popleft()
        return len(strikes)

    def _move(self, record: Record, copy: Copy) -> None:
        name = record.name
        if name in self._moving or self._unmovable.get(name) is copy:
            return
        if not can_move(copy):
            self._unmovable[name] = copy
            return
        task = asyncio.Task(
            self._moved(record, copy), loop=self._parts.bus.loop, name=f"hostcore:move {name}", context=Context()
        )
        self._moving[name] = task
        task.add_done_callback(lambda _: self._moving.pop(name, None))

    async def _moved(self, record: Record, copy: Copy) -> None:
        """Move a module to a process of its own; one that cannot run there is named and throttled as before."""
        name, host = record.name, STRONGER[copy.host]
        why = f"supervision: it held the event loop {self._config.move_blocking} times"
        try:
            report = await self._reloads.restart(name, copy, Orders(why=why, isolation=host))
        except HostcoreError:
            return
        self._strikes.pop(name, None)
        if report.rolled_back:
            self._unmovable[name] = copy
        else:
            self._parts.events.tell(events.MOVED, module=name, host=host, before=copy.host, why=why)

    # --- hung --------------------------------------------------------------------------------------------------

    def overran(self, cell: Cell, envelope: Envelope) -> None:
        """Hear that a handler has ignored its cancellation, once more."""
        registry, name = self._parts.registry, cell.name
        record = registry.record(name) if name in registry else None
        if record is None or record.cell is not cell or record.copy is None or record.copy.host != "native":
            return
        message, times = self._ignored.get(name, ("", 0))
        times = times + 1 if message == envelope.id else 1
        self._ignored[name] = (envelope.id, times)
        if self._config.hung and times >= self._config.hung:
            del self._ignored[name]
            error = HungError(
                f"{name!r} did not end {envelope.hook!r} although it was cancelled {times + 1} times",
                hint="let CancelledError through in its handlers",
            )
            self._hung(record, record.copy, Crash("hung", error, envelope.hook, envelope.topic, envelope.id))

    def forget(self, name: str) -> None:
        """Hear that a module has been unloaded."""
        for known in (self._debts, self._strikes, self._ignored, self._unmovable):
            known.pop(name, None)

    async def close(self) -> None:
        """Move nothing any more."""
        for task in list(self._moving.values()):
            task.cancel()
            await wait_out(task)
