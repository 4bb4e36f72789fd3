"""The ladder: what to do about a crash, decided without touching anything."""

from __future__ import annotations

import itertools
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from hostcore.runtime.supervision.ladder import Rules, Rung, Standing, Step, after_failure

ALL = (Rung.ROLLBACK, Rung.DEMOTE)
MIDDLE = 0.5
"""The chance that leaves a wait as it is."""


def fail(standing=Standing(), rules=Rules(), ways=ALL, *, healthy=False, hopeless=False, chance=MIDDLE) -> Step:
    return after_failure(standing, rules, ways, healthy=healthy, hopeless=hopeless, chance=chance)


def steps(count: int, **options) -> list[Step]:
    """Return what is done about so many failures in a row."""
    found: list[Step] = []
    for _ in range(count):
        found.append(fail(found[-1].standing if found else Standing(), **options))
    return found


def test_the_whole_ladder():
    """A module that only crashes has its tries on each rung, and ends in quarantine."""
    done = [step.do.value for step in steps(19)]
    expected = [*["restart"] * 5, "rollback", *["restart"] * 5, "demote", *["restart"] * 5, "quarantine", "quarantine"]
    assert done == expected


def test_the_waits():
    """The first restart in a row is at once, the waits before the next double up to the longest."""
    rules = Rules(tries=12)
    waits = [step.delay for step in steps(12, rules=rules)]
    assert waits == pytest.approx([0, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30, 30])


@pytest.mark.parametrize(("chance", "factor"), [(0.0, 0.8), (0.5, 1.0), (1.0, 1.2)])
def test_the_jitter(chance, factor):
    """Chance makes a wait up to a fifth shorter or longer."""
    assert fail(Standing(failures=1), chance=chance).delay == pytest.approx(0.1 * factor)
    assert fail(Standing(Rung.QUARANTINE), chance=chance).delay == pytest.approx(300 * factor)


@pytest.mark.parametrize(
    "standing", [Standing(), Standing(failures=5), Standing(Rung.DEMOTE, 5), Standing(Rung.QUARANTINE)]
)
def test_health(standing):
    """Whoever was well for a while begins at the bottom again."""
    assert fail(standing, healthy=True) == Step(Rung.RESTART, 0.0, Standing(failures=1))


@pytest.mark.parametrize(
    ("ways", "expected"),
    [
        (ALL, ["rollback", "demote", "quarantine"]),
        ((Rung.ROLLBACK,), ["rollback", "quarantine", "quarantine"]),
        ((Rung.DEMOTE,), ["demote", "quarantine", "quarantine"]),
        ((), ["quarantine", "quarantine", "quarantine"]),
    ],
)
def test_what_does_not_load(ways, expected):
    """A copy that does not come up is not tried again: each failure climbs, past what cannot be done."""
    assert [step.do.value for step in steps(3, ways=ways, hopeless=True)] == expected


def test_a_start_on_trial():
    """A module that crashes again after its start on trial goes straight back, for as long as before."""
    step = fail(Standing(Rung.QUARANTINE))
    assert step == Step(Rung.QUARANTINE, 300.0, Standing(Rung.QUARANTINE))


@given(
    tries=st.integers(1, 1000), backoff=st.floats(1e-6, 3e7), longest=st.floats(1e-6, 3e7), jitter=st.floats(0, 1),
    failures=st.integers(0, 2000), chance=st.floats(0, 1),
)  # fmt: skip
def test_any_rules(tries, backoff, longest, jitter, failures, chance):
    """Whatever the rules are, a wait is a number of seconds from 0 up to what they allow."""
    rules = Rules(tries, backoff, longest, jitter)
    step = fail(Standing(failures=failures), rules, chance=chance)
    assert 0 <= step.delay < inf
    assert step.do is not Rung.RESTART or step.delay <= longest * (1 + jitter)


class LadderMachine(RuleBasedStateMachine):
    """Two modules under one clock: one that crashes as it likes, and one that is never touched."""

    STABLE = 60.0
    RULES = Rules()

    def __init__(self) -> None:
        super().__init__()
        self.clock = 0.0
        self.standing = Standing()
        self.running: float | None = 0.0  # since when it runs
        self.due: Step | None = None
        self.at = 0.0
        self.ways = list(ALL)
        self.unwell: list[float] = []  # its starts since it was last well
        self.trials = 0
        self.other = Standing()

    def _crashed(self, *, hopeless: bool, ways: tuple[Rung, ...], chance: float) -> None:
        healthy = self.running is not None and self.clock - self.running >= self.STABLE
        if healthy:
            self.unwell, self.trials = [], 0
        step = fail(self.standing, self.RULES, ways, healthy=healthy, hopeless=hopeless, chance=chance)
        self.standing, self.due, self.running, self.at = step.standing, step, None, self.clock + step.delay

    @precondition(lambda self: self.running is not None)
    @rule(after=st.floats(0, 200), ways=st.sets(st.sampled_from(ALL)), chance=st.floats(0, 1))
    def crash(self, after, ways, chance):
        """It runs for a while, and crashes."""
        self.clock += after
        self._crashed(hopeless=False, ways=tuple(ways), chance=chance)

    @precondition(lambda self: self.running is None)
    @rule(comes_up=st.booleans(), ways=st.sets(st.sampled_from(ALL)), chance=st.floats(0, 1))
    def start(self, comes_up, ways, chance):
        """What was decided is done when its time has come."""
        assert self.due is not None
        self.clock = max(self.clock, self.at)
        if self.due.do is Rung.QUARANTINE:
            self.trials += 1
        else:
            self.unwell.append(self.clock)
        if comes_up:
            self.running, self.due = self.clock, None
        else:
            self._crashed(hopeless=True, ways=tuple(ways), chance=chance)

    @invariant()
    def few_starts(self):
        """Without health in between there are never more starts than all rungs together have."""
        assert len(self.unwell) <= (self.RULES.tries + 1) * 3
        for early, late in itertools.pairwise(self.unwell):
            assert early <= late

    @invariant()
    def it_runs_or_is_to_be_started(self):
        """It never stands still: it runs, or something is due; in quarantine, after the long wait."""
        assert (self.running is None) != (self.due is None)
        if self.due is not None and self.due.do is Rung.QUARANTINE:
            assert self.due.delay >= self.RULES.quarantine * (1 - self.RULES.jitter)

    @invariant()
    def nobody_else(self):
        """What one module does moves no other."""
        assert self.other == Standing()


test_the_ladder_as_a_machine = LadderMachine.TestCase
