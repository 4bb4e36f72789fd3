"""Guests to compile, hostile ones too, and entries of a cache without any compiling."""

from __future__ import annotations

import asyncio
import hashlib
import os
import time
from collections.abc import Callable
from pathlib import Path

import wasmtime

from hostcore.hosts.wasm.cache import Cache
from hostcore.hosts.wasm.sealing import CODE

TIME = 30.0
"""Seconds after which a test gives up on a condition."""

CORE = """(module
  (memory (export "memory") 1)
  (func (export "add") (param i32 i32) (result i32) local.get 0 local.get 1 i32.add))"""
COMPONENT = """(component
  (core module $m (func (export "answer") (result i32) i32.const 42))
  (core instance $i (instantiate $m))
  (func (export "answer") (result s32) (canon lift (core func $i "answer"))))"""


def wasm(text: str) -> bytes:
    """Return the binary form of WebAssembly text."""
    return bytes(wasmtime.wat2wasm(text))


def leb(number: int) -> bytes:
    """Return an unsigned number as WebAssembly writes it."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def bomb(functions: int = 4, steps: int = 60_000) -> bytes:
    """Return a valid core module that takes the compiler long and much memory, for its size."""

    def section(number: int, content: bytes) -> bytes:
        return bytes([number]) + leb(len(content)) + content

    step = bytes([0x20, 0, 0x20, 1, 0x6C, 0x20, 0, 0x73, 0x22, 1, 0x04, 0x40, 0x20, 1, 0x21, 0, 0x0B])
    body = b"\0" + step * steps + b"\x20\0\x0b"
    code = leb(functions) + (leb(len(body)) + body) * functions
    kinds = section(1, b"\x01\x60\x02\x7f\x7f\x01\x7f")
    return b"\0asm\x01\0\0\0" + kinds + section(3, leb(functions) + b"\0" * functions) + section(10, code)


def fill(cache: Cache, name: str, code: bytes = b"code") -> Path:
    """Publish `code` as the entry `name`; return where it is."""
    draft = cache.draft()
    (draft / CODE).touch(mode=0o600)
    (draft / CODE).write_bytes(code)
    cache.publish(name, draft, hashlib.sha256(code).hexdigest())
    found = cache.find(name)
    assert found is not None
    return found


def age(path: Path, seconds: float) -> None:
    """Make `path` look as if it was changed that long ago."""
    then = time.time() - seconds
    os.utime(path, (then, then), follow_symlinks=False)


def children() -> list[int]:
    """Return the processes that this one has started and that still run."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = stat.read_text().rpartition(")")[2].split()[:2]
        except OSError:
            continue
        if int(parent) == os.getpid() and state != "Z":
            found.append(int(stat.parent.name))
    return found


async def until(condition: Callable[[], object]) -> None:
    """Wait until `condition` holds."""
    async with asyncio.timeout(TIME):
        while not condition():  # noqa: ASYNC110 (nothing tells of it)
            await asyncio.sleep(0.005)
