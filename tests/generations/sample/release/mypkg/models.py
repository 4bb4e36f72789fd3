"""One class of each kind whose annotations are looked up by the name of its module."""
# ruff: noqa: UP045 - Optional[...] of a forward reference is what is tested

from __future__ import annotations

import collections
import dataclasses
import enum
import typing as t
from typing import ClassVar as CV

import attrs
import msgspec
import pydantic


@dataclasses.dataclass
class Node:
    name: str
    kid: t.Optional[Leaf] = None
    count: CV[int] = 0
    hidden: t.ClassVar[int] = 0


@dataclasses.dataclass
class Leaf:
    v: int = 0


class Color(enum.Enum):
    RED = 1


class Perm(enum.IntFlag):
    R = 1
    W = 2


class NT(t.NamedTuple):
    a: int
    b: t.Optional[Leaf] = None


class TD(t.TypedDict):
    leaf: Leaf


class S(msgspec.Struct):
    kid: t.Optional[SLeaf] = None


class SLeaf(msgspec.Struct):
    v: int


@attrs.define
class At:
    kid: Leaf


class P(pydantic.BaseModel):
    kid: t.Optional[PLeaf] = None


class PLeaf(pydantic.BaseModel):
    v: int


T = t.TypeVar("T")


class GP(pydantic.BaseModel, t.Generic[T]):
    x: int = 0


CT = collections.namedtuple("CT", "a b")


class Err(Exception):
    pass


class Outer:
    class Inner:
        pass


class G(t.Generic[T]):
    def m(self, x: Leaf) -> Node: ...


def function() -> None:
    pass


def samples() -> list[object]:
    """One object of each kind that pickles and copies."""
    leaves = [Node("a", Leaf(3)), Color.RED, Perm.R | Perm.W, NT(1), At(Leaf()), S(SLeaf(1)), P(kid=PLeaf(v=1))]
    others = [CT(1, 2), Err("x"), Outer.Inner(), Node, Outer.Inner, function, G(), GP()]
    return [*leaves, *others]
