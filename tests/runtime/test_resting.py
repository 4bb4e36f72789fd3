"""How long a module rests that holds the event loop."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hostcore.runtime.supervision.resting import LONGEST, Debt, after_holding

SPANS = st.lists(st.tuples(st.floats(0, 100), st.floats(0, 100)), max_size=20)
"""How long it is quiet, and then holds the loop, each in seconds."""


def rests(spans: list[tuple[float, float]], factor: float = 1.0) -> list[tuple[float, float]]:
    """Let a module be quiet and hold the loop; return for each hold how long it took, and the rest after it."""
    debt, clock, found = Debt(), 0.0, []
    for quiet, held in spans:
        began = clock + quiet
        rest, debt = after_holding(debt, began, began + held, factor)
        found.append((held, rest))
        clock = began + held + rest
    return found


def test_the_first_time():
    """To hold the loop once costs nothing."""
    assert rests([(0, 5)]) == [(5, 0)]


def test_now_and_then():
    """What is paid by being quiet does not have to be rested for."""
    assert [rest for _, rest in rests([(0, 2), (2, 3), (3, 1)])] == [0, 0, 0]
    assert [rest for _, rest in rests([(0, 2), (0.5, 3)])] == [0, 1.5]


@pytest.mark.parametrize("factor", [0.5, 1, 3])
def test_without_end(factor):
    """One that never stops gets its share of the loop and no more: half of it with a factor of 1."""
    found = rests([(0, 0.25)] * 40, factor)
    held, rested = (sum(column) for column in zip(*found, strict=True))
    assert held / (held + rested) == pytest.approx(1 / (1 + factor), abs=0.03)


def test_the_longest_rest():
    """However long it held the loop, it rests for no more than some seconds."""
    assert [rest for _, rest in rests([(0, 1000)] * 3)] == [0, LONGEST, LONGEST]


def test_no_factor():
    """With the factor 0 nobody rests."""
    assert {rest for _, rest in rests([(0, 5)] * 5, 0)} == {0}


@given(SPANS, st.floats(0, 100))
def test_any_spans(spans, factor):
    """A rest is never longer than what was owed, nor than the longest; before the first debt there is none."""
    found = rests(spans, factor)
    owed = 0.0
    for held, rest in found:
        assert 0 <= rest <= min(owed + 1e-6, LONGEST)
        owed += held * factor
    assert all(rest == 0 for _, rest in found[:1])


@given(SPANS)
def test_being_quiet_never_costs(spans):
    """Whoever is quiet for longer before it holds the loop again does not rest for longer."""
    for (_, early), (quiet, late) in pairwise(spans):
        (_, (_, rest)) = rests([(0, early), (quiet, late)])
        (_, (_, longer)) = rests([(0, early), (quiet + 1, late)])
        assert longer <= rest
