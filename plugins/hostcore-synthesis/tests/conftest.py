"""What the tests share: the module, importable from this tree where it is not installed."""

from __future__ import annotations

import importlib.util
import math
import sys
from pathlib import Path
from typing import Any

import pytest

import hostcore

PROJECT = Path(__file__).parents[1]
if importlib.util.find_spec("hostcore_synthesis") is None:
    sys.path.append(str(PROJECT / "src"))


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
