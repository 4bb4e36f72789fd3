"""What one check of a permission costs on the way of a message.

Each check is `ModuleGrants.require`, as the bus calls it, in a loop; a figure is the mean of 200 checks in a row, so
that reading the clock is not in it.  `first answer` is a target that was not asked about before: it is compared with
the grants of its kind, and remembered.  The other rows are the second check of the same target and every later one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from itertools import count, cycle

from harness import Cell, Result, at_most, main

from hostcore.contract.grants import ModuleGrants
from hostcore.contract.permissions import Permission
from hostcore.errors import DeniedError
from hostcore.runtime.refusals import Refusals

TITLE = "A check of a permission"
BATCH = 200
LIMIT_US = 2.0
SOME = [f"bus.send:topic{number}.*" for number in range(3)]
MANY = [*SOME, *(f"bus.request:module{number}" for number in range(500)),
        *(f"bus.send:other{number}.>" for number in range(497))]  # fmt: skip


def grants(texts: Iterable[str], *, everything: bool = False, observed: bool = False) -> ModuleGrants:
    """Return the grants of a module, watched as in a system."""
    return ModuleGrants(map(Permission, texts), everything=everything, module="m", observed=observed,
                        watcher=Refusals())  # fmt: skip


def allowed(found: ModuleGrants, targets: Iterator[str]) -> Callable[[], None]:
    """Return a batch of checks that come out well."""

    def batch() -> None:
        require = found.require
        for _ in range(BATCH):
            require("bus.send", next(targets))

    return batch


def refused(found: ModuleGrants, targets: Iterator[str]) -> Callable[[], None]:
    """Return a batch of checks that are refused."""

    def batch() -> None:
        for _ in range(BATCH):
            try:
                found.require("bus.send", next(targets))
            except DeniedError:
                pass

    return batch


def cases() -> dict[str, Callable[[], None]]:
    """Return what is measured, by name; those on the way of a message first."""
    asked = [f"topic{number}.x" for number in range(3)]
    return {
        "may do everything": allowed(grants((), everything=True), cycle(asked)),
        "3 grants": allowed(grants(SOME), cycle(asked)),
        "1,000 grants": allowed(grants(MANY), cycle(asked)),
        "1,000 grants, observed": allowed(grants(MANY, observed=True), cycle(asked)),
        "not granted, observed: let through and counted": allowed(grants(MANY, observed=True), cycle(["a", "b"])),
        "not granted: counted, an error raised": refused(grants(MANY), cycle(["a", "b"])),
        "first answer, 3 grants": allowed(grants(SOME), (f"topic1.{number}" for number in count())),
        "first answer, 1,000 grants": allowed(grants(MANY), (f"topic1.{number}" for number in count())),
        "first answer, 1,000 grants, the last one": allowed(
            grants([*MANY, "bus.send:z.*"]), (f"z.{number}" for number in count())
        ),
    }


def measure(batch: Callable[[], None], seconds: float) -> list[float]:
    """Return the microseconds of one check, for each batch, sorted."""
    found, now, end = [], time.perf_counter_ns, time.perf_counter() + seconds
    batch()
    while time.perf_counter() < end:
        began = now()
        batch()
        found.append((now() - began) / BATCH / 1000)
    return sorted(found)


def run(quick: bool) -> Result:
    rows: list[dict[str, Cell]] = []
    for name, batch in cases().items():
        found = measure(batch, 0.1 if quick else 2.0)
        rows.append({"what": name, "p50 us": round(found[len(found) // 2], 3),
                     "p99 us": round(found[int(len(found) * 0.99)], 3), "checks": len(found) * BATCH})  # fmt: skip
    on_the_way = max(float(row["p99 us"] or 0) for row in rows[:5])
    budget = at_most("a check of a permission on the way of a message, p99", on_the_way, LIMIT_US, "us")
    return Result(rows=rows, budgets=[budget])


if __name__ == "__main__":
    main(run)
