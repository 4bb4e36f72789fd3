"""How the layers call the kernel: through libc, with integers only, and errors as `OSError`.

libc is loaded, and its types are built, when this is imported: before the fork.
"""

from __future__ import annotations

import ctypes
import errno
import os
import sys
from typing import Final

LINUX: Final = sys.platform == "linux"

SET_PDEATHSIG: Final = 1
SET_DUMPABLE: Final = 4
SET_SECCOMP: Final = 22
DROP_BOUNDING: Final = 24
SET_NO_NEW_PRIVS: Final = 38

_ARENA_MAX: Final = -8

_libc: Final = ctypes.CDLL(None, use_errno=True)
_word = ctypes.c_ulong
if LINUX:
    _libc.syscall.restype = ctypes.c_long
    _libc.syscall.argtypes = [ctypes.c_long] + [_word] * 5
    _libc.prctl.argtypes = [ctypes.c_int] + [_word] * 4
    _libc.unshare.argtypes = [ctypes.c_int]
    _libc.capset.argtypes = [_word, _word]


def call(number: int, *arguments: int) -> int:
    """Call the kernel by number.

    Raises:
        OSError: It refused, or this is not Linux.
    """
    _linux_only()
    return _checked(_libc.syscall(number, *arguments, *(0,) * (5 - len(arguments))))


def prctl(option: int, value: int, address: int = 0) -> None:
    """Set an attribute of this process.

    Raises:
        OSError: As for `call`.
    """
    _linux_only()
    _checked(_libc.prctl(option, value, address, 0, 0))


def unshare(flags: int) -> None:
    """Enter new namespaces.

    Raises:
        OSError: As for `call`.
    """
    _linux_only()
    _checked(_libc.unshare(flags))


def capset(header: int, data: int) -> None:
    """Set this thread's capabilities, from two structures at these addresses.

    Raises:
        OSError: As for `call`.
    """
    _linux_only()
    _checked(_libc.capset(header, data))


def single_arena() -> None:
    """Have malloc make no further arenas, each of which would reserve 64 MB of addresses for one thread."""
    mallopt = getattr(_libc, "mallopt", None)  # other libraries than glibc have no arenas
    if mallopt is not None:
        mallopt(_ARENA_MAX, 1)


def status() -> dict[str, int]:
    """Return the numbers in /proc/self/status, sizes in bytes.

    Raises:
        OSError: There is no such file.
    """
    _linux_only()
    numbers: dict[str, int] = {}
    descriptor = os.open("/proc/self/status", os.O_RDONLY | os.O_CLOEXEC)
    try:
        text = os.read(descriptor, 16384)
    finally:
        os.close(descriptor)
    for line in text.decode("ascii", "replace").splitlines():
        name, _, value = line.partition(":")
        words = value.split()
        if words and words[0].isdigit():
            numbers[name] = int(words[0]) * (1024 if words[-1] == "kB" else 1)
    return numbers


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def _linux_only() -> None:
    if not LINUX:
        raise OSError(errno.ENOSYS, f"only Linux has it, and this is {sys.platform}")
