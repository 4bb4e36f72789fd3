"""Record what a generation's code registers through a function of the standard library, to take it back later.

Looking for these in their registries would not do.  A warnings filter is a tuple of anybody's, a log handler is
often of one of `logging`'s own classes, and an audit hook can neither be found nor removed: a hosted one is called
by a single hook of ours, for as long as its generation lives.

While generations live, `hooks` has the functions below in place.  What is recorded is what the first caller outside
the standard library does, so `logging.basicConfig` counts as the doing of who calls it.
"""

from __future__ import annotations

import logging
import sys
import warnings
import weakref
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from hostcore.generations import table

if TYPE_CHECKING:
    from hostcore.generations.generation import Generation

AuditHook = Callable[[str, tuple[Any, ...]], object]
originals: dict[str, Any] = {}
"""The replaced functions; kept when generations are gone, since code may still hold one of ours."""

_audit_hooks: list[tuple[int, AuditHook]] = []
_audits = False


class Recorded:
    """What one generation has registered.

    Attributes:
        filters: Entries of `warnings.filters`.
        handlers: Log handlers, each with a logger it was added to; weak, as code may take them back itself.
        callbacks: (tool, event) of `sys.monitoring` -> function.
        tools: Tools of `sys.monitoring` -> name.
    """

    __slots__ = ("callbacks", "filters", "handlers", "tools")

    def __init__(self) -> None:
        self.filters: list[Any] = []
        self.handlers: dict[tuple[int, int], tuple[weakref.ref[logging.Handler], weakref.ref[logging.Logger]]] = {}
        self.callbacks: dict[tuple[int, int], Any] = {}
        self.tools: dict[int, str] = {}


def undo(generation: Generation) -> Iterator[tuple[str, str]]:
    """Take back what `generation` has registered; yield (registry, what)."""
    yield from _undo_filters(generation)
    yield from _undo_handlers(generation)
    yield from _undo_monitoring(generation)
    own = [hook for number, hook in _audit_hooks if number == generation.id]
    _audit_hooks[:] = [entry for entry in _audit_hooks if entry[0] != generation.id]
    yield from (("sys.addaudithook", repr(hook)) for hook in own)


def _others(generation: Generation) -> list[Generation]:
    return [other for other in list(table.by_id.values()) if other is not generation]


# --- warnings --------------------------------------------------------------------------------------------------


def _filterwarnings(*args: Any, **kwargs: Any) -> None:
    _record_filter("warnings.filterwarnings", args, kwargs)


def _simplefilter(*args: Any, **kwargs: Any) -> None:
    _record_filter("warnings.simplefilter", args, kwargs)


