"""What acts are given, and how they tell what became of what they tried."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any, NamedTuple

LIBC = ctypes.CDLL(None, use_errno=True)


class Stage(NamedTuple):
    """What an act is given: the module's context, and what the message brought."""

    context: Any
    facts: dict[str, Any]


class Tries:
    """What became of each way that was tried: it was refused, with the error's name, or what it got."""

    def __init__(self) -> None:
        self.found: dict[str, dict[str, str]] = {}

    def one(self, way: str, function: Callable[..., Any], *arguments: Any) -> None:
        """Try one way."""
        try:
            got = function(*arguments)
        except OSError as exc:
            self.found[way] = {"refused": getattr(exc, "code", "") or _name(exc.errno) or type(exc).__name__}
        except Exception as exc:  # noqa: BLE001 - whatever keeps it from getting there
            self.found[way] = {"refused": getattr(exc, "code", "") or type(exc).__name__}
        else:
            self.found[way] = {"got": repr(got)[:400]}


def call(name: str, *arguments: Any) -> int:
    """Call a function of the C library; raises OSError if it fails."""
    ctypes.set_errno(0)
    result: int = getattr(LIBC, name)(*arguments)
    if result < 0:
        raise OSError(ctypes.get_errno(), name)
    return result


def _name(number: int | None) -> str:
    import errno

    return errno.errorcode.get(number or 0, "")
