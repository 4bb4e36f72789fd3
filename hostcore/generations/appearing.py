"""What a generation's code adds to `sys.path` and to `sys.modules` under names that are not its own.

Neither list says who wrote to it.  An entry counts as a generation's if

* it appeared while the generation's own modules were being imported, or
* it is on `sys.path`, lies inside a directory of one of its packages, and was not there when the generation came, or
* it is in `sys.modules`, and the object there was made by the generation's code, or by hand around objects of it.

Everything else is the host's, also what a hook of the module adds elsewhere.  A module that the host's import system
made is nobody's, unless its file is the generation's: who imports a library of the host's first does not own it.

While a later generation lives that has the same label, or the same directories, it inherits the entry: its own code
has found it there, and may need it.  What lies in the release that goes, and not in the later one's, goes with it.
"""

from __future__ import annotations

import sys
import types
import weakref
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from hostcore.generations import patches, table
from hostcore.generations.belonging import maker_of
from hostcore.generations.layers import MISSING

if TYPE_CHECKING:
    from hostcore.generations.generation import Generation


class Appeared:
    """What appeared while one generation was loading.

    Attributes:
        path_before: `sys.path` as it was when the generation came.
        paths: The entries of `sys.path`, one for each time it was added.
        modules: Name in `sys.modules` -> what had stood there, if anything had.
    """

    __slots__ = ("modules", "path_before", "paths")

    def __init__(self) -> None:
        self.path_before = _path_now()
        self.paths: list[str] = []
        self.modules: dict[str, weakref.ref[Any] | None] = {}


_shared: frozenset[str] = frozenset()
"""The last of them: most generations have the same, and so one object."""


def _path_now() -> frozenset[str]:
    global _shared
    now = frozenset(filter(_is_str, sys.path))
    if now != _shared:
        _shared = now
    return _shared


class Before(NamedTuple):
    """What was there before an import began."""

    path: list[str]
    modules: dict[str, Any]


def around(generation: Generation) -> Before | None:
    """Return what is there now if `generation` is just beginning to import something."""
    return Before(list(sys.path), table.real.copy()) if generation.loading == 1 else None


def after(generation: Generation, before: Before) -> None:
    """Note what has appeared since."""
    if sys.path != before.path:
        left = list(before.path)
        for entry in sys.path:
            if entry in left:
                left.remove(entry)
            elif _is_str(entry):
                generation.appeared.paths.append(entry)
    for name, module in table.real.copy().items():
        there = before.modules.get(name, MISSING)
        if module is not there and not generation.owns(name) and _is_new(generation, name, module):
            generation.appeared.modules.setdefault(name, _weakly(there))


def _is_str(entry: object) -> bool:
    return isinstance(entry, str)


def _weakly(module: Any) -> weakref.ref[Any] | None:
    return weakref.ref(module) if issubclass(type(module), types.ModuleType) else None


def _is_new(generation: Generation, name: str, module: Any) -> bool:
    """Tell whether `module` appeared without an import of a library of the host's."""
    file = _own(module).get("__file__")
    if maker_of(module) is generation or (type(file) is str and file.startswith(_directories(generation))):
        return True
    top = table.real.get(table.top_of(name))
    if _spec_of(module) is not None or (top is not module and _spec_of(top) is not None):
        return False  # the host's import system made it, or a library that did so adds its parts, as six does
    return (module is None or type(module) is types.ModuleType) and table.top_of(name) not in table.owners


def _spec_of(module: Any) -> Any:
    return _own(module).get("__spec__")


def _own(module: Any) -> dict[str, Any]:
    """Return a module's namespace without running code of its class; nothing for what is no module."""
    if not issubclass(type(module), types.ModuleType):
        return {}
    namespace: dict[str, Any] = types.ModuleType.__getattribute__(module, "__dict__")
    return namespace


def undo(generation: Generation) -> Iterator[tuple[str, str]]:
    """Take back what is `generation`'s; yield (registry, what)."""
    paths = _own_paths(generation)
    noted = generation.appeared.modules
    modules = [
        name
        for name, module in table.real.copy().items()
        if name in noted or (_made_by(generation, module) and not generation.owns(name))
    ]
    heir = _heir(generation) if paths or modules else None
    for entry in paths:
        if heir is not None and _inherits(heir, generation, entry):
            heir.appeared.paths.append(entry)
        elif entry in sys.path:
            sys.path.remove(entry)
            if entry not in sys.path:
                sys.path_importer_cache.pop(entry, None)
            yield "sys.path", entry
    for name in modules:
        before = generation.appeared.modules.pop(name, None)
        if heir is not None and not _made_by(generation, table.real.get(name)):
            heir.appeared.modules.setdefault(name, before)
        elif _take_out(name, before):
            yield "sys.modules", name
    for entry, finder in sys.path_importer_cache.copy().items():
        if maker_of(finder) is generation:
            del sys.path_importer_cache[entry]
            yield "sys.path_importer_cache", entry


def _own_paths(generation: Generation) -> list[str]:
    own = list(generation.appeared.paths)
    inside = _directories(generation)
    for entry in sys.path:
        if _is_str(entry) and f"{entry}/".startswith(inside) and entry not in (*own, *generation.appeared.path_before):
            own.append(entry)
    return own


def _inherits(heir: Generation, generation: Generation, entry: str) -> bool:
    """Tell whether `heir` found `entry` there, may need it, and has not added it itself."""
    if entry not in heir.appeared.path_before or entry in heir.appeared.paths:
        return False
    return _is_below(entry, heir.paths) or not _is_below(entry, generation.paths)  # else it goes with the release


def _is_below(entry: str, directories: list[str]) -> bool:
    return any(f"{entry}/".startswith(f"{directory}/") for directory in directories)


def _directories(generation: Generation) -> tuple[str, ...]:
    """Return the directories of its packages, as beginnings of what lies inside."""
    found = (_own(module).get("__path__") for module in list(generation.modules.values()))
    return tuple({f"{entry}/" for path in found if path is not None for entry in path if _is_str(entry)})


def _heir(generation: Generation) -> Generation | None:
    """Return the newest generation that came later and may need what `generation` has added."""
    inside = set(_directories(generation))
    return next(
        (
            other
            for other in reversed(list(table.by_id.values()))
            if other.id > generation.id and (other.label == generation.label or inside & set(_directories(other)))
        ),
        None,
    )


def _made_by(generation: Generation, module: Any) -> bool:
    """Tell whether `module` was made by the generation's code, or by hand around objects of its code."""
    if type(module) is not types.ModuleType:
        return maker_of(module) is generation
    own = vars(module)
    if own.get("__builtins__") is generation.builtins:
        return True  # a file that its code ran itself
    if own.get("__spec__") is not None or own.get("__file__") is not None or own.get("__name__") == "__main__":
        return False
    return maker_of(module) is generation or any(maker_of(value) is generation for value in list(own.values()))


def _take_out(name: str, before: weakref.ref[Any] | None) -> bool:
    """Put back what stood under `name`, as far as it is known and lives; tell whether anything stood there now."""
    old = before() if before is not None else patches.known_module(name)
    if old is not None:
        table.real[name] = old
        return True
    return table.real.pop(name, table) is not table
