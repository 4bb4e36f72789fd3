"""What must hold of an outcome, and what is said when it does not."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from hostcore.cli.demo.outcome import Contained, Counts, Found, Outcome, Requests, judge
from hostcore.cli.demo.projects import next_version
from hostcore.runtime.reports import ReloadReport


def good() -> Outcome:
    return Outcome(
        path=".", files_found=2, skipped={}, complete=True, rounds=5.0, found=Found(files=2),
        requests=Requests(sent=10, answered=10, during_reload=3), messages=31,
        reload=ReloadReport(module="parser", old_generation=1, new_generation=2, old_version="1", new_version="2"),
        counts=Counts(before={"files": 4}, after={"files": 6, "new": 1}, end={"files": 10, "new": 9}),
        grumpy=Contained(module="grumpy", messages=11, failed=11, reported=11),
        statistics={"files": 10}, code="class Found: ...\n", modules={}, hosts={}, lost=[],
    )  # fmt: skip


def broken(outcome: Outcome) -> list[str]:
    return [expectation.text for expectation in judge(outcome, "new") if not expectation.ok]


def test_all_is_well() -> None:
    """Where everything went as it must, every expectation holds."""
    assert broken(good()) == []


@pytest.mark.parametrize(
    ("part", "changes", "text"),
    [
        ("requests", {"failed": 1, "sent": 11}, "no request failed"),
        ("requests", {"sent": 11}, "no request failed"),
        ("requests", {"during_reload": 0}, "requests were in flight meanwhile"),
        ("reload", {"rolled_back": True, "reason": "it raised"}, "the reload came through"),
        ("reload", {"new_version": "1"}, "the reload came through"),
        ("counts", {"after": {"files": 0, "new": 1}}, "the parser's count went on"),
        ("counts", {"end": {"files": 9, "new": 9}}, "the parser's count went on"),
        ("counts", {"before": {}}, "the parser's count went on"),
        ("counts", {"end": {"files": 10}}, "the new code answers"),
        ("counts", {"before": {"files": 4, "new": 0}}, "the new code answers"),
        ("grumpy", {"failed": 10}, "what the grumpy module raised was contained"),
        ("grumpy", {"reported": 0}, "what the grumpy module raised was contained"),
        (None, {"statistics": {"files": 9}}, "statistics heard of every file"),
        (None, {"statistics": {}}, "statistics heard of every file"),
        (None, {"lost": ["mailbox of 'stats' is full"]}, "no message was lost"),
        (None, {"code": ""}, "synthesis rendered code"),
    ],
)
def test_what_goes_wrong_is_named(part: str | None, changes: dict[str, Any], text: str) -> None:
    """Each thing that can go wrong breaks the one expectation that is about it."""
    outcome = good()
    if part is None:
        outcome = msgspec.structs.replace(outcome, **changes)
    else:
        setattr(outcome, part, msgspec.structs.replace(getattr(outcome, part), **changes))
    assert broken(outcome) == [text]


@pytest.mark.parametrize(("version", "following"), [("1.0.0", "1.1.0"), ("0", "0.1.0"), ("2.9.4rc1", "2.10.0")])
def test_next_version(version: str, following: str) -> None:
    """The changed release has the next minor version."""
    assert next_version(version) == following
