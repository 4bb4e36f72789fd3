"""Fixtures of all tests: directories of their own, and a process that is left as it was."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

# Who starts tests in the background, or under nohup, has these ignored, and so would every process that they start.
for number, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, handler)


ONCE = (
    "cli", "demo", "guest/test_component.py", "guest/test_tiers.py", "guests", "packages/test_installing.py", "sdk",
    "soak", "torture", "worker/sandbox", *(f"wasm/test_{name}.py" for name in (
        "asking", "cache", "compiling", "hostile_hooks", "hostile_memory", "hostile_pointers", "hostile_shapes",
        "hostile_time", "hostile_world", "many", "memory", "packaged", "processes",
    )),
)  # fmt: skip
"""What is marked `once`, all of it."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what does not depend on the interpreter."""
    here = Path(__file__).parent
    places = [here / place for place in ONCE]
    for item in items:
        if any(place == item.path or place in item.path.parents for place in places):
            item.add_marker(pytest.mark.once)


@pytest.fixture(autouse=True)
def own_directories(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the user's own state, caches or sockets is read or written by a test."""
    home: Path = tmp_path_factory.mktemp("home")
    for kind in ("STATE", "CACHE", "RUNTIME"):
        monkeypatch.setenv(f"HOSTCORE_{kind}_DIR", str(home / kind.lower()))


@pytest.fixture(autouse=True)
def no_generation_left() -> Iterator[None]:
    """A test unloads what it loads: whatever generations put into the process is out of it again."""
    before = _installed()
    yield
    left = [what for what in _installed() if what not in before]
    assert not left, f"generations are still loaded: {left}"


def _installed() -> list[str]:
    # Only if it was imported: some tests are about what importing hostcore costs.
    generations = sys.modules.get("hostcore.generations")
    return generations.installed() if generations is not None else []
