"""The module's hooks, called as a host calls them."""

from __future__ import annotations

import pytest

from hostcore_synthesis import SpecError, Synthesis
from hostcore_synthesis.messages import GetCounts

FUNCTION = {"kind": "function", "name": "f"}


@pytest.fixture
def synthesis() -> Synthesis:
    """A module that has just started."""
    synthesis = Synthesis()
    synthesis.initialize()
    return synthesis


def test_execute(synthesis: Synthesis) -> None:
    """The result holds the kind and the code."""
    assert synthesis.execute(FUNCTION) == {"kind": "function", "code": "def f():\n    ...\n"}


def test_counts(synthesis: Synthesis, message) -> None:
    """What was rendered is counted by kind; what was refused is not."""
    synthesis.execute(FUNCTION)
    synthesis.execute(FUNCTION)
    with pytest.raises(SpecError):
        synthesis.execute({"kind": "enum"})
    counts = {"dataclass": 0, "enum": 0, "function": 2, "test": 0}
    assert synthesis.handle_message(message(GetCounts())) == counts


def test_state(synthesis: Synthesis) -> None:
    """The counts go on from the state; a kind that is no more is dropped, a new one begins at zero."""
    synthesis.restore_state({"function": 2, "poem": 5})
    synthesis.execute(FUNCTION)
    assert synthesis.get_state() == {"dataclass": 0, "enum": 0, "function": 3, "test": 0}


def test_state_is_a_snapshot(synthesis: Synthesis) -> None:
    """A state that was taken does not change when more is rendered."""
    state = synthesis.get_state()
    synthesis.execute(FUNCTION)
    assert state["function"] == 0
