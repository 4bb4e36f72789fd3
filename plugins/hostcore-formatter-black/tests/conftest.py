"""What the tests share: the module, importable from this tree where it is not installed."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

pytest.importorskip("black", reason="the module formats with black")

PROJECT = Path(__file__).parents[1]
if importlib.util.find_spec("hostcore_formatter_black") is None:
    sys.path.append(str(PROJECT / "src"))


@pytest.fixture
def project() -> Path:
    """The directory of this distribution."""
    return PROJECT
