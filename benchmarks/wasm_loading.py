"""Loading WebAssembly modules: the first time, when they are compiled; again, in a fresh process and in a running one.

The first load compiles in a process of its own, into an empty cache.  "fresh process" is `ModuleSystem.load` as the
first thing that a process does after `ModuleSystem` has started: it includes what is imported for WebAssembly, and the
engine; "as its second guest", another one was loaded before.  "running process" loads the module again, after an unload
that has dropped its code.  "call" is the first call of a fresh guest.  The files are in the operating system's cache.

Beside it: what wasmtime's public interface takes to compile the same file in the process itself, and an Extism plug-in
of the same C, which Extism compiles once and keeps in a cache of its own.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import wasm_guests as guests
from harness import Cell, Result, at_most, main, scratch

from hostcore import ModuleSystem

TITLE = "WebAssembly: loading"
Row = dict[str, Cell]


def milliseconds(began: float) -> float:
    return (time.perf_counter() - began) * 1000


async def loads(kind: str, times: int, after: str = "") -> dict[str, list[float]]:
    """Load and unload `times` times in this process; return what each part took.

    Another guest, `after`, is loaded first, if one is given.
    """
    path, data = guests.guest(kind), guests.payload(1024)
    found: dict[str, list[float]] = {"load": [], "call": [], "unload": []}
    with scratch() as folder:
        async with ModuleSystem({"state_dir": str(folder), "index": False}) as system:
            if after:
                await system.load("after", source=guests.guest(after))
            for _ in range(times):
                began = time.perf_counter()
                await system.load("m", source=path)
                found["load"].append(milliseconds(began))
                began = time.perf_counter()
                await system.request("m", data, topic="echo")
                found["call"].append(milliseconds(began))
                began = time.perf_counter()
                await system.unload("m")
                found["unload"].append(milliseconds(began))
    return found


def in_child(kind: str, times: int, cache: Path, after: str = "") -> dict[str, list[float]]:
    command = [sys.executable, __file__, "--child", kind, str(times), after]
    environment = {**os.environ, "HOSTCORE_CACHE_DIR": str(cache)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # the first process leaves compiled files for the others
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, env=environment)
    return msgspec.json.decode(done.stdout, type=dict[str, list[float]])


def row(what: str, kind: str, runs: list[float], calls: list[float]) -> Row:
    return {
        "what": what, "guest": kind, "p50 ms": round(statistics.median(runs), 2), "min ms": round(min(runs), 2),
        "max ms": round(max(runs), 2), "times": len(runs), "call p50 ms": round(statistics.median(calls), 3),
    }  # fmt: skip


def of_kind(kind: str, folder: Path, cold: int, fresh: int, times: int) -> list[Row]:
    """Return the rows of one kind: `cold` empty caches, `fresh` processes, `times` loads in one."""
    first = [in_child(kind, 1, folder / kind / str(number)) for number in range(cold)]
    cache = folder / kind / "0"
    in_child(kind, 1, cache)  # the whole of the code is compared with its digest, this once
    again = [in_child(kind, 1, cache) for _ in range(fresh)]
    other = "core" if kind == "component" else "component"
    in_child(kind, 1, cache, other)
    second = [in_child(kind, 1, cache, other) for _ in range(fresh)]
    running = in_child(kind, times + 1, cache)
    return [
        row("hostcore, first load", kind, [each["load"][0] for each in first], [each["call"][0] for each in first]),
        row("hostcore, fresh process", kind, [each["load"][0] for each in again], [each["call"][0] for each in again]),
        row("hostcore, fresh process, as its second guest", kind, [each["load"][0] for each in second],
            [each["call"][0] for each in second]),
        row("hostcore, running process", kind, running["load"][1:], running["call"][1:]),
    ]  # fmt: skip


def timed(what: str, kind: str, make: Callable[[], Any], call: Callable[[Any], object], times: int) -> Row:
    runs, calls = [], []
    for _ in range(times):
        began = time.perf_counter()
        made = make()
        runs.append(milliseconds(began))
        began = time.perf_counter()
        call(made)
        calls.append(milliseconds(began))
    return row(what, kind, runs, calls)


def peer_rows(times: int, long: int) -> list[Row]:
    import wasm_peers as peers

    text = msgspec.json.encode(guests.payload(1024))
    public = "wasmtime's public interface, compiling"
    component, core, python = (guests.guest(kind) for kind in ("component", "core", "Python"))
    plugin = guests.guest("extism")
    return [
        timed(public, "core", lambda: peers.PublicCore(core), lambda made: made.call(b"echo", text), times),
        timed(public, "component", lambda: peers.PublicComponent(component),
              lambda made: made.call("echo", text.decode()), times),
        timed(public, "Python", lambda: peers.PublicComponent(python),
              lambda made: made.call("echo", text.decode()), long),
        timed("Extism", "C", lambda: peers.extism_plugin(plugin), lambda made: made.call("echo", text), times),
    ]  # fmt: skip


def run(quick: bool) -> Result:
    cold, fresh, times = (1, 3, 5) if quick else (3, 10, 30)
    rows: list[Row] = []
    with scratch() as folder:
        for kind in guests.kinds():
            rows += of_kind(kind, folder, cold, fresh, times)
    rows += peer_rows(times, cold)
    took = {(row["what"], row["guest"]): float(row["p50 ms"] or 0) for row in rows}
    budgets = [
        at_most(f"second start of a Python guest, {how}", took[f"hostcore, {how}", "Python"], 20, "ms")
        for how in ("fresh process", "fresh process, as its second guest", "running process")
    ]
    return Result(rows=rows, budgets=budgets)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        print(msgspec.json.encode(asyncio.run(loads(sys.argv[2], int(sys.argv[3]), sys.argv[4]))).decode())
    else:
        main(run)
