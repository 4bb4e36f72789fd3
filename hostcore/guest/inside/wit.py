"""The imports of the interface as the bindings have them, and what their errors become.

The bindings, `wit_world`, are made when a guest is built: this file and `exports` cannot be imported elsewhere.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from typing import Any

from componentize_py_types import Err  # type: ignore[import-not-found]
from wit_world.imports import bus, capabilities, context, kv, log, timers  # type: ignore[import-not-found]

from hostcore.guest.inside.refusals import error_of

_LEVELS = ((logging.ERROR, log.Level.ERROR), (logging.WARNING, log.Level.WARN), (logging.INFO, log.Level.INFO),
           (logging.DEBUG, log.Level.DEBUG))  # fmt: skip


def translated(function: Callable[..., Any]) -> Any:
    """Return `function`, an import, raising hostcore's errors instead of the bindings'."""

    @functools.wraps(function)
    def call(*arguments: Any) -> Any:
        try:
            return function(*arguments)
        except Err as exc:
            told = exc.value
        raise error_of(told.code, told.message, told.details)

    return staticmethod(call)


class WitImports:
    """`ports.Imports` by way of the bindings."""

    request = translated(bus.request)
    send = translated(bus.send)
    publish = translated(bus.publish)
    subscribe = translated(bus.subscribe)
    unsubscribe = translated(bus.unsubscribe)
    granted = translated(capabilities.granted)
    invoke = translated(capabilities.invoke)
    get = translated(kv.get)
    set = translated(kv.set)
    delete = translated(kv.delete)
    keys = translated(kv.keys)
    sleep = translated(timers.sleep)

    def module(self) -> tuple[str, str, int]:
        """Return name, version and generation."""
        told = context.module()
        return told.name, told.version, told.generation

    def message(self) -> tuple[str, str, str, str, int | None] | None:
        """Return what is known of the message in hand."""
        told = context.message()
        return None if told is None else (told.id, told.sender, told.schema, told.trace, told.remaining_ms)

    def log(self, level: int, message: str, fields: str | None) -> None:
        """Log a line at the level of the interface that is nearest below."""
        found = next((ours for theirs, ours in _LEVELS if level >= theirs), log.Level.TRACE)
        log.log(found, message, fields)
