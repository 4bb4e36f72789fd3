"""Limits of the kernel on one process: memory, processor time, files.

Memory is bounded twice.  RLIMIT_DATA counts what is private and writable, which is nearly all that a program allocates;
what it has at the start is added, so that a module may use what its manifest says beyond that of an empty worker.
RLIMIT_AS counts all addresses, so also what is shared, with room for the code of libraries.  Beyond either an
allocation fails, which Python reports as MemoryError.

A thread's stack counts whole, whether it is used or not: 8 MB each by default.  Where memory is scarce, threads get
smaller ones, which still hold Python's default recursion limit.
"""

from __future__ import annotations

import _thread
import os
import resource
import signal
from typing import Final

from hostcore.hosts.worker.sandbox import kernel
from hostcore.hosts.worker.sandbox.cage import Cage

MEGABYTE: Final = 1024**2
SCARCE: Final = 1024 * MEGABYTE
SMALL_STACK: Final = 2 * MEGABYTE

# Not everywhere: memory that cannot be swapped, message queues, real-time and raised priority.
_NONE_OF: Final = tuple(
    number
    for name in ("CORE", "MEMLOCK", "MSGQUEUE", "RTPRIO", "NICE")
    if (number := getattr(resource, f"RLIMIT_{name}", None)) is not None
)


def limit(cage: Cage, *, counts_tasks: bool) -> str:
    """Limit this process; say to what.

    Args:
        cage: What it may use.
        counts_tasks: It is in a user namespace of its own: elsewhere, all processes of its user would count.

    Raises:
        OSError: The present use cannot be read, or the kernel refused a limit.
    """
    for which in _NONE_OF:
        _lower(which, 0)
    _lower(resource.RLIMIT_NOFILE, cage.files)
    _lower(resource.RLIMIT_FSIZE, cage.file_size)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # an error at the write instead of death
    told = [f"{cage.files} files of {_size(cage.file_size)}", "no core dumps"]
    if counts_tasks:
        _lower(resource.RLIMIT_NPROC, cage.tasks)
        told.append(f"{cage.tasks} tasks" + ("" if os.geteuid() else ", to which the kernel does not hold root"))
    if cage.cpu is not None:
        _lower(resource.RLIMIT_CPU, cage.cpu, more=1)  # at the first limit a signal that tells why, then SIGKILL
        told.append(f"{cage.cpu} s of processor time")
    if cage.memory is not None:
        _limit_memory(cage.memory, cage.mapped)
        told.append(f"{_size(cage.memory)} of memory")
    return ", ".join(told)


def _limit_memory(memory: int, mapped: int | None) -> None:
    kernel.single_arena()
    if memory < SCARCE:
        _thread.stack_size(SMALL_STACK)
    used = kernel.status()
    _lower(resource.RLIMIT_DATA, used["VmData"] + memory)
    if mapped is not None:
        _lower(resource.RLIMIT_AS, used["VmSize"] + memory + mapped)


def _lower(which: int, amount: int, more: int = 0) -> None:
    """Lower a limit to `amount`, for good; one that is lower already stays."""
    hard = resource.getrlimit(which)[1]
    most = amount + more if hard == resource.RLIM_INFINITY else min(amount + more, hard)
    try:
        resource.setrlimit(which, (min(amount, most), most))
    except ValueError as error:
        raise OSError(f"limit {which}: {error}") from None


def _size(count: int) -> str:
    return f"{count / MEGABYTE:.0f} MB" if count >= MEGABYTE else f"{count} bytes"
