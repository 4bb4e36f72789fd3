"""Acts in the hooks of the state, and on what Python itself is made of."""

from __future__ import annotations

import builtins
import logging
import sys
import threading
from typing import Any

from .trying import Stage


def state_object(stage: Stage) -> Any:
    """Return what is no data."""
    return {"count": threading.Lock()}


def state_large(stage: Stage) -> Any:
    """Return far too much."""
    return {"count": b"x" * (8 * 1024**2)}


def state_deep(stage: Stage) -> Any:
    """Return what is nested too deep to be read."""
    deep: list[Any] = []
    for _ in range(200_000):
        deep = [deep]
    return {"count": deep}


def raise_error(stage: Stage) -> None:
    """Raise."""
    raise RuntimeError("it does not like that state")


def patch_builtins(stage: Stage) -> None:
    """Put its own in the place of what everybody uses."""

    def _broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("patched")

    broken: Any = _broken
    builtins.open = broken
    builtins.len = broken
    logging.getLogger = broken
    sys.stdout = sys.stderr = None


def patch_gently(stage: Stage) -> None:
    """Change what the process shares: a handler of the log, an exception hook, a module under another name."""
    logging.getLogger().addHandler(logging.NullHandler())
    sys.excepthook = lambda *_: None
    sys.modules["hostcore_planted"] = sys.modules[__name__]
