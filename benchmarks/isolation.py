"""How late a bystander answers while another module attacks.

Two modules that have nothing to do with it, one native and one in a worker, are asked 200 times a second, in turn, for
as long as an attack lasts; each attack is made again and again.  A request that goes out late, since somebody held the
event loop, counts from when it was due.  The peer is the same without any attack, at the beginning and at the end.
The attacks are those of the tests, `tests/torture/attacks.py`.  The budget is for workers and guests: a native module
is trusted, and one that holds the event loop holds everybody until it is broken at its limit, 200 ms here.
A machine with few processors that does other things at the same time gives other figures.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from harness import Result, at_most, main, scratch

from hostcore import ModuleSystem

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tests"))

from support.modules import ECHO, ModuleWriter  # noqa: E402
from torture.attacks import ATTACKS, NAME, Attack, load, strike  # noqa: E402
from torture.bystander import Bystander, Latency, latency  # noqa: E402

TITLE = "Bystanders of an attack"
TARGETS = {"bystander": "native", "bystander-worker": "worker"}
BUDGET = 10.0


def row(what: str, tier: str, found: Latency, ended: str) -> dict[str, Any]:
    figures = {"p50 ms": round(found.p50, 2), "p99 ms": round(found.p99, 2), "max ms": round(found.most, 2)}
    return {"attack": what, "by": tier, "asked": found.count, **figures, "ended with": ended}


async def calm(system: ModuleSystem, seconds: float) -> dict[str, Any]:
    async with Bystander(system, list(TARGETS)) as bystander:
        await asyncio.sleep(seconds)
    return row("none", "", latency(bystander.taken), "")


async def under(system: ModuleSystem, attack: Attack, seconds: float) -> dict[str, Any]:
    """Make one attack until enough was seen of it."""
    taken: list[float] = []
    ends: set[str] = set()
    began = time.monotonic()
    while not taken or time.monotonic() - began < seconds:
        if NAME in system.modules:
            await system.unload(NAME, force=True)
        await load(system, attack)
        async with Bystander(system, list(TARGETS)) as bystander:
            error = await strike(system, attack)
        if bystander.wrong:
            raise RuntimeError(f"{attack.key}: {bystander.wrong[0]}")
        taken += bystander.taken
        ends.add(error.code if error is not None else "a reply")
    return row(attack.name, attack.tier, latency(taken), ", ".join(sorted(ends)))


async def measure(seconds: float, folder: Path) -> Result:
    settings = {
        "state_dir": str(folder), "index": False, "policy": {"default": "allow"}, "worker": {"grace": "100ms"},
        "supervision": {"enabled": False},
    }  # fmt: skip
    async with ModuleSystem(settings) as system:
        for name, isolation in TARGETS.items():
            await system.load(name, source=ModuleWriter(folder / name)(ECHO, name), isolation=isolation)
        rows = [await calm(system, 2 * seconds)]
        rows += [await under(system, attack, seconds) for attack in ATTACKS]
        rows.append(await calm(system, 2 * seconds))
    worst = {tier: max(found["p99 ms"] for found in rows if found["by"] == tier) for tier in ("worker", "wasm")}
    return Result(
        rows=rows,
        budgets=[
            at_most("bystanders' p99 during each attack from a worker", worst["worker"], BUDGET, "ms"),
            at_most("bystanders' p99 during each attack from a guest", worst["wasm"], BUDGET, "ms"),
        ],
    )


def run(quick: bool) -> Result:
    logging.getLogger("hostcore").setLevel(logging.CRITICAL + 1)
    with scratch() as folder:
        tempfile.tempdir = str(folder)  # what attacks are loaded from goes with it
        return asyncio.run(measure(0.1 if quick else 3.0, folder))


if __name__ == "__main__":
    main(run)
