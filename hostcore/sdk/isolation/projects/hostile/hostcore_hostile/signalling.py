"""Acts against other processes: the host of the test, its siblings, its parent.

Each signal goes to one process of the test, by its number: one to a group, or to all, would reach whoever else is on
the machine where nothing holds it.
"""

from __future__ import annotations

import ctypes
import os
import signal
from typing import Any

from .trying import Stage, Tries, call

_PTRACE_ATTACH, _PTRACE_SEIZE = 16, 0x4206
_PIDFD_OPEN, _PIDFD_GETFD = 434, 438
Found = dict[str, dict[str, str]]


def signals(stage: Stage) -> Found:
    """Signal the host, the other workers and the process that it was forked from."""
    facts, tries = stage.facts, Tries()
    for who, pid in (("host", facts["host"]), ("sibling", facts["sibling"]), ("parent", os.getppid())):
        for number in (signal.SIGSTOP, signal.SIGTERM, signal.SIGKILL):
            tries.one(f"{number.name} to the {who}", os.kill, pid, number)
    # Signal 0 asks for the same right and does nothing: where it gets through, nothing of the user's may be harmed.
    # For all processes (-1) the kernel answers alike whether it may or not, so that is not tried.
    tries.one("a signal to the host's group", os.killpg, os.getpgid(facts["host"]), 0)
    tries.one("by a descriptor", _by_descriptor, facts["host"])
    return tries.found


def _by_descriptor(pid: int) -> None:
    descriptor = os.pidfd_open(pid)
    signal.pidfd_send_signal(descriptor, signal.SIGKILL)


class _Vector(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]


def ptrace(stage: Stage) -> Found:
    """Trace the host and the other workers, and read and write their memory."""
    facts, tries = stage.facts, Tries()
    for who, pid in (("host", facts["host"]), ("sibling", facts["sibling"]), ("parent", os.getppid())):
        for way, request in (("attach to", _PTRACE_ATTACH), ("seize", _PTRACE_SEIZE)):
            tries.one(f"{way} the {who}", call, "ptrace", request, pid, 0, 0)
        tries.one(f"read the {who}'s memory", _copy, pid)
        tries.one(f"open the {who}'s memory", os.open, f"/proc/{pid}/mem", os.O_RDWR)
        tries.one(f"take a descriptor of the {who}", _take, pid)
        tries.one(f"list the {who}'s descriptors", os.listdir, f"/proc/{pid}/fd")
    return tries.found


def _copy(pid: int) -> Any:
    room = ctypes.create_string_buffer(16)
    here = _Vector(ctypes.addressof(room), 16)
    there = _Vector(id(room), 16)  # an address that a fork has too
    return call("process_vm_readv", pid, ctypes.byref(here), 1, ctypes.byref(there), 1, 0)


def _take(pid: int) -> int:
    descriptor = call("syscall", _PIDFD_OPEN, pid, 0)
    return call("syscall", _PIDFD_GETFD, descriptor, 0, 0)
