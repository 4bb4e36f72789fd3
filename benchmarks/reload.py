"""Reloading a package of 1 and of 20 files that keeps its state, idle and under load.

The whole reload runs from the call to its return: finding and compiling the new release from source, making it ready
beside the old one, moving the state, switching, and taking the old one down.  Downtime is the part in which messages
are held.  Under load, requests come at 5,000 a second; saturated, 8 clients ask again as soon as they have their
reply, and the reload has to share one core with them.  Every reply, and the count in the module's state, must be
there at the end.  A plain import of the same package, compiled from source and from `.pyc`, stands
beside.  Memory is what many more reloads add to the process.
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import shutil
import sys
import time
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

from harness import Budget, Cell, Result, at_most, main, rss_mb, scratch
from sites import write_project

from hostcore import ModuleSystem, ReloadReport
from hostcore.cli.bench.measuring import percentile

TITLE = "Reload"
CLIENTS = 8
RATE = 5000
PAYLOAD = {"path": "a.py", "lines": [1, 2, 3], "text": "x" * 64}
Load = Callable[[ModuleSystem, asyncio.Event], Coroutine[Any, Any, int]]


def spread(what: str, files: int, milliseconds: Sequence[float], **more: Cell) -> dict[str, Cell]:
    ordered = sorted(milliseconds)
    p50, p99 = (round(percentile(ordered, share), 2) for share in (0.5, 0.99))
    return {"what": what, "files": files, "p50 ms": p50, "p99 ms": p99, "times": len(ordered), **more}


def told(what: str, files: int, reports: list[ReloadReport], **more: Cell) -> dict[str, Cell]:
    down = sorted(report.downtime_ms for report in reports)
    failed = [report.reason for report in reports if report.rolled_back]
    if failed:
        raise RuntimeError(f"{len(failed)} reloads failed, the first: {failed[0]}")
    figures: dict[str, Cell] = {
        "downtime p50 ms": round(percentile(down, 0.5), 3),
        "downtime p99 ms": round(percentile(down, 0.99), 3),
        "leaks": sum(bool(report.leaks) for report in reports),
    }
    return spread(what, files, [report.duration_ms for report in reports], **figures, **more)


def import_plainly(source: Path, times: int, *, compiled: bool) -> list[float]:
    """Return the milliseconds of each import of the package below `source`."""
    taken = []
    sys.path.insert(0, str(source))
    sys.dont_write_bytecode = not compiled
    for number in range(times + 1):
        for name in [name for name in sys.modules if name.partition(".")[0] == "bench_echo"]:
            del sys.modules[name]
        if not compiled:
            shutil.rmtree(source / "bench_echo" / "__pycache__", ignore_errors=True)
        importlib.invalidate_caches()
        gc.collect()
        began = time.perf_counter()
        importlib.import_module("bench_echo")
        if number:
            taken.append((time.perf_counter() - began) * 1000)
    sys.path.remove(str(source))
    sys.dont_write_bytecode = True
    for name in [name for name in sys.modules if name.partition(".")[0] == "bench_echo"]:
        del sys.modules[name]
    return taken


async def idle(system: ModuleSystem, times: int) -> list[ReloadReport]:
    return [await system.reload("echo") for _ in range(times)]


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


async def loaded(system: ModuleSystem, times: int, load: Load) -> tuple[list[ReloadReport], int, int]:
    """Reload under `load`; return the reports, how many requests were answered, and how many the count lacks."""
    before = (await system.execute("echo"))["count"]
    over = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        asking = group.create_task(load(system, over))
        reports = await idle(system, times)
        over.set()
    answered = asking.result()
    return reports, answered, answered - ((await system.execute("echo"))["count"] - before)


async def grow(system: ModuleSystem, times: int) -> float:
    """Return by how many MB the process grows in `times` reloads, after a warm-up."""
    await idle(system, max(20, times // 10))
    gc.collect()
    before = rss_mb()
    await idle(system, times)
    gc.collect()
    return rss_mb() - before


async def measure(quick: bool) -> Result:
    times, many = (10, 50) if quick else (100, 1000)
    rows: list[dict[str, Cell]] = []
    budgets: list[Budget] = []
    sys.dont_write_bytecode = True
    with scratch() as folder:
        for files in (1, 20):
            project = write_project(folder / str(files), ["echo"], files)
            rows.append(
                spread("plain import, from source", files, import_plainly(project / "src", times, compiled=False))
            )
            rows.append(spread("plain import, from .pyc", files, import_plainly(project / "src", times, compiled=True)))
            async with ModuleSystem({"state_dir": str(folder / "state"), "index": False}) as system:
                await system.load("echo", source=project)
                await idle(system, 5)
                rows.append(told("reload, idle", files, await idle(system, times)))
                reports, busy, missing = await loaded(system, times, saturated)
                rows.append(told("reload, saturated", files, reports, requests=busy, lost=missing))
                reports, answered, lost = await loaded(system, times, at_rate)
                rows.append(told("reload, under load", files, reports, requests=answered, lost=lost))
                if files == 1:
                    growth = await grow(system, many)
                    rows.append({"what": "memory", "files": 1, "times": many, "growth MB": round(growth, 2)})
                    budgets.append(at_most(f"RSS growth in {many:,} reloads", growth, 2, "MB"))
        ours = rows[-1]
    budgets += [
        at_most("reload of 20 files under load, downtime p50", float(ours["downtime p50 ms"] or 0), 5, "ms"),
        at_most("reload of 20 files under load, whole p50", float(ours["p50 ms"] or 0), 50, "ms"),
        at_most(f"messages lost of {answered + busy:,}", lost + missing, 0, "messages"),
    ]
    return Result(rows=rows, budgets=budgets)


def run(quick: bool) -> Result:
    return asyncio.run(measure(quick))


if __name__ == "__main__":
    main(run)
