"""What has stood in one place of the process, in the order in which it came there.

The lowest layer is the host's, above it lie those of generations, each of which took the place from the one below.
The value of a generation that goes is taken out of the layers, so what it covered is what is left; and what it had
put on top of it now covers that.  So no layer keeps a generation alive that has been unloaded, and nobody gets back
the value of one.

There are never more layers than living generations and, between them, the host's.
"""

from __future__ import annotations

from typing import Any

HOST = 0
"""Stands for the host where a generation's number would; those begin at 1."""

MISSING: Any = object()


class Layers:
    """The values of one place, lowest first."""

    __slots__ = ("_values",)

    def __init__(self) -> None:
        self._values: list[tuple[int, Any]] = []

    def __bool__(self) -> bool:
        return bool(self._values)

    @property
    def top(self) -> Any:
        """What was last seen there; MISSING: nothing was."""
        return self._values[-1][1] if self._values else MISSING

    @property
    def values(self) -> list[Any]:
        """All of them, lowest first."""
        return [value for _, value in self._values]

    def see(self, value: Any, maker: int) -> None:
        """Note that `value` of generation `maker` stands there now."""
        for index, (_, known) in enumerate(self._values):
            if known is value:  # put back: what had been above it is gone
                del self._values[index + 1 :]
                return
        if maker != HOST:
            self._remove(maker)
        elif self._values and self._values[-1][0] == HOST:
            self._values.pop()
        self._values.append((maker, value))

    def take(self, maker: int) -> tuple[Any, Any]:
        """Take a generation's layer out; return its value and the one it lay on (or MISSING)."""
        below = MISSING
        for known, value in self._values:
            if known == maker:
                self._remove(maker)
                return value, below
            below = value
        return MISSING, below

    def of(self, maker: int) -> Any:
        """Return the value of a generation, or MISSING."""
        return next((value for known, value in self._values if known == maker), MISSING)

    def _remove(self, maker: int) -> None:
        kept: list[tuple[int, Any]] = []
        for known, value in self._values:
            if known == maker:
                continue
            if known == HOST and kept and kept[-1][0] == HOST:
                kept.pop()
            kept.append((known, value))
        self._values = kept
