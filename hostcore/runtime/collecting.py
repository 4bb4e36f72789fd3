"""Collect garbage once for all who let go of a generation at about the same time.

A collection passes over the whole heap and holds the event loop meanwhile, so when many modules are reloaded at once,
one for each would take most of the time, and would stand in the middle of the others' downtime.  Whoever will need one
says so first (`expecting`).  A collection then begins when all who are expected have asked for it, which is at once for
one that is alone; or, so that nobody waits long for a slow one, when a few times as long as the last one took has
passed since.  Hence only a part of the time goes into collecting, however many ask.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import Context
from math import inf

PAUSE = 4
"""Between two collections, while more are expected, lies so many times what the last one took."""


class Collector:
    """Collects garbage on behalf of several tasks of one event loop."""

    def __init__(self) -> None:
        self._expected = 0
        self.asking = 0
        self._following: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._ended, self._took = -inf, 0.0

    @contextmanager
    def expecting(self) -> Iterator[None]:
        """Announce that `collect` may be called in the block."""
        self._expected += 1
        try:
            yield
        finally:
            self._expected -= 1
            if 0 < self._expected <= self.asking:  # the others waited only for this one
                self._run()

    async def collect(self) -> None:
        """Have garbage collected; what was let go of before the call is gone after it."""
        self.asking += 1
        wait = self._ended + PAUSE * self._took - time.monotonic()
        if self.asking >= self._expected or wait <= 0:
            self._run()
            return
        loop = asyncio.get_running_loop()
        if self._following is None:
            self._following = loop.create_future()
            self._timer = loop.call_later(wait, self._run, context=Context())
        await asyncio.shield(self._following)

    def _run(self) -> None:
        following, self._following, self.asking = self._following, None, 0
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        began = time.monotonic()
        gc.collect()
        self._ended = time.monotonic()
        self._took = self._ended - began
        if following is not None:
            following.set_result(None)
