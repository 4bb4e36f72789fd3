"""Payloads that nobody expects: every kind of plain data, at its edges, and nested; the same ones for the same seed."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from typing import Any

_EDGES: tuple[Any, ...] = (
    None, True, 0, -1, 2**63 - 1, -(2**63), 2**64 - 1, 0.5, math.inf, -math.inf, math.nan, "", " ", "\0", "a" * 70_000,
    "\u202e\U0001f4a9\ufffd", "../../etc/passwd", "'; drop table x; --", "%s%n{0.__class__}", b"", b"\xff" * 100_000,
    [], {}, [[]], [{}], {"": None}, {"__class__": "x"}, list(range(10_000)),
    {str(number): number for number in range(2_000)},
)  # fmt: skip
_KEYS = ("id", "name", "path", "data", "type", "source", "count", "state", "value", "topic", "", "__proto__")
_DEEP = 60


def payloads(seed: int, count: int) -> Iterator[Any]:
    """Yield `count` payloads: the edges first, then made at random."""
    yield from _EDGES[:count]
    if count > len(_EDGES):
        yield _nested(_DEEP)
    chance = random.Random(seed)
    for _ in range(count - len(_EDGES) - 1):
        yield _made(chance, 4)


def _nested(depth: int) -> Any:
    deep: Any = None
    for level in range(depth):
        deep = [deep] if level % 2 else {"data": deep}
    return deep


def _made(chance: random.Random, depth: int) -> Any:
    kind = chance.randrange(8 if depth else 6)
    if kind < 3:
        return chance.choice(_EDGES)
    if kind == 3:
        return chance.randint(-(2**63), 2**64 - 1)
    if kind == 4:
        return "".join(
            chr(chance.choice((chance.randrange(128), chance.randrange(0xE000, 0x11_0000)))) for _ in range(9)
        )
    if kind == 5:
        return chance.randbytes(chance.randrange(64))
    if kind == 6:
        return [_made(chance, depth - 1) for _ in range(chance.randrange(6))]
    return {chance.choice(_KEYS): _made(chance, depth - 1) for _ in range(chance.randrange(6))}
