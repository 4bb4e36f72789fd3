"""The time and chance of supervision, in the hands of a test: nothing waits, and nothing happens by itself.

async with timed(supervision={"tries": 1}) as (system, clock, events):
    ...                            # what is due at once happens; what has a wait, when the test says so
    clock.advance(300)
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from system.support import SETTINGS

import hostcore
from hostcore.runtime.supervision.timing import Timing


class Clock:
    """A clock that stands, and what is to happen when it goes on."""

    def __init__(self) -> None:
        self.time = 0.0
        self.timers: list[Waiting] = []

    def later(self, seconds: float, function: Callable[[], object]) -> Waiting:
        """Call `function` in so many seconds of this clock; what has no wait, in the next pass of the loop."""
        timer = Waiting(self, self.time + seconds, function)
        if seconds == 0:
            asyncio.get_running_loop().call_soon(timer.fire)
        else:
            self.timers.append(timer)
        return timer

    def advance(self, seconds: float) -> None:
        """Let time pass, and do what is due."""
        self.time += seconds
        for timer in sorted(self.timers, key=lambda timer: timer.when):
            if timer.when <= self.time + 1e-9:
                timer.fire()

    @property
    def waits(self) -> list[float]:
        """The seconds until each thing that waits."""
        return [round(timer.when - self.time, 6) for timer in self.timers]


class Waiting:
    """One thing that is to happen."""

    def __init__(self, clock: Clock, when: float, function: Callable[[], object]) -> None:
        self.clock, self.when, self.function = clock, when, function
        self.over = False

    def fire(self) -> None:
        if not self.over:
            self.cancel()
            self.function()

    def cancel(self) -> None:
        self.over = True
        if self in self.clock.timers:
            self.clock.timers.remove(self)


@asynccontextmanager
async def timed(
    services: dict[str, Any] | None = None, **settings: Any
) -> AsyncIterator[tuple[hostcore.ModuleSystem, Clock, Any]]:
    """A system whose supervision goes by the test's clock, and its events."""
    clock = Clock()
    system = hostcore.ModuleSystem({**SETTINGS, **settings}, services=services)
    system._timing = Timing(lambda: clock.time, clock.later, lambda: 0.5)
    async with system, system.subscribe(">") as events:
        yield system, clock, events
