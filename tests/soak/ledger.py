"""The ledger: every message that was sent, and what became of it.

Each message has a number of its own, which its topic ends with.  A request has exactly one outcome: a reply, a named
error, or its asker gave up.  What nobody awaits has an outcome as well, once for every receiver: the module's handler
ended, or failed, or it is a dead letter, or it was refused when it was sent.  `judge` says which messages have none,
and which were handled when they must not have been: again without a crash, or although they were refused.
"""

from __future__ import annotations

import sys
from collections import Counter, defaultdict
from typing import Any

from hostcore.errors import HostcoreError, WorkerDiedError
from hostcore.runtime import events

SEEN, FAILED, DEAD, CRASHED = "seen", "failed", "dead", "crashed"
LOST = "lost"
DIED = WorkerDiedError.code
"""With a worker goes no message that nobody awaits: it is handled again, or is a dead letter."""
_PLAIN = {what: (what, "") for what in (SEEN, FAILED, DEAD, CRASHED)}
Trace = list[tuple[str, str]]
"""What is known of a message at one receiver: what happened, and a code or reason."""


class Ledger:
    """Writes down what is sent and what happens; as a host service, what modules begin to handle.

    Attributes:
        sent: Kind -> how many messages.
        outcomes: (kind, outcome) -> how many.
        problems: What must not have been, in words; at most `MOST`.
        bad: How many such there were.
    """

    MOST = 50

    def __init__(self) -> None:
        self.sent: Counter[str] = Counter()
        self.outcomes: Counter[tuple[str, str]] = Counter()
        self.problems: list[str] = []
        self.bad = 0
        self.dead = 0
        self.latest = 0.0  # how long after its deadline a request ended, at the latest
        self._times_seen = bytearray(1)  # by number: of a request, how often it was handled; small, as there are many
        self._awaited = bytearray(1)  # by number: whether it is a request
        self._refused: set[int] = set()
        self._expected: dict[int, tuple[str, int]] = {}  # of what nobody awaits: its kind, and how many receive it
        self._traces: defaultdict[int, defaultdict[str, Trace]] = defaultdict(lambda: defaultdict(list))

    def problem(self, text: str) -> None:
        """Write down what must not have been."""
        self.bad += 1
        if len(self.problems) < self.MOST:
            self.problems.append(text)

    # --- what is sent ------------------------------------------------------------------------------------------

    def new(self, kind: str) -> int:
        """Return the number of a new message."""
        self.sent[kind] += 1
        self._times_seen.append(0)
        self._awaited.append(kind not in ("send", "publish"))
        return len(self._awaited) - 1

    def ended(self, kind: str, error: BaseException | None = None) -> None:
        """Write down how a request ended."""
        self.outcomes[kind, "answered" if error is None else self._name(kind, error)] += 1

    def _name(self, kind: str, error: BaseException) -> str:
        if isinstance(error, HostcoreError):
            return code_of(error)
        self.problem(f"a {kind} ended with {type(error).__name__}: {error}")
        return "unnamed error"

    def refused(self, kind: str, number: int, error: BaseException) -> None:
        """Write down that a message was not taken, and so must not be handled."""
        self.outcomes[kind, f"refused {self._name(kind, error)}"] += 1
        self._refused.add(number)

    def taken(self, kind: str, number: int, receivers: int = 1) -> None:
        """Write down that a message was taken, for so many receivers; `judge` looks for what becomes of it there."""
        self._expected[number] = (kind, receivers)

    def dead_so_far(self, number: int) -> int:
        """Return how many receivers of a message it was a dead letter for at once."""
        return sum(trace[0][0] == DEAD for trace in self._traces[number].values())

    # --- what happens ------------------------------------------------------------------------------------------

    def seen(self, topic: str, who: str) -> None:
        """Hear, from the module itself, that it begins to handle a message."""
        self._note(topic, who, SEEN)

    def happened(self, event: str, facts: dict[str, Any]) -> None:
        """Hear one of the system's events."""
        topic = facts.get("topic", "")
        if event == events.DEAD:
            self.dead += 1
            self._note(topic, facts["target"], DEAD, facts["reason"])
        elif event == events.HANDLER_FAILED:
            self._note(topic, facts["module"], FAILED, facts["error"].get("code", "unnamed error"))
        elif event == events.CRASHED:
            self._note(topic, facts["module"], CRASHED)

    def _note(self, topic: str, who: str, what: str, detail: str = "") -> None:
        number = topic.rpartition(".")[2]
        if not number.isdecimal():
            return  # of no message of ours
        if not self._awaited[int(number)]:
            self._traces[int(number)][sys.intern(who)].append((what, detail) if detail else _PLAIN[what])
        elif what == SEEN:
            self._see(int(number), who)

    def _see(self, number: int, who: str) -> None:
        """Make sure that a request is handled once at most, by whomever, whatever becomes of that."""
        if self._times_seen[number]:
            self.problem(f"a request was handled again: {number} by {who}")
        else:
            self._times_seen[number] = 1

    # --- what became of it -------------------------------------------------------------------------------------

    def judge(self, dead_letters: int) -> None:
        """Count the outcomes of what nobody awaited, and look for what must not have been.

        Args:
            dead_letters: How many the system has counted.
        """
        for number in self._refused:
            for who, trace in self._traces.get(number, {}).items():
                self.problem(f"what was refused was handled: {number} by {who}: {trace}")
        for number, (kind, receivers) in self._expected.items():
            traces = self._traces.get(number, {})
            for who, trace in traces.items():
                self._check_again(number, who, trace)
                self.outcomes[kind, fate(trace)] += 1
                if fate(trace) in (LOST, DIED):
                    self.problem(f"{kind} {number} was lost at {who}: {trace}")
            missing = receivers - len(traces)
            if missing:
                self.outcomes[kind, LOST] += missing
                self.problem(f"{missing} of {kind} {number} to {receivers} vanished: {dict(traces)}")

        for kind, difference in self._unbalanced().items():
            self.problem(f"{kind}: {difference:+} outcomes more than messages")
        if dead_letters != self.dead:
            self.problem(f"{dead_letters} dead letters were counted and {self.dead} told of")

    def _check_again(self, number: int, who: str, trace: Trace) -> None:
        seen, crashed = (sum(what == kind for what, _ in trace) for kind in (SEEN, CRASHED))
        if seen > 1 + crashed:
            self.problem(f"a message was handled again without a crash: {number} by {who}: {trace}")

    def _unbalanced(self) -> dict[str, int]:
        """Return for each kind of message whose outcomes are not as many as were expected, by how many."""
        found = {}
        for kind, sent in self.sent.items():
            expected = sent + sum(receivers - 1 for known, receivers in self._expected.values() if known == kind)
            outcomes = sum(count for (known, _), count in self.outcomes.items() if known == kind)
            if outcomes != expected:
                found[kind] = outcomes - expected
        return found


def fate(trace: Trace) -> str:
    """Return the outcome of a message that nobody awaited, at one receiver."""
    whats = [what for what, _ in trace]
    if DEAD in whats:
        reason = trace[whats.index(DEAD)][1]
        return "dead letter: poison" if reason.startswith("poison") else "dead letter"
    if FAILED in whats and SEEN not in whats[len(whats) - whats[::-1].index(FAILED) :]:
        return next(detail for what, detail in reversed(trace) if what == FAILED)
    return "handled" if SEEN in whats else LOST


def code_of(error: HostcoreError) -> str:
    """Return the code that an error is known by."""
    return error.problems[0].code or error.code
