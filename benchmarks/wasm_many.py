"""Many live WebAssembly guests: 1,000 of C as core modules and as components, 50 of Python; and how long one takes.

Each number has a process of its own.  All guests of a row have the same file, loaded under so many names, one after the
other: a module each, with its address, mailbox and grants.  Memory is the resident set of the whole process; "each" is
what came on top of a started `ModuleSystem`, divided by their number.  Then requests of 1 KB go to modules drawn anew.
The peer is an Extism plug-in of the same C for each.

"instantiate" is what it takes to make one more guest of code that is loaded, and to free it, in turns: a store with its
limits, the memory, linking, and binding the exports.  wasmtime's public interface does less: it looks nothing up.
"""

from __future__ import annotations

import asyncio
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from math import inf
from typing import Any

import msgspec
import wasm_guests as guests
from harness import Budget, Cell, Result, at_most, main, rss_mb, scratch

from hostcore import ModuleSystem
from hostcore.cli.bench.measuring import Ask, Sample, calls, figures

TITLE = "WebAssembly: many guests"
Row = dict[str, Cell]


async def ask_all(ask: Callable[[str], Awaitable[object]], names: list[str], seconds: float) -> Row:
    choose = random.Random(1).choice
    for name in names:
        await ask(name)
    once: Ask = lambda: ask(choose(names))  # noqa: E731
    found = figures("", [await calls(once)(seconds)])
    return {"p50 us": found.p50_us, "p99 us": found.p99_us}


def row(what: str, count: int, began: float, before: float) -> Row:
    took, rss = time.perf_counter() - began, rss_mb()
    return {
        "what": what, "guests": count, "load s": round(took, 3), "ms each": round(took * 1000 / count, 3),
        "RSS MB": round(rss, 1), "more MB": round(rss - before, 1),
        "KiB each": round((rss - before) * 1024 / count, 1),
    }  # fmt: skip


async def load_hostcore(kind: str, count: int, seconds: float) -> Row:
    data, path, names = guests.payload(1024), guests.guest(kind), [f"m{number}" for number in range(count)]
    with scratch() as folder:
        async with ModuleSystem({"state_dir": str(folder), "index": False}) as system:
            await system.load("first", source=path)  # compiled, if it was not
            await system.unload("first")
            before, began = rss_mb(), time.perf_counter()
            for name in names:
                await system.load(name, source=path)
            found = row(f"hostcore, {kind}", count, began, before)
            return found | await ask_all(lambda name: system.request(name, data, topic="echo"), names, seconds)


async def load_extism(count: int, seconds: float) -> Row:
    import wasm_peers

    text, path = msgspec.json.encode(guests.payload(1024)), guests.guest("extism")
    wasm_peers.extism_plugin(path)
    before, began = rss_mb(), time.perf_counter()
    plugins = {f"m{number}": wasm_peers.extism_plugin(path) for number in range(count)}
    found = row("Extism, C", count, began, before)

    async def ask(name: str) -> object:
        return plugins[name].call("echo", text)

    return found | await ask_all(ask, list(plugins), seconds)


async def instantiate(kinds: tuple[str, ...], seconds: float) -> list[Row]:
    import wasm_peers

    makes: dict[str, Callable[[], Awaitable[object]]] = {}
    with scratch() as folder:
        async with ModuleSystem({"state_dir": str(folder), "index": False}) as system:
            for kind in kinds:
                await system.load(kind, source=guests.guest(kind))
                makes[f"instantiate: hostcore, {kind}"] = maker(guests.instance(system, kind))
            makes["instantiate: wasmtime's public interface, component"] = again(
                wasm_peers.PublicComponent(guests.guest("component")).instantiate
            )
            makes["instantiate: wasmtime's public interface, core"] = again(
                wasm_peers.PublicCore(guests.guest("core")).instantiate
            )
            makes["instantiate: Extism, C"] = again(lambda: wasm_peers.extism_plugin(guests.guest("extism")))
            samples: dict[str, list[Sample]] = {name: [] for name in makes}
            for _ in range(10):
                for name, make in makes.items():
                    samples[name].append(await calls(make)(seconds / 10 / len(makes)))
    found = (figures(name, entries) for name, entries in samples.items())
    return [{"what": entry.name, "p50 us": entry.p50_us, "p99 us": entry.p99_us} for entry in found]


def maker(instance: Any) -> Ask:
    async def make() -> None:
        (await instance._make(instance._host, inf)).close()

    return make


def again(function: Callable[[], object]) -> Ask:
    async def make() -> None:
        function()

    return make


async def child(kind: str, count: int, seconds: float) -> object:
    if kind == "instantiate":
        return await instantiate(guests.kinds(), seconds)
    if kind == "extism":
        return await load_extism(count, seconds)
    return await load_hostcore(kind, count, seconds)


def in_child(kind: str, count: int, seconds: float) -> Any:
    command = [sys.executable, __file__, "--child", kind, str(count), str(seconds)]
    return msgspec.json.decode(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)


def run(quick: bool) -> Result:
    seconds, times = (0.3, 1) if quick else (2.0, 3)
    rows = []
    for kind, count in (("core", 1000), ("component", 1000), ("extism", 1000), ("Python", 50)):
        runs = [in_child(kind, count, seconds) for _ in range(times)]
        middle = statistics.median_low([float(found["RSS MB"]) for found in runs])
        rows.append(next(found for found in runs if found["RSS MB"] == middle))
    core = rows[0]
    budgets: list[Budget] = [
        at_most("RSS of the process with 1,000 core guests", float(core["RSS MB"] or 0), 120, "MB"),
        at_most("RSS that 1,000 core guests add", float(core["more MB"] or 0), 120, "MB"),
    ]
    rows += in_child("instantiate", 1, seconds * 5)
    return Result(rows=rows, budgets=budgets)


if __name__ == "__main__":
    guests.share_compiled()
    if sys.argv[1:2] == ["--child"]:
        print(msgspec.json.encode(asyncio.run(child(sys.argv[2], int(sys.argv[3]), float(sys.argv[4])))).decode())
    else:
        main(run)
