"""Say who holds on to what ought to be gone.

From each object outwards through who refers to whom, breadth first, to the nearest namespace that is not a
generation's: a registry, a cache, a patched class.  It is a diagnosis: it costs seconds, and what an extension module
hides from the garbage collector, it does not find.
"""

from __future__ import annotations

import gc
import sys
import types
import weakref
from collections import deque
from collections.abc import Sequence
from importlib.machinery import ExtensionFileLoader
from typing import Any

from hostcore.generations import table

OBJECTS = 2
STEPS = 2_000
DEPTH = 12
UNSEEN = (types.FrameType, type(iter(())), type(iter([])), type(iter({}.values())))


def _compiled() -> set[str]:
    """Return the extension modules of the process, without the standard library's."""
    return {
        name
        for name, module in list(sys.modules.items())
        if type(getattr(getattr(module, "__spec__", None), "loader", None)) is ExtensionFileLoader
        and name.partition(".")[0] not in sys.stdlib_module_names
    }


BEFORE = _compiled()


def holders(alive: Sequence[weakref.ref[Any]]) -> list[str]:
    """Return how the first of what is `alive` is held, one line for each way."""
    lines = list(dict.fromkeys(line for reference in alive[:OBJECTS] if (line := _way(reference()))))
    if lines:
        return lines
    compiled = ", ".join(sorted(_compiled() - BEFORE)) or "none"
    return [f"by what the garbage collector does not see; compiled modules that were imported: {compiled}"]


def _way(start: Any) -> str:
    seen = {id(start)}
    waiting: deque[tuple[Any, tuple[Any, ...]]] = deque([(start, ())])
    for _ in range(STEPS):
        if not waiting:
            break
        obj, trail = waiting.popleft()
        for referrer in gc.get_referrers(obj):
            if id(referrer) in seen or type(referrer) in UNSEEN or referrer is waiting:
                continue
            seen.add(id(referrer))
            name = _registry(referrer, obj)
            if name:
                return " <- ".join([*map(_short, (*trail, obj)), name])
            if len(trail) < DEPTH:
                waiting.append((referrer, (*trail, obj)))
    return ""


def _registry(holder: Any, obj: Any) -> str:
    """Return how a namespace of the host's, or `sys.modules`, is called, with the name that `obj` has in it."""
    if type(holder) is not dict or table.MARK in holder:
        return ""
    name = next((key for key, value in list(holder.items()) if value is obj), "?")
    builtins = holder.get("__builtins__")
    if "__spec__" not in holder or (type(builtins) is dict and table.MARK in builtins):
        return ""
    return f"{holder.get('__name__')}.{name}"


def _short(obj: Any) -> str:
    name = getattr(obj, "__qualname__", None) if isinstance(obj, (type, types.FunctionType)) else None
    if isinstance(obj, types.ModuleType):
        name = vars(obj).get("__name__")
    return f"{type(obj).__name__} {name}" if isinstance(name, str) else type(obj).__name__
