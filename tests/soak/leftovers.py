"""What must not be left when a soak is over, and what must not be said meanwhile.

`Watch` is in force from before the event loop begins until after it has ended: it hears what asyncio complains of,
every warning, every error that is logged with a traceback, and what threads and destructors raise.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

PATIENCE = 10.0
"""Seconds that the kernel and threads get to let go of what has ended."""
LOGGERS = ("hostcore", "asyncio")
COMPLAINTS = ("was never awaited", "was never retrieved", "was destroyed but", "Exception ignored in")


class Watch(logging.Handler):
    """Hears every complaint, and knows what there was at the beginning.

    Attributes:
        complaints: What was complained of.
        sessions: The processes that workers are forked from; all workers are in their sessions.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(logging.WARNING)
        self.complaints: list[str] = []
        self.sessions: set[int] = set()
        self._folder = folder
        self._warnings = warnings.catch_warnings()
        self._hooks: Any = None
        self._threads_before = threading.active_count()
        self._open_before = descriptors()
        self._processes_before = processes(set())  # other tests' own

    def __enter__(self) -> Self:
        self._hooks = (tempfile.tempdir, sys.unraisablehook, threading.excepthook)
        tempfile.tempdir = str(self._folder)
        self._warnings.__enter__()
        warnings.simplefilter("always")
        warnings.showwarning = lambda message, category, *_, **__: self._complain(f"{category.__name__}: {message}")
        sys.unraisablehook = lambda args: self._complain(f"unraisable: {args.exc_value!r} in {args.object!r}")
        threading.excepthook = lambda args: self._complain(f"in a thread: {args.exc_value!r}")
        for name in LOGGERS:
            logging.getLogger(name).addHandler(self)
            logging.getLogger(name).propagate = False
        return self

    def __exit__(self, *exc: Any) -> None:
        tempfile.tempdir, sys.unraisablehook, threading.excepthook = self._hooks
        self._warnings.__exit__(*exc)
        for name in LOGGERS:
            logging.getLogger(name).removeHandler(self)
            logging.getLogger(name).propagate = True

    def _complain(self, text: str) -> None:
        self.complaints.append(text)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep what asyncio complains of, in workers too, and what was logged with a traceback: it was unexpected."""
        text = record.getMessage()
        if record.exc_info or record.name == "asyncio" or any(words in text for words in COMPLAINTS):
            error = record.exc_info[1] if record.exc_info else None
            self._complain(f"logged by {record.name}: {text} {error!r}")

    def hear(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Hear what the event loop complains of."""
        more = {key: repr(value) for key, value in context.items() if key != "message"}
        self._complain(f"event loop: {context['message']} {more}")

    def left(self) -> dict[str, list[str]]:
        """Return what is left, by what it is: nothing, as it should be."""
        looks: dict[str, Callable[[], list[str]]] = {
            "processes": self._processes,
            "descriptors": lambda: sorted(descriptors() - self._open_before),
            "threads": self._threads,
            "folders": lambda: sorted(path.name for path in self._folder.glob("hostcore-worker-*")),
        }
        return {what: found for what, look in looks.items() if (found := _lasting(look))}

    def _threads(self) -> list[str]:
        more = threading.active_count() - self._threads_before
        return [str(thread) for thread in threading.enumerate()] if more > 0 else []

    def _processes(self) -> list[str]:
        return sorted(processes(self.sessions) - self._processes_before)


def _lasting(look: Callable[[], list[str]]) -> list[str]:
    limit = time.monotonic() + PATIENCE
    while (found := look()) and time.monotonic() < limit:
        time.sleep(0.02)
    return found


def descriptors() -> set[str]:
    """Return what this process has open."""
    found = set()
    for name in os.listdir("/proc/self/fd"):
        try:
            found.add(f"{name}: {os.readlink(f'/proc/self/fd/{name}')}")
        except OSError:
            continue  # that with which they were listed
    return found


def processes(sessions: set[int]) -> set[str]:
    """Return the processes of this one's own, and all in these sessions."""
    found = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, _, rest = stat.read_text().rpartition(")")
        except OSError:
            continue  # it has ended
        state, parent, _, session = rest.split()[:4]
        if state != "Z" and (int(session) in sessions or int(parent) == os.getpid()):
            found.add(f"{name})")
    return found


def memory() -> float:
    """Return this process's resident memory in MB (2**20 bytes)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return round(pages * os.sysconf("SC_PAGE_SIZE") / 2**20, 1)
