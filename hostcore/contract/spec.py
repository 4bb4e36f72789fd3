"""All hooks of the contract, in one place, and the two markers that declare them.

A module is any class, object or Python module with functions marked `@hookimpl`.  A hook may be `def` or
`async def` and may take fewer arguments than listed here.  All are optional, but at least one must be there.
Changing a signature below is a new version of the contract (`INTERFACE`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, overload

import pluggy

if TYPE_CHECKING:
    from hostcore.contract.context import Context
    from hostcore.contract.messages import Message

PROJECT = "hostcore"
INTERFACE = "1.0"
BLOCKING = "hostcore_blocking"

F = TypeVar("F", bound=Callable[..., Any])

hookspec = pluggy.HookspecMarker(PROJECT)
_mark = pluggy.HookimplMarker(PROJECT)


@overload
def hookimpl(function: F) -> F: ...
@overload
def hookimpl(
    *, blocking: bool = ..., specname: str | None = ..., tryfirst: bool = ..., trylast: bool = ...,
    optionalhook: bool = ...,
) -> Callable[[F], F]: ...  # fmt: skip


def hookimpl(function: F | None = None, *, blocking: bool = False, specname: str | None = None,
             tryfirst: bool = False, trylast: bool = False, optionalhook: bool = False) -> Any:  # fmt: skip
    """Mark a function as the implementation of a hook.

    Args:
        function: The function, when the marker is used without parentheses.
        blocking: The hook blocks (disk, network, C code): run it in the module's own thread, not on the event
            loop.  Only for `def` hooks.
        specname: The hook's name, where the function is called otherwise.
        tryfirst: Among several modules, call this one early (third-party hooks only).
        trylast: Among several modules, call this one late (third-party hooks only).
        optionalhook: No error where nobody declares the hook (third-party hooks only).
    """

    def mark(target: F) -> F:
        _mark(target, specname=specname, tryfirst=tryfirst, trylast=trylast, optionalhook=optionalhook)
        if blocking:
            setattr(target, BLOCKING, True)
        return target

    return mark if function is None else mark(function)


class HookSpecs:
    """The hooks of a module, in the order in which a host calls them."""

    @hookspec
    def initialize(self, context: Context) -> None:
        """Get ready.  Called once for each generation, before any message."""

    @hookspec
    def get_capabilities(self) -> list[str] | None:
        """Return what the module provides, as in "parser:python/1.2", besides what its manifest says."""

    @hookspec
    def handle_message(self, message: Message[Any]) -> Any:
        """Handle one message; what is returned is the reply to a request."""

    @hookspec
    def execute(self, request: Any) -> Any:
        """Do the module's main job for `request`, plain data or what the annotation names; return the result."""

    @hookspec
    def check_health(self) -> bool | None:
        """Return False or raise if the module cannot work."""

    @hookspec
    def get_state(self) -> Any:
        """Return what the next generation needs, as plain data or msgspec Structs."""

    @hookspec
    def migrate_state(self, state: Any, from_version: int) -> Any:
        """Return `state`, taken at schema version `from_version`, in this generation's shape."""

    @hookspec
    def restore_state(self, state: Any, from_version: int) -> None:
        """Take over the state of the generation before.  Called after `initialize`, before any message."""

    @hookspec
    def shutdown(self) -> None:
        """Let go of everything.  Called once, after the last message."""


HOOKS: dict[str, tuple[str, ...]] = {
    name: function.__code__.co_varnames[1 : function.__code__.co_argcount]
    for name, function in vars(HookSpecs).items()
    if hasattr(function, f"{PROJECT}_spec")
}
"""Hook name -> argument names, as in {"handle_message": ("message",)}."""
