"""Wait for the threads of a module that is closed, without holding the event loop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from typing import Any

from hostcore.generations import Generation
from hostcore.generations.threads import Stopping

_ASKED, _INTERRUPTED = 0.3, 0.6
"""Seconds that threads get to end once they have been asked, and once they have been interrupted."""
_PAUSE = 0.005


async def stop_threads(generation: Generation, roots: Iterable[Any]) -> list[str]:
    """Ask the generation's threads to stop, interrupt those that do not; return what is left, as text.

    Args:
        generation: The generation.
        roots: Objects of it that may keep executors, such as the module's own.
    """
    stopping = Stopping(generation, roots)
    await _wait(stopping, _ASKED)
    if stopping.alive():
        stopping.interrupt()
        await _wait(stopping, _INTERRUPTED)
    names = {name for name in generation.threads() if not name.startswith("hostcore:")}
    names |= {thread.name for thread in stopping.alive()}
    return [f"thread {name} still runs its code" for name in sorted(names)]


async def _wait(stopping: Stopping, seconds: float) -> None:
    until = time.monotonic() + seconds
    while stopping.alive() and time.monotonic() < until:  # noqa: ASYNC110 - a thread's end tells no event loop
        await asyncio.sleep(_PAUSE)
