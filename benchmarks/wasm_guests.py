"""The guests that are measured, and how to get at them beneath a `ModuleSystem`.

They are built once, as those of the tests are, by `tests/guests/building.py`; their compiled code stays beside them.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import msgspec

from hostcore import ModuleSystem

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tests" / "guests"))

import building  # noqa: E402

_ZIG = "python -m ziglang cc -target wasm32-freestanding -O2 -s -nostdlib -Wl,--no-entry -I $GUEST/c"
_OWN = {
    "component": building.Guest(
        ("zig", "wasm-tools"),
        (
            f"{_ZIG} bench.c -o core.wasm",
            "wasm-tools component embed $GUEST/interface core.wasm --world module -o embedded.wasm",
            "wasm-tools component new embedded.wasm -o module.wasm",
        ),
        ("bench.c",),
        ("c",),
    ),
    "core": building.Guest(("zig",), (f"{_ZIG} -D HOSTCORE_CORE bench.c -o module.wasm",), ("bench.c",), ("c",)),
    "extism": building.Guest(("zig",), (f"{_ZIG} extism.c -o module.wasm",), ("extism.c",)),
}
_TESTS = {"JavaScript": "javascript", "Python": "python-raw"}
SIZES = {"16 B": 16, "1 KB": 1024, "64 KB": 65536}
NATIVE = '''\
import hostcore


class Echo:
    """Answers with what it is sent."""

    @hostcore.hookimpl
    def handle_message(self, message):
        return message.payload
'''
GRANTS = ("kv", "bus.request:native")


def guest(name: str) -> Path:
    """Return the file of a guest: "component", "core", "extism" (of C), "JavaScript", "Python"."""
    if name in _OWN:
        sources = {file: HERE / "guests" / file for file in _OWN[name].sources}
        return building.build_as(f"bench-{name}", _OWN[name], sources)
    return building.build(_TESTS[name])


def kinds() -> tuple[str, ...]:
    """Return the kinds of guest that are measured: JavaScript only where npm can build it."""
    try:
        guest("JavaScript")
    except building.ToolMissing:
        return "core", "component", "Python"
    return "core", "component", "JavaScript", "Python"


def share_compiled() -> None:
    """Have compiled code kept beside the guests, so that it is made once for all runs and the user's is left alone."""
    os.environ["HOSTCORE_CACHE_DIR"] = str(building.cache_directory() / "bench-compiled")


def payload(size: int) -> dict[str, Any]:
    """Return a payload that is `size` bytes of JSON."""
    fields = {"path": "a.py", "lines": [1, 2, 3]} if size > 64 else {}
    rest = size - len(msgspec.json.encode({**fields, "text": ""}))
    return {**fields, "text": "x" * rest}


def instance(system: ModuleSystem, name: str) -> Any:
    """Return what runs a loaded module's guests."""
    assert system._parts is not None
    return system._parts.bus.cells[name].instance


def live(system: ModuleSystem, name: str) -> Any:
    """Return the guest behind a loaded module, to be called without any of the rest."""
    return instance(system, name)._guest


def remember(system: ModuleSystem, name: str, key: str, value: Any) -> None:
    """Put a value into a module's own store, where only its guest could."""
    instance(system, name)._host.context.kv.set(key, value)
