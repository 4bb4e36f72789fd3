"""The host's own reading and writing of a core guest's memory, on the fast call path."""

from __future__ import annotations

import pytest
from wasmtime import Engine, Instance, Memory, Module, Store

from hostcore.hosts.wasm.fast.core import Bytes
from hostcore.hosts.wasm.fast.library import memory_data
from hostcore.hosts.wasm.outcomes import OutOfMemory
from hostcore.hosts.wasm.settings import Settings

PAGE = 65536


@pytest.fixture
def store() -> Store:
    return Store(Engine(Settings().config()))


@pytest.fixture
def memory(store: Store) -> Memory:
    """A memory of one page that can grow."""
    module = Module(store.engine, '(module (memory (export "memory") 1))')
    memory = Instance(store, module, []).exports(store)["memory"]
    assert isinstance(memory, Memory)
    return memory


def test_what_is_written_is_read(store: Store, memory: Memory) -> None:
    """Bytes come back as they were, zeros too, to the last of them."""
    data = Bytes(store, memory)
    data.write(7, b"a\0b")
    data.write(PAGE - 2, b"yz")
    assert (data.read(7, 3), data.read(PAGE - 2, 2), data.read(PAGE, 0)) == (b"a\0b", b"yz", b"")


@pytest.mark.parametrize(("pointer", "length"), [(PAGE, 1), (PAGE - 1, 2), (0, PAGE + 1), (0xFFFF_FFFF, 0xFFFF_FFFF)])
def test_beyond_the_memory_nothing_is_touched(store: Store, memory: Memory, pointer: int, length: int) -> None:
    """A place that leaves the memory is refused, for reading and for writing."""
    data = Bytes(store, memory)
    with pytest.raises(OutOfMemory):
        data.read(pointer, length)
    with pytest.raises(OutOfMemory):
        data.write(pointer, bytes(min(length, 2 * PAGE)))


def test_a_memory_grows_where_it_is(store: Store, memory: Memory) -> None:
    """What a memory has grown by can be used, up to its very limit, and it has not moved."""
    data, before = Bytes(store, memory), None
    data.write(0, b"here")
    before = memory_data(*data._where)
    for pages in (1, 62, 4096):
        memory.grow(store, pages)
        end = memory.data_len(store)
        data.write(end - 3, b"end")
        assert data.read(end - 3, 3) == b"end"
        with pytest.raises(OutOfMemory):
            data.read(end, 1)
    assert (data.read(0, 4), memory_data(*data._where)) == (b"here", before)
