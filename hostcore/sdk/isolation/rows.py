"""What comes out: a row for each attack, and the report that holds them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

BUDGET: Final = 10.0
"""Milliseconds: what the bystanders' p99 should stay below; beyond it is a warning, and no failure."""
CONTAINED: Final = "contained"
THROUGH: Final = "got through"
UNTRIED: Final = "not tried"


class Latency(msgspec.Struct):
    """How late a bystander answered, in milliseconds."""

    count: int
    p50: float
    p99: float
    max: float


class Row(msgspec.Struct):
    """What became of one attack.

    Attributes:
        attack: Its name.
        tried: What it does.
        isolation: What the module ran in.
        verdict: CONTAINED, THROUGH or UNTRIED.
        how: What contained it; or what got through, or why it was not tried.
        seconds: How long it took, all in all.
        bystanders: Host of the bystander -> how late it answered meanwhile.
    """

    attack: str
    tried: str
    isolation: str
    verdict: str
    how: str
    seconds: float = 0.0
    bystanders: dict[str, Latency] = {}

    @property
    def p99(self) -> float:
        """The worse of the bystanders' p99, in milliseconds; 0 if nobody was watched."""
        return max((latency.p99 for latency in self.bystanders.values()), default=0.0)

    @property
    def late(self) -> bool:
        """Whether that is beyond the budget."""
        return self.p99 > BUDGET


class Report(msgspec.Struct):
    """What became of all.

    Attributes:
        module: What was tested, or "" for the built-in attacks.
        rows: What became of each.
        seconds: How long it took.
        left: Processes that had to be ended at the end, which is a finding too.
        error: Why nothing could be tried, or "".
    """

    module: str
    rows: list[Row]
    seconds: float = 0.0
    left: int = 0
    error: str = ""

    @property
    def ok(self) -> bool:
        """Whether nothing got through, and something was tried."""
        return not self.problems() and not self.error and any(row.verdict == CONTAINED for row in self.rows)

    def problems(self) -> list[str]:
        """Return what got through, a line each."""
        found = [f"{row.attack}: {row.how}" for row in self.rows if row.verdict == THROUGH]
        return [*found, f"{self.left} processes were left at the end"] if self.left else found

    def as_data(self) -> dict[str, Any]:
        """Return the report as plain data."""
        data: dict[str, Any] = msgspec.to_builtins(self)
        for row, plain in zip(self.rows, data["rows"], strict=True):
            plain["late"] = row.late
        return {"ok": self.ok, "problems": self.problems(), "budget_ms": BUDGET, **data}


def latency_of(seconds: Sequence[float]) -> Latency:
    """Return the figures for what was measured."""
    found = sorted(seconds)
    if not found:
        return Latency(0, 0.0, 0.0, 0.0)

    def at(share: float) -> float:
        return round(found[min(len(found) - 1, int(len(found) * share))] * 1e3, 3)

    return Latency(len(found), at(0.5), at(0.99), round(found[-1] * 1e3, 3))
