"""What a module takes of memory, files, threads and time."""

from __future__ import annotations

import _thread
import contextlib
import errno
import mmap
import os
import threading
from array import array
from pathlib import Path
from typing import Any

from worker.sandbox.attempts.calling import MEGABYTE, World


def open_without_end(w: World):
    kept = []
    while True:
        kept.append(os.dup(0))


def fill_the_disk(w: World):
    with Path(w["data"], f"big-{os.getpid()}").open("wb") as file:
        while True:
            file.write(b"x" * MEGABYTE)


def grow_a_file(w: World):
    with Path(w["data"], f"sparse-{os.getpid()}").open("wb") as file:
        file.truncate(1024**4)


def fill_memory_with_one_block(w: World):
    return len(bytearray(1024**4))


def thread_without_end(w: World):
    """Start threads that wait, until there can be no more; they end with the process."""
    _thread.stack_size(64 * 1024)
    held = _thread.allocate_lock()
    held.acquire()
    for count in range(1000):
        try:
            _thread.start_new_thread(held.acquire, ())
        except (RuntimeError, MemoryError):
            return count
    return "no end"


def spin(w: World):
    while True:
        pass


def _fill(make: Any, size: int) -> float:
    """Return how many megabytes can be had in blocks of this size until there is no more; it lives on after that."""
    kept, got = [], 0
    try:
        while got < 2048 * MEGABYTE:
            kept.append(make(size))
            got += size
    except MemoryError:
        kept.clear()
    except OSError as error:
        if error.errno != errno.ENOMEM:
            raise
        kept.clear()
    bytearray(MEGABYTE)
    return got / MEGABYTE


def fill_with_large_blocks(w: World):
    return _fill(bytes, 256 * 1024)


def fill_with_small_objects(w: World):
    return _fill(lambda size: array("b", bytes(size)), 1024)


def fill_with_private_maps(w: World):
    return _fill(lambda size: mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS), 256 * 1024)


def fill_with_shared_maps(w: World):
    return _fill(lambda size: mmap.mmap(-1, size), 256 * 1024)


def fill_with_threads(w: World):
    """Fill memory from four threads at once; return what all of them had, and their stacks, in megabytes."""
    got = [0.0] * 4
    begin = threading.Barrier(4)
    kept: list[bytes] = []

    def work(place: int) -> None:
        begin.wait()
        with contextlib.suppress(MemoryError):
            while True:
                kept.append(bytes(128 * 1024))
                got[place] += 1 / 8

    threads = [threading.Thread(target=work, args=(place,)) for place in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    kept.clear()
    return sum(got) + 4 * 2


def memory_files(w: World):
    return os.memfd_create("x") > 0
