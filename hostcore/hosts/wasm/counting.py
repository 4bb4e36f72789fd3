"""How many memories a guest is made with, read from its file.

The engine bounds each memory for itself.  For all of them together to stay within what the module may have, the host
divides that by their number, so it has to know it before anything runs.  Only the lengths of sections are looked at,
which takes microseconds.  A guest that makes more of them than its file declares, by instantiating a part twice, is
refused by the engine.
"""

from __future__ import annotations

from typing import Final, Protocol

from hostcore.hosts.wasm.kinds import HEADER, Kind

_MEMORY: Final = 5
"""The section of a core module that declares its memories."""
_PARTS: Final = {1: Kind.CORE, 4: Kind.COMPONENT}
"""The sections of a component that hold another module or component."""


class Binary(Protocol):
    """Bytes, or what can be looked into like them."""

    def __len__(self) -> int: ...
    def __getitem__(self, at: int, /) -> int: ...


def memories_of(data: Binary, kind: Kind) -> int:
    """Return how many memories the modules in `data` declare, at least 1; it has been found to be valid."""
    found, todo = 0, [(kind, HEADER, len(data))]
    while todo:
        kind, at, end = todo.pop()
        while at < end:
            section = data[at]
            size, at = _number(data, at + 1)
            if kind is Kind.COMPONENT and section in _PARTS:
                todo.append((_PARTS[section], at + HEADER, at + size))
            elif kind is Kind.CORE and section == _MEMORY:
                found += _number(data, at)[0]
            at += size
    return max(1, found)


def _number(data: Binary, at: int) -> tuple[int, int]:
    """Return the LEB128 number at `at`, and where it ends."""
    number = shift = 0
    while True:
        byte = data[at]
        number |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return number, at
