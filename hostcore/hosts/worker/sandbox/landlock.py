"""Landlock: which files a process may touch, by the directories that hold them.

What is not named is refused, however it is reached: by `..`, a symlink, a hard link, /proc, or a file descriptor that
was opened only as a path.  File descriptors that are open already go on working.  Newer kernels refuse more: moving
between directories (ABI 2), truncating (3), TCP (4), commands to devices (5), signals and abstract sockets of processes
outside (6).  What Landlock has no rules for (changing modes, owners and times, connecting to a socket by its path,
looking up whether a file exists) is seccomp's to refuse, or open.
"""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterable
from typing import Final

from hostcore.hosts.worker.sandbox import kernel

_CREATE, _ADD, _RESTRICT = 444, 445, 446  # the same numbers on every architecture
_ONLY_VERSION: Final = 1
_BENEATH: Final = 1

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1, 2, 4, 8
_MAKE_CHAR, _MAKE_BLOCK = 1 << 6, 1 << 11
_TRUNCATE, _IOCTL_DEV = 1 << 14, 1 << 15
_ALL_OF: Final = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1, 5: (1 << 16) - 1}
_NEWEST: Final = 7
TRUNCATES: Final = 3
"""The version that first holds `truncate` to the granted files."""
_OF_A_FILE: Final = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEV
_TCP: Final = 3
_SCOPES: Final = 3

SYSTEM_PROGRAMS: Final = (
    "/usr/bin", "/bin", "/usr/local/bin", "/usr/lib", "/lib", "/usr/lib64", "/lib64", "/usr/libexec",
)  # fmt: skip
"""What may be run besides what may be read, by a worker that may run programs."""
SINK: Final = "/dev/null"


def version() -> int:
    """Return the version of Landlock's interface that the kernel has; 0: none."""
    try:
        return kernel.call(_CREATE, 0, 0, _ONLY_VERSION)
    except OSError:
        return 0


def restrict(
    read: Iterable[str], write: Iterable[str], listed: Iterable[str] = (), *, programs: bool, newest: int = _NEWEST
) -> str:
    """Restrict this process, and all that it starts, to these files; say how far the kernel goes.

    Args:
        read: Directories and files that it may read.
        write: Those that it may read and change; nothing in them can be run.
        listed: Directories of which it may tell what is in them, and in those below.
        programs: What it may read it may also run, and the system's programs.
        newest: Use no later version of Landlock than this.

    Raises:
        OSError: There is no Landlock here, or it refused.
    """
    abi = min(kernel.call(_CREATE, 0, 0, _ONLY_VERSION), newest)
    handled = _ALL_OF[min(abi, max(_ALL_OF))]
    readable = _READ_FILE | _READ_DIR | (_EXECUTE if programs else 0)
    writable = handled & ~(_EXECUTE | _MAKE_CHAR | _MAKE_BLOCK | _IOCTL_DEV)
    own = f"/proc/{os.getpid()}"  # what /proc/self leads to; native libraries look there for their stack
    missing = []
    ruleset = _create(abi, handled)
    try:
        for path in (*read, own, *(SYSTEM_PROGRAMS if programs else ())):
            missing += _allow(ruleset, path, readable)
        for path in listed:
            missing += _allow(ruleset, path, _READ_DIR)
        for path in (*write, SINK):
            missing += _allow(ruleset, path, writable)
        kernel.call(_RESTRICT, ruleset, 0)
    finally:
        os.close(ruleset)
    return _told(abi, [path for path in missing if path not in SYSTEM_PROGRAMS])


def _create(abi: int, handled: int) -> int:
    known = 8 if abi < 4 else 16 if abi < 6 else 24
    wanted = ctypes.create_string_buffer(struct.pack("<QQQ", handled, _TCP, _SCOPES), 24)
    return kernel.call(_CREATE, ctypes.addressof(wanted), known, 0)


def _allow(ruleset: int, path: str, access: int) -> list[str]:
    """Allow what is at `path`; return it if it cannot be opened, since then there is nothing to allow."""
    try:
        beneath = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return [path]
    try:
        if not _is_directory(beneath):
            access &= _OF_A_FILE
        rule = ctypes.create_string_buffer(struct.pack("<Qi", access, beneath), 12)
        kernel.call(_ADD, ruleset, _BENEATH, ctypes.addressof(rule), 0)
    finally:
        os.close(beneath)
    return []


def _is_directory(descriptor: int) -> bool:
    return (os.fstat(descriptor).st_mode & 0o170000) == 0o040000


def _told(abi: int, missing: list[str]) -> str:
    parts = ["files"]
    parts += ["TCP"] if abi >= 4 else []
    parts += ["signals", "abstract sockets"] if abi >= 6 else []
    lacking = f"; not there: {', '.join(missing)}" if missing else ""
    return f"ABI {abi}: {', '.join(parts)}{lacking}"
