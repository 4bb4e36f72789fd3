"""Who owns which module name, and whom a name means for the code that asks.

A *top* is the first word of a dotted name.  Dispatch happens only for contested tops: names that several
generations own, that the host has a copy of its own of, or that are private to a generation.  For those, `name`
means, in this order:

1. the generation of the nearest frame on the stack whose builtins are a generation's that owns it;
2. the host, if a frame of the host's own copy of that package comes first, or it has a copy and no generation asks;
3. the generation of the context variable (`Generation.activate`);
4. the published generation of that top.

Reading `sys.modules` is dynamic: dataclasses, typing or pickle do it on behalf of whoever is below on the stack.
Importing a *private* name is lexical: a shared library that imports it gets the host's, whoever called it.

Invariant: all tables change under `lock` only; readers take no lock, since every value is replaced, not changed.
"""

from __future__ import annotations

import contextvars
import itertools
import sys
import threading
import types
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hostcore.generations.generation import Generation

MARK = "__hostcore_generation__"
"""The key in a generation's `__builtins__` that holds the generation; a frame is hosted if its builtins have it."""

real: dict[str, Any] = sys.modules
"""The interpreter's own dict, which C code reads whatever `sys.modules` is."""

lock = threading.RLock()
ids = itertools.count(1)
by_id: dict[int, Generation] = {}
owners: dict[str, tuple[Generation, ...]] = {}
published: dict[str, Generation] = {}
contested: set[str] = set()
host_copies: set[str] = set()
current: contextvars.ContextVar[Generation | None] = contextvars.ContextVar("hostcore_generation", default=None)

_STDLIB = sys.stdlib_module_names
_PACKAGE = __name__.rpartition(".")[0]


class GenerationUnloadedError(ImportError):
    """Code of a generation that has been unloaded tried to import."""


def top_of(name: str) -> str:
    """Return the first word of a dotted name."""
    return name.partition(".")[0]


def _home(frame: types.FrameType) -> str:
    name = frame.f_globals.get("__name__")
    return name if isinstance(name, str) else ""


def _ours(frame: types.FrameType) -> bool:
    return _home(frame).startswith(_PACKAGE)


def _asking(frame: types.FrameType | None) -> types.FrameType | None:
    """Return the first frame outside the standard library."""
    while frame is not None and MARK not in frame.f_builtins and (_ours(frame) or top_of(_home(frame)) in _STDLIB):
        frame = frame.f_back
    return frame


def asked_by_host(frame: types.FrameType | None) -> bool:
    """Tell whether the first frame outside the standard library is not a generation's."""
    asking = _asking(frame)
    return asking is None or MARK not in asking.f_builtins


def asked_by(frame: types.FrameType | None) -> Generation | None:
    """Return the living generation whose code is in the first frame outside the standard library, if one's is."""
    asking = _asking(frame)
    found: Generation | None = asking.f_builtins.get(MARK) if asking is not None else None
    return found if found is not None and found.alive else None


def owner_of(name: str, depth: int = 1) -> Generation | None:
    """Return the generation that `name` means for the code `depth` frames up; None: the host."""
    top = top_of(name)
    gens = owners.get(top)
    if gens is None:
        return None
    if top not in contested:
        return gens[0] if gens[0].owns(name) else None
    frame: types.FrameType | None = sys._getframe(depth)
    generation = _on_stack(name, top, frame)
    if generation is None or (generation.is_private(name) and asked_by_host(frame)):
        return None
    return generation


def _on_stack(name: str, top: str, frame: types.FrameType | None) -> Generation | None:
    while frame is not None:
        found: Generation | None = frame.f_builtins.get(MARK)
        if found is not None:
            if found.alive and found.owns(name):
                return found
        elif top_of(_home(frame)) == top and not _ours(frame):
            return None  # the host's own copy of that package is asking
        frame = frame.f_back
    found = current.get()
    if found is None or not found.alive or not found.owns(name):
        if top in host_copies:
            return None
        found = _published(top)
    return found if found is not None and found.owns(name) else None


def _published(top: str) -> Generation | None:
    """Return the published generation of `top`; while that is being unloaded, the one that follows it."""
    found = published.get(top)
    while found is not None and not found.alive:
        before, found = found, published.get(top)
        if found is before:  # the oldest that lives: a newer one may have nothing loaded yet
            return next((g for g in owners.get(top, ()) if g.alive), None)
    return found


def generation_on_stack(depth: int = 1) -> Generation | None:
    """Return the generation of the nearest hosted frame, else that of the context."""
    frame: types.FrameType | None = sys._getframe(depth)
    while frame is not None:
        found: Generation | None = frame.f_builtins.get(MARK)
        if found is not None and found.alive:
            return found
        frame = frame.f_back
    return current.get()
