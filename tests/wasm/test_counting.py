"""The memories of a guest are counted in its file, so that all of them can be bounded together."""

from __future__ import annotations

import pytest
from wasm.hosting import ready
from wasm.support import COMPONENT, CORE, wasm
from wasm.wat import parsed

from hostcore.hosts.wasm.counting import memories_of
from hostcore.hosts.wasm.kinds import Kind


@pytest.mark.parametrize(
    ("text", "count"),
    [(CORE, 1), ("(module)", 1), ("(module (memory 1) (memory 0) (memory 2 3))", 3)],
)
def test_memories_of_a_core_module(text: str, count: int) -> None:
    """A core module has those that it declares, and counts as one where it declares none."""
    assert memories_of(wasm(text), Kind.CORE) == count


def test_memories_of_a_component() -> None:
    """A component has those of all modules in it, however deep they lie; what it imports is not its own."""
    assert memories_of(wasm(COMPONENT), Kind.COMPONENT) == 1
    inner = "(component (core module (memory 1) (memory 1)) (component (core module (memory 1))))"
    deep = f'(component (core module (memory 1)) {inner} (core module (import "a" "b" (memory 1))))'
    assert memories_of(parsed(deep), Kind.COMPONENT) == 4


def test_memories_of_a_real_guest() -> None:
    """A guest in C has one memory, one in Python no more than it may have."""
    assert memories_of(ready("c").read_bytes(), Kind.COMPONENT) == 1
    assert 1 <= memories_of(ready("python-raw").read_bytes(), Kind.COMPONENT) <= 4
