"""One call after the other to an idle WebAssembly guest that answers with what it is sent: 16 B, 1 KB, 64 KB of JSON.

`request` is the whole of `ModuleSystem.request`, with the payload as data on both sides: address, permission, deadline,
MessagePack, JSON, the guest, and all of it back.  `guest alone` is the call of the guest by itself, from JSON to JSON.
`get` has one call of the host inside (`kv.get`), `ask` one that a native module answers, through the bus.

The peers: wasmtime's public interface for Python on the same file, and an Extism plug-in in C that does the same, with
its SDK for Python; both from JSON to JSON.  For `get` they have a host function that reads SQLite, as `kv.get` does.
"with the codec" has the data made into JSON and back, as a request has.  All run in turns, in short blocks, in one
process.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any

import msgspec
import wasm_guests as guests
import wasm_peers as peers
from harness import Budget, Cell, Result, at_least, at_most, main, scratch
from sites import write_project

from hostcore import ModuleSystem
from hostcore.cli.bench.measuring import Ask, Figures, calls, in_turns

TITLE = "WebAssembly: calls"
encode, decode = msgspec.json.encode, msgspec.json.decode


def soon(function: Callable[..., Any], *arguments: Any) -> Ask:
    """Return a call as something that can be awaited."""

    async def ask() -> object:
        return function(*arguments)

    return ask


def bare(guest: Any, topic: str, text: bytes) -> Ask:
    call = functools.partial(guest.call, "lifecycle.handle-message", topic.encode(), text)

    async def ask() -> object:
        outcome = call()
        return await outcome if asyncio.iscoroutine(outcome) else outcome

    return ask


class Subjects:
    """Everything that is called, made ready."""

    def __init__(self, system: ModuleSystem) -> None:
        self.system, self.kinds = system, guests.kinds()
        component, core = guests.guest("component"), guests.guest("core")
        self.public, self.core = peers.PublicComponent(component), peers.PublicCore(core)
        self.public_python = peers.PublicComponent(guests.guest("Python"))
        self.extism = peers.extism_plugin(guests.guest("extism"))

    def echoes(self, size: int) -> dict[str, Ask]:
        data = guests.payload(size)
        text, known = encode(data), encode(data).decode()
        system, public, plugin = self.system, self.public, self.extism
        ours = {f"{kind}: request": functools.partial(system.request, kind, data, topic="echo") for kind in self.kinds}
        alone = {f"{kind}: guest alone": bare(guests.live(system, kind), "echo", text) for kind in self.kinds}
        return {
            **ours,
            **alone,
            "component: wasmtime's public interface": soon(public.call, "echo", known),
            "Python: wasmtime's public interface": soon(self.public_python.call, "echo", known),
            "core: wasmtime's public interface": soon(self.core.call, b"echo", text),
            "C: Extism": soon(plugin.call, "echo", text),
            "C: Extism, with the codec": soon(lambda: decode(plugin.call("echo", encode(data)))),
            "native module: request": functools.partial(system.request, "native", data, topic="echo"),
        }

    def inside(self) -> dict[str, Ask]:
        data = guests.payload(1024)
        system = self.system
        asks = {f"{kind}: ask, request": functools.partial(system.request, kind, data, topic="ask")
                for kind in ("component", "core")}  # fmt: skip
        wrapped = {"target": "native", "topic": "echo", "payload": data}
        for kind in self.kinds[2:]:
            asks[f"{kind}: ask, request"] = functools.partial(system.request, kind, wrapped, topic="ask")
        gets = {f"{kind}: get, request": functools.partial(system.request, kind, None, topic="get")
                for kind in ("component", "core")}  # fmt: skip
        alone = {f"{kind}: get, guest alone": bare(guests.live(system, kind), "get", b"null")
                 for kind in ("component", "core")}  # fmt: skip
        return {
            **gets,
            **alone,
            "component: get, wasmtime's public interface": soon(self.public.call, "get", "null"),
            "C: get, Extism": soon(self.extism.call, "get", b""),
            **asks,
        }


async def check(subjects: Subjects) -> None:
    """Make sure that all contestants do the same, so that what is compared can be."""
    text = encode(guests.payload(1024))
    for name, ask in subjects.echoes(1024).items():
        reply: Any = await ask()
        found = reply if isinstance(reply, bytes) else reply.encode() if isinstance(reply, str) else encode(reply)
        if found != text:
            raise RuntimeError(f"{name} answers {found[:80]!r}")
    for name, ask in subjects.inside().items():
        if not await ask():
            raise RuntimeError(f"{name} answers nothing")


def pivot(found: dict[str, list[Figures]], extra: list[Figures]) -> list[dict[str, Cell]]:
    """Return a row for each contestant, with columns for each size."""
    rows: dict[str, dict[str, Cell]] = {}
    for size, figures in found.items():
        for entry in figures:
            row = rows.setdefault(entry.name, {"what": entry.name})
            row |= {f"{size} p50 us": entry.p50_us, f"{size} p99 us": entry.p99_us}
    for entry in extra:
        rows[entry.name] = {"what": entry.name, "1 KB p50 us": entry.p50_us, "1 KB p99 us": entry.p99_us}
    return list(rows.values())


def budgets(rows: list[dict[str, Cell]]) -> list[Budget]:
    took = {str(row["what"]): float(row["1 KB p50 us"] or 0.0) for row in rows}
    public, extism = took["component: wasmtime's public interface"], took["C: Extism"]
    return [
        at_most("WebAssembly component, request of 1 KB, p50", took["component: request"], 20, "us"),
        at_most("WebAssembly core module, request of 1 KB, p50", took["core: request"], 12, "us"),
        at_most("WebAssembly Python guest, request of 1 KB, p50", took["Python: request"], 30, "us"),
        at_least("core guest alone at 1 KB, times faster than Extism", extism / took["core: guest alone"], 2, "x"),
        at_least("component alone at 1 KB, times faster than Extism", extism / took["component: guest alone"], 2, "x"),
        at_least(
            "component alone at 1 KB, times faster than wasmtime's public interface",
            public / took["component: guest alone"], 8, "x",
        ),
    ]  # fmt: skip


async def measure(seconds: float) -> Result:
    guests.share_compiled()
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(scratch())
        native = write_project(folder / "native", ["native"], code=guests.NATIVE)
        policy = {"grants": dict.fromkeys(guests.kinds(), guests.GRANTS)}
        config = {"state_dir": str(folder), "policy": policy}
        system = await stack.enter_async_context(ModuleSystem(config))
        await system.load("native", source=native)
        for kind in guests.kinds():
            await system.load(kind, source=guests.guest(kind))
        subjects = Subjects(system)
        for kind in ("component", "core"):
            guests.remember(system, kind, "k", {"kept": True})
        await check(subjects)
        found = {}
        for name, size in guests.SIZES.items():
            blocks = {what: calls(ask) for what, ask in subjects.echoes(size).items()}
            found[name] = await in_turns(blocks, seconds)
        extra = await in_turns({what: calls(ask) for what, ask in subjects.inside().items()}, seconds)
    rows = pivot(found, extra)
    return Result(rows=rows, budgets=budgets(rows))


def run(quick: bool) -> Result:
    return asyncio.run(measure(4.0 if quick else 30.0))


if __name__ == "__main__":
    main(run)
