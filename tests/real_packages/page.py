"""Make docs/reference/packages.md from the results beside it.

    python tests/real_packages/page.py

`packages-3.13.json` holds what a run with Python 3.13 found; `run.py --write` writes it.  The table shows the figures
of the newest Python and, where another Python's outcome differs, says so.
"""

from __future__ import annotations

import datetime
import platform
from pathlib import Path

import msgspec

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"
PAGE = REFERENCE / "packages.md"
INTRODUCTION = """\
# Real packages

Each package is the private code of a small module: the package itself and its pure dependencies belong to the module's
generation; compiled dependencies, `typing_extensions` and `six` are shared. Two such modules are loaded side by side
and do the same exercise in turn, whose result is compared with that of an ordinary import. One is reloaded three times
and keeps its state while the other goes on. Then both are unloaded, and every module, class and function of the
generations must be gone. A second round does the same while the host has a copy of its own, which must stay as it is.

This page is made from results by `python -m tox run -e packages -- --write`; the exercises are in
`tests/real_packages/exercises/`.
"""
COLUMNS = """\
*Files* are the Python files that belong to the generation, those of private dependencies included. *Load* is the first
load of the module, *import* an ordinary import of the same files; both compile from source.
"""


class Outcome(msgspec.Struct):
    """What came of one package.

    Attributes:
        package: The distribution's name.
        version: Its version.
        files: The Python files that belong to a generation.
        private: The dependencies that belong to it too.
        plain_ms: How long an ordinary import takes, from source.
        load_ms: How long the first load takes.
        second_ms: How long the second load takes, beside the first.
        faults: What did not work; empty: all did.
        leaks: What was still alive at the end, as the leak reports name it; the first few.
        leaked: How many that were.
        held: Who holds it.
        does: What the exercise does.
        close: What the module has to do in its `shutdown`, or "".
    """

    package: str
    version: str = ""
    files: int = 0
    private: list[str] = []
    plain_ms: float = 0.0
    load_ms: float = 0.0
    second_ms: float = 0.0
    faults: list[str] = []
    leaks: list[str] = []
    leaked: int = 0
    held: list[str] = []
    does: str = ""
    close: str = ""

    @property
    def good(self) -> bool:
        """Whether it worked and is gone."""
        return not self.faults and not self.leaks

    @property
    def reason(self) -> str:
        """Why it is not good, in a line."""
        shown = list(dict.fromkeys(self.leaks))[:2]
        leaks = [f"alive: {', '.join(shown)}{_more(self.leaked - len(shown))}"] if self.leaks else []
        held = [f"held: {self.held[0]}"] if self.held else []
        return "; ".join([*self.faults[:2], *leaks, *held])


class Run(msgspec.Struct):
    """The results of one Python."""

    python: str
    date: str
    machine: str
    packages: list[Outcome]

    @property
    def short(self) -> str:
        """Major and minor version."""
        return ".".join(self.python.split(".")[:2])


def _more(count: int) -> str:
    return f" and {count} more" if count > 0 else ""


def save(outcomes: list[Outcome]) -> None:
    """Write the results of the running Python."""
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    run = Run(platform.python_version(), today, f"{platform.system()}, {platform.machine()}", outcomes)
    data = msgspec.json.format(msgspec.json.encode(run), indent=1)
    (REFERENCE / f"packages-{run.short}.json").write_bytes(data + b"\n")


def read() -> list[Run]:
    """Return the results that are kept, the newest Python first."""
    runs = [msgspec.json.decode(path.read_bytes(), type=Run) for path in REFERENCE.glob("packages-*.json")]
    return sorted(runs, key=lambda run: tuple(map(int, run.python.split("."))), reverse=True)


def document(runs: list[Run]) -> str:
    """Return the page's text."""
    newest, others = runs[0], runs[1:]
    rows = [_row(outcome, _elsewhere(outcome, others)) for outcome in newest.packages]
    exercises = [f"- **{outcome.package}**: {_escaped(outcome.does)}" for outcome in newest.packages]
    lines = [INTRODUCTION, *_counts(runs), "", COLUMNS, f"## Python {newest.short}", "", *_HEAD, *rows]
    return "\n".join([*lines, "", "## The exercises", "", *exercises]) + "\n"


_HEAD = [
    "| package | version | files | side by side | collected | load ms | import ms | load / import | note |",
    "|---|---|---:|---|---|---:|---:|---:|---|",
]


def _counts(runs: list[Run]) -> list[str]:
    lines = ["| Python | packages | work side by side | collected | both | run on |", "|---|---:|---:|---:|---:|---|"]
    for run in runs:
        works, gone, both = (
            sum(map(test, run.packages)) for test in (lambda o: not o.faults, lambda o: not o.leaks, lambda o: o.good)
        )
        lines.append(f"| {run.python} | {len(run.packages)} | {works} | {gone} | {both} | {run.date}, {run.machine} |")
    return lines


def _elsewhere(outcome: Outcome, others: list[Run]) -> list[str]:
    """Say on which other Pythons the outcome is another."""
    found = []
    for run in others:
        there = next((o for o in run.packages if o.package == outcome.package), None)
        if there is not None and there.good != outcome.good:
            found.append(f"Python {run.short}: {there.reason or 'works and is collected'}")
    return found


def _row(outcome: Outcome, elsewhere: list[str]) -> str:
    ratio = f"{outcome.load_ms / outcome.plain_ms:.2f}" if outcome.load_ms and outcome.plain_ms else ""
    close = f"in its shutdown: {outcome.close}" if outcome.close else ""
    note = "; ".join(filter(None, [outcome.reason, close, *elsewhere]))
    cells = [
        outcome.package, outcome.version, outcome.files, _yes(not outcome.faults), _yes(not outcome.leaks),
        f"{outcome.load_ms:.0f}", f"{outcome.plain_ms:.0f}", ratio, _escaped(note),
    ]  # fmt: skip
    return f"| {' | '.join(map(str, cells))} |"


def _yes(holds: bool) -> str:
    return "yes" if holds else "**no**"


def _escaped(text: str) -> str:
    for character in "\\|<>*_`[]":
        text = text.replace(character, f"\\{character}")
    return " ".join(text.split())


def write() -> None:
    """Write the page."""
    PAGE.write_text(document(read()), "utf-8")


if __name__ == "__main__":
    write()
