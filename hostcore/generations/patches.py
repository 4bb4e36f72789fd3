"""Undo what a generation's code has written over in modules and classes of the host: `json.dumps = mine`.

A generation's `__import__` tells which of the host's modules its code gets (`touch`): nothing else can be patched by
an import and an assignment.  For each such module there is one record in the process (`records`).  What was written
over data, which records do not keep, stays, and with it the code, which is then reported.

A record is brought up to date when a generation touches its module for the first time, and at every unload of one
that did.  What stands there then and is no generation's is the host's own.  What belonged to the generation before
it first touched the module was put there by the host, and is left.

The classes that a module defines are looked at along with it, and at unloads the submodules that are bound in it.
"""

from __future__ import annotations

import threading
import types
import weakref
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, cast

from hostcore.generations import table
from hostcore.generations.layers import MISSING
from hostcore.generations.records import Record, Seen, layered, members_of, vars_of
from hostcore.generations.rewiring import Swaps

if TYPE_CHECKING:
    from hostcore.generations.generation import Generation

_lock = threading.RLock()
_unwatched = False
"""What generations do to the host's modules is nobody's concern: the process ends with them."""
_records: weakref.WeakKeyDictionary[types.ModuleType, Record] = weakref.WeakKeyDictionary()


class Touched:
    """What one generation's code has imported of the host's.

    Attributes:
        imports: (name, fromlist) of the import statements that were noted.
        modules: The names of the modules.
        left: (module, attribute) of what is not the generation's doing.
    """

    __slots__ = ("imports", "left", "modules")

    def __init__(self) -> None:
        self.imports: set[Any] = set()
        self.modules: set[str] = set()
        self.left: set[tuple[str, str]] = set()


# --- what a generation touches ---------------------------------------------------------------------------------


def touch(generation: Generation, name: str, fromlist: Sequence[str] | None = None) -> None:
    """Note that `generation`'s code has imported module `name` of the host's, and these items from it."""
    if _unwatched:
        return
    touched = generation.touched.modules
    bits = name.split(".")
    names = [".".join(bits[: end + 1]) for end in range(len(bits))]
    names += [f"{name}.{item}" for item in fromlist or () if isinstance(item, str)]
    known = names[0] in touched  # then its submodules could be patched before they were imported
    for each in names:
        module = _host_module(each) if each not in touched else None
        if module is not None:
            with _lock:
                touched.add(each)
                record = _look(module, each)
                record.look_into_classes()
                if record.seen.layers and not known:
                    layers = record.seen.layers.items()
                    here = [attr for attr, found in layers if found.of(generation.id) is not MISSING]
                    generation.touched.left.update((each, attr) for attr in here)


def _host_module(name: str) -> types.ModuleType | None:
    module: Any = table.real.get(name)
    if not issubclass(type(module), types.ModuleType) or type(module).__hash__ is None:
        return None
    own = vars_of(module).get("__builtins__")
    if table.top_of(name) in table.contested or (type(own) is dict and table.MARK in own):
        return None
    return cast("types.ModuleType", module)


def known_module(name: str) -> types.ModuleType | None:
    """Return the host's module of that name, if a generation's code has imported it."""
    with _lock:
        return next((module for module in _records if vars_of(module).get("__name__") == name), None)


def _look(module: types.ModuleType, name: str) -> Record:
    """Bring a module's record up to date, and make those of its submodules that have none."""
    record = _records.get(module)
    if record is None:
        record = _records[module] = Record()
    if record.look(module, name):
        for child in record.children:
            below = _host_module(child)
            if below is not None and below not in _records:
                _look(below, child)
    return record


def stop_watching() -> None:
    """Record nothing from now on, which makes first imports faster: for a process that ends with its generations."""
    global _unwatched
    _unwatched = True


# --- undoing ---------------------------------------------------------------------------------------------------


def undo(generation: Generation, swaps: Swaps) -> Iterator[tuple[str, str]]:
    """Put back what `generation` wrote over in the host's modules and classes; yield (registry, what).

    What other generations may have picked up of it, and what they are to have instead, is added to `swaps`.
    """
    with _lock:
        found = [what for name in _reach(generation) for what in _undo_module(generation, name, swaps)]
        for seen in layered:
            seen.forget(generation.id)
        layered[:] = [seen for seen in layered if seen.layers]
    yield from (("patch", what) for what in found)


def in_place() -> list[Any]:
    """Return what generations have put into the host's modules and classes."""
    with _lock:
        return [value for seen in layered for layers in seen.layers.values() for value in layers.values]


def _reach(generation: Generation) -> list[str]:
    """Return the names of the modules whose records are to be looked through, up to date."""
    names, todo = [], list(generation.touched.modules)
    reached = set(todo)
    while todo:
        name = todo.pop()
        module = _host_module(name)
        if module is None:
            continue
        names.append(name)
        children = [child for child in _look(module, name).children if child not in reached]
        reached.update(children)
        todo += children
    return names


def _undo_module(generation: Generation, name: str, swaps: Swaps) -> Iterator[str]:
    module = _host_module(name)
    if module is None:
        return
    record, namespace = _records[module], vars_of(module)

    def put(attr: str, value: Any) -> None:
        if value is MISSING:
            namespace.pop(attr, None)
        else:
            namespace[attr] = value

    spared = [attr for where, attr in generation.touched.left if where == name]
    for attr, value, now in record.seen.take_out(generation.id, namespace, put, lambda _: MISSING, spared):
        swaps.add(value, now)
        yield f"{name}.{attr}"
    record.look_into_classes()
    for cls, seen in record.classes.items():
        if seen.layers:
            yield from _undo_class(generation, cls, seen, swaps)


def _undo_class(generation: Generation, cls: type, seen: Seen, swaps: Swaps) -> Iterator[str]:
    def put(attr: str, value: Any) -> None:
        if value is MISSING:
            type.__delattr__(cls, attr)
        else:
            type.__setattr__(cls, attr, value)

    def inherited(attr: str) -> Any:
        return next((members_of(base)[attr] for base in cls.__mro__[1:] if attr in members_of(base)), MISSING)

    for attr, value, now in seen.take_out(generation.id, members_of(cls), put, inherited):
        swaps.add(value, now)
        yield f"{cls.__module__}.{cls.__qualname__}.{attr}"
