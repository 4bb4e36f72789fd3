"""What stands in for modules and for `sys.modules` while a name has two owners.

`ModulesView` is what Python code then sees as `sys.modules`: its own storage stays empty, and every access goes to
the real dict or, for a contested name, to the table of the generation that the name means for the caller.

`Facade` stands in the real dict, for C code, which reads no view: each attribute access is dispatched the same way.
It pins no generation.

`OneShot` serves a single import by C code (pickle) of a private name: C calls our `__import__` and then reads the
result back from the real dict.  The first attribute access puts the host's own entry back; no bytecode runs in
between, so no other thread sees it.
"""

from __future__ import annotations

import threading
import types
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, cast

from hostcore.generations import table
from hostcore.generations.names import ModuleName

if TYPE_CHECKING:
    from hostcore.generations.generation import Generation

_MISSING = object()
_WALKED = ("__spec__", "__dict__", "__path__", "__all__")


class ModulesView(dict[str, Any]):
    """`sys.modules` while any name has two owners."""

    __slots__ = ()

    def _table(self, key: object) -> dict[str, Any]:
        if type(key) is ModuleName:
            generation = table.by_id.get(key.generation)
            if generation is not None:
                return generation.modules
        if isinstance(key, str) and table.top_of(key) in table.contested:
            while (generation := table.owner_of(key, 3)) is not None:
                modules = generation.modules
                if generation.alive:  # else an unload came between: ask again
                    return modules
        return table.real

    def _merged(self) -> dict[str, Any]:
        generation = table.generation_on_stack(3)
        if generation is None:
            return table.real
        real, own = table.real.copy(), generation.modules
        dispatched = {k: v for k, v in own.items() if table.top_of(k) in table.contested}
        hidden = [k for k in real if k not in own and table.top_of(k) in table.contested and generation.owns(k)]
        for key in hidden:
            del real[key]
        return real | dispatched

    def __getitem__(self, key: str) -> Any:
        return self._table(key)[key]

    def get(self, key: str, default: Any = None) -> Any:
        return self._table(key).get(key, default)

    def __contains__(self, key: object) -> bool:
        return key in self._table(key)

    def __setitem__(self, key: str, value: Any) -> None:
        self._table(key)[key] = value

    def __delitem__(self, key: str) -> None:
        del self._table(key)[key]

    def pop(self, key: str, *default: Any) -> Any:
        return self._table(key).pop(key, *default)

    def setdefault(self, key: str, default: Any = None) -> Any:
        return self._table(key).setdefault(key, default)

    def update(self, *args: Any, **kwargs: Any) -> None:
        for key, value in dict(*args, **kwargs).items():
            self._table(key)[key] = value

    def __iter__(self) -> Iterator[str]:
        return iter(self._merged())

    def __reversed__(self) -> Iterator[str]:
        return reversed(self._merged())

    def __len__(self) -> int:
        return len(self._merged())

    def keys(self) -> Any:
        return self._merged().keys()

    def values(self) -> Any:
        return self._merged().values()

    def items(self) -> Any:
        return self._merged().items()

    def copy(self) -> dict[str, Any]:
        return dict(self._merged())

    __copy__ = copy

    def __eq__(self, other: object) -> bool:
        return self is other or self._merged() == other

    __hash__ = None

    def __or__(self, other: Any) -> Any:
        return dict(self._merged()) | other

    def __ror__(self, other: Any) -> Any:
        return other | dict(self._merged())

    def __ior__(self, other: Any) -> Any:
        self.update(other)
        return self

    def clear(self) -> None:
        table.real.clear()

    def popitem(self) -> tuple[str, Any]:
        return table.real.popitem()

    def __repr__(self) -> str:
        return f"<sys.modules view of {len(table.real)} modules>"


def own_dict(module: types.ModuleType) -> dict[str, Any]:
    """Return a stand-in's own attributes, without dispatch."""
    return cast("dict[str, Any]", types.ModuleType.__getattribute__(module, "__dict__"))


class Facade(types.ModuleType):
    """What the real dict holds under a contested name."""

    def __getattribute__(self, attr: str) -> Any:
        name = own_dict(self)["__name__"]
        generation = table.owner_of(name, 2)
        module = generation.modules.get(name) if generation is not None else None
        if module is not None:
            return getattr(module, attr)
        # Who merely walks sys.modules must not make anything load; import statements and real use must.
        if generation is None or (attr[:2] == "__" and attr not in _WALKED):
            raise AttributeError(f"no live generation has loaded module {name!r}")
        return getattr(generation.load(name), attr)

    def __setattr__(self, attr: str, value: Any) -> None:
        setattr(target_of(self), attr, value)

    def __delattr__(self, attr: str) -> None:
        delattr(target_of(self), attr)

    def __dir__(self) -> list[str]:
        return dir(target_of(self))

    def __repr__(self) -> str:
        return f"<facade of hosted module {own_dict(self)['__name__']!r}>"


def target_of(facade: Facade) -> types.ModuleType:
    """Return the module a facade means for the code two frames up."""
    name = own_dict(facade)["__name__"]
    generation = table.owner_of(name, 3)
    if generation is None:
        raise AttributeError(f"no live generation provides module {name!r}")
    module: types.ModuleType = generation.load(name)
    return module


class OneShot(Facade):
    """Stands in the real dict for one import by C code, then restores what stood there."""

    def __init__(self, name: str, generation: Generation) -> None:
        super().__init__(name)
        before = table.real.get(name, _MISSING)
        if type(before) is OneShot:  # another thread's, about to be undone
            before = own_dict(before)["_saved"]
        own_dict(self).update(_generation=generation, _thread=threading.get_ident(), _saved=before)

    def __getattribute__(self, attr: str) -> Any:
        own = own_dict(self)
        name, saved, generation = own["__name__"], own["_saved"], own["_generation"]
        if generation is not None and own["_thread"] == threading.get_ident():
            own["_generation"] = None
            if table.real.get(name) is self:
                if saved is _MISSING:
                    table.real.pop(name, None)
                else:
                    table.real[name] = saved
            return getattr(generation.load(name), attr)
        if table.owner_of(name, 2) is None and saved is not _MISSING:
            return getattr(saved, attr)
        return Facade.__getattribute__(self, attr)
