"""Let other generations forget what one of them had put into a module, a class or another place of the host's.

A generation that was loaded while another's patch was in place may have picked that up: `original = json.dumps`, a
`from json import dumps`, a wrapper around it.  When the first goes, these references are turned to what its patch
had replaced, as if it had never been there, so it can be collected, and the other goes on.

Looked at are the namespaces of the modules and classes of the generations that came later, and what they have put
into the host's places themselves; from there closures, defaults, partials, lists, dicts and the attributes of own
objects.  Where many generations live, the garbage collector is asked first whether anybody holds the patch at all.
"""

from __future__ import annotations

import functools
import gc
import operator
import types
from typing import TYPE_CHECKING, Any

from hostcore.generations import table
from hostcore.generations.belonging import builtins_of, class_belongs, is_class, is_static
from hostcore.generations.layers import MISSING

if TYPE_CHECKING:
    from hostcore.generations.generation import Generation

_FEW = 8
_LIMIT = 100_000
"""So many objects are looked at for one generation: it might hold a large table."""


class Swaps:
    """Which objects are to be replaced by which."""

    def __init__(self) -> None:
        self._new: dict[int, tuple[Any, Any]] = {}

    def __bool__(self) -> bool:
        return bool(self._new)

    def add(self, old: Any, new: Any) -> None:
        """Replace `old` by `new` (MISSING: there is nothing to replace it by)."""
        if new is MISSING:
            return
        self._new[id(old)] = (old, new)
        for kind in (staticmethod, classmethod):
            if type(old) is kind:  # who picked it up got the function
                self.add(old.__func__, new.__func__ if type(new) is kind else new)

    def held_by_others(self, leaving: Generation) -> bool:
        """Tell whether anything but the modules of `leaving` holds what is to be replaced."""
        own = {id(vars(module)) for module in leaving.modules.values() if type(module) is types.ModuleType}
        own |= {id(pair) for pair in self._new.values()}
        return any(id(holder) not in own for holder in gc.get_referrers(*(old for old, _ in self._new.values())))

    def new(self, value: Any) -> Any:
        """Return what `value` is to be replaced by; MISSING: it may stay."""
        new = self._new.get(id(value), (None, MISSING))[1]
        if new is MISSING and type(value) is types.MethodType:
            new = self._new.get(id(value.__func__), (None, MISSING))[1]
            if type(new) is types.FunctionType:
                return types.MethodType(new, value.__self__)
        return new


def rewire(leaving: Generation, swaps: Swaps, patches: list[Any]) -> None:
    """Replace in all generations that may have met those of `leaving`, and in these patches of theirs."""
    later = [generation for generation in list(table.by_id.values()) if generation.id > leaving.id]
    if not swaps or (len(later) > _FEW and not swaps.held_by_others(leaving)):
        return
    for generation in later:
        _Walk(generation, swaps, patches).run()


class _Walk:
    """Visits what one generation holds, each object once."""

    def __init__(self, generation: Generation, swaps: Swaps, patches: list[Any]) -> None:
        self._generation = generation
        self._swaps = swaps
        self._seen: set[int] = set()
        self._todo: list[Any] = [generation.builtins, *patches]
        for module in list(generation.modules.values()):
            if type(module) is types.ModuleType and vars(module).get("__builtins__") is generation.builtins:
                self._todo.append(vars(module))

    def run(self) -> None:
        """Visit everything."""
        while self._todo and len(self._seen) < _LIMIT:
            obj = self._todo.pop()
            if id(obj) not in self._seen:
                self._seen.add(id(obj))
                self._visit(obj, type(obj))

    def _visit(self, obj: Any, kind: type) -> None:
        if kind is dict:
            self._items(obj, list(obj.copy().items()))
        elif kind is list:
            self._items(obj, list(enumerate(obj)))
        elif kind is types.FunctionType:
            if builtins_of(obj) is self._generation.builtins:
                self._function(obj)
        elif kind is types.MethodType:
            self._todo += (obj.__func__, obj.__self__)
        elif kind is staticmethod or kind is classmethod:
            self._todo.append(obj.__func__)
        elif kind is property:
            self._todo += (obj.fget, obj.fset, obj.fdel)
        elif issubclass(kind, functools.partial):
            self._partial(obj)
        elif is_class(obj):
            if not is_static(obj) and class_belongs(obj, self._generation):
                self._class(obj)
        elif not is_static(kind) and class_belongs(kind, self._generation):
            self._attributes(obj)

    def _items(self, container: Any, items: list[tuple[Any, Any]]) -> None:
        for key, value in items:
            new = self._swaps.new(value)
            if new is not MISSING:
                container[key] = new
            else:
                self._todo.append(value)

    def _function(self, function: types.FunctionType) -> None:
        for cell in function.__closure__ or ():
            try:
                value = cell.cell_contents
            except ValueError:  # empty: not assigned yet
                continue
            new = self._swaps.new(value)
            if new is not MISSING:
                cell.cell_contents = new
            else:
                self._todo.append(value)
        if function.__defaults__:
            function.__defaults__ = self._tuple(function.__defaults__)
        self._todo += (function.__kwdefaults__, function.__dict__)

    def _tuple(self, values: tuple[Any, ...]) -> tuple[Any, ...]:
        found = [(value, self._swaps.new(value)) for value in values]
        self._todo += [value for value, new in found if new is MISSING]
        return tuple(value if new is MISSING else new for value, new in found)

    def _partial(self, obj: functools.partial[Any]) -> None:
        parts, keywords = (obj.func, *obj.args), dict(obj.keywords)
        function, *args = self._tuple(parts)
        self._items(keywords, list(keywords.items()))
        same = all(map(operator.is_, (function, *args, *keywords.values()), (*parts, *obj.keywords.values())))
        if not same:
            obj.__setstate__((function, tuple(args), keywords, obj.__dict__ or None))  # type: ignore[attr-defined]

    def _attributes(self, obj: Any) -> None:
        try:
            self._todo.append(object.__getattribute__(obj, "__dict__"))
        except AttributeError:  # it has slots only
            pass

    def _class(self, cls: type) -> None:
        for name, value in type.__getattribute__(cls, "__dict__").copy().items():
            bare = value.__func__ if type(value) is staticmethod else value
            new = self._swaps.new(bare)
            if new is not MISSING:
                type.__setattr__(cls, name, staticmethod(new) if type(value) is staticmethod else new)
            else:
                self._todo.append(value)
