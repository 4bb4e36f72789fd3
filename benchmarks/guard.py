"""What it costs to be able to break a handler that overruns its time.

The same requests through one system after the other, each with another `guard`: `off` watches nothing, `signal` (what
`auto` takes on the main thread) lets a timer tick while handlers run, `thread` has a watchdog thread.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from harness import Cell, Result, main, scratch, timing
from sites import ASYNC_ECHO, write_project

from hostcore import ModuleSystem
from hostcore.cli.bench.measuring import Sample, calls, figures

TITLE = "The deadline guard, on and off"
GUARDS = ("off", "signal", "thread")
PAYLOAD = {"path": "a.py", "lines": [1, 2, 3], "text": "x" * 64}


async def block(guard: str, projects: dict[str, Path], state: Path, seconds: float) -> dict[str, Sample]:
    """Measure each kind of handler in a system of its own: only one at a time can have the signal."""
    found = {}
    async with ModuleSystem({"state_dir": str(state), "guard": guard}) as system:
        for kind, project in projects.items():
            await system.load(kind, source=project)
            found[kind] = await calls(lambda name=kind: system.request(name, PAYLOAD))(seconds)  # type: ignore[misc]
    return found


async def measure(rounds: int, seconds: float) -> Result:
    samples: dict[tuple[str, str], list[Sample]] = {}
    with scratch() as folder:
        projects = {
            "def": write_project(folder / "sync", ["def"]),
            "async": write_project(folder / "async", ["async"], code=ASYNC_ECHO),
        }
        for turn in range(rounds):
            for guard in GUARDS[turn % len(GUARDS) :] + GUARDS[: turn % len(GUARDS)]:
                for kind, sample in (await block(guard, projects, folder, seconds)).items():
                    samples.setdefault((guard, kind), []).append(sample)
    found = {
        key: figures(f"{key[1]} handler, guard {key[0]}", samples[key])
        for key in [(guard, kind) for kind in projects for guard in GUARDS]
    }
    rows: list[dict[str, Cell]] = []
    for (_, kind), entry in found.items():
        cost = (entry.p50_us or 0) - (found["off", kind].p50_us or 0)
        rows.append(timing(entry, **{"p50 cost us": round(cost, 2)}))
    return Result(rows=rows)


def run(quick: bool) -> Result:
    return asyncio.run(measure(*((3, 0.1) if quick else (12, 0.4))))


if __name__ == "__main__":
    main(run)
