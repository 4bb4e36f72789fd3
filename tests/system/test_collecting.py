"""The garbage collection that several reloads share."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator
from typing import Any

import pytest
from support.modules import COUNTER, ModuleWriter
from system.support import soon, until

import hostcore
from hostcore.runtime import collecting
from hostcore.runtime.collecting import Collector


@pytest.fixture
def full() -> Iterator[list[str]]:
    """What grows by one at each collection of the whole heap that is asked for in between."""
    seen: list[str] = []

    def note(phase: str, info: dict[str, Any]) -> None:
        if phase == "start" and info["generation"] == 2:
            seen.append(phase)

    gc.disable()
    gc.callbacks.append(note)
    yield seen
    gc.callbacks.remove(note)
    gc.enable()


async def test_alone(full: list[str]) -> None:
    """Who is alone gets a collection at once, each time; so does who has not announced it."""
    collector = Collector()
    for _ in range(3):
        with collector.expecting():
            await collector.collect()
    await collector.collect()
    assert len(full) == 4


async def test_together(full: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """All who are expected share one collection; one who leaves without asking keeps nobody waiting."""
    monkeypatch.setattr(collecting, "PAUSE", 1e9)
    collector = Collector()
    await collector.collect()
    leave = asyncio.Event()

    async def ask() -> None:
        with collector.expecting():
            await collector.collect()

    async def do_without() -> None:
        with collector.expecting():
            await leave.wait()

    async with asyncio.TaskGroup() as group:
        group.create_task(do_without())
        asking = [group.create_task(ask()) for _ in range(5)]
        await until(lambda: collector.asking == 5)
        assert not any(task.done() for task in asking)
        assert len(full) == 1
        leave.set()
    assert len(full) == 2


async def test_nobody_waits_for_a_slow_one(full: list[str]) -> None:
    """While others are expected and do not come, the collection begins after a while."""
    collector = Collector()
    with collector.expecting(), collector.expecting():
        await collector.collect()
        await soon(asyncio.gather(collector.collect(), collector.collect()))
    assert len(full) in (2, 3)


async def test_reloads(system: hostcore.ModuleSystem, write: ModuleWriter, full: list[str]) -> None:
    """Modules that are reloaded at once need fewer collections than there are modules; none of them leaks."""
    names = [f"counter{number}" for number in range(10)]
    for name in names:
        await system.load(name, source=write(COUNTER, name))
    full.clear()
    reports = await soon(asyncio.gather(*map(system.reload, names)))
    assert [(report.rolled_back, report.leaks) for report in reports] == [(False, ())] * len(names)
    assert 1 <= len(full) < len(names)
