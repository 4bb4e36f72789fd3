"""Sizes and durations as people write them: "64MiB", "10 kB", 1024; "200ms", "1s", 0.5.

A bare number means bytes or seconds; text needs a unit, for "64" alone is more often a mistake than 64 bytes.
Both are always positive and bounded: no limit or timeout means anything at zero, and one beyond a year or an
exbibyte is a slip of the keyboard.  Values print back as text that parses to the very same number.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated

from msgspec import Meta

from hostcore.errors import did_you_mean

SIZES = {
    "B": 1,
    "kB": 1000, "MB": 1000**2, "GB": 1000**3, "TB": 1000**4,
    "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3, "TiB": 1024**4,
}  # fmt: skip
DURATIONS = {
    "us": Decimal("0.000001"), "ms": Decimal("0.001"), "s": Decimal(1), "m": Decimal(60), "h": Decimal(3600),
    "d": Decimal(86400),
}  # fmt: skip
MAX_SIZE = 2**60
MAX_DURATION = 365 * 86400.0
MIN_DURATION = 1e-6

_QUANTITY = re.compile(r"\s*([0-9]{1,32}(?:\.[0-9]{1,32})?)\s*([A-Za-z]*)\s*")
_SIZE_UNITS = {unit.lower(): size for unit, size in SIZES.items()}


def parse_size(value: object) -> int:
    """Return the bytes that `value` means: a whole number of bytes, or text such as "64MiB" or "10 kB".

    Units are those of `SIZES`, in any case.

    Raises:
        ValueError: It is no size, or not between 1 byte and an exbibyte.
    """
    if isinstance(value, str):
        number, unit = _split(value, "size", "64MiB", SIZES)
        factor = _SIZE_UNITS.get(unit.lower())
        if factor is None:
            raise ValueError(_unknown_unit(value, unit, SIZES))
        amount: float | Decimal = number * factor
    elif isinstance(value, int | float) and not isinstance(value, bool):
        amount = value
    else:
        raise ValueError("a size is a number of bytes or text such as '64MiB'")
    if not 1 <= amount <= MAX_SIZE:
        raise ValueError(f"size {_show(value)} is out of range; it must be from 1B to {format_size(MAX_SIZE)}")
    if amount != int(amount):
        raise ValueError(f"size {_show(value)} is not a whole number of bytes")
    return int(amount)


def parse_duration(value: object) -> float:
    """Return the seconds that `value` means: a number of seconds, or text such as "200ms" or "2m".

    Units are those of `DURATIONS`; case matters, for "M" is no minute.

    Raises:
        ValueError: It is no duration, or not between a microsecond and a year.
    """
    if isinstance(value, str):
        number, unit = _split(value, "duration", "200ms", DURATIONS)
        factor = DURATIONS.get(unit)
        if factor is None:
            raise ValueError(_unknown_unit(value, unit, DURATIONS))
        amount: float | Decimal = number * factor
    elif isinstance(value, int | float) and not isinstance(value, bool):
        amount = value
    else:
        raise ValueError("a duration is a number of seconds or text such as '200ms'")
    if not MIN_DURATION <= amount <= MAX_DURATION:
        raise ValueError(f"duration {_show(value)} is out of range; it must be from 1us to 365d")
    return float(amount)


def format_size(size: int) -> str:
    """Return `size` bytes as text that `parse_size` reads back, such as "64MiB"."""
    for unit in ("TiB", "GiB", "MiB", "KiB", "TB", "GB", "MB", "kB"):
        if size % SIZES[unit] == 0:
            return f"{size // SIZES[unit]}{unit}"
    return f"{size}B"


def format_duration(seconds: float) -> str:
    """Return `seconds` as text that `parse_duration` reads back, such as "200ms"."""
    exact = Decimal(repr(float(seconds)))
    for unit in ("d", "h", "m", "s", "ms", "us"):
        amount = exact / DURATIONS[unit]
        if amount == int(amount) and amount * DURATIONS[unit] == exact:
            return f"{int(amount)}{unit}"
    return f"{exact:f}s"


def _split(text: str, what: str, example: str, units: Mapping[str, object]) -> tuple[Decimal, str]:
    match = _QUANTITY.fullmatch(text)
    if match is None:
        raise ValueError(f"{_show(text)} is not a {what}; expected a number with a unit, as in {example!r}")
    if not match[2]:
        raise ValueError(f"{what} {_show(text)} has no unit; expected one of {', '.join(units)}, as in {example!r}")
    return Decimal(match[1]), match[2]


def _unknown_unit(text: str, unit: str, units: Mapping[str, object]) -> str:
    advice = did_you_mean(unit, units) or f"expected one of {', '.join(units)}"
    return f"{_show(text)} has the unknown unit {_show(unit)}; {advice}"


def _show(value: object) -> str:
    if isinstance(value, int) and abs(value) > 10**20:
        return "too large a number" if value > 0 else "a negative number"
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:36]}...'"


Size = Annotated[
    int,
    Meta(
        description="a size such as '64MiB', or a number of bytes",
        examples=["64MiB", 1024],
        extra={"parse": parse_size},
        extra_json_schema={"type": ["string", "integer"], "minimum": 1},
    ),
]
"""A number of bytes in a Struct; written as `parse_size` reads it."""

Duration = Annotated[
    float,
    Meta(
        description="a duration such as '200ms', or a number of seconds",
        examples=["200ms", 1.5],
        extra={"parse": parse_duration},
        extra_json_schema={"type": ["string", "number"], "exclusiveMinimum": 0},
    ),
]
"""A number of seconds in a Struct; written as `parse_duration` reads it."""
