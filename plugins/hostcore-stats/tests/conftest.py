"""What the tests share: the module, importable from this tree where it is not installed, and a context for it."""

from __future__ import annotations

import importlib.util
import math
import sys
from pathlib import Path
from typing import Any

import pytest

import hostcore

PROJECT = Path(__file__).parents[1]
if importlib.util.find_spec("hostcore_stats") is None:
    sys.path.append(str(PROJECT / "src"))


class RecordingPorts:
    """Stands in for the system: remembers what a module publishes and subscribes to."""

    def __init__(self) -> None:
        self.published: list[tuple[str, Any]] = []
        self.subscribed: list[str] = []

    async def publish(self, topic: str, payload: Any) -> None:
        self.published.append((topic, payload))

    def subscribe(self, pattern: str) -> None:
        self.subscribed.append(pattern)


@pytest.fixture
def ports() -> RecordingPorts:
    """What the module under test has published and subscribed to."""
    return RecordingPorts()


@pytest.fixture
def project() -> Path:
    """The directory of this distribution."""
    return PROJECT


@pytest.fixture
def message():
    """Make a message as the host would, from its payload."""

    def make(payload: Any) -> hostcore.Message[Any]:
        return hostcore.Message("1", type(payload).__topic__, payload, "host", "", math.inf, "1")

    return make
