"""What a worker is confined to, and what became of it: plain data, which travels as JSON or MessagePack."""

from __future__ import annotations

from typing import Final, NamedTuple

LAYERS: Final = (
    "pdeathsig", "session", "namespaces", "capabilities", "rlimits", "undumpable", "no_new_privs", "landlock",
    "seccomp",
)  # fmt: skip
"""All layers, in the order in which they are applied: each may need what a later one takes away."""

MAPPED: Final = 256 * 1024**2


class Cage(NamedTuple):
    """What a worker may do.

    Attributes:
        read: Directories and files that it may read, with all below them; `reading.default_read` is what Python needs.
        write: Directories and files that it may read and change.
        listed: Directories of which it may tell what is in them, and no more.
        memory: Bytes of memory beyond what it has when it is confined; None: no limit.
        mapped: Bytes of address space beyond `memory`, for the code of libraries; what is shared between processes is
            bounded by it too.  None: no limit, as wasmtime needs, which reserves gigabytes.
        cpu: Seconds of processor time in all; None: no limit.
        files: How many files it may have open.
        file_size: Bytes that a file may grow to by it.
        tasks: How many threads and processes it may have; the kernel does not hold root to it.
        processes: It may fork and run programs: those of the system, and what it can read.
        shared_memory: It may make memory that others can share: maps, which count as `mapped`, and files in memory,
            each of which counts as a file only.  Without, `memory` bounds all that it can take.
        layers: Which layers to apply.
    """

    read: tuple[str, ...] = ()
    write: tuple[str, ...] = ()
    listed: tuple[str, ...] = ()
    memory: int | None = None
    mapped: int | None = MAPPED
    cpu: int | None = None
    files: int = 64
    file_size: int = 64 * 1024**2
    tasks: int = 64
    processes: bool = False
    shared_memory: bool = True
    layers: tuple[str, ...] = LAYERS


class Layer(NamedTuple):
    """What became of a layer.

    Attributes:
        in_force: It holds from now on.
        detail: What it does; or why it does not hold.
    """

    in_force: bool
    detail: str
