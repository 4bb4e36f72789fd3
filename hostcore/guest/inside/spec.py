"""The hooks of the contract and the marker for them, without pluggy; laid out as `hostcore.contract.spec` in a guest.

It says the same as the original, which a test compares.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

PROJECT = "hostcore"
INTERFACE = "1.0"
BLOCKING = "hostcore_blocking"

F = TypeVar("F", bound=Callable[..., Any])

HOOKS: dict[str, tuple[str, ...]] = {
    "initialize": ("context",),
    "get_capabilities": (),
    "handle_message": ("message",),
    "execute": ("request",),
    "check_health": (),
    "get_state": (),
    "migrate_state": ("state", "from_version"),
    "restore_state": ("state", "from_version"),
    "shutdown": (),
}


def hookimpl(function: F | None = None, *, blocking: bool = False, specname: str | None = None,
             tryfirst: bool = False, trylast: bool = False, optionalhook: bool = False) -> Any:  # fmt: skip
    """Mark a function as the implementation of a hook; see `hostcore.hookimpl`.

    `blocking` changes nothing inside: a guest blocks nobody but itself.
    """
    options = {
        "wrapper": False, "hookwrapper": False, "optionalhook": optionalhook, "tryfirst": tryfirst,
        "trylast": trylast, "specname": specname,
    }  # fmt: skip

    def mark(target: F) -> F:
        setattr(target, f"{PROJECT}_impl", options)
        if blocking:
            setattr(target, BLOCKING, True)
        return target

    return mark if function is None else mark(function)


def hookspec(function: F | None = None, **options: Any) -> Any:
    """Mark a function as the declaration of a hook.  A guest's own are declared by its distribution, outside."""

    def mark(target: F) -> F:
        setattr(target, f"{PROJECT}_spec", options)
        return target

    return mark if function is None else mark(function)