def _record_filter(function: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    before = list(warnings.filters)
    originals[function](*args, **kwargs)
    generation = table.asked_by(sys._getframe(2))
    entry = _new_entry(before)
    if generation is None or entry is None or entry in generation.recorded.filters:
        return
    if entry not in before or any(entry in other.recorded.filters for other in _others(generation)):
        generation.recorded.filters.append(entry)  # else it is the host's, moved to the front


def _new_entry(before: list[Any]) -> Any:
    now = warnings.filters
    return next((now[at] for at in (0, -1) if now and not (before and now[at] is before[at])), None)


def _undo_filters(generation: Generation) -> Iterator[tuple[str, str]]:
    for entry in generation.recorded.filters:
        if entry in warnings.filters and not any(entry in other.recorded.filters for other in _others(generation)):
            warnings.filters.remove(entry)  # type: ignore[attr-defined]
            filters_changed()
            yield "warnings.filters", f"{entry[0]} {entry[2].__name__}"
    generation.recorded.filters.clear()


def filters_changed() -> None:
    """Tell `warnings` that its filters were changed: it remembers decisions."""
    mutated = getattr(warnings, "_filters_mutated", None) or getattr(warnings, "_filters_mutated_lock_held", None)
    if mutated is not None:
        mutated()


# --- logging ---------------------------------------------------------------------------------------------------


def _add_handler(self: logging.Logger, hdlr: logging.Handler) -> None:
    originals["Logger.addHandler"](self, hdlr)
    generation = table.asked_by(sys._getframe(1))
    if generation is not None:
        known, key = generation.recorded.handlers, (id(hdlr), id(self))
        known[key] = weakref.ref(hdlr, lambda _: known.pop(key, None) and None), weakref.ref(self)


def _undo_handlers(generation: Generation) -> Iterator[tuple[str, str]]:
    for key, (handler_ref, logger_ref) in generation.recorded.handlers.copy().items():
        handler, logger = handler_ref(), logger_ref()
        if handler is None or logger is None or any(key in other.recorded.handlers for other in _others(generation)):
            continue
        if _has(logger, handler):
            logger.removeHandler(handler)
            yield "logging handler", f"{handler!r} of {logger.name}"
        if not any(_has(each, handler) for each in loggers_now()):
            try:
                handler.close()
            except Exception as exc:  # noqa: BLE001 - reported; the sweep goes on
                yield "logging handler raised", repr(exc)
    generation.recorded.handlers.clear()


def _has(logger: logging.Logger, handler: logging.Handler) -> bool:
    return any(each is handler for each in logger.handlers)  # a handler may compare oddly


def loggers_now() -> list[logging.Logger]:
    """Return all loggers of the process."""
    known = list(logging.root.manager.loggerDict.values())
    return [logging.root, *(entry for entry in known if isinstance(entry, logging.Logger))]


# --- audit hooks -----------------------------------------------------------------------------------------------


def _addaudithook(hook: AuditHook) -> None:
    global _audits
    generation = table.asked_by(sys._getframe(1))
    if generation is None:
        originals["sys.addaudithook"](hook)
        return
    _audit_hooks.append((generation.id, hook))
    if not _audits:
        _audits = True  # it cannot be taken back, and does nothing while nobody hosted has a hook
        originals["sys.addaudithook"](_audit)


def _audit(event: str, args: tuple[Any, ...]) -> None:
    for _, hook in _audit_hooks:
        hook(event, args)


# --- sys.monitoring, from Python 3.12 on ------------------------------------------------------------------------

_monitoring: Any = getattr(sys, "monitoring", None)


def _use_tool_id(tool_id: int, name: str, /) -> None:
    originals["sys.monitoring.use_tool_id"](tool_id, name)
    generation = table.asked_by(sys._getframe(1))
    if generation is not None:
        generation.recorded.tools[tool_id] = name


def _register_callback(tool_id: int, event: int, func: Any, /) -> Any:
    before = originals["sys.monitoring.register_callback"](tool_id, event, func)
    generation = table.asked_by(sys._getframe(1))
    if generation is not None:
        generation.recorded.callbacks[tool_id, event] = func
    return before


def _undo_monitoring(generation: Generation) -> Iterator[tuple[str, str]]:
    for (tool, event), function in generation.recorded.callbacks.items():
        now = originals["sys.monitoring.register_callback"](tool, event, None)
        if now is not function:
            originals["sys.monitoring.register_callback"](tool, event, now)
        elif now is not None:
            yield "sys.monitoring", repr(function)
    for tool, name in generation.recorded.tools.items():
        if _monitoring.get_tool(tool) == name and not any(
            tool in other.recorded.tools for other in _others(generation)
        ):
            _monitoring.set_events(tool, 0)
            _monitoring.free_tool_id(tool)
            yield "sys.monitoring", name
    generation.recorded.callbacks.clear()
    generation.recorded.tools.clear()


REPLACED: list[tuple[Any, str, Any]] = [
    (warnings, "filterwarnings", _filterwarnings),
    (warnings, "simplefilter", _simplefilter),
    (logging.Logger, "addHandler", _add_handler),
    (sys, "addaudithook", _addaudithook),
]
if _monitoring is not None:
    REPLACED += [
        (_monitoring, "use_tool_id", _use_tool_id),
        (_monitoring, "register_callback", _register_callback),
    ]
