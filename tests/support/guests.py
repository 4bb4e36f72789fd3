"""WebAssembly guests for tests, built from source: `guest("c")` is the path of a .wasm."""

from __future__ import annotations

from pathlib import Path

import pytest
from guests.building import ToolMissing, build, guests

CONFORMANCE = tuple(name for name in guests() if not name.startswith("counter-"))
"""The guests that all do the same, one for each language and ABI."""
COUNTERS = tuple(name for name in guests() if name.startswith("counter-"))
"""The examples of the guide."""


def guest(name: str) -> Path:
    """Return the path of a guest of `tests/guests/`; where this machine cannot build it, the test is skipped."""
    try:
        return build(name)
    except ToolMissing as missing:
        pytest.skip(f"{name}: {missing}")
