"""Fixtures that the tests of whole systems share; a conftest imports those that its tests use."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.modules import ModuleWriter
from system.support import Gate, Notes


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
