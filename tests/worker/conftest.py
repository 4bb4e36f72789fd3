"""Fixtures: a running system, modules to load into it, and a module that does whatever it is told in a worker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from support.modules import ModuleWriter
from system.support import SETTINGS, Gate, Notes

import hostcore


@pytest.fixture
def write(tmp_path: Path) -> ModuleWriter:
    """Write a module's project and return its directory."""
    return ModuleWriter(tmp_path)


@pytest.fixture
def gate() -> Gate:
    """The service "gate" of the system."""
    return Gate()


@pytest.fixture
def notes() -> Notes:
    """The service "notes" of the system."""
    return Notes()


@pytest.fixture
async def system(gate: Gate, notes: Notes) -> AsyncIterator[hostcore.ModuleSystem]:
    """A running system that lets modules do what they ask for, stopped after the test."""
    settings = {**SETTINGS, "policy": {"default": "allow"}, "worker": {"grace": "100ms"}}
    async with hostcore.ModuleSystem(settings, services={"gate": gate, "notes": notes}) as running:
        yield running
        gate.opened.set()
    others = [task for task in asyncio.all_tasks() if task.get_name().startswith("hostcore:")]
    await asyncio.gather(*others, return_exceptions=True)
