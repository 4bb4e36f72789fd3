"""Import in a thread, under a guard, and give up on what never ends."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from hostcore.errors import LoadError
from hostcore.generations import Generation
from hostcore.hosts.base import Tools
from hostcore.hosts.importing import endless_import, import_error
from hostcore.messaging.guard import Overrun
from hostcore.messaging.lane import Lane
from hostcore.packages.locating import Release

Work = tuple[Generation, Release]
Box = list[tuple[Any, BaseException | None]]
_GRACE = 1.0
"""Seconds beyond its time in which an import that is broken gets out of its code."""


async def import_aside(tools: Tools, work: Work, seconds: float, make: Callable[[Work], Any]) -> Any:
    """Return `make(work)`, which imports, from a thread of its own.

    Raises:
        LoadError: It raised, or did not end within `seconds`; one that hangs in C code leaves its thread behind.
    """
    release, guard = work[1], tools.thread_guard
    lane = Lane(f"load-{release.name}", tools.loop)
    deadline = time.monotonic() + seconds
    box: Box = []
    importing = asyncio.ensure_future(lane.run(lambda: fill(box, lambda: guard.call(make, work, deadline))))
    try:
        with _short_turns():
            await asyncio.wait({importing}, timeout=seconds + _GRACE)
    except asyncio.CancelledError:
        guard.hasten(lane.ident)
        await asyncio.wait({importing}, timeout=_GRACE)
        raise
    finally:
        importing.cancel()
        lane.close()
    if not box:
        raise endless_import(release, seconds, "; its thread hangs in C code and is left behind")
    return _outcome(box, release, seconds)


async def import_here(tools: Tools, work: Work, seconds: float, make: Callable[[Work], Any]) -> Any:
    """Return `make(work)`, on the event loop itself: for a process that has nothing else to do meanwhile.

    It raises as `import_aside` does; what hangs in C code is for whoever watches the process.
    """
    box: Box = []
    deadline = time.monotonic() + seconds
    fill(box, lambda: tools.guard.call(make, work, deadline))
    return _outcome(box, work[1], seconds)


def _outcome(box: Box, release: Release, seconds: float) -> Any:
    made, error = box.pop()
    if error is None:
        return made
    if isinstance(error, Overrun):
        named = endless_import(release, seconds)
    else:
        named = error if type(error) is LoadError else import_error(release, error)
    error.__traceback__ = None
    del error  # the traceback of `named` holds this frame
    raise named


def fill(box: Box, work: Callable[[], Any]) -> None:
    """Call `work` in a lane and put the outcome into `box`.

    A future would do, but asyncio takes a module's CancelledError or GeneratorExit for its own there, and holds a
    finished future, with what the module made or raised, until whoever waited suspends again.
    """
    try:
        box.append((work(), None))
    except BaseException as exc:  # noqa: BLE001 - whatever a module raises, SystemExit too
        box.append((None, exc))


_TURN = 0.0005
"""Seconds for which a busy thread keeps the interpreter while an import waits for it."""
_turns = threading.Lock()
_importing: list[float] = []  # the interval that each import in hand found


@contextmanager
def _short_turns() -> Iterator[None]:
    """Have the interpreter switch threads sooner.

    An import gives the interpreter up at every file that it looks for, and has to wait a whole turn of a busy event
    loop to get it back: with Python's own 5 ms, a package of 20 files takes a second beside a loop that never rests.
    """
    with _turns:
        _importing.append(sys.getswitchinterval())
        sys.setswitchinterval(min(_TURN, _importing[0]))
    try:
        yield
    finally:
        with _turns:
            before = _importing[0]
            _importing.pop()
            if not _importing and sys.getswitchinterval() <= _TURN:  # else somebody has set another meanwhile
                sys.setswitchinterval(before)
