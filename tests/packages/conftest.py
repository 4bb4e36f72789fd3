"""Fixtures: a virtual environment with a program running in it, and folders to discover in."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from support.distributions import Venv, libraries

from hostcore.packages import folders


class Lookout:
    """The program `lookout.py`, running in a virtual environment."""

    def __init__(self, venv: Venv, directory: Path) -> None:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(libraries())}
        self.process = subprocess.Popen(
            [venv.python, Path(__file__).with_name("lookout.py"), directory],
            env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def sees(self, name: str) -> dict[str, Any]:
        """Return the release of the module called `name`, or {"error": text}."""
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(f"{name}\n")
        self.process.stdin.flush()
        return msgspec.json.decode(self.process.stdout.readline())

    def stop(self) -> None:
        self.process.communicate()


@pytest.fixture
def venv(tmp_path: Path) -> Venv:
    return Venv(tmp_path / "venv")


@pytest.fixture
def lookout(venv: Venv, tmp_path: Path) -> Iterator[Lookout]:
    running = Lookout(venv, tmp_path / "index")
    yield running
    running.stop()


@pytest.fixture
def site(tmp_path: Path) -> Path:
    folder = tmp_path / "site-packages"
    folder.mkdir()
    return folder


@pytest.fixture
def trusting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trust snapshots at once, not only two seconds after the last change."""
    monkeypatch.setattr(folders, "SETTLED_AFTER", -(1 << 62))
