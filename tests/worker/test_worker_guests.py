"""WebAssembly guests in workers: as in the program's process, and what time slices cannot end ends with the worker."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from system.support import next_event, running, soon
from wasm.support import wasm
from wasm.text import guest
from worker.puppet import is_alive

import hostcore
from hostcore import errors

ALLOW = {"policy": {"default": "allow"}, "worker": {"grace": "100ms"}}


def write(folder: Path, name: str, body: str) -> Path:
    """Write a guest that does that with each message."""
    path = folder / f"{name}.wasm"
    path.write_bytes(wasm(guest(body)))
    return path


def process_of(system: hostcore.ModuleSystem) -> int:
    """Return the number of the process that the guest runs in."""
    pid: int = system.record("g").copy.instance._process.pid
    return pid


async def test_a_guest_in_a_worker(tmp_path: Path) -> None:
    """A guest answers from its worker, is reloaded there, and moves out of it again."""
    source = write(tmp_path, "good", "")
    async with running(**ALLOW) as system:
        await system.load("g", source=source, isolation="wasm+worker")
        assert system.modules["g"].host == "wasm+worker"
        assert await system.request("g") is None
        first = process_of(system)
        await system.reload("g", strict=True)
        assert process_of(system) != first
        assert not is_alive(first)
        await system.reload("g", isolation="wasm", strict=True)
        assert await system.request("g") is None


async def test_a_guest_that_traps(tmp_path: Path) -> None:
    """A trap is told to who asked and to the supervisor, and leaves the worker as it is."""
    source = write(tmp_path, "bad", "(unreachable)")
    async with running(**ALLOW, supervision={"tries": 1}) as system, system.subscribe("hostcore.module.*") as events:
        await system.load("g", source=source, isolation="wasm+worker")
        pid = process_of(system)
        with pytest.raises(errors.GuestTrapError):
            await soon(system.request("g"))
        crash = await next_event(events, "hostcore.module.crashed")
        assert (crash["kind"], crash["hook"], crash["host"]) == ("trapped", "handle_message", "wasm+worker")
        assert is_alive(pid)
        with pytest.raises(errors.GuestTrapError):
            await soon(system.request("g"))
        await next_event(events, "hostcore.module.quarantined")


LONG_FILL = """
(loop $again
  (memory.fill (i32.const 1024) (i32.const 1) (i32.const 60000))
  (br $again))
"""


async def test_a_guest_that_does_not_end(tmp_path: Path) -> None:
    """A guest that runs on is stopped at its limit, and the host answers others all the while."""
    source = write(tmp_path, "long", LONG_FILL)
    async with running(**ALLOW) as system:
        await system.load("other", source=write(tmp_path, "good", ""))
        await system.load("g", source=source, isolation="wasm+worker", limits={"handle_message": "300ms"})
        asked = asyncio.ensure_future(system.request("g", timeout=20))
        answered = 0
        while not asked.done():
            await system.request("other")
            answered += 1
            await asyncio.sleep(0)
        with pytest.raises(errors.HostcoreError):
            await asked
        assert answered > 10


async def test_a_damaged_guest(tmp_path: Path) -> None:
    """What is no WebAssembly is refused before there is a worker."""
    path = tmp_path / "bad.wasm"
    path.write_bytes(b"\0asm garbage")
    async with running(**ALLOW) as system:
        with pytest.raises(errors.LoadError):
            await system.load("g", source=path, isolation="wasm+worker")
