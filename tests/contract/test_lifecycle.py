"""The lifecycle: every state, every signal."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hostcore.contract.lifecycle import TRANSITIONS, Signal, State, advance
from hostcore.errors import LifecycleError

W, L, R, D, F, S = State.WAITING, State.LOADING, State.RUNNING, State.DRAINING, State.FAILED, State.STOPPED
X, Q = State.RESTARTING, State.QUARANTINED
TABLE = {
    #            load   ready  drain  resume crash  quar.  fail   stop
    W: (         L,     None,  None,  None,  None,  None,  F,     S),
    L: (         None,  R,     None,  None,  None,  None,  F,     S),
    R: (         None,  None,  D,     None,  X,     None,  F,     None),
    D: (         None,  None,  None,  R,     X,     None,  F,     S),
    X: (         None,  R,     None,  None,  None,  Q,     F,     S),
    Q: (         None,  R,     None,  None,  None,  None,  None,  S),
    F: (         L,     None,  None,  None,  None,  None,  None,  S),
    S: (         None,  None,  None,  None,  None,  None,  None,  None),
}  # fmt: skip
ORDER = (
    Signal.LOAD, Signal.READY, Signal.DRAIN, Signal.RESUME, Signal.CRASH, Signal.QUARANTINE, Signal.FAIL, Signal.STOP,
)  # fmt: skip


@pytest.mark.parametrize(("state", "signal"), list(itertools.product(State, Signal)), ids=lambda member: member.value)
def test_every_pair(state, signal):
    """Each signal leads where the table says, or nowhere with an error that lists what fits."""
    expected = TABLE[state][ORDER.index(signal)]
    if expected is not None:
        assert advance(state, signal, module="m") is expected
        return
    with pytest.raises(LifecycleError) as caught:
        advance(state, signal, module="m")
    assert caught.value.message == f"'m' is {state.value} and cannot {signal.value}"
    fitting = [s.value for s, after in zip(ORDER, TABLE[state], strict=True) if after]
    listed = caught.value.problems[0].expected.removeprefix("signals that fit: ")
    assert listed == "none: it is gone for good" if not fitting else sorted(listed.split(", ")) == sorted(fitting)


def test_the_table_is_complete():
    """Every state has a row, and every signal is of use somewhere."""
    assert set(TRANSITIONS) == set(State)
    assert {signal for moves in TRANSITIONS.values() for signal in moves} == set(Signal)


@given(st.lists(st.sampled_from(Signal)))
def test_a_wrong_signal_changes_nothing(signals):
    """In any sequence of signals, wrong ones leave no trace, and every module can still be brought to its end."""
    state = State.WAITING
    for signal in signals:
        try:
            after = advance(state, signal)
        except LifecycleError:
            assert advance_or_none(state, signal) is None
        else:
            assert after is not state
            state = after
    while state is not State.STOPPED:
        state = advance_or_none(state, Signal.STOP) or advance(state, Signal.DRAIN)


def advance_or_none(state, signal):
    """Return the state after `signal`, or None."""
    return TRANSITIONS[state].get(signal)


def test_stopped_is_the_end():
    """Nothing leads out of STOPPED, and nothing else is a dead end."""
    assert [state for state in State if not TRANSITIONS[state]] == [State.STOPPED]
