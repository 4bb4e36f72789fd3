"""1, 50 and 1,000 live modules, each an installed distribution with a package of its own.

Loaded with one `load_all`, found by a scan without an index, in a fresh process for each number; memory is the
resident set of the whole process.  Requests then go to modules drawn anew, one after the other.  The peer imports the
same packages plainly and registers an object of each with pluggy: no generation, no mailbox, no reload.
"""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from importlib import import_module
from pathlib import Path

import msgspec
from harness import Budget, Cell, Result, at_most, main, rss_mb, scratch
from sites import install

from hostcore.cli.bench.measuring import Ask, calls, figures

TITLE = "1, 50 and 1,000 modules"
PAYLOAD = {"path": "a.py", "lines": [1, 2, 3], "text": "x" * 64}


async def ask_all(ask: Callable[[str], Awaitable[object]], names: list[str], seconds: float) -> dict[str, Cell]:
    choose = random.Random(1).choice
    for name in names:
        await ask(name)
    once: Ask = lambda: ask(choose(names))  # noqa: E731
    found = figures("", [await calls(once)(seconds)])
    return {"p50 us": found.p50_us, "p99 us": found.p99_us, "p99.9 us": found.p999_us}


def row(what: str, count: int, began: float, before: float) -> dict[str, Cell]:
    took, rss = time.perf_counter() - began, rss_mb()
    return {
        "what": what, "modules": count, "load s": round(took, 3), "ms each": round(took * 1000 / count, 3),
        "RSS MB": round(rss, 1), "KiB each": round((rss - before) * 1024 / count, 1),
    }  # fmt: skip


async def load_hostcore(names: list[str], seconds: float) -> dict[str, Cell]:
    from hostcore import ModuleSystem

    with tempfile.TemporaryDirectory() as state:
        async with ModuleSystem({"state_dir": state, "index": False}) as system:
            before, began = rss_mb(), time.perf_counter()
            outcome = await system.load_all(names)
            found = row("hostcore", len(names), began, before)
            if outcome.failed:
                raise next(iter(outcome.failed.values()))
            return found | await ask_all(lambda name: system.request(name, PAYLOAD), names, seconds)


async def load_plainly(names: list[str], seconds: float) -> dict[str, Cell]:
    import pluggy

    from hostcore.contract.spec import HookSpecs

    before, began = rss_mb(), time.perf_counter()
    managers = {}
    for name in names:
        package = import_module(name.replace("-", "_"))
        managers[name] = manager = pluggy.PluginManager("hostcore")
        manager.add_hookspecs(HookSpecs)
        manager.register(package.Echo())
    found = row("import and pluggy", len(names), began, before)

    class Message:
        payload = PAYLOAD

    async def ask(name: str) -> object:
        return managers[name].hook.handle_message(message=Message)

    return found | await ask_all(ask, names, seconds)


def child(kind: str, count: int, site: str, seconds: float) -> None:
    sys.path.append(site)
    load = load_hostcore if kind == "hostcore" else load_plainly
    names = [f"bench-{number}" for number in range(count)]
    print(msgspec.json.encode(asyncio.run(load(names, seconds))).decode())


def in_child(kind: str, count: int, site: Path, seconds: float) -> dict[str, Cell]:
    command = [sys.executable, "-B", __file__, "--child", kind, str(count), str(site), str(seconds)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    return msgspec.json.decode(done.stdout, type=dict[str, Cell])


def run(quick: bool) -> Result:
    rows, budgets = [], list[Budget]()
    with scratch() as folder:
        for count in (1, 50, 200 if quick else 1000):
            site = folder / str(count)
            for number in range(count):
                install(site, number)
            for kind in ("hostcore", "pluggy"):
                rows.append(in_child(kind, count, site, 0.3 if quick else 3.0))
            if count == 1000:
                ours = rows[-2]
                budgets = [
                    at_most("load 1,000 modules", float(ours["load s"] or 0), 5, "s"),
                    at_most("RSS with 1,000 modules", float(ours["RSS MB"] or 0), 250, "MB"),
                    at_most("request p99 with 1,000 modules", float(ours["p99 us"] or 0) / 1000, 1, "ms"),
                ]
    return Result(rows=rows, budgets=budgets)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(sys.argv[2], int(sys.argv[3]), sys.argv[4], float(sys.argv[5]))
    else:
        main(run)
