"""The ledger finds what must not be: a soak that finds nothing has looked."""

from __future__ import annotations

from typing import Any

import pytest
from soak.ledger import Ledger
from soak.outcome import Outcome, figures, nested, tables

from hostcore.errors import DeadlineError, MailboxFullError
from hostcore.runtime import events


def dead(topic: str, target: str = "a", reason: str = "stopped") -> tuple[str, dict[str, Any]]:
    return events.DEAD, {"topic": topic, "target": target, "reason": reason}


def failed(topic: str, code: str = "HC302") -> tuple[str, dict[str, Any]]:
    return events.HANDLER_FAILED, {"topic": topic, "module": "a", "error": {"code": code}}


def crashed(topic: str) -> tuple[str, dict[str, Any]]:
    return events.CRASHED, {"topic": topic, "module": "a"}


SEEN = ("seen", {})
FATES: dict[str, tuple[list[Any], str, str]] = {
    "handled": ([SEEN], "handled", ""),
    "failed": ([SEEN, failed("echo.1")], "HC302", ""),
    "refused by a dead letter": ([dead("echo.1")], "dead letter", ""),
    "handled again after a crash": ([SEEN, crashed("echo.1"), failed("echo.1", "HC501"), SEEN], "handled", ""),
    "poison": (
        [SEEN, crashed("echo.1"), failed("echo.1", "HC501"), SEEN, crashed("echo.1"),
         dead("echo.1", reason="poison: twice"), failed("echo.1", "HC501")], "dead letter: poison", ""),
    "gone with its worker": ([SEEN, crashed("echo.1"), failed("echo.1", "HC501")], "HC501", "was lost at a"),
    "lost": ([crashed("echo.1")], "lost", "was lost at a"),
    "vanished": ([], "lost", "1 of send 1 to 1 vanished"),
    "handled twice": ([SEEN, SEEN], "handled", "handled again without a crash"),
}  # fmt: skip


@pytest.mark.parametrize("name", FATES)
def test_fates(name: str) -> None:
    """What nobody awaits has one outcome, which follows from what happened; what must not be is a problem."""
    happened, outcome, problem = FATES[name]
    ledger = Ledger()
    ledger.taken("send", ledger.new("send"))
    letters = 0
    for event, facts in happened:
        letters += event == events.DEAD
        if event == "seen":
            ledger.seen("echo.1", "a")
        else:
            ledger.happened(event, facts)
    ledger.judge(letters)
    assert dict(ledger.outcomes) == {("send", outcome): 1}
    assert [text for text in ledger.problems if problem not in text or not problem] == []
    assert bool(ledger.problems) == bool(problem)


def test_several_receivers() -> None:
    """A published message has an outcome for each who got it."""
    ledger = Ledger()
    number = ledger.new("publish")
    ledger.happened(*dead(f"event.{number}", "full"))
    ledger.taken("publish", number, 2 + ledger.dead_so_far(number))
    for who in ("a", "b"):
        ledger.seen(f"event.{number}", who)
    ledger.judge(1)
    assert dict(ledger.outcomes) == {("publish", "handled"): 2, ("publish", "dead letter"): 1}
    assert not ledger.problems


def test_requests() -> None:
    """A request ends once, with a reply or a named error, and is handled once at most."""
    ledger = Ledger()
    for _ in range(4):
        ledger.new("request")
    ledger.ended("request")
    ledger.ended("request", DeadlineError("late"))
    ledger.ended("request", ValueError("odd"))
    for _ in range(2):
        ledger.seen("echo.2", "a")
    ledger.judge(0)
    assert dict(ledger.outcomes) == {
        ("request", "answered"): 1, ("request", "HC404"): 1, ("request", "unnamed error"): 1,
    }  # fmt: skip
    assert [text.partition(":")[0] for text in ledger.problems] == [
        "a request ended with ValueError", "a request was handled again", "request",
    ]  # fmt: skip


def test_what_was_refused() -> None:
    """A message that was refused when it was sent must not be handled; dead letters must be as many as were told of."""
    ledger = Ledger()
    ledger.refused("send", ledger.new("send"), MailboxFullError("full"))
    ledger.seen("echo.1", "a")
    ledger.judge(1)
    assert dict(ledger.outcomes) == {("send", "refused HC403"): 1}
    assert [text.partition(":")[0] for text in ledger.problems] == [
        "what was refused was handled", "1 dead letters were counted and 0 told of",
    ]  # fmt: skip


def test_tables() -> None:
    """The outcome of a soak is shown with all counts and every problem."""
    outcome = Outcome(
        seed=7, sent={"send": 2}, outcomes=nested({("send", "handled"): 1, ("send", "lost"): 1}),
        faults={"kill": 3}, bystander_ms=figures([0.001, 0.002]), problems=["send 1 was lost at [a]"],
    )  # fmt: skip
    text = tables(outcome)
    for part in ("handled 1, lost 1", "kill 3", "PROBLEM: send 1 was lost at [a]", "1 PROBLEMS; seed 7", "max 2"):
        assert part in text
