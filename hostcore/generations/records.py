"""What the host's modules and classes hold, and which generations wrote over which of it: one record a module.

A record knows the host's own functions, classes and Nones.  Data is not kept, only its names are.  Where a
generation's value stands instead, `Layers` tell what it covers.
"""

from __future__ import annotations

import functools
import operator
import types
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from hostcore.generations import table
from hostcore.generations.belonging import is_class, is_static, maker_of
from hostcore.generations.layers import MISSING, Layers

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


class Seen:
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
        for name, value in copy_of(namespace).items():
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
                layered.append(self)
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


layered: list[Seen] = []
"""Those that have layers: a generation that goes must be in none of them."""


class Record:
    """One of the host's modules, with the classes it defines."""

    __slots__ = ("children", "classes", "seen")

    def __init__(self) -> None:
        self.seen = Seen()
        self.classes: dict[type, Seen] = {}
        self.children: tuple[str, ...] = ()

    def look(self, module: types.ModuleType, name: str) -> bool:
        """Bring what is known of the module itself up to date; tell whether there was anything new."""
        namespace = vars_of(module)
        if not self.seen.look(namespace):
            return False
        values = copy_of(namespace).items()
        own = [value for _, value in values if is_class(value) and not is_static(value) and _home(value) == name]
        self.classes = {cls: self.classes.get(cls) or _seen_class(cls) for cls in own}
        submodules = ((f"{name}.{attr}", value) for attr, value in values if issubclass(type(value), types.ModuleType))
        self.children = tuple(child for child, value in submodules if table.real.get(child) is value)
        return True

    def look_into_classes(self) -> None:
        """Bring what is known of its classes up to date."""
        for cls, seen in self.classes.items():
            seen.look(members_of(cls))


def vars_of(module: types.ModuleType) -> dict[str, Any]:
    """Return a module's namespace, without running code of its class."""
    namespace: dict[str, Any] = types.ModuleType.__getattribute__(module, "__dict__")
    return namespace


def copy_of(namespace: Any) -> dict[str, Any]:
    """Copy a namespace in one go: to list its items makes so many tuples that the collector may run in between."""
    copied: dict[str, Any] = namespace.copy()
    return copied


def members_of(cls: type) -> Mapping[str, Any]:
    """Return a class's own namespace."""
    members: Mapping[str, Any] = type.__getattribute__(cls, "__dict__")
    return members


def _home(cls: type) -> Any:
    return members_of(cls).get("__module__")


def _seen_class(cls: type) -> Seen:
    seen = Seen()
    seen.look(members_of(cls))
    return seen
