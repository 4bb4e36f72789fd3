"""Fixtures: a running system, modules to load into it, and a module that does whatever it is told in a worker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from support.fixtures import gate, notes, write
from system.support import SETTINGS, Gate, Notes

import hostcore

__all__ = ["gate", "notes", "write"]


@pytest.fixture
async def system(gate: Gate, notes: Notes) -> AsyncIterator[hostcore.ModuleSystem]:
    """A running system that lets modules do what they ask for, stopped after the test."""
    settings = {**SETTINGS, "policy": {"default": "allow"}, "worker": {"grace": "100ms"}}
    async with hostcore.ModuleSystem(settings, services={"gate": gate, "notes": notes}) as running:
        yield running
        gate.opened.set()
    others = [task for task in asyncio.all_tasks() if task.get_name().startswith("hostcore:")]
    await asyncio.gather(*others, return_exceptions=True)
