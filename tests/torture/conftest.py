"""Fixtures: systems with bystanders that are asked all the while, and a summary of how late they answered."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from support.fixtures import gate, notes, write
from support.modules import ECHO, ModuleWriter
from system.support import SETTINGS, Gate, Notes
from torture.bystander import Bystander, Latency, latency

import hostcore

__all__ = ["gate", "notes", "write"]

READING = "bystander"
"""What a test's reading is called among the properties of its report."""
First = Callable[[hostcore.ModuleSystem], Awaitable[None]]
Opened = Callable[..., AbstractAsyncContextManager[hostcore.ModuleSystem]]


@pytest.fixture
def opened(tmp_path: Path, gate: Gate, notes: Notes, request: pytest.FixtureRequest) -> Opened:
    """Run a system in which a native bystander, and one in a worker unless told otherwise, must go on answering.

    What is to be done before they are asked is given as `first`.
    """

    @asynccontextmanager
    async def open_system(
        *, worker: bool = True, first: First | None = None, **settings: Any
    ) -> AsyncIterator[hostcore.ModuleSystem]:
        settings = {**SETTINGS, "worker": {"grace": "100ms"}, **settings}
        services = {"gate": gate, "notes": notes}
        async with hostcore.ModuleSystem(settings, services=services) as system:
            places = {"bystander": "native", **({"bystander-worker": "worker"} if worker else {})}
            for name, isolation in places.items():
                await system.load(name, source=ModuleWriter(tmp_path / name)(ECHO, name), isolation=isolation)
            if first is not None:
                await first(system)
            async with Bystander(system, list(places)) as bystander:
                yield system
            gate.opened.set()
        assert bystander.wrong == []
        request.node.user_properties.append((READING, list(latency(bystander.taken))))
        others = [task for task in asyncio.all_tasks() if task.get_name().startswith("hostcore:")]
        await asyncio.gather(*others, return_exceptions=True)

    return open_system


@pytest.fixture
def attack_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Temporary folders lie in the test's own directory."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


@pytest.fixture
async def system(opened: Opened) -> AsyncIterator[hostcore.ModuleSystem]:
    """A running system that lets modules do what they ask for, with both bystanders."""
    async with opened() as running:
        yield running


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Print how late the bystanders answered, the latest last; with -v each test, else the worst."""
    rows = [
        (Latency(*value), report.nodeid.rpartition("/")[2])
        for report in terminalreporter.getreports("")
        for name, value in report.user_properties
        if name == READING and report.when == "teardown"
    ]
    if not rows:
        return
    rows.sort(key=lambda row: row[0].p99)
    terminalreporter.section("bystanders: milliseconds to an answer during the attack")
    for found, name in rows if config.get_verbosity() > 0 else rows[-10:]:
        terminalreporter.line(f"p50 {found.p50:7.2f}  p99 {found.p99:7.2f}  max {found.most:7.2f}  {name}")
