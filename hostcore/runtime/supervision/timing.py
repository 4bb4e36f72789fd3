"""Time and chance as supervision knows them, so that a test can stand in for both."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from contextvars import Context
from typing import NamedTuple, Protocol


class Timer(Protocol):
    """Something that will happen."""

    def cancel(self) -> None:
        """Have it not happen; afterwards this does nothing."""
        ...


class Timing(NamedTuple):
    """A clock in seconds, a way to have something called later, and a die from 0 to 1."""

    now: Callable[[], float]
    later: Callable[[float, Callable[[], object]], Timer]
    chance: Callable[[], float]


def real_timing(loop: asyncio.AbstractEventLoop) -> Timing:
    """Return the timing of an event loop."""

    def later(seconds: float, function: Callable[[], object]) -> Timer:
        # In a context of its own: that of the module which crashed would be kept alive until then.
        return loop.call_later(seconds, function, context=Context())

    return Timing(time.monotonic, later, random.random)
