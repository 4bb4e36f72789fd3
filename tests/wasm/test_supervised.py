"""Guests under supervision: what is done when making another guest does not help."""

from __future__ import annotations

from pathlib import Path

from system.clock import timed
from system.crashing import done, state_of
from system.support import next_event, soon
from wasm.support import wasm
from wasm.text import guest

import hostcore
from hostcore import errors

ONCE = {"tries": 1}
TRAPS = "(unreachable)"


def write(folder: Path, name: str, body: str) -> Path:
    """Write a guest that does that with each message."""
    path = folder / f"{name}.wasm"
    path.write_bytes(wasm(guest(body)))
    return path


async def fails(system: hostcore.ModuleSystem, times: int) -> list[str]:
    """Ask so often, and return the codes of the errors."""
    found = []
    for _ in range(times):
        try:
            await soon(system.request("g"))
        except errors.HostcoreError as error:
            found.append(error.code)
    return found


async def test_a_new_release_that_always_traps(tmp_path: Path) -> None:
    """A guest that only traps is gone back from, if a generation before it is kept; probation aside."""
    async with timed(supervision=ONCE, reload={"failures": 0}) as (system, _, events):
        await system.load("g", source=write(tmp_path, "good", ""))
        await system.reload("g", source=write(tmp_path, "bad", TRAPS), strict=True)
        assert await fails(system, 2) == ["HC502", "HC502"]
        told = await next_event(events, "hostcore.module.restarted")
        assert told["generation"] == 3
        assert await soon(system.request("g")) is None
        assert done(system, "g") == ["a new guest with the next message", "rollback to the generation before"]


async def test_a_guest_in_quarantine(tmp_path: Path) -> None:
    """A guest that only traps, with nothing to go back to, is quarantined until it is reloaded."""
    async with timed(supervision=ONCE) as (system, clock, events):
        await system.load("g", source=write(tmp_path, "bad", TRAPS))
        assert await fails(system, 3) == ["HC502", "HC502", "HC407"]
        assert state_of(system, "g") == "quarantined"
        await system.reload("g", source=write(tmp_path, "good", ""), strict=True)
        await next_event(events, "hostcore.module.revived")
        assert await soon(system.request("g")) is None
        assert clock.waits == []
