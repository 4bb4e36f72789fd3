"""History: what became of each module's generations, and what is still alive of those that went.

Bounded, in memory, and kept when a module is unloaded: a host tells of all that happened since it started.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from hostcore.hosts.base import HostedInstance
from hostcore.runtime.reports import ReloadReport

ENTRIES = 200
REMAINS = 20


_DONE = {"reload": "reloaded", "rollback": "rolled back", "restart": "restarted"}
_FAILED = {"reload": "kept", "rollback": "kept", "restart": "failed"}


class HistoryEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that happened to a module's generations.

    Attributes:
        when: When it ended, in seconds since 1970.
        what: "loaded", "reloaded", "rolled back" (to a kept generation), "restarted" (after a crash), "kept" (the
            reload failed, the generation before serves on), "failed" (to load, or to be restarted) or "unloaded".
        why: Who or what caused it, as in "asked" or "acme_counter/__init__.py changed".
        generation: The number of the generation that it is about.
        version: Its release's version.
        previous: The number of the generation that served before, 0 if none did.
        phase: The phase in which a reload failed, or "".
        reason: Why it failed, or "".
        duration_ms: How long it took.
        downtime_ms: How long messages were held.
        held_messages: How many messages waited when the new generation took over.
        leaks: What was still alive of the generation that went, by name.
    """

    when: float
    what: str
    why: str = ""
    generation: int = 0
    version: str = ""
    previous: int = 0
    phase: str = ""
    reason: str = ""
    duration_ms: float = 0.0
    downtime_ms: float = 0.0
    held_messages: int = 0
    leaks: tuple[str, ...] = ()


class Remains(NamedTuple):
    """A generation that was let go of: what could not be at once, and the instance, which knows what lives on."""

    generation: int
    version: str
    instance: HostedInstance | None = None
    left: tuple[str, ...] = ()


class History:
    """What happened to one module."""

    def __init__(self) -> None:
        self._entries: deque[HistoryEntry] = deque(maxlen=ENTRIES)
        self._remains: deque[Remains] = deque(maxlen=REMAINS)

    def note(self, what: str, *, generation: int = 0, version: str = "", reason: str = "", since: float | None = None,
             leaks: tuple[str, ...] = ()) -> None:  # fmt: skip
        """Write down a load or an unload; `since` is when it began, by `time.perf_counter`."""
        duration = 0.0 if since is None else round((time.perf_counter() - since) * 1000, 3)
        self._entries.append(
            HistoryEntry(when=time.time(), what=what, why="asked", generation=generation, version=version,
                         reason=reason, duration_ms=duration, leaks=leaks)
        )  # fmt: skip

    def note_reload(self, report: ReloadReport) -> None:
        """Write down a reload or rollback."""
        what = _FAILED[report.kind] if report.rolled_back else _DONE[report.kind]
        self._entries.append(HistoryEntry(
            when=time.time(), what=what, why=report.why, generation=report.new_generation, version=report.new_version,
            previous=report.old_generation, phase=report.phase, reason=report.reason, duration_ms=report.duration_ms,
            downtime_ms=report.downtime_ms, held_messages=report.held_messages, leaks=report.leaks,
        ))  # fmt: skip

    def note_remains(self, remains: Remains) -> None:
        """Remember a generation of which something is still alive."""
        self._remains.append(remains)

    def entries(self) -> list[HistoryEntry]:
        """Return what happened, oldest first."""
        return list(self._entries)

    def remains(self) -> Iterator[Remains]:
        """Yield the generations of which something is still alive, and forget the others."""
        for remains in list(self._remains):
            if remains.instance is not None and remains.instance.survivors():
                yield remains
            else:
                self._remains.remove(remains)


class Histories(dict[str, History]):
    """Name -> `History`; a module that nothing is known of has an empty one."""

    def __missing__(self, name: str) -> History:
        history = self[name] = History()
        return history
