"""Memory over 1,000 reloads: the resident set of the process after each 10 of them.

One module of one file, reloaded again and again in a process that does nothing else, after a warm-up of 100 reloads.
Growth is the difference of the medians of the last and the first 100 reloads: single readings jump, because the
allocator gets memory from the operating system in larger pieces than it needs.
"""

from __future__ import annotations

import asyncio
import gc
import statistics
import sys

from harness import Cell, Result, at_most, main, rss_mb, scratch
from sites import write_project

from hostcore import ModuleSystem

TITLE = "Memory over 1,000 reloads"
STEP = 10
ENDS = 10
"""So many readings make the beginning, and the end."""


async def curve(system: ModuleSystem, times: int) -> list[tuple[float, float]]:
    """Return pairs of reloads done and MB resident, one for each `STEP` reloads."""
    readings = [(0.0, rss_mb())]
    for done in range(1, times + 1):
        report = await system.reload("echo", strict=True)
        if report.leaks:
            raise RuntimeError(f"reload {done} left {report.leaks[0]} alive")
        if done % STEP == 0:
            readings.append((float(done), round(rss_mb(), 3)))
    return readings


async def measure(quick: bool) -> Result:
    warm_up, times = (20, 200) if quick else (100, 1000)
    sys.dont_write_bytecode = True
    with scratch() as folder:
        project = write_project(folder, ["echo"])
        async with ModuleSystem({"state_dir": str(folder / "state"), "index": False}) as system:
            await system.load("echo", source=project)
            await curve(system, warm_up)
            gc.collect()
            objects = len(gc.get_objects())
            readings = await curve(system, times)
            gc.collect()
            more = len(gc.get_objects()) - objects
    resident = [mb for _, mb in readings]
    growth = statistics.median(resident[-ENDS:]) - statistics.median(resident[:ENDS])
    row: dict[str, Cell] = {
        "what": "one module of one file", "reloads": times, "RSS first MB": round(resident[0], 2),
        "RSS last MB": round(resident[-1], 2), "highest MB": round(max(resident), 2),
        "growth MB": round(growth, 3), "more objects": more,
    }  # fmt: skip
    budget = at_most(f"RSS growth in {times:,} reloads", growth, 2, "MB")
    return Result(rows=[row], budgets=[budget], curves={"reload-rss": readings})


def run(quick: bool) -> Result:
    return asyncio.run(measure(quick))


if __name__ == "__main__":
    main(run)
