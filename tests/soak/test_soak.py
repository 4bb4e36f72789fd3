"""The soak, in short: as many faults as a test may take, none of its seconds."""

from __future__ import annotations

from soak.outcome import tables
from soak.soaking import soak


def test_soak() -> None:
    """Whatever is done to modules, every message has one outcome, everything ends, and nothing is left."""
    outcome = soak(seed=5, faults=60, clients=8, scale=2)
    assert not outcome.problems, tables(outcome)
    assert outcome.crashes > 0
    assert outcome.outcomes["request"]["answered"] > 0
