"""Undo what a generation's code has written over in modules and classes of the host: `json.dumps = mine`.

A generation's `__import__` tells which of the host's modules its code gets (`touch`): nothing else can be patched by
an import and an assignment.  For each such module there is one record in the process, which knows what the host's
own functions, classes and Nones in it are, and, in `Layers`, which generation wrote over which of them.  Data is not
kept, only its name is known: what has been written over data stays, and with it the code, which is then reported.

A record is brought up to date when a generation touches its module for the first time, and at every unload of one
that did.  What stands there then and is no generation's is the host's own.  What belonged to the generation before
it first touched the module was put there by the host, and is left.

The classes that a module defines are looked at along with it, and at unloads the submodules that are bound in it.
"""

from __future__ import annotations

import functools
import operator
import threading
import types
import weakref
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from hostcore.generations import table
from hostcore.generations.belonging import is_class, is_static, maker_of
from hostcore.generations.layers import MISSING, Layers
from hostcore.generations.rewiring import Swaps

if TYPE_CHECKING:
    from hostcore.generations.generation import Generation

_KEPT = (
    types.FunctionType,
    types.BuiltinFunctionType,
    types.MethodType,
    types.WrapperDescriptorType,
    types.MethodDescriptorType,
    types.ClassMethodDescriptorType,
    types.NoneType,
    staticmethod,
    classmethod,
    property,
    functools.partial,
    type(functools.lru_cache(lambda: 0)),
)
_DATA = (str, int, float, bool, bytes, dict, list, tuple, set, frozenset, types.ModuleType)

_lock = threading.RLock()
_records: weakref.WeakKeyDictionary[types.ModuleType, _Record] = weakref.WeakKeyDictionary()


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


class _Seen:
    """What stands in one namespace, of a module or of a class.

    Whether anything is new there is asked so often that only names that can be given back are compared.
    """

    __slots__ = ("_get", "_size", "_values", "layers", "originals", "unknown")

    def __init__(self) -> None:
        self._size = -1
        self._get: Callable[[Any], tuple[Any, ...]] = lambda _: ()
        self._values: tuple[Any, ...] = ()
        self.originals: dict[str, Any] = {}
        self.unknown: set[str] = set()  # names of which the host's value is not kept
        self.layers: dict[str, Layers] = {}

    def look(self, namespace: Mapping[str, Any]) -> bool:
        """Bring it up to date; tell whether there was anything new."""
        if self._is_as_before(namespace):
            return False
        first, self._size = self._size < 0, len(namespace)
        originals, unknown = {}, set()
        for name, value in list(namespace.items()):
            known = self.originals.get(name, MISSING)
            if value is not known and type(value) not in _DATA and self._is_hosted(name, value):
                if known is not MISSING:
                    originals[name] = known
                elif first or name in self.unknown:
                    unknown.add(name)
                continue
            self.layers.pop(name, None)
            if type(value) in _KEPT or is_class(value):
                originals[name] = value
            else:
                unknown.add(name)
        self.originals, self.unknown = originals, unknown
        self._values = tuple(originals.values())
        # The first name twice: for one name alone, it makes no tuple.
        self._get = operator.itemgetter(*originals, next(iter(originals))) if originals else lambda _: ()
        return True

    def _is_as_before(self, namespace: Mapping[str, Any]) -> bool:
        if self.layers or len(namespace) != self._size:
            return False
        try:
            return all(map(operator.is_, self._get(namespace), self._values))
        except KeyError:
            return False

    def _is_hosted(self, name: str, value: Any) -> bool:
        maker = maker_of(value)
        if maker is None:
            return False
        if maker.alive:
            if not self.layers:
                _layered.append(self)
            self.layers.setdefault(name, Layers()).see(value, maker.id)
        return True

    def take_out(
        self,
        number: int,
        namespace: Mapping[str, Any],
        put: Callable[[str, Any], None],
        inherited: Callable[[str], Any],
        spared: Collection[str] = (),
    ) -> Iterator[tuple[str, Any, Any]]:
        """Take generation `number` out; yield (name, its value, what stands for that now)."""
        for name, layers in list(self.layers.items()):
            value, below = layers.take(number)
            if not layers:
                del self.layers[name]
            if value is MISSING or name in spared:
                continue
            if below is MISSING:
                below = self.originals.get(name, MISSING)
            if namespace.get(name) is value and (below is not MISSING or name not in self.unknown):
                put(name, below)
            yield name, value, inherited(name) if below is MISSING else below

    def forget(self, number: int) -> None:
        """Forget what generation `number` has put there."""
        for name, layers in list(self.layers.items()):
            layers.take(number)
            if not layers:
                del self.layers[name]


