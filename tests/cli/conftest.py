"""Fixtures: a site-packages folder to install modules into, and the command line that sees it."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.hosting import Cli
from support.modules import ModuleWriter


@pytest.fixture
def site(tmp_path: Path) -> Path:
    folder = tmp_path / "site"
    folder.mkdir()
    return folder


@pytest.fixture
def cli(tmp_path: Path, site: Path) -> Cli:
    directory = tmp_path / "work"
    directory.mkdir()
    return Cli(directory, site)


@pytest.fixture
def write(tmp_path: Path) -> ModuleWriter:
    """Write module projects; see `support.modules`."""
    return ModuleWriter(tmp_path)
