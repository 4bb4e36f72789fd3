"""Reloading a WebAssembly module that keeps its state: idle, and while requests come at 1,000 a second.

The whole reload runs from the call to its return: reading and checking the file, making a guest of it, moving the
state, switching, and dropping the old one.  Downtime is the part in which messages are held.  Every reply, and the
count in the guest's state, must be there at the end.  The file is the same each time, so nothing is compiled.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

import wasm_guests as guests
from harness import Result, at_most, main, scratch
from reload import Row, reload_again, told

from hostcore import ModuleSystem

TITLE = "WebAssembly: reload"
RATE = 1000


async def at_rate(system: ModuleSystem, over: asyncio.Event) -> int:
    """Ask at `RATE` until `over`; return how many replies came."""
    data, asked = guests.payload(1024), 0
    began = time.perf_counter()
    async with asyncio.TaskGroup() as requests:
        while not over.is_set():
            while asked < (time.perf_counter() - began) * RATE:
                requests.create_task(system.request("echo", data, topic="echo"))
                asked += 1
            await asyncio.sleep(0.001)
    return asked


async def under_load(kind: str, system: ModuleSystem, times: int) -> Row:
    before: Any = await system.execute("echo")
    over = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        asking = group.create_task(at_rate(system, over))
        reports = await reload_again(system, times)
        over.set()
    answered, after = asking.result(), await system.execute("echo")
    lost = answered - (after["count"] - before["count"])
    return told(f"{kind}, under load", 1, reports, requests=answered, lost=lost)


async def measure(quick: bool) -> Result:
    guests.share_compiled()
    rows: list[Row] = []
    times = 10 if quick else 200
    with scratch() as folder:
        for kind in guests.kinds():
            async with ModuleSystem({"state_dir": str(folder / kind), "index": False}) as system:
                await system.load("echo", source=guests.guest(kind))
                await reload_again(system, 5)
                rows.append(told(f"{kind}, idle", 1, await reload_again(system, times)))
                rows.append(await under_load(kind, system, times))
    for row in rows:
        del row["files"]
    down = {row["what"]: float(row["downtime p50 ms"] or 0) for row in rows}
    lost = sum(int(row.get("lost") or 0) for row in rows)
    asked = sum(int(row.get("requests") or 0) for row in rows)
    budgets = [
        at_most("reload of a component under load, downtime p50", down["component, under load"], 5, "ms"),
        at_most("reload of a Python guest under load, downtime p50", down["Python, under load"], 5, "ms"),
        at_most(f"messages lost of {asked:,} during reloads of guests", lost, 0, "messages"),
    ]
    return Result(rows=rows, budgets=budgets)


def run(quick: bool) -> Result:
    return asyncio.run(measure(quick))


if __name__ == "__main__":
    main(run)
