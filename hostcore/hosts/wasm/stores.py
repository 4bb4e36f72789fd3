"""Stores: what one guest gets of the world, and how much of it.

Nothing by default: no file, no variable, no network; clocks and randomness as the host's own functions tell
(`imports`). What is granted is a directory, to read or to write, or a variable of the environment.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path

from wasmtime import Engine, Store, WasiConfig

from hostcore.contract.manifest import Limits
from hostcore.errors import LoadError
from hostcore.hosts.base import Grants, Job
from hostcore.hosts.lines import Output, RateLimit

MEMORY = 256 * 1024**2
"""Bytes that a guest may use where nothing is said; an empty Python guest needs 14 MiB."""
MEMORIES, TABLES, TABLE_ELEMENTS, INSTANCES = 16, 16, 1_000_000, 64


class Streams:
    """A guest's output: stdout at the level INFO, stderr at WARNING."""

    def __init__(self, name: str, limit: RateLimit) -> None:
        log = logging.getLogger(f"hostcore.module.{name}")
        self.out = Output(log, logging.INFO, limit)
        self.error = Output(log, logging.WARNING, limit)

    def close(self) -> None:
        """Write what is left of the last lines."""
        self.out.close()
        self.error.close()


def make_store(engine: Engine, job: Job, streams: Streams, memories: int = 1) -> Store:
    """Return a store with a module's limits and grants, for a guest that declares so many memories.

    Raises:
        LoadError: A granted directory is not there.
    """
    store = Store(engine)
    _limit(store, job.limits, memories)
    wasi = WasiConfig()
    wasi.stdout_custom = streams.out.write
    wasi.stderr_custom = streams.error.write
    _grant(wasi, job.grants, job)
    store.set_wasi(wasi)
    return store


def _limit(store: Store, limits: Limits, memories: int) -> None:
    memories = limits.memories or min(memories, MEMORIES)
    # The engine counts each memory for itself: all together may have what the module may.
    store.set_limits(
        memory_size=(limits.memory or MEMORY) // memories,
        table_elements=limits.table_elements or TABLE_ELEMENTS,
        instances=limits.instances or INSTANCES,
        tables=limits.tables or TABLES,
        memories=memories,
    )


def _grant(wasi: WasiConfig, grants: Grants, job: Job) -> None:
    readable, writable = grants.targets("fs.read"), grants.targets("fs.write")
    for directory in sorted(readable | writable):
        if not Path(directory).is_dir():
            raise LoadError(
                job.release.name, f"it is granted the directory {directory!r}, which is not there", code="HC215",
                label=job.release.label, hint="create it, or take the permission back",
            )  # fmt: skip
        wasi.preopen_dir(directory, directory, directory in writable)
    names = grants.targets("env")
    chosen = os.environ if "*" in names else {name: os.environ[name] for name in names if name in os.environ}
    wasi.env = [(name, value) for name, value in chosen.items() if _is_text(name) and _is_text(value)]


def _is_text(value: str) -> bool:
    """Tell whether a variable's name or value is UTF-8, which is all that guests read."""
    return not any("\ud800" <= char <= "\udfff" for char in value)
