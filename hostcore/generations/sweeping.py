"""Take back what a generation's code left in the registries of the process.

One small function a registry; each removes the generation's entries and yields (registry, what) for every one of
them.  A registry that is unknown here keeps the old code alive; nothing breaks.  A callback that raises while it
is run or removed is reported in the list, not raised: the unload goes on.
"""

from __future__ import annotations

import codecs
import copyreg
import functools
import gc
import logging
import sys
import warnings
import weakref
from typing import TYPE_CHECKING, Any

from hostcore.generations import appearing, hooks, patches, recorders, rewiring, slots, table
from hostcore.generations.belonging import belongs_to
from hostcore.generations.caches import Mine, Swept, clear_caches

if TYPE_CHECKING:
    from hostcore.generations.generation import Generation


def sweep(generation: Generation) -> list[tuple[str, str]]:
    """Clear every known registry of `generation`'s objects; return what was there."""
    mine: Mine = functools.partial(belongs_to, generation=generation)
    found: list[tuple[str, str]] = []
    for clear in (_at_exit, _codecs, _last_error, clear_caches):
        found += clear(generation, mine)
    swaps = rewiring.Swaps()
    for take_back in (slots.restore, patches.undo):
        found += take_back(generation, swaps)
    rewiring.rewire(generation, swaps, slots.in_place() + patches.in_place())
    for undo in (recorders.undo, appearing.undo):
        found += undo(generation)
    for clean in (_logging, _warnings, _copyreg, _sqlite, _interpreter_lists, _finalizers):
        found += clean(mine)
    return found


class _Match:
    """Equal to every callback of a generation: the way to find them through `atexit.unregister`."""

    __hash__ = None  # type: ignore[assignment]

    def __init__(self, mine: Mine) -> None:
        self.mine = mine
        self.hits: list[str] = []

    def __eq__(self, other: object) -> bool:
        if not self.mine(other):
            return False
        self.hits.append(repr(other))
        return True


def _at_exit(generation: Generation, mine: Mine) -> Swept:
    unregister = hooks.original("atexit.unregister")
    while generation.at_exit:  # last registered first, as at exit
        entry = generation.at_exit.pop()
        unregister(entry)
        yield "atexit", repr(entry.func)
        try:
            entry()
        except (Exception, SystemExit) as exc:  # noqa: BLE001 - reported; the sweep goes on
            yield "atexit raised", repr(exc)
    match = _Match(mine)
    unregister(match)
    for hit in match.hits:
        yield "atexit", hit
    generation.at_fork.clear()


def _codecs(generation: Generation, mine: Mine) -> Swept:
    while generation.codecs:
        search = generation.codecs.pop()
        codecs.unregister(search)
        yield "codecs", repr(search)
    register_error = hooks.original("codecs.register_error")
    for name, handler in generation.codec_errors.items():
        if codecs.lookup_error(name) is handler:  # there is no unregister: give the name to another
            heirs = [g for g in reversed(list(table.by_id.values())) if g is not generation and name in g.codec_errors]
            register_error(name, heirs[0].codec_errors[name] if heirs else codecs.strict_errors)
            yield "codecs.register_error", name
    generation.codec_errors.clear()


def _logging(mine: Mine) -> Swept:
    for logger in recorders.loggers_now():
        for handler in list(logger.handlers):
            if mine(handler) or mine(handler.formatter) or any(map(mine, handler.filters)):
                logger.removeHandler(handler)
                yield "logging handler", f"{handler!r} of {logger.name}"
        for item in [item for item in logger.filters if mine(item)]:
            logger.removeFilter(item)
            yield "logging filter", f"{item!r} of {logger.name}"
    for name, entry in list(logging.root.manager.loggerDict.items()):
        if type(entry) is not logging.Logger and mine(entry):  # a plain Logger is nobody's
            del logging.root.manager.loggerDict[name]
            _close_ranks(entry)
            yield "logging logger", name


def _close_ranks(gone: Any) -> None:
    """Take a logger out of the tree: its children get its parent, and placeholders forget it."""
    parent: Any = gone.parent
    for entry in list(logging.root.manager.loggerDict.values()):
        if isinstance(entry, logging.PlaceHolder):
            entry.loggerMap.pop(gone, None)
        elif isinstance(entry, logging.Logger) and entry.parent is gone:
            entry.parent = parent


def _warnings(mine: Mine) -> Swept:
    keep = [entry for entry in warnings.filters if not mine(entry[2])]
    if len(keep) != len(warnings.filters):
        yield "warnings.filters", f"{len(warnings.filters) - len(keep)} entries"
        warnings.filters[:] = keep  # type: ignore[index]
        recorders.filters_changed()


def _copyreg(mine: Mine) -> Swept:
    entries: dict[Any, Any] = copyreg.dispatch_table
    for cls in [c for c, reduce in list(entries.items()) if mine(c) or mine(reduce)]:
        del entries[cls]
        yield "copyreg", cls.__qualname__


def _sqlite(mine: Mine) -> Swept:
    sqlite3 = table.real.get("sqlite3")
    for registry in (sqlite3.adapters, sqlite3.converters) if sqlite3 else ():
        for key, value in list(registry.items()):
            if mine(value) or mine(key[0] if isinstance(key, tuple) else key):
                del registry[key]
                yield "sqlite3", repr(key)


def _interpreter_lists(mine: Mine) -> Swept:
    lists: tuple[tuple[str, list[Any]], ...] = (
        ("sys.meta_path", sys.meta_path),
        ("sys.path_hooks", sys.path_hooks),
        ("gc.callbacks", gc.callbacks),
    )
    for label, entries in lists:
        for entry in [e for e in list(entries) if mine(e)]:
            entries.remove(entry)
            yield label, repr(entry)


def _finalizers(mine: Mine) -> Swept:
    for finalizer in list(weakref.finalize._registry):  # type: ignore[attr-defined]
        details = finalizer.peek()
        if details is not None and (mine(details[1]) or any(map(mine, details[2]))):
            finalizer.detach()
            yield "weakref.finalize", repr(details[1])


def _last_error(generation: Generation, mine: Mine) -> Swept:
    """What the interpreter keeps of the last exception that nobody caught."""
    error = getattr(sys, "last_exc", None) or getattr(sys, "last_value", None)
    traceback = getattr(sys, "last_traceback", None)
    while traceback is not None and traceback.tb_frame.f_builtins is not generation.builtins:
        traceback = traceback.tb_next
    if traceback is not None or (error is not None and mine(error)):
        for name in ("last_exc", "last_type", "last_value", "last_traceback"):
            vars(sys).pop(name, None)
        yield "sys.last_exc", type(error).__name__
