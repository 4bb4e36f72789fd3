"""A WebAssembly guest that never ends: when it is stopped, and what others notice meanwhile.

A component in C loops for ever; its `handle_message` may take 200 ms.  "late" is the time from its deadline to the
error that its asker gets.  It is asked again at once, so that there is always one spinning: each time a new guest takes
the place of the one that was stopped.  Meanwhile requests of 1 KB come at 1,000 a second, half of them to a native
module, half to another guest, on a schedule that does not wait: a request's time runs from when it was due.
The same requests stand beside without anything that spins, in turns.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress

import wasm_guests as guests
from clients import on_schedule
from harness import Cell, Result, at_most, main, scratch
from sites import write_project

from hostcore import ModuleSystem
from hostcore.cli.bench.measuring import Figures, Sample, figures, percentile
from hostcore.errors import HookError

TITLE = "WebAssembly: a guest that spins"
RATE = 1000
LIMIT = 0.2
ROUNDS = 4


async def spin(system: ModuleSystem, late: list[float]) -> None:
    """Ask the guest to spin, again and again; note how many milliseconds after its deadline it was stopped."""
    while True:
        began = time.perf_counter()
        try:
            await system.request("spinner", topic="spin")
        except HookError:
            late.append((time.perf_counter() - began - LIMIT) * 1000)
        await system.request("spinner", {}, topic="echo")  # else it would be given up on, after some deaths in a row


async def in_turns(system: ModuleSystem, seconds: float) -> tuple[list[Figures], list[float]]:
    """Return the requests' figures, without and with a guest that spins, and how late each stop was."""
    data, names, late = guests.payload(1024), ("native", "other"), list[float]()
    block = on_schedule(lambda target: system.request(names[target % 2], data, topic="echo"), RATE)
    samples: dict[str, list[Sample]] = {"nothing spins": [], "a guest spins": []}
    for _ in range(ROUNDS):
        samples["nothing spins"].append(await block(seconds / ROUNDS / 2))
        spinning = asyncio.create_task(spin(system, late))
        samples["a guest spins"].append(await block(seconds / ROUNDS / 2))
        spinning.cancel()
        with suppress(asyncio.CancelledError):
            await spinning
    return [figures(name, entries) for name, entries in samples.items()], late


def most(samples: Figures) -> float:
    return (samples.p999_us or 0.0) / 1000


def row(entry: Figures) -> dict[str, Cell]:
    p50, p99 = (round((value or 0.0) / 1000, 3) for value in (entry.p50_us, entry.p99_us))
    return {"what": f"requests, {entry.name}", "p50 ms": p50, "p99 ms": p99, "p99.9 ms": round(most(entry), 3),
            "times": entry.count}  # fmt: skip


async def measure(quick: bool) -> Result:
    guests.share_compiled()
    with scratch() as folder:
        native = write_project(folder / "native", ["native"], code=guests.NATIVE)
        async with ModuleSystem({"state_dir": str(folder)}) as system:
            await system.load("native", source=native)
            await system.load("other", source=guests.guest("component"))
            await system.load("spinner", source=guests.guest("component"), limits={"handle_message": f"{LIMIT}s"})
            (calm, spinning), late = await in_turns(system, 4.0 if quick else 40.0)
    late.sort()
    stops: dict[str, Cell] = {
        "what": "stopped after its deadline", "p50 ms": round(percentile(late, 0.5), 3),
        "p99 ms": round(percentile(late, 0.99), 3), "p99.9 ms": round(late[-1], 3), "times": len(late),
    }  # fmt: skip
    return Result(
        rows=[row(calm), row(spinning), stops],
        budgets=[
            at_most("WebAssembly guest stopped after its deadline, at worst", late[-1], 100, "ms"),
            at_most("others' p99 while a guest spins", (spinning.p99_us or 0.0) / 1000, 10, "ms"),
            at_most("others' p99 otherwise", (calm.p99_us or 0.0) / 1000, 1, "ms"),
        ],
    )


def run(quick: bool) -> Result:
    return asyncio.run(measure(quick))


if __name__ == "__main__":
    main(run)
