"""The module name that a hosted class carries.

A class copies its module's name to `__module__`, and much code then asks `sys.modules[cls.__module__]`, often with
no frame of the class's own generation on the stack (pickle, typing, dataclasses).  Where a name has two owners,
classes therefore carry a `ModuleName`: an ordinary string in every respect that also says which generation it is
from.  It holds the generation's number, not the generation, so it keeps nothing alive.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, SupportsIndex

_DEPTH = 4


class ModuleName(str):
    """A module's plain name, with the number of the generation that loaded it."""

    __slots__ = ("generation",)

    generation: int

    def __new__(cls, name: str, generation: int) -> ModuleName:
        """Return `name` marked with `generation`."""
        self = super().__new__(cls, name)
        self.generation = generation
        return self

    def __reduce_ex__(self, protocol: SupportsIndex) -> tuple[type[str], tuple[str]]:
        """Pickle as the plain string: what is stored must not know of generations."""
        return str, (str(self),)

    def __copy__(self) -> ModuleName:
        return self

    def __deepcopy__(self, memo: object) -> ModuleName:
        return self


def tag_classes(namespace: Mapping[str, Any], name: str, generation: int | None) -> None:
    """Mark the classes that `namespace` of module `name` defines, nested ones included; None: take the mark off."""
    _tag(namespace, name, name if generation is None else ModuleName(name, generation), 0)


def _tag(namespace: Mapping[str, Any], name: str, tag: str, depth: int) -> None:
    for value in list(namespace.values()):
        if not issubclass(type(value), type):  # a proxy may claim to be one
            continue
        members = type.__getattribute__(value, "__dict__")
        mine = members.get("__module__") == name and members["__module__"] is not tag
        if mine and _retitle(value, tag) and depth < _DEPTH:
            _tag(members, name, tag, depth + 1)


def _retitle(cls: type, tag: str) -> bool:
    line = type.__getattribute__(cls, "__dict__").get("__firstlineno__")
    try:
        type.__setattr__(cls, "__module__", tag)
        if line is not None:  # CPython 3.13 drops it when __module__ is set
            type.__setattr__(cls, "__firstlineno__", line)
    except (TypeError, AttributeError):  # an immutable type: it keeps its plain name
        return False
    return True
