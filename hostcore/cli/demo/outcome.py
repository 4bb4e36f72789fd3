"""What came of the demo, and what must hold of it."""

from __future__ import annotations

from typing import Any

import msgspec

from hostcore.runtime.reports import ReloadReport


class Expectation(msgspec.Struct, frozen=True):
    """Something that must hold.

    Attributes:
        text: What, as a fact: "no request failed".
        ok: Whether it does.
        detail: The figures.
    """

    text: str
    ok: bool
    detail: str = ""


class Requests(msgspec.Struct, kw_only=True):
    """The requests for files to be parsed.

    Attributes:
        sent: How many.
        answered: How many got a reply.
        failed: How many got an error; `errors` has the first few.
        during_reload: How many were asked before the reload ended and answered after it began.
        p50_ms: The median time from question to reply.
        p99_ms: The 99th percentile of the same.
    """

    sent: int = 0
    answered: int = 0
    failed: int = 0
    during_reload: int = 0
    errors: list[str] = []
    p50_ms: float = 0.0
    p99_ms: float = 0.0


class Found(msgspec.Struct, kw_only=True):
    """What the parser found, each file counted once.

    Attributes:
        files: How many files were parsed.
        lines: Their lines.
        symbols: How many symbols of each kind.
        errors: How many places are not Python.
    """

    files: int = 0
    lines: int = 0
    symbols: dict[str, int] = {}
    errors: int = 0


class Counts(msgspec.Struct, kw_only=True):
    """What the parser says of itself when asked for its count: before the reload, after it, and at the end."""

    before: dict[str, int] = {}
    after: dict[str, int] = {}
    end: dict[str, int] = {}


class Contained(msgspec.Struct, kw_only=True):
    """The module that raises on purpose.

    Attributes:
        module: Its name.
        messages: How many it got.
        failed: On how many it raised.
        reported: How many events told of it.
        error: What who asks it is told.
    """

    module: str
    messages: int = 0
    failed: int = 0
    reported: int = 0
    error: str = ""


class Outcome(msgspec.Struct, kw_only=True):
    """All of it.

    Attributes:
        path: Where the files are.
        files_found: How many there are.
        skipped: Name -> why it was not sent.
        complete: Whether every file had its turn before the time was up.
        rounds: How often each file was sent, on average.
        messages: How many messages all modules handled.
        modules: Each module's version.
        hosts: What each module runs in, as in "native" or "worker".
        statistics: The summary of the module `stats`, which counts every round.
        code: What the module `synthesis` rendered.
        seconds: How long it all took.
        ok: Whether every expectation holds.
    """

    path: str
    files_found: int
    skipped: dict[str, str]
    complete: bool
    rounds: float
    found: Found
    requests: Requests
    messages: int
    reload: ReloadReport
    counts: Counts
    grumpy: Contained
    statistics: dict[str, Any]
    code: str
    modules: dict[str, str]
    hosts: dict[str, str]
    lost: list[str]
    seconds: float = 0.0
    expectations: list[Expectation] = []
    ok: bool = False


def judge(outcome: Outcome, new_field: str) -> list[Expectation]:
    """Return what must hold, and whether it does."""
    asked, counts, grumpy, report = outcome.requests, outcome.counts, outcome.grumpy, outcome.reload
    before, after, end = (count.get("files", -1) for count in (counts.before, counts.after, counts.end))
    return [
        Expectation(
            "no request failed", asked.failed == 0 and asked.answered == asked.sent, f"{asked.failed} of {asked.sent}"
        ),
        Expectation(
            "the reload came through",
            not report.rolled_back and report.new_version != report.old_version,
            report.reason or f"{report.old_version} -> {report.new_version}",
        ),
        Expectation("requests were in flight meanwhile", asked.during_reload > 0, f"{asked.during_reload}"),
        Expectation(
            "the parser's count went on",
            0 < before <= after <= end == asked.answered,
            f"{before} before, {after} after, {end} at the end; {asked.answered} answered",
        ),
        Expectation(
            "the new code answers",
            new_field not in counts.before and new_field in counts.after and counts.end.get(new_field, 0) > 0,
            f"{new_field} = {counts.end.get(new_field, 'missing')}",
        ),
        Expectation(
            "statistics heard of every file",
            outcome.statistics.get("files") == asked.answered,
            f"{outcome.statistics.get('files')} of {asked.answered}",
        ),
        Expectation("no message was lost", not outcome.lost, f"{len(outcome.lost)} dead letters"),
        Expectation(
            "what the grumpy module raised was contained",
            grumpy.failed == grumpy.messages == grumpy.reported == asked.answered + 1,
            f"{grumpy.failed} errors of {grumpy.module}",
        ),
        Expectation("synthesis rendered code", "class " in outcome.code, f"{outcome.code.count(chr(10))} lines"),
    ]
