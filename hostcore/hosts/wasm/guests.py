"""The seam between a module's instance and the two kinds of guest, on either call path."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from types import CoroutineType
from typing import TYPE_CHECKING, Any, Protocol

from hostcore.errors import Problem
from hostcore.hosts.wasm.outcomes import Dead

if TYPE_CHECKING:
    from wasmtime import Store

    from hostcore.hosts.wasm.imports import HostCalls
    from hostcore.hosts.wasm.stores import Streams


LISTS = frozenset({"lifecycle.get-capabilities", "hooks.implemented"})
"""Functions that return lists; all others return JSON, as bytes, or nothing."""


async def settled(outcome: Any) -> Any:
    """Return the outcome of a guest's call, which may be a coroutine."""
    return await outcome if type(outcome) is CoroutineType else outcome


class Guest(Protocol):
    """A live guest.

    Attributes:
        hooks: The hooks of the lifecycle that it exports.
        tells_hooks: It exports the interface `hooks`, and says which hooks it has.
        dead: Why it cannot be called any more, or None.
    """

    hooks: frozenset[str]
    tells_hooks: bool

    @property
    def dead(self) -> Dead | None: ...  # noqa: D102

    def call(self, name: str, *arguments: bytes, until: float = inf) -> Any:
        """Call a function of the interface, as in "lifecycle.handle-message".

        Args:
            name: Interface and function.
            arguments: UTF-8 text, most of it JSON.
            until: When it is stopped, in seconds of `time.monotonic()`.

        Returns:
            What it returned (bytes, None, or lists), or a coroutine that returns that.

        Raises:
            Refused: It answered with an error.
            Dead: It trapped, or had before.
        """
        ...

    def close(self) -> None:
        """Free it; a call in hand ends first."""
        ...


class Code(Protocol):
    """Compiled code, linked to the host, from which guests are made.

    Attributes:
        problems: What is wrong with it, if anything; then no guest can be made.
        memories: How many memories it declares.
    """

    problems: Sequence[Problem]
    memories: int

    async def instantiate(
        self, store: Store, host: HostCalls, until: float, *, fuel: int | None, streams: Streams
    ) -> Guest:
        """Return a new guest in `store`, whose start functions have run.

        Raises:
            Dead: It trapped in them, or needs more than its limits allow.
        """
        ...
