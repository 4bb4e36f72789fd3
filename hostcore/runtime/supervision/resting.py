"""How long a module rests that holds the event loop.  Decides and touches nothing.

Whoever holds the loop owes the others so many times as much, and pays while it is quiet.  Whoever holds it again before
it has paid rests for what it still owes: so one that never stops gets half of the loop's time, with a factor of 1.
Holding it now and then, which on a busy machine may be nobody's fault, costs nothing.
"""

from __future__ import annotations

from math import inf
from typing import NamedTuple

LONGEST = 10.0
"""Seconds; a module that owes more has been in the way enough, and so have its callers waited."""


class Debt(NamedTuple):
    """What a module owed, in seconds, and when."""

    owed: float = 0.0
    since: float = -inf


def after_holding(debt: Debt, began: float, ended: float, factor: float) -> tuple[float, Debt]:
    """Return for how long a module rests, and what it owes then.

    Args:
        debt: What it owed before.
        began: When it began to hold the loop, in seconds.
        ended: When it let go of it.
        factor: How many times as much it owes.
    """
    owed = max(0.0, debt.owed - max(0.0, began - debt.since))
    more = max(0.0, ended - began) * factor
    return min(owed, LONGEST), Debt(min(owed + more, 2 * LONGEST), ended)
