"""What a guest stands on: the few things of an operating system that libraries expect and WASI lacks.

A guest is built by running its imports and keeping the memory as it is then; `prepare` is called before the module is
imported, `renew` when a guest begins to live.
"""

from __future__ import annotations

import os
import select
import sys
import time
from collections.abc import Callable
from typing import Any

ENVIRONMENT = {"HOME": "/", "USER": "guest"}
"""What libraries look for at the least."""


def prepare(sleep: Callable[[float], None]) -> None:
    """Make up for what is missing; `sleep` waits without holding the host."""
    time.sleep = _checked(sleep)  # type: ignore[assignment]
    select.select = _nothing_to_select(select.select)
    _fill_environment()
    for name in ("getuid", "geteuid", "getgid", "getegid"):
        if not hasattr(os, name):
            setattr(os, name, lambda: 0)
    if not hasattr(os, "cpu_count") or os.cpu_count() is None:
        os.cpu_count = lambda: 1


def renew() -> None:
    """Undo what all copies of a guest would share: the state of `random`, frozen when the guest was built.

    The environment is the host's by now, which may have given none.
    """
    _fill_environment()
    random = sys.modules.get("random")
    if random is not None:
        random.seed()  # from the host's randomness; from the time where it gives none


def _fill_environment() -> None:
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)


def _checked(sleep: Callable[[float], None]) -> Callable[[float], None]:
    def wait(seconds: float, /) -> None:
        """Wait for so many seconds; the host goes on meanwhile."""
        if seconds < 0:
            raise ValueError("sleep length must be non-negative")
        if seconds > 0:
            sleep(seconds)

    return wait


def _nothing_to_select(real: Callable[..., Any]) -> Callable[..., Any]:
    def wait(rlist: Any, wlist: Any, xlist: Any, timeout: float | None = None, /) -> Any:
        """Wait for files or a timeout; without files it is a sleep, as some use it."""
        if timeout is None or rlist or wlist or xlist:
            return real(rlist, wlist, xlist, timeout)
        time.sleep(max(0.0, timeout))
        return [], [], []

    return wait
