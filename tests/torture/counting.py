"""What a process has, to be compared: what attacks leave behind shows in it."""

from __future__ import annotations

import os
import tempfile
import threading
from pathlib import Path
from typing import NamedTuple

from worker.puppet import descriptors


def workers() -> set[int]:
    """Return the workers that run: the children of the processes that this one has started."""
    parents: dict[int, int] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = path.read_text().rpartition(")")[2].split()[:2]
        except OSError:
            continue
        if state != "Z":
            parents[int(path.parent.name)] = int(parent)
    return {pid for pid, parent in parents.items() if parents.get(parent) == os.getpid()}


class Left(NamedTuple):
    """Descriptors, workers, threads and temporary folders of this process."""

    descriptors: frozenset[str]
    workers: frozenset[int]
    threads: int
    folders: int

    @classmethod
    def now(cls) -> Left:
        """Return what there is now."""
        folders = len(list(Path(tempfile.gettempdir()).glob("hostcore-*")))
        return cls(frozenset(descriptors()), frozenset(workers()), threading.active_count(), folders)
