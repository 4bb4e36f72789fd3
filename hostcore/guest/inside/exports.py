"""The exports of the interface: each hands its call to the guest, and turns a `Refused` into the interface's error."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from componentize_py_types import Err  # type: ignore[import-not-found]
from wit_world.imports.types import Capability, Error  # type: ignore[import-not-found]

from hostcore.guest.inside.dispatch import Guest, Refused


def exports_of(guest: Guest) -> tuple[type, type]:
    """Return the classes `Lifecycle` and `Hooks`, which the bindings look for, for one guest."""

    class Lifecycle:
        """The interface `lifecycle`."""

        initialize = _export(guest.initialize)
        handle_message = _export(guest.handle_message)
        execute = _export(guest.execute)
        get_state = _export(guest.get_state)
        restore_state = _export(guest.restore_state)
        shutdown = _export(guest.shutdown)

        def get_capabilities(self) -> list[Any]:
            """Return the capabilities.  This export has no error to return, so a failure ends the guest."""
            return [Capability(name, version, None) for name, version in guest.get_capabilities()]

    class Hooks:
        """The interface `hooks`."""

        call = _export(guest.call)

        def implemented(self) -> list[str]:
            """Return the hooks.  They were checked when the guest was built."""
            return guest.implemented()

    return Lifecycle, Hooks


def _export(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def call(self: Any, *arguments: Any) -> Any:
        try:
            return function(*arguments)
        except Refused as exc:
            told = Error(exc.code, exc.message, exc.details)
        raise Err(told)

    return call
