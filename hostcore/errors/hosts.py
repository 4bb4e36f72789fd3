"""Errors of what runs a module: the supervisor has to act."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hostcore.errors.base import HostcoreError


class HostError(HostcoreError):
    """What runs a module failed: the supervisor has to act."""

    code = "HC500"


class WorkerDiedError(HostError):
    """A worker process ended unasked.

    Attributes:
        signal: The name of the signal that ended it, such as "SIGSEGV", or "".
        status: The code that it exited with, or None.
        lines: The last lines that it wrote.
    """

    code = "HC501"

    def __init__(
        self, message: str = "", *, signal: str = "", status: int | None = None, lines: Sequence[str] = (),
        **rest: Any,
    ) -> None:  # fmt: skip
        super().__init__(message, **rest)
        self.signal = signal
        self.status = status
        self.lines = tuple(lines)

    def as_data(self) -> dict[str, Any]:
        """Return the error as plain data, with how the worker ended."""
        return {**super().as_data(), "signal": self.signal, "status": self.status, "lines": list(self.lines)}


class HungError(HostError):
    """A handler in the host's own process did not end although it was cancelled again and again."""

    code = "HC520"


class GuestTrapError(HostError):
    """A WebAssembly guest trapped.

    Attributes:
        traceback: Where in its code, as its runtime tells, or "".
    """

    code = "HC502"

    def __init__(self, message: str = "", *, trace: str = "", **rest: Any) -> None:
        super().__init__(message, **rest)
        self.traceback = trace

    def as_data(self) -> dict[str, Any]:
        """Return the error as plain data, with the traceback."""
        return {**super().as_data(), "traceback": self.traceback}


class LimitError(HostError):
    """A limit was reached: memory, message size, state size, time."""

    code = "HC503"
