"""What came of a soak: as data, and as tables for a terminal."""

from __future__ import annotations

import io
from collections.abc import Mapping

import msgspec
from rich.console import Console
from rich.table import Table

from hostcore.cli.bench.measuring import percentile

SHARES = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999}


class Outcome(msgspec.Struct, kw_only=True):
    """What came of a soak.

    Attributes:
        seed: What it can be repeated with.
        seconds: How long it took.
        modules: How many modules there were.
        faults: Kind of fault -> how many.
        operations: Operation -> outcome -> how many.
        sent: Kind of message -> how many.
        outcomes: Kind of message -> outcome -> how many.
        dead_letters: How many the system counted.
        latest_ms: How long after its deadline a request ended, at the latest.
        crashes: How many crashes were noticed.
        restarts: How many modules were brought back.
        bystander_ms: How long a bystander waited, and how often it asked.
        load_average: How many processes wanted a processor in the last minute: on a busy machine everybody waits.
        memory_mb: Resident memory when all was loaded, when faults ended, and when the system had stopped.
        problems: What must not have been.
    """

    seed: int
    seconds: float = 0.0
    modules: int = 0
    faults: dict[str, int] = {}
    operations: dict[str, dict[str, int]] = {}
    sent: dict[str, int] = {}
    outcomes: dict[str, dict[str, int]] = {}
    dead_letters: int = 0
    latest_ms: float = 0.0
    crashes: int = 0
    restarts: int = 0
    bystander_ms: dict[str, float] = {}
    load_average: float = 0.0
    memory_mb: dict[str, float] = {}
    problems: list[str] = []


def nested(counts: Mapping[tuple[str, str], int]) -> dict[str, dict[str, int]]:
    """Return counts by what and outcome as a table in a table."""
    found: dict[str, dict[str, int]] = {}
    for (what, outcome), count in sorted(counts.items()):
        found.setdefault(what, {})[outcome] = count
    return found


def figures(times: list[float]) -> dict[str, float]:
    """Return the percentiles of times in seconds, as milliseconds, and how many there were."""
    ordered = sorted(times)
    if not ordered:
        return {}
    found = {name: round(percentile(ordered, share) * 1e3, 3) for name, share in SHARES.items()}
    return {**found, "max": round(ordered[-1] * 1e3, 2), "asked": len(ordered)}


def tables(outcome: Outcome) -> str:
    """Return the outcome as text."""
    text = io.StringIO()
    console = Console(width=118, file=text, markup=False, highlight=False)
    for table in (_messages(outcome), _operations(outcome), _figures(outcome)):
        console.print(table)
    faults = ", ".join(f"{name} {count:,}" for name, count in sorted(outcome.faults.items()))
    console.print(f"{sum(outcome.faults.values()):,} faults: {faults}")
    for problem in outcome.problems:
        text.write(f"PROBLEM: {problem}\n")
    verdict = f"{len(outcome.problems)} PROBLEMS" if outcome.problems else "no problem"
    console.print(f"{verdict}; seed {outcome.seed}, {outcome.seconds:,.0f} s")
    return text.getvalue()


def _counted(counts: Mapping[str, int]) -> str:
    ordered = sorted(counts.items(), key=lambda item: -item[1])
    return ", ".join(f"{name} {count:,}" for name, count in ordered)


def _messages(outcome: Outcome) -> Table:
    table = Table("messages", "sent", "what became of them")
    for kind, sent in outcome.sent.items():
        table.add_row(kind, f"{sent:,}", _counted(outcome.outcomes.get(kind, {})))
    return table


def _operations(outcome: Outcome) -> Table:
    table = Table("operation", "what became of it")
    for what, counts in outcome.operations.items():
        table.add_row(what, _counted(counts))
    return table


def _figures(outcome: Outcome) -> Table:
    table = Table("figure", "")
    table.add_row("modules", str(outcome.modules))
    table.add_row("crashes, brought back", f"{outcome.crashes:,}, {outcome.restarts:,}")
    table.add_row("dead letters", f"{outcome.dead_letters:,}")
    table.add_row("latest end of a request after its deadline", f"{outcome.latest_ms:,.1f} ms")
    waited = ", ".join(f"{name} {value:g}" for name, value in outcome.bystander_ms.items())
    table.add_row("bystander, ms from when its request was due", waited)
    table.add_row("load average of the machine at the end", f"{outcome.load_average:.1f}")
    table.add_row("resident memory, MB", ", ".join(f"{when} {mb:g}" for when, mb in outcome.memory_mb.items()))
    return table
