"""Reloading a package of 1, 20 and 200 files that keeps its state, idle and under load; and 50 modules at once.

The whole reload runs from the call to its return: finding and compiling the new release from source, making it ready
beside the old one, moving the state, switching, and taking the old one down with a garbage collection.  Downtime is the
part in which messages are held.  Under load, requests come at 5,000 a second; saturated, 8 clients ask again as soon
as they have their reply, and the reload has to share one core with them.  Every reply, and the count in the module's
state, must be there at the end.  Beside it, in the same run: a plain import of the same package, compiled from source
and from `.pyc`, and `importlib.reload` of each of its modules, which keeps the old objects and cannot go back.
The 50 modules are 50 installed distributions of one file each, all reloaded at the same moment.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

from harness import Budget, Cell, Result, at_most, main, scratch
from plainly import import_plainly, reload_in_place
from sites import install, write_project

from hostcore import ModuleSystem, ReloadReport
from hostcore.cli.bench.measuring import percentile

TITLE = "Reload"
CLIENTS = 8
RATE = 5000
AT_ONCE = 50
PATIENCE = 30.0
"""Seconds after which a row takes no further reload: it rests on fewer times then."""
PAYLOAD = {"path": "a.py", "lines": [1, 2, 3], "text": "x" * 64}
Load = Callable[[ModuleSystem, asyncio.Event], Coroutine[Any, Any, int]]
Row = dict[str, Cell]


def spread(what: str, files: int, milliseconds: Sequence[float], **more: Cell) -> Row:
    ordered = sorted(milliseconds)
    p50, p99 = (round(percentile(ordered, share), 2) for share in (0.5, 0.99))
    return {"what": what, "files": files, "p50 ms": p50, "p99 ms": p99, "times": len(ordered), **more}


def told(what: str, files: int, reports: list[ReloadReport], **more: Cell) -> Row:
    down = sorted(report.downtime_ms for report in reports)
    failed = [report.reason for report in reports if report.rolled_back]
    if failed:
        raise RuntimeError(f"{len(failed)} reloads failed, the first: {failed[0]}")
    figures: Row = {
        "downtime p50 ms": round(percentile(down, 0.5), 3),
        "downtime p99 ms": round(percentile(down, 0.99), 3),
        "leaks": sum(bool(report.leaks) for report in reports),
    }
    return spread(what, files, [report.duration_ms for report in reports], **figures, **more)


async def reload_again(system: ModuleSystem, times: int) -> list[ReloadReport]:
    end = time.monotonic() + PATIENCE
    reports = []
    while len(reports) < times and (time.monotonic() < end or not reports):
        reports.append(await system.reload("echo"))
    return reports


async def at_rate(system: ModuleSystem, over: asyncio.Event) -> int:
    """Ask at `RATE` until `over`; return how many replies came."""
    answered = asked = 0
    began = time.perf_counter()

    async def one() -> None:
        nonlocal answered
        await system.request("echo", PAYLOAD)
        answered += 1

    async with asyncio.TaskGroup() as requests:
        while not over.is_set():
            while asked < (time.perf_counter() - began) * RATE:
                requests.create_task(one())
                asked += 1
            await asyncio.sleep(0.001)
    assert answered == asked
    return answered


async def saturated(system: ModuleSystem, over: asyncio.Event) -> int:
    """Ask as fast as it goes until `over`; return how many replies came."""

    async def client() -> int:
        answered = 0
        while not over.is_set():
            await system.request("echo", PAYLOAD)
            answered += 1
            await asyncio.sleep(0)
        return answered

    return sum(await asyncio.gather(*(client() for _ in range(CLIENTS))))


async def loaded(what: str, files: int, system: ModuleSystem, times: int, load: Load) -> Row:
    """Return the row for reloads under `load`: how many requests were answered, and how many the count lacks."""
    before = (await system.execute("echo"))["count"]
    over = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        asking = group.create_task(load(system, over))
        reports = await reload_again(system, times)
        over.set()
    answered = asking.result()
    lost = answered - ((await system.execute("echo"))["count"] - before)
    return told(what, files, reports, requests=answered, lost=lost)


async def one_package(folder: Path, files: int, times: int, few: int) -> list[Row]:
    """Return the rows for a package of `files` files: the peers, and reloads `times` times, saturated `few` times."""
    project = write_project(folder / str(files), ["echo"], files)
    source = project / "src"
    rows = [
        spread("plain import, from source", files, import_plainly(source, times, compiled=False)),
        spread("plain import, from .pyc", files, import_plainly(source, times, compiled=True)),
        spread("importlib.reload of each module", files, reload_in_place(source, times)),
    ]
    async with ModuleSystem({"state_dir": str(folder / "state"), "index": False}) as system:
        await system.load("echo", source=project)
        await reload_again(system, 5)
        rows.append(told("reload, idle", files, await reload_again(system, times)))
        rows.append(await loaded("reload, under load", files, system, times, at_rate))
        rows.append(await loaded("reload, saturated", files, system, few, saturated))
    return rows


async def at_once(folder: Path, rounds: int) -> Row:
    """Return the row for `AT_ONCE` modules that are reloaded at the same moment, `rounds` times."""
    site = folder / "site"
    names = [install(site, number) for number in range(AT_ONCE)]
    sys.path.insert(0, str(site))
    reports, taken = [], []
    async with ModuleSystem({"state_dir": str(folder / "state"), "index": False}) as system:
        await system.load_all(names)
        for _ in range(rounds):
            began = time.perf_counter()
            reports += await asyncio.gather(*map(system.reload, names))
            taken.append((time.perf_counter() - began) * 1000)
    sys.path.remove(str(site))
    failed = sum(report.rolled_back for report in reports)
    done = [report for report in reports if not report.rolled_back]
    taken.sort()
    row = told(f"{AT_ONCE} modules at once, each", 1, done)
    return {**row, "all p50 ms": round(percentile(taken, 0.5), 1), "failed": failed}


async def measure(quick: bool) -> Result:
    rows: list[Row] = []
    sys.dont_write_bytecode = True
    plan = [(1, 10, 3), (20, 5, 2), (200, 2, 1)] if quick else [(1, 100, 100), (20, 100, 30), (200, 20, 5)]
    with scratch() as folder:
        for files, times, few in plan:
            rows += await one_package(folder, files, times, few)
        together = await at_once(folder, 1 if quick else 5)
    ours = next(row for row in rows if row["what"] == "reload, under load" and row["files"] == 20)
    lost = sum(int(row.get("lost") or 0) for row in rows)
    asked = sum(int(row.get("requests") or 0) for row in rows)
    budgets: list[Budget] = [
        at_most("reload of 20 files under load, downtime p50", float(ours["downtime p50 ms"] or 0), 5, "ms"),
        at_most("reload of 20 files under load, whole p50", float(ours["p50 ms"] or 0), 50, "ms"),
        at_most(f"messages lost of {asked:,}", lost, 0, "messages"),
        at_most(f"failed reloads of {AT_ONCE} modules at once", int(together["failed"] or 0), 0, "reloads"),
    ]
    return Result(rows=[*rows, together], budgets=budgets)


def run(quick: bool) -> Result:
    return asyncio.run(measure(quick))


if __name__ == "__main__":
    main(run)
