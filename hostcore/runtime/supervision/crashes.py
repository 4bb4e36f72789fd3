"""The list of crashes: who crashed, doing what, why, and what was done about it.  Bounded, in memory."""

from __future__ import annotations

import time
from collections import deque
from typing import Any

import msgspec

from hostcore.hosts.base import Crash
from hostcore.runtime.registry import Copy


class CrashEntry(msgspec.Struct, kw_only=True):
    """One crash.

    Attributes:
        module: The module's name.
        when: When it was noticed, in seconds since 1970.
        version: The version of the release that crashed.
        generation: The number of its copy.
        host: What ran it.
        kind: "died" (its process ended), "trapped" (a guest), "hung" (it did not end when its time was up), "limit".
        hook: The hook that it was in, or "".
        topic: The topic of the message in hand, or "".
        message: The id of that message, or "".
        code: The error's code.
        error: The error's text.
        signal: The name of the signal that ended its process, or "".
        exit_code: The exit code of its process, or None.
        traceback: Where in its code, as far as its host can tell, or "".
        lines: The last lines that it logged or printed.
        done: What was done about it.
    """

    module: str
    when: float
    version: str = ""
    generation: int = 0
    host: str = ""
    kind: str = ""
    hook: str = ""
    topic: str = ""
    message: str = ""
    code: str = ""
    error: str = ""
    signal: str = ""
    exit_code: int | None = None
    traceback: str = ""
    lines: tuple[str, ...] = ()
    done: str = ""


def entry_of(module: str, copy: Copy, crash: Crash) -> CrashEntry:
    """Return a crash as it is written down; it holds nothing of the module."""
    error: Any = crash.error
    return CrashEntry(
        module=module, when=time.time(), version=copy.release.version, generation=copy.number, host=copy.host,
        kind=crash.kind, hook=crash.hook, topic=crash.topic, message=crash.message, code=crash.error.code,
        error=crash.error.message, signal=getattr(error, "signal", ""), exit_code=getattr(error, "status", None),
        traceback=getattr(error, "traceback", ""), lines=tuple(getattr(error, "lines", ())),
    )  # fmt: skip


class CrashLog:
    """The latest crashes of all modules."""

    def __init__(self, size: int) -> None:
        self._entries: deque[CrashEntry] = deque(maxlen=size)

    def add(self, entry: CrashEntry) -> None:
        """Write a crash down."""
        self._entries.append(entry)

    def of(self, module: str | None = None) -> list[CrashEntry]:
        """Return the crashes of a module, or of all, oldest first."""
        return [entry for entry in self._entries if module is None or entry.module == module]

    def last(self, module: str) -> CrashEntry | None:
        """Return the latest crash of a module."""
        return next((entry for entry in reversed(self._entries) if entry.module == module), None)
