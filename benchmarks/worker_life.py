"""Worker processes from their start to their end, and how exactly their limits hold.

*start*: `load` of a module in a worker, sandbox and import included, from a warm process; the peers start one that
imports the same module and says so: a fresh interpreter, and `multiprocessing` with a warm fork server.
*death noticed*: from the signal that kills it to the host's hearing of it.  *restart*: from there to the first reply of
its successor, state and all.  *memory*: how much a module with a limit gets before its MemoryError; *processor time*:
what a call with a limit has used when it is ended.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from harness import Cell, Result, at_most, main, scratch
from sites import write_project

from hostcore import ModuleSystem, errors
from hostcore.cli.bench.measuring import percentile

TITLE = "Worker processes: life"
MIB = 1024**2
MODULE = '''
import hostcore

class Echo:
    """Does what it is told."""

    def __init__(self):
        self.count = 0

    @hostcore.hookimpl
    def handle_message(self, message):
        self.count += 1
        if message.topic == "pid":
            import os
            return os.getpid()
        if message.topic == "spin":
            while True:
                pass
        if message.topic == "fill":
            held = []
            try:
                while True:
                    held.append(bytearray(1 << 20))
            except MemoryError:
                return len(held)
        return self.count

    @hostcore.hookimpl
    def get_state(self):
        return {"count": self.count}

    @hostcore.hookimpl
    def restore_state(self, state):
        self.count = state["count"]
'''


def ready(connection: Connection, folder: str) -> None:
    sys.path.insert(0, folder)
    __import__("bench_echo")
    connection.send(os.getpid())


def fresh(source: Path) -> float:
    began = time.perf_counter()
    code = f"import sys; sys.path.insert(0, {str(source / 'src')!r}); import bench_echo; print('ready')"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        return time.perf_counter() - began


class ForkServer:
    """`multiprocessing` with a fork server that has imported hostcore."""

    def __init__(self, source: Path) -> None:
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["hostcore", "asyncio", "msgspec"])
        self._source = source

    def start(self) -> float:
        began = time.perf_counter()
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=ready, args=(theirs, str(self._source / "src")))
        process.start()
        ours.recv()
        took = time.perf_counter() - began
        process.join()
        return took


def row(what: str, seconds: list[float]) -> dict[str, Cell]:
    ordered = sorted(seconds)
    return {
        "what": what, "p50 ms": round(percentile(ordered, 0.5) * 1000, 2),
        "p99 ms": round(percentile(ordered, 0.99) * 1000, 2), "worst ms": round(ordered[-1] * 1000, 2),
        "times": len(ordered),
    }  # fmt: skip


async def starts(system: ModuleSystem, source: Path, times: int) -> list[float]:
    found = []
    for _ in range(times + 3):
        began = time.perf_counter()
        await system.load("module", source=source, isolation="worker")
        found.append(time.perf_counter() - began)
        await system.unload("module")
    return found[3:]


async def deaths(system: ModuleSystem, source: Path, times: int) -> tuple[list[float], list[float]]:
    """Return how long death takes to be noticed, and how long the module is away altogether."""
    noticed, back = [], []
    loop = asyncio.get_running_loop()
    await system.load("module", source=source, isolation="worker")
    for number in range(times):
        before = await system.request("module")
        await system.reload("module", strict=True)  # what it is to come back with
        pid: Any = await system.request("module", topic="pid")
        heard = loop.create_future()
        async with system.subscribe("hostcore.module.crashed") as events:
            waiting = asyncio.ensure_future(anext(aiter(events)))
            waiting.add_done_callback(lambda _, heard=heard: heard.set_result(time.perf_counter()))
            began = time.perf_counter()
            os.kill(pid, signal.SIGKILL)
            noticed.append(await heard - began)
            after = await system.request("module", timeout=10)
            back.append(time.perf_counter() - began)
        assert after == before + 1, (number, before, after)
    await system.unload("module")
    return noticed, back


async def memory(system: ModuleSystem, source: Path) -> list[dict[str, Cell]]:
    rows: list[dict[str, Cell]] = []
    for limit in (32, 64, 256):
        await system.load("module", source=source, isolation="worker", limits={"memory": f"{limit}MiB"})
        got: Any = await system.request("module", topic="fill")
        off = round(100 * (got / limit - 1), 1)
        rows.append({"what": f"memory, limit {limit} MiB", "got": f"{got} MiB", "off by %": off})
        await system.unload("module")
    return rows


async def processor(system: ModuleSystem, source: Path) -> list[dict[str, Cell]]:
    rows: list[dict[str, Cell]] = []
    for limit in (0.2, 1.0):
        await system.load("module", source=source, isolation="worker", limits={"cpu": limit})
        pid: Any = await system.request("module", topic="pid")
        clock = (~pid << 3) | 2
        before = time.clock_gettime(clock)
        used = 0.0
        asked = asyncio.ensure_future(system.request("module", topic="spin"))
        while not asked.done():
            try:
                used = time.clock_gettime(clock) - before
            except OSError:
                break
            await asyncio.sleep(0.0005)
        try:
            await asked
        except errors.LimitError:
            pass
        rows.append({"what": f"processor time, limit {limit} s", "got": f"{used:.3f} s",
                     "off by %": round(100 * (used / limit - 1), 1)})  # fmt: skip
        await system.unload("module", force=True)
    return rows


async def measure(times: int) -> Result:
    with scratch() as folder:
        source = write_project(folder / "modules", ["module"], code=MODULE)
        settings = {"state_dir": str(folder), "policy": {"default": "allow"}}
        async with ModuleSystem(settings) as system:
            started = await starts(system, source, times)
            noticed, back = await deaths(system, source, times)
            exact = [*await memory(system, source), *await processor(system, source)]
        server = ForkServer(source)
        server.start()
        peers: dict[str, Callable[[], float]] = {
            "peer: multiprocessing, fork server": server.start, "peer: a fresh interpreter": lambda: fresh(source),
        }  # fmt: skip
        rows = [row("start", started)]
        rows += [row(what, [start() for _ in range(max(3, times // 4))]) for what, start in peers.items()]
    rows += [row("death noticed", noticed), row("restart, state back", back), *exact]
    worst = max(abs(float(each["off by %"] or 0)) for each in exact)
    budgets = [
        at_most("start of a worker, p50", float(rows[0]["p50 ms"] or 0), 15, "ms"),
        at_most("death of a worker noticed, worst", max(noticed) * 1000, 10, "ms"),
        at_most("restart of a worker, state back, p50", sorted(back)[len(back) // 2] * 1000, 100, "ms"),
        at_most("memory and processor limits off by, worst", worst, 5, "%"),
    ]
    return Result(rows=rows, budgets=budgets)


def run(quick: bool) -> Result:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    return asyncio.run(measure(5 if quick else 40))


if __name__ == "__main__":
    main(run)
