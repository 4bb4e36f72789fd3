"""How attempts call the kernel past all libraries."""

from __future__ import annotations

import ctypes
import os
from typing import Any

from hostcore.hosts.worker.sandbox.seccomp import here

LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.syscall.restype = ctypes.c_long
MEGABYTE = 1024**2
World = dict[str, Any]


def call(name: str | int, *arguments: Any) -> int:
    number = here().numbers[name] if isinstance(name, str) else name
    result = LIBC.syscall(ctypes.c_long(number), *(ctypes.c_long(a) if isinstance(a, int) else a for a in arguments))
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result
