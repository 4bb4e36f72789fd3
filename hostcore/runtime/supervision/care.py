"""What the supervisor remembers of one module that has crashed, and what it is about to do for it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextvars import Context

from hostcore.runtime.registry import Record
from hostcore.runtime.supervision.ladder import Standing
from hostcore.runtime.supervision.timing import Timer, Timing

Work = Callable[[], Awaitable[None]]


class Care:
    """One module's standing, and the next thing to be done for it: at most one, either waiting or in hand.

    Attributes:
        standing: Where it stands on the ladder.
        since: When its copy began to serve, or crashed last if it replaces itself, by the clock of supervision.
        answered: How many messages it had handled well by then.
        hands: How many are doing something with it by hand: until they have ended, nothing is done by itself.
    """

    def __init__(self, record: Record, timing: Timing) -> None:
        self.record, self._timing = record, timing
        self.standing = Standing()
        self.since = timing.now()
        self.answered = 0
        self.hands = 0
        self._next: tuple[float, Work] | None = None
        self._timer: Timer | None = None
        self._task: asyncio.Task[None] | None = None

    def well(self) -> int:
        """Return how many messages the module has handled well, ever."""
        cell = self.record.cell
        return cell.tally.handled - cell.tally.failed if cell is not None else 0

    def note_health(self) -> None:
        """Count its health from now on."""
        self.since, self.answered = self._timing.now(), self.well()

    def ran_for(self) -> float:
        """Return how long it has been well, in seconds."""
        return self._timing.now() - self.since

    # --- the next thing ----------------------------------------------------------------------------------------

    def plan(self, seconds: float, work: Work) -> None:
        """Have `work` be done after so long, in place of whatever was planned."""
        self._stop_timer()
        self._next = (seconds, work)
        if not self.hands:
            self.record.next_try = time.time() + seconds if seconds else 0.0
            self._timer = self._timing.later(seconds, self._begin)

    def plan_again(self) -> None:
        """Plan anew what was called off, unless it has become needless."""
        if self._next is not None and self._timer is None and self._task is None:
            self.plan(*self._next)

    def _begin(self) -> None:
        assert self._next is not None
        self._stop_timer()
        loop = asyncio.get_running_loop()
        work = self._do(self._next[1])
        self._task = asyncio.Task(work, loop=loop, name=f"hostcore:supervise {self.record.name}", context=Context())

    async def _do(self, work: Work) -> None:
        try:
            await work()
        finally:
            if self._task is asyncio.current_task():
                self._task = None

    def done(self) -> None:
        """Plan nothing any more: it has become needless."""
        self._stop_timer()
        self._next = None

    def call_off(self) -> asyncio.Task[None] | None:
        """Do nothing until `plan_again`; return what was in hand, which is cancelled and will end soon."""
        self._stop_timer()
        task, self._task = self._task, None
        if task is not None and task is not asyncio.current_task():
            task.cancel()
            return task
        return None

    def _stop_timer(self) -> None:
        self.record.next_try = 0.0
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
