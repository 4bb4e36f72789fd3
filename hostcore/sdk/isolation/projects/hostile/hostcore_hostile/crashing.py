"""Acts that end the process, or the call."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from typing import Any

from .trying import Stage


def crash_segfault(stage: Stage) -> Any:
    """Read from address 0."""
    return ctypes.string_at(0)


def crash_exit(stage: Stage) -> None:
    """Exit without a word."""
    os._exit(3)


def crash_abort(stage: Stage) -> None:
    """Abort, as C libraries do."""
    os.abort()


def crash_kill(stage: Stage) -> None:
    """Kill itself."""
    os.kill(os.getpid(), signal.SIGKILL)


def crash_sys_exit(stage: Stage) -> None:
    """Leave as a program leaves."""
    sys.exit(3)


def crash_stack(stage: Stage) -> None:
    """Use up the stack of C, which no limit of Python's counts."""
    sys.setrecursionlimit(10**9)

    def deeper(first: Any, second: Any) -> int:
        array = (ctypes.c_int * 2)(1, 2)
        sort(array, 2, 4, compare)
        return 0

    sort = ctypes.CDLL(None).qsort
    compare = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)(deeper)
    deeper(None, None)


def crash_exceptions(stage: Stage) -> None:
    """Raise what cannot even be shown."""

    class Spiteful(Exception):
        def __str__(self) -> str:
            raise self

        __repr__ = __str__

    raise Spiteful
