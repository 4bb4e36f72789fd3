"""Acts that use up what all share: memory, descriptors, threads, processor time, processes."""

from __future__ import annotations

import hashlib
import mmap
import os
import subprocess
import threading
from collections.abc import Callable
from typing import Any

from .trying import Stage, Tries

_MEGABYTE = 1024**2
_MOST = 512 * _MEGABYTE
"""Far more than is allowed, and no harm to the machine where nothing holds it."""
_kept: list[Any] = []


def leak_memory(stage: Stage) -> int:
    """Keep another megabyte with each message."""
    _kept.append(b"x" * _MEGABYTE)
    return len(_kept)


def _until_refused(make: Callable[[], Any], most: int) -> int:
    """Make one after the other until that fails; return how many there are."""
    for count in range(most):
        try:
            _kept.append(make())
        except (OSError, RuntimeError, MemoryError):
            return count
    return most


def leak_files(stage: Stage) -> int:
    """Open files and keep them."""
    return _until_refused(lambda: os.open("/dev/null", os.O_RDONLY), 10_000)


def leak_threads(stage: Stage) -> int:
    """Start threads that wait for ever."""

    def start() -> threading.Thread:
        thread = threading.Thread(target=threading.Event().wait, daemon=True)
        thread.start()
        return thread

    return _until_refused(start, 300)


def memory_bomb(stage: Stage) -> int:
    """Ask for far more memory than there may be, and use it."""
    _kept.append(b"x" * _MOST)
    return len(_kept)


def memory_doubling(stage: Stage) -> int:
    """Double a list until it fails."""
    grown = [0]
    while len(grown) * 8 < _MOST:
        grown += grown
    return len(grown)


def memory_shared(stage: Stage) -> int:
    """Map memory that counts as shared, and use it."""
    area = mmap.mmap(-1, _MOST)
    for start in range(0, len(area), 4096):
        area[start] = 1
    _kept.append(area)
    return len(area)


def memory_files(stage: Stage) -> int:
    """Fill files that are memory."""
    written = 0
    block = b"x" * _MEGABYTE
    for number in range(16):
        try:
            file = os.memfd_create(f"f{number}")
            for _ in range(16):
                written += os.write(file, block)
        except OSError:
            break
    return written


def cpu_hog(stage: Stage) -> None:
    """Have every processor work for it, in C."""
    data = b"x" * _MEGABYTE

    def work() -> None:
        while True:
            hashlib.sha256(data).digest()

    threads = [threading.Thread(target=work, daemon=True) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def fork_bomb(stage: Stage) -> dict[str, dict[str, str]]:
    """Start processes, each of which would go on doing so."""
    tries = Tries()
    for number in range(32):
        tries.one(f"fork {number}", _fork)
    return tries.found


def _fork() -> int:
    pid = os.fork()
    if not pid:
        threading.Event().wait(60)
        os._exit(0)
    return pid


def daemonise(stage: Stage) -> dict[str, dict[str, str]]:
    """Leave a process behind that belongs to nobody."""
    tries = Tries()
    tries.one("fork twice", _leave_a_daemon)
    tries.one("setsid", os.setsid)
    tries.one("a program", lambda: subprocess.Popen(["/bin/sh", "-c", "sleep 60 &"]).pid)
    tries.one("posix_spawn", lambda: os.posix_spawn("/bin/sh", ["sh", "-c", "sleep 60"], {}))
    return tries.found


def _leave_a_daemon() -> int:
    pid = os.fork()
    if pid:
        return pid
    os.setsid()
    if os.fork():
        os._exit(0)
    threading.Event().wait(60)
    os._exit(0)
