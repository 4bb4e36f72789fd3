"""The supervisor: hears of crashes, and sees to it that modules come back.

What to do is judged by the module's policy and the ladder; it is done by the same transaction that reloads.  While a
module is down its cell is held: what is sent to it waits.  Whoever does something with it by hand comes first: what is
planned or in hand here is called off (`aside`), and taken up again only if the module is down still afterwards.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import Context

from hostcore.contract.lifecycle import Signal, State
from hostcore.errors import HostcoreError, HostError, LifecycleError
from hostcore.hosts.base import Crash
from hostcore.hosts.ending import wait_out
from hostcore.runtime import events
from hostcore.runtime.loading import Loader
from hostcore.runtime.parts import Parts
from hostcore.runtime.planning import Planner
from hostcore.runtime.registry import Copy, Record
from hostcore.runtime.reload import Orders, StateFrom
from hostcore.runtime.reloads import Reloads
from hostcore.runtime.reports import ReloadReport
from hostcore.runtime.supervision.bringing import Bringing
from hostcore.runtime.supervision.care import Care
from hostcore.runtime.supervision.crashes import CrashLog, entry_of
from hostcore.runtime.supervision.dependents import Dependents
from hostcore.runtime.supervision.judging import Judge, said
from hostcore.runtime.supervision.ladder import Rung, Standing, Step
from hostcore.runtime.supervision.timing import Timing


class Supervisor:
    """Looks after the modules of one system."""

    def __init__(self, parts: Parts, loader: Loader, planner: Planner, reloads: Reloads, timing: Timing) -> None:
        self._parts, self._loader, self._reloads, self._timing = parts, loader, reloads, timing
        self._enabled = parts.config.supervision.enabled
        self.log = CrashLog(parts.config.supervision.crashes)
        self._dependents = Dependents(parts.registry, planner)
        self._judge = Judge(parts.config.supervision, timing)
        self._bringing = Bringing(parts, loader, reloads, self._judge, self.log, self._dependents)
        self._cares: dict[str, Care] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing = False
        loader.crashed = self.crashed

    # --- down --------------------------------------------------------------------------------------------------

    def crashed(self, record: Record, copy: Copy, crash: Crash) -> None:
        """Hear of a crash of a copy that serves, or did until now.  It suspends nobody, and calls no module's code."""
        cell = record.cell
        if record.copy is not copy or record.down or cell is None or copy.instance is None:
            return
        if crash.message:
            cell.lose(crash.message)
        if self._closing:
            cell.hold()  # nothing is there to handle what waits: it is refused when its turn to be unloaded comes
            return
        care, revives = self._care(record), copy.instance.revives or crash.revived
        chosen = self._loader.settings(record.name).restart
        step = self._judge.judge(care, copy, crash, chosen, revives=revives)
        self._tell(record, copy, crash, said(step, revives=revives))
        if revives and (not self._enabled or (step is not None and step.do is Rung.RESTART)):
            if step is not None:
                care.standing = step.standing
            care.note_health()
            record.restarts += 1
            return
        self._take_out(record, crash.error)
        self._go_on(care, step, crash)

    def _go_on(self, care: Care, step: Step | None, crash: Crash) -> None:
        if step is None:
            self._bringing.end(care, crash)
        else:
            self._bringing.take(care, step)

    def hung(self, record: Record, copy: Copy, crash: Crash) -> None:
        """Hear of a handler that does not end: it is given up on, and so is its copy."""
        self.crashed(record, copy, crash)
        if record.down and record.cell is not None:
            record.cell.evict(crash.error.message, crash.error)

    def _tell(self, record: Record, copy: Copy, crash: Crash, done: str) -> None:
        entry = entry_of(record.name, copy, crash)
        entry.done = done
        self.log.add(entry)
        self._parts.events.tell(
            events.CRASHED, module=record.name, version=entry.version, generation=entry.generation, host=entry.host,
            kind=entry.kind, hook=entry.hook, topic=entry.topic, message=entry.message, done=done,
            error=crash.error.as_data(),
        )  # fmt: skip

    def _care(self, record: Record) -> Care:
        care = self._cares.get(record.name)
        if care is None or care.record is not record:
            care = self._cares[record.name] = Care(record, self._timing)
        return care

    def _take_out(self, record: Record, error: HostError) -> None:
        """Have messages wait, those of who requires the module too."""
        assert record.cell is not None
        # A copy: the error itself holds the frames that it passes on its way to whoever asked.
        record.error = HostError(f"it crashed: {error.message}", code=error.code, hint=error.hint)
        record.signal(Signal.CRASH)
        record.cell.hold()
        self._dependents.hold(record.name)

    # --- up ----------------------------------------------------------------------------------------------------

    def served(self, record: Record) -> None:
        """Hear that a new copy serves, whoever has seen to that; its messages wait until the transaction has ended."""
        care = self._cares.get(record.name)
        if care is not None:
            care.done()
            care.note_health()
            if care.hands:
                care.standing = Standing()
        if record.down:
            self._bring_in(record)

    def _bring_in(self, record: Record) -> None:
        copy, cell = record.copy, record.cell
        assert copy is not None
        assert cell is not None
        event = events.REVIVED if record.state is State.QUARANTINED else events.RESTARTED
        record.error = None
        record.restarts += 1
        record.signal(Signal.READY)
        cell.reopen()
        cell.resume()
        self._parts.events.tell(
            event, module=record.name, version=copy.release.version, generation=copy.number, host=copy.host,
            restarts=record.restarts,
        )  # fmt: skip
        followers = self._dependents.followers(record.name)
        if not followers:
            self._dependents.release(record.name)
            return
        work = self._restart_followers(record.name, followers)
        task = asyncio.Task(
            work, loop=self._parts.bus.loop, name=f"hostcore:restart with {record.name}", context=Context()
        )
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _restart_followers(self, name: str, followers: list[str]) -> None:
        """Restart the modules that ask for it, each with its present state, and then those that follow them."""
        registry = self._parts.registry
        orders = Orders(StateFrom.CURRENT, f"restarted with {name}", "restart")
        try:
            for other in followers:
                copy = registry.record(other).copy if other in registry else None
                if copy is not None:
                    with suppress(HostcoreError):  # it has gone, or somebody else is at it
                        await self._reloads.restart(other, copy, orders)
                    await self._restart_followers(other, self._dependents.followers(other))
        finally:
            self._dependents.release(name)

    # --- by hand -----------------------------------------------------------------------------------------------

    @contextmanager
    def aside(self, record: Record) -> Iterator[None]:
        """Stand aside while something is done with a module by hand; if it is down still afterwards, go on."""
        care = self._care(record)
        care.hands += 1
        care.call_off()
        try:
            yield
        finally:
            care.hands -= 1
            if not care.hands and record.down and not self._closing:
                care.plan_again()

    async def revive(self, record: Record, state: StateFrom) -> ReloadReport:
        """Start a module that is down now, with all its tries anew.

        Raises:
            LifecycleError: It is not down.
        """
        copy = record.copy
        if not record.down or copy is None:
            verb = "load" if record.state in (State.FAILED, State.WAITING) else "reload"
            raise LifecycleError(
                f"{record.name!r} is {record.state.value}: there is nothing to revive",
                hint=f"hostcore modules {verb} {record.name}",
            )
        with self.aside(record):
            return await self._reloads.restart(record.name, copy, Orders(state, "revived", "restart"))

    def forget(self, record: Record) -> None:
        """Hear that a module has been unloaded, or loaded anew."""
        care = self._cares.pop(record.name, None)
        if care is not None:
            care.done()
            care.call_off()
        self._dependents.release(record.name)

    async def close(self) -> None:
        """Call everything off: nothing is brought back any more."""
        self._closing = True
        tasks = [task for care in self._cares.values() if (task := care.call_off()) is not None]
        for task in self._tasks:
            task.cancel()
        for task in [*tasks, *self._tasks]:
            await wait_out(task)
