"""How long a call into a worker may take, and what is done about one that takes longer.

    its time is up           its own guard breaks it, within the worker
    a little later           is anybody there?  A worker that answers is waiting for something; else it is terminated
    its hook's limit is up   it is cancelled
    a little later           it is terminated (SIGTERM)
    a little later still     it is killed (SIGKILL)

From the first signal on, its process runs only when nobody else wants to.  Not before: an ordinary user cannot take
that back, and one that only waits is to go on as it was.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from contextvars import Context
from math import inf

from hostcore.hosts.worker.link import Gone
from hostcore.hosts.worker.process import WorkerProcess
from hostcore.messaging.deadlines import Deadlines, Expiring

_now = time.monotonic
_CPUS = os.cpu_count() or 1
_SHORTEST = 0.0005
"""Seconds between two looks at a clock."""


class Patience:
    """Watches over one call.

    Args:
        process: The worker.
        deadlines: The wheel of the worker host.
        number: The call's.
        soft: When its time is up, in seconds of `time.monotonic()`.
        hard: When its hook's limit is, which is not earlier.
        grace: The seconds of "a little later".

    Attributes:
        verdict: What it was ended for, or "".
    """

    __slots__ = ("_deadlines", "_grace", "_hard", "_number", "_ping", "_process", "_slot", "_stage", "verdict")

    def __init__(
        self, process: WorkerProcess, deadlines: Deadlines, number: int, soft: float, hard: float, grace: float
    ) -> None:
        self.verdict = ""
        self._process, self._deadlines, self._number, self._hard, self._grace = process, deadlines, number, hard, grace
        self._stage = self._check if soft < hard else self._cancel
        self._ping: asyncio.Future[tuple[str, bytes]] | None = None
        self._slot: set[Expiring] | None = None
        self._wait_until(min(soft, hard) + grace)

    def _wait_until(self, when: float) -> None:
        self._slot = self._deadlines.add(self, when) if when != inf else None

    def expire(self) -> None:
        """Do what is next."""
        try:
            self._stage()
        except Gone:
            pass  # it has ended meanwhile

    def _check(self) -> None:
        _, self._ping = self._process.link.ask("ping", b"")
        self._ping.add_done_callback(lambda ping: ping.cancelled() or ping.exception())
        self._stage = self._judge
        self._wait_until(_now() + self._grace)

    def _judge(self) -> None:
        assert self._ping is not None
        if self._ping.done():
            self._stage = self._cancel
            self._wait_until(self._hard + self._grace)
        else:
            self._terminate()

    def _cancel(self) -> None:
        self._process.link.cancel(self._number)
        self._stage = self._terminate
        self._wait_until(_now() + self._grace)

    def _terminate(self) -> None:
        self.verdict = "did not end when its time was up"
        self._process.give_way()
        self._process.signal(signal.SIGTERM)
        self._stage = self._kill
        self._wait_until(_now() + self._grace)

    def _kill(self) -> None:
        self._process.signal(signal.SIGKILL)

    def over(self) -> None:
        """Watch no longer: the call has ended."""
        if self._slot is not None:
            self._slot.discard(self)


class Meter:
    """Ends a worker whose call uses more processor time than it may.

    The kernel's clock of the process is read when the time could be used up at the earliest, with every processor at
    work on it, and so on with what is left.  That takes timers of its own: the wheel's ticks are as long as a twentieth
    of a short limit.
    """

    __slots__ = ("_clock", "_limit", "_loop", "_process", "_start", "_timer", "verdict")

    def __init__(self, process: WorkerProcess, loop: asyncio.AbstractEventLoop, limit: float) -> None:
        self.verdict = ""
        self._process, self._loop, self._limit = process, loop, limit
        self._clock = (~process.pid << 3) | 2  # CPUCLOCK_SCHED of the process, as clock_getcpuclockid(3) makes it
        self._start = self._used()
        self._timer = self._wait(limit)

    def _used(self) -> float:
        try:
            return time.clock_gettime(self._clock)
        except OSError:
            return 0.0  # it has ended

    def _wait(self, left: float) -> asyncio.TimerHandle:
        return self._loop.call_later(max(_SHORTEST, left / _CPUS), self._look, context=Context())

    def _look(self) -> None:
        left = self._limit - (self._used() - self._start)
        if left > 0:
            self._timer = self._wait(left)
        else:
            self.verdict = f"used up the {self._limit:.3g} s of processor time of a call"
            self._process.signal(signal.SIGKILL)

    def over(self) -> None:
        """Measure no longer."""
        self._timer.cancel()
