"""What processes there are below one: found by the kernel's table, so nobody can hide among them by leaving its group.

A process whose parent has ended goes to the nearest ancestor that has asked for it (`adopt_orphans`), so that also
what became a daemon stays below whoever runs the test.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import time
from collections.abc import Collection
from pathlib import Path

_PR_SET_CHILD_SUBREAPER = 36
_PATIENCE = 10.0
"""Seconds for what was killed to be gone."""


def adopt_orphans() -> None:
    """Become the parent of whatever is orphaned below this process."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def below(root: int) -> dict[int, str]:
    """Return the processes below `root`: number -> name.  Those that have ended and only wait to be reaped are not."""
    of = _children if _tells(root) else _table().get
    found: dict[int, str] = {}
    waiting = [root]
    while waiting:
        for pid in of(waiting.pop(), ()):
            state, name = _state(pid)
            if state not in "ZX":
                found[pid] = name
            waiting.append(pid)
    return found


def children(pid: int) -> tuple[int, ...]:
    """Return the children of a process, of all of its threads."""
    return _children(pid, ()) if _tells(pid) else _table().get(pid, ())


def _tells(pid: int) -> bool:
    return Path(f"/proc/{pid}/task/{pid}/children").exists()


def _children(pid: int, _: tuple[int, ...]) -> tuple[int, ...]:
    found: list[int] = []
    with contextlib.suppress(OSError):
        for thread in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208
            with contextlib.suppress(OSError):
                found += map(int, Path(f"/proc/{pid}/task/{thread}/children").read_text().split())
    return tuple(found)


def _table() -> dict[int, tuple[int, ...]]:
    """Return all processes by their parents, where the kernel does not tell the children of one."""
    found: dict[int, tuple[int, ...]] = {}
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            with contextlib.suppress(OSError, ValueError, IndexError):
                rest = Path(entry.path, "stat").read_text(errors="replace").rpartition(")")[2]
                parent = int(rest.split()[1])
                found[parent] = (*found.get(parent, ()), int(entry.name))
    return found


def _state(pid: int) -> tuple[str, str]:
    told = status(pid)
    return told.get("State", "X")[0], told.get("Name", "")


def status(pid: int) -> dict[str, str]:
    """Return what the kernel says of a process, by its own names, such as "VmHWM"; nothing if there is none."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return {}
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def bytes_of(pid: int, name: str) -> int:
    """Return a size that the kernel tells of a process, such as "VmHWM", in bytes; 0 if it tells none."""
    return int(status(pid).get(name, "0 kB").split()[0]) * 1024


def limit_of(pid: int, name: str) -> int | None:
    """Return a limit of a process, such as "Max data size"; None if there is none, or no process."""
    try:
        lines = Path(f"/proc/{pid}/limits").read_text().splitlines()
    except OSError:
        return None
    value = next((line[len(name) :].split()[0] for line in lines if line.startswith(name)), "unlimited")
    return None if value == "unlimited" else int(value)


def descriptors() -> int:
    """Return how many descriptors this process has open."""
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - of ourselves


def end_all(root: int, but: Collection[int] = ()) -> int:
    """Kill every process below `root`, and those that they start meanwhile; return how many there were.

    Args:
        root: The process.
        but: Processes that are let live: those that were there before.
    """
    ended: set[int] = set()
    limit = time.monotonic() + _PATIENCE
    while (left := {pid: name for pid, name in below(root).items() if pid not in but}) and time.monotonic() < limit:
        for pid in left:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        ended |= left.keys()
        reap()
    return len(ended)


def reap() -> None:
    """Take note of the children that have ended, if nobody else does."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
