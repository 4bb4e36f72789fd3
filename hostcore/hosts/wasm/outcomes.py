"""How a call into a guest can end other than well."""

from __future__ import annotations

import threading
from asyncio import CancelledError
from collections.abc import Mapping
from typing import Any

from hostcore.errors import GuestTrapError, HostError, LifecycleError, LimitError
from hostcore.hosts.text import printable


class Refused(Exception):
    """The error of a `result`, as data: "code", "message", "details" (JSON text or None)."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        super().__init__(data)
        self.data = data


class TimeUp(Exception):
    """The guest used up its time; it is stopped."""


class Dead(Exception):
    """The guest cannot be called any more; `reason` says why, `trace` is its backtrace."""

    def __init__(self, reason: str, trace: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.trace = trace

    def again(self) -> Dead:
        """Return the same anew, to keep or to raise: without the frames that this one has passed."""
        return Dead(self.reason, self.trace)


class OutOfMemory(Exception):
    """A pointer or length of the guest's leaves its memory."""

    reason = "a pointer or length of its leaves its memory"


def check_thread(owner: int) -> None:
    """Make sure that this is the thread `owner`, the one that all calls into guests come from.

    Raises:
        LifecycleError: It is another: what stands between it and the guest is not made for that.
    """
    if threading.get_ident() != owner:
        raise LifecycleError(
            "a guest is called from another thread than that of its system's event loop",
            hint="use asyncio.run_coroutine_threadsafe, or ModuleSystem.blocking()",
        )


_LIMITS = {
    "all fuel consumed": ("used up the fuel of a call", "HC505", "fuel"),
    "call stack exhausted": ("used up its stack", "HC506", "stack"),
    "memory minimum size": ("needs more memory at its start than it may have", "HC504", "memory"),
    "memory count too high": ("has more memories than it may", "HC504", "memories"),
    "table minimum size": ("needs larger tables at its start than it may have", "HC507", "table_elements"),
    "table count too high": ("has more tables than it may", "HC507", "tables"),
    "instance count too high": ("has more instances than it may", "HC507", "instances"),
}
"""A part of wasmtime's message -> what it means, the error's code, and the limit's name."""


def dead_of(error: BaseException) -> Dead:
    """Return why a guest is dead after `error`: wasmtime's, or what interrupted the call."""
    if isinstance(error, Dead):
        return error
    if isinstance(error, TimeUp):
        return Dead("overran its time and was stopped")
    if isinstance(error, (CancelledError, GeneratorExit)):
        return Dead("was stopped: its time was up, or nobody waits for it any more")
    text = printable(str(error)).strip()
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    code = getattr(error, "code", None)
    if isinstance(code, int):
        return Dead(f"exited with code {code}", text)
    reason = lines[-1] if lines else type(error).__name__
    return Dead(reason.removeprefix("0: ").removeprefix("1: ").removeprefix("wasm trap: "), text)


def named(dead: Dead, module: str, what: str) -> HostError:
    """Return the error for who called a guest that died: which limit it reached, or how it trapped.

    Args:
        dead: Why it died.
        module: Its name.
        what: What it was doing, as in "in 'handle_message'".
    """
    for mark, (meaning, code, limit) in _LIMITS.items():
        if mark in dead.trace or mark in dead.reason:
            return LimitError(f"{module!r} {meaning}, {what}", code=code,
                              hint=f"raise limits.{limit} of the module, or look at what it does")  # fmt: skip
    return GuestTrapError(f"{module!r} trapped, {what}: {dead.reason}", trace=dead.trace)
