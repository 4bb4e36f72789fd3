"""Fixtures: a running system, modules to load into it, and a gate to hold them at."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from support.fixtures import gate, notes, write
from system.support import SETTINGS, Gate, Notes

import hostcore

__all__ = ["gate", "notes", "write"]


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on `sys.path` to install distributions into."""
    folder = tmp_path / "site-packages"
    folder.mkdir()
    monkeypatch.setattr(sys, "path", [str(folder), *sys.path])
    return folder


@pytest.fixture
async def system(gate: Gate, notes: Notes) -> AsyncIterator[hostcore.ModuleSystem]:
    """A running system without modules, stopped after the test."""
    async with hostcore.ModuleSystem(SETTINGS, services={"gate": gate, "notes": notes}) as running:
        yield running
        gate.opened.set()
    others = [task for task in asyncio.all_tasks() if task.get_name().startswith("hostcore:")]
    await asyncio.gather(*others, return_exceptions=True)