_layered: list[_Seen] = []
"""Those that have layers: a generation that goes must be in none of them."""


class _Record:
    """One of the host's modules, with the classes it defines."""

    __slots__ = ("children", "classes", "seen")

    def __init__(self) -> None:
        self.seen = _Seen()
        self.classes: dict[type, _Seen] = {}
        self.children: tuple[str, ...] = ()

    def look(self, module: types.ModuleType, name: str) -> bool:
        """Bring what is known of the module itself up to date; tell whether there was anything new."""
        namespace = vars_of(module)
        if not self.seen.look(namespace):
            return False
        values = list(namespace.items())
        own = [value for _, value in values if is_class(value) and not is_static(value) and _home(value) == name]
        self.classes = {cls: self.classes.get(cls) or _seen_class(cls) for cls in own}
        submodules = ((f"{name}.{attr}", value) for attr, value in values if issubclass(type(value), types.ModuleType))
        self.children = tuple(child for child, value in submodules if table.real.get(child) is value)
        return True

    def look_into_classes(self) -> None:
        """Bring what is known of its classes up to date."""
        for cls, seen in self.classes.items():
            seen.look(_members(cls))


def vars_of(module: types.ModuleType) -> dict[str, Any]:
    """Return a module's namespace, without running code of its class."""
    namespace: dict[str, Any] = types.ModuleType.__getattribute__(module, "__dict__")
    return namespace


def _members(cls: type) -> Mapping[str, Any]:
    members: Mapping[str, Any] = type.__getattribute__(cls, "__dict__")
    return members


def _home(cls: type) -> Any:
    return _members(cls).get("__module__")


def _seen_class(cls: type) -> _Seen:
    seen = _Seen()
    seen.look(_members(cls))
    return seen


# --- what a generation touches ---------------------------------------------------------------------------------


def touch(generation: Generation, name: str, fromlist: Sequence[str] | None = None) -> None:
    """Note that `generation`'s code has imported module `name` of the host's, and these items from it."""
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
    if not issubclass(type(module), types.ModuleType):
        return None
    own = vars_of(module).get("__builtins__")
    if table.top_of(name) in table.contested or (type(own) is dict and table.MARK in own):
        return None
    return cast("types.ModuleType", module)


def known_module(name: str) -> types.ModuleType | None:
    """Return the host's module of that name, if a generation's code has imported it."""
    return next((module for module in list(_records) if vars_of(module).get("__name__") == name), None)


def _look(module: types.ModuleType, name: str) -> _Record:
    """Bring a module's record up to date, and make those of its submodules that have none."""
    record = _records.get(module)
    if record is None:
        record = _records[module] = _Record()
    if record.look(module, name):
        for child in record.children:
            below = _host_module(child)
            if below is not None and below not in _records:
                _look(below, child)
    return record


# --- undoing ---------------------------------------------------------------------------------------------------


def undo(generation: Generation, swaps: Swaps) -> Iterator[tuple[str, str]]:
    """Put back what `generation` wrote over in the host's modules and classes; yield (registry, what).

    What other generations may have picked up of it, and what they are to have instead, is added to `swaps`.
    """
    with _lock:
        found = [what for name in _reach(generation) for what in _undo_module(generation, name, swaps)]
        for seen in _layered:
            seen.forget(generation.id)
        _layered[:] = [seen for seen in _layered if seen.layers]
    yield from (("patch", what) for what in found)


def in_place() -> list[Any]:
    """Return what generations have put into the host's modules and classes."""
    with _lock:
        return [value for seen in _layered for layers in seen.layers.values() for value in layers.values]


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


def _undo_class(generation: Generation, cls: type, seen: _Seen, swaps: Swaps) -> Iterator[str]:
    def put(attr: str, value: Any) -> None:
        if value is MISSING:
            type.__delattr__(cls, attr)
        else:
            type.__setattr__(cls, attr, value)

    def inherited(attr: str) -> Any:
        return next((_members(base)[attr] for base in cls.__mro__[1:] if attr in _members(base)), MISSING)

    for attr, value, now in seen.take_out(generation.id, _members(cls), put, inherited):
        swaps.add(value, now)
        yield f"{cls.__module__}.{cls.__qualname__}.{attr}"
