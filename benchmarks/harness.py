"""What all subjects share: the shape of a result, and how a subject's file is run.

A subject is one file with `TITLE`, a docstring that says what is measured and how, and `run(quick)`, which returns
a `Result`.  `main` runs it in the process of its own that `run.py` gives it.
"""

from __future__ import annotations

import argparse
import inspect
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from hostcore.cli.bench.measuring import Figures

Cell = str | int | float | None


class Budget(msgspec.Struct, frozen=True):
    """A limit, and what was measured.  `met` is information: no benchmark fails because of it."""

    what: str
    limit: str
    measured: str
    met: bool


class Result(msgspec.Struct, kw_only=True):
    """The outcome of one subject: a table (column -> cell for each row) and the budgets that it touches.

    `curves` are what is drawn: name -> pairs of x and y.  `measured` says when, with which Python and at which load.
    """

    subject: str = ""
    title: str = ""
    about: str = ""
    quick: bool = False
    seconds: float = 0.0
    rows: list[dict[str, Cell]] = []
    budgets: list[Budget] = []
    curves: dict[str, list[tuple[float, float]]] = {}
    measured: str = ""
    error: str = ""


def timing(figures: Figures, **more: Cell) -> dict[str, Cell]:
    """Return the row for one contestant's figures."""
    row: dict[str, Cell] = {"what": figures.name}
    if figures.p50_us is not None:
        row |= {"p50 us": figures.p50_us, "p99 us": figures.p99_us, "p99.9 us": figures.p999_us}
    return row | {"a second": round(figures.per_second), "calls": figures.count} | more


def at_most(what: str, value: float, limit: float, unit: str) -> Budget:
    """Return the budget that `value` stays at or under `limit`."""
    return Budget(what, f"<= {limit:g} {unit}", f"{value:.4g} {unit}", value <= limit)


def at_least(what: str, value: float, limit: float, unit: str) -> Budget:
    """Return the budget that `value` reaches `limit`."""
    return Budget(what, f">= {limit:,g} {unit}", f"{value:,.4g} {unit}", value >= limit)


def rss_mb() -> float:
    """Return this process's resident memory in MB (2**20 bytes)."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


@contextmanager
def scratch() -> Iterator[Path]:
    """Give a temporary directory while the block lasts."""
    with tempfile.TemporaryDirectory(prefix="hostcore-bench-") as name:
        yield Path(name)


def main(run: Callable[[bool], Result]) -> None:
    """Run one subject as its file's command line asks, and print the result as JSON."""
    module: Any = sys.modules["__main__"]
    parser = argparse.ArgumentParser(description=inspect.cleandoc(module.__doc__).partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a fraction of the time: to see that it works")
    options = parser.parse_args()
    out, sys.stdout = sys.stdout, sys.stderr  # what is printed meanwhile must not mix with the result
    began = time.perf_counter()
    result = run(options.quick)
    result.subject = Path(module.__file__).stem
    result.title = module.TITLE
    result.about = inspect.cleandoc(module.__doc__)
    result.quick = options.quick
    result.seconds = round(time.perf_counter() - began, 1)
    print(msgspec.json.format(msgspec.json.encode(result), indent=2).decode(), file=out)
