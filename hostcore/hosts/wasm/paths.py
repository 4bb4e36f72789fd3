"""The two call paths, fast and plain, behind one face."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

from hostcore.hosts.wasm.outcomes import Dead

Steps = tuple[Callable[..., Any], Callable[[], Any]]
"""How a call begins, and how it ends."""


class Runner(Protocol):
    """Makes the calls into one store, one at a time.

    Attributes:
        dead: Why no call is possible any more, or None.
    """

    dead: Dead | None

    def run(
        self, begin: Callable[..., Any], end: Callable[[], Any], until: float = ..., arguments: Sequence[Any] = ()
    ) -> Any:
        """Make a call that `begin(*arguments)` starts and `end()` ends: its result, or a coroutine that returns it."""
        ...

    def kill(self, dead: Dead) -> None:
        """Let nothing be called any more."""
        ...

    def close(self) -> None:
        """Free the store, after the call in hand."""
        ...


class CallPath(NamedTuple):
    """How guests are called.

    `runner(store, ticker, host, runners, fuel=, closed=)` makes a runner and enters it into `runners`; a linker whose
    functions find their guest in there serves all guests if `shared`, else one.  `shape(kind, text=)` is what guests
    of a component share of an export; `function(store, func, shape)` and `core_function(store, func, kinds, results)`
    bind an export, `memory(store, memory)` a memory;
    `add_function` and `define` put a host function into a linker; `instantiate` and `core_instantiate` return how to
    begin and end an instantiation, the latter giving the instance.
    """

    name: str
    shared: bool
    runner: Callable[..., Runner]
    shape: Callable[..., Any]
    function: Callable[..., Any]
    core_function: Callable[..., Any]
    memory: Callable[..., Any]
    add_function: Callable[..., None]
    define: Callable[..., None]
    instantiate: Callable[..., Steps]
    core_instantiate: Callable[..., Steps]
