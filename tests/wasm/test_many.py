"""Guests that come and go leave nothing: no memory, no address space, no thread, no file, no entry anywhere."""

from __future__ import annotations

import gc
import os
import threading
from pathlib import Path

import pytest
from wasm.arena import GRANTS
from wasm.hosting import hosted, memory_of_process, ready, soon
from wasm.wat import component, core

import hostcore
from hostcore import errors

pytestmark = pytest.mark.usefixtures("compiled_once")

MIB = 1024**2
CYCLES = 150
SLACK = {"resident": 24 * MIB, "address space": 1024 * MIB, "threads": 8}
"""What may be more afterwards: asyncio has up to 6 threads; a guest that stays takes 4 GiB of address space."""


def held() -> dict[str, int]:
    """Return what this process has of things that guests could leave."""
    gc.collect()
    resident, space = memory_of_process()
    return {
        "resident": resident, "address space": space, "threads": threading.active_count(),
        "files": len(os.listdir("/proc/self/fd")), "fibers": _entries(),
    }  # fmt: skip


def _entries() -> int:
    """Return how many entries the call path keeps of calls and of linkers."""
    from hostcore.hosts.wasm.fast import callbacks

    return len(callbacks._waiting)


def growth(before: dict[str, int], after: dict[str, int]) -> dict[str, int]:
    """Return what has grown by more than it may."""
    grown = {name: after[name] - before[name] for name in before}
    return {name: more for name, more in grown.items() if more > SLACK.get(name, 0)}


async def live(system: hostcore.ModuleSystem, source: Path, number: int) -> None:
    """Load a guest, talk to it, let it die now and then, reload it, and unload it."""
    await system.load("g", source=source)
    assert await soon(system.request("g", number, topic="echo")) == number
    if number % 5 == 0:
        with pytest.raises(errors.HostcoreError):
            await soon(system.request("g", topic="trap"))
        assert await soon(system.request("g", number, topic="echo")) == number
    if number % 7 == 0:
        await system.reload("g", strict=True)
        await soon(system.request("g", 1, topic="sleep"))
    assert await system.unload("g") == ()


@pytest.mark.parametrize(
    ("language", "calls"), [("c", "fast"), ("c-core", "fast"), ("c", "plain"), ("python-raw", "fast")]
)
async def test_guests_that_come_and_go(language: str, calls: str) -> None:
    """After many loads, deaths, reloads and unloads the process is as large as after a few."""
    source = ready(language)
    cycles = CYCLES if (language, calls) == ("c", "fast") else CYCLES // 5
    async with hosted(calls, grants={"g": GRANTS}) as system:
        await system.load("keeper", source=source)  # keeps the compiled code, so that only guests come and go
        for number in range(cycles // 3):
            await live(system, source, number)
        before = held()
        for number in range(cycles):
            await live(system, source, number)
        assert growth(before, held()) == {}


async def test_guests_that_are_refused_or_stopped(tmp_path: Path) -> None:
    """Guests that do not come up, or are stopped in the middle, leave nothing either."""
    kinds = {
        "trap": core(hooks={"initialize": "(unreachable)"}), "exports": component({"initialize": "(unreachable)"}),
        "memory": core(memory='(memory (export "memory") 9000)'), "abi": core(abi="(i32.const 7)"),
    }  # fmt: skip
    for name, data in kinds.items():
        (tmp_path / f"{name}.wasm").write_bytes(data)
    (tmp_path / "spin.wasm").write_bytes(core("(loop $on (br $on)) (unreachable)"))

    async def round(system: hostcore.ModuleSystem) -> None:
        for name in kinds:
            with pytest.raises(errors.HostcoreError):
                await system.load("g", source=tmp_path / f"{name}.wasm")
        await system.load("g", source=tmp_path / "spin.wasm")
        with pytest.raises(errors.DeadlineError):
            await soon(system.request("g", timeout=0.005))
        await system.unload("g")

    async with hosted() as system:
        for _ in range(20):
            await round(system)
        before = held()
        for _ in range(60):
            await round(system)
        assert growth(before, held()) == {}


async def test_systems_that_come_and_go(tmp_path: Path) -> None:
    """A system that stops lets go of its engines, its threads and its guests."""
    source = ready("c")

    async def once() -> None:
        async with hosted() as system:
            await system.load("g", source=source)
            assert await soon(system.request("g", 1, topic="echo")) == 1

    for _ in range(10):
        await once()
    before = held()
    for _ in range(40):
        await once()
    assert growth(before, held()) == {}
