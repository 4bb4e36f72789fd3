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
CALM, SPINNING = "nothing spins", "a guest spins"
ASKED = {"native": "a native module", "other": "another guest"}


async def spin(system: ModuleSystem, late: list[float]) -> None:
    """Ask the guest to spin, again and again; note how many milliseconds after its deadline it was stopped."""
    while True:
        began = time.perf_counter()
        try:
            await system.request("spinner", topic="spin")
        except HookError:
            late.append((time.perf_counter() - began - LIMIT) * 1000)
        await system.request("spinner", {}, topic="echo")  # else it would be given up on, after some deaths in a row


async def in_turns(system: ModuleSystem, seconds: float) -> tuple[dict[tuple[str, str], Figures], list[float]]:
    """Return the requests' figures, without and with a guest that spins, and how late each stop was."""
    data, late = guests.payload(1024), list[float]()
    samples: dict[tuple[str, str], list[Sample]] = {}

    async def ask(meanwhile: str) -> None:
        blocks = [on_schedule(lambda _, name=name: system.request(name, data, topic="echo"), RATE // 2)
                  for name in ASKED]  # fmt: skip
        done = await asyncio.gather(*(block(seconds / ROUNDS / 2) for block in blocks))
        for name, sample in zip(ASKED, done, strict=True):
            samples.setdefault((meanwhile, name), []).append(sample)

    for _ in range(ROUNDS):
        await ask(CALM)
        spinning = asyncio.create_task(spin(system, late))
        await ask(SPINNING)
        spinning.cancel()
        with suppress(asyncio.CancelledError):
            await spinning
    return {key: figures(f"{key[0]}: requests to {ASKED[key[1]]}", entries) for key, entries in samples.items()}, late


def worst(found: dict[tuple[str, str], Figures], meanwhile: str) -> float:
    """Return the higher of the two 99th percentiles, in milliseconds."""
    return max((found[meanwhile, name].p99_us or 0.0) / 1000 for name in ASKED)


def row(entry: Figures) -> dict[str, Cell]:
    p50, p99, most = (round((value or 0.0) / 1000, 3) for value in (entry.p50_us, entry.p99_us, entry.p999_us))
    return {"what": entry.name, "p50 ms": p50, "p99 ms": p99, "p99.9 ms": most,
            "times": entry.count}  # fmt: skip


async def measure(quick: bool) -> Result:
    guests.share_compiled()
    with scratch() as folder:
        native = write_project(folder / "native", ["native"], code=guests.NATIVE)
        async with ModuleSystem({"state_dir": str(folder)}) as system:
            await system.load("native", source=native)
            await system.load("other", source=guests.guest("component"))
            await system.load("spinner", source=guests.guest("component"), limits={"handle_message": f"{LIMIT}s"})
            found, late = await in_turns(system, 4.0 if quick else 40.0)
    late.sort()
    stops: dict[str, Cell] = {
        "what": "stopped after its deadline", "p50 ms": round(percentile(late, 0.5), 3),
        "p99 ms": round(percentile(late, 0.99), 3), "p99.9 ms": round(late[-1], 3), "times": len(late),
    }  # fmt: skip
    return Result(
        rows=[*map(row, found.values()), stops],
        budgets=[
            at_most("WebAssembly guest stopped after its deadline, at worst", late[-1], 100, "ms"),
            at_most("others' p99 while a guest spins", worst(found, SPINNING), 10, "ms"),
            at_most("others' p99 otherwise", worst(found, CALM), 1, "ms"),
        ],
    )


def run(quick: bool) -> Result:
    return asyncio.run(measure(quick))


if __name__ == "__main__":
    main(run)
