"""Fixtures: a cache, and a way to ask for compiled code."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from support.modules import ModuleWriter
from wasm.hosting import compiled_directory

from hostcore.hosts.wasm.cache import Cache
from hostcore.hosts.wasm.compiling import compiled
from hostcore.hosts.wasm.kinds import kind_of
from hostcore.hosts.wasm.settings import Settings


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    """An empty cache."""
    return Cache(tmp_path / "cache", 2**30)


@pytest.fixture
def ask(cache: Cache) -> Callable[..., Awaitable[Path]]:
    """Ask for the compiled code of WebAssembly, with limits that nothing honest reaches."""

    def ask(data: bytes, **changed: Any) -> Awaitable[Path]:
        kind = kind_of(data, module="m", label="m 1.0")
        said = {"module": "m", "label": "m 1.0", "seconds": 60.0, "memory": 2**31, **changed}
        return compiled(data, Settings(), kind, cache, **said)

    return ask


@pytest.fixture
def compiled_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compiled code is shared by all processes and all runs; everything else is the test's own."""
    monkeypatch.setenv("HOSTCORE_CACHE_DIR", str(compiled_directory()))


@pytest.fixture
def write(tmp_path: Path) -> ModuleWriter:
    """Write a native module's project and return its directory."""
    return ModuleWriter(tmp_path)
