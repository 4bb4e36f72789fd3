"""What an operator does with a module that is down comes first, and works."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from support.modules import ModuleWriter
from system.clock import Clock, timed
from system.crashing import count, crashing, kill, state_of
from system.support import Gate, next_event, soon, until

import hostcore
from hostcore import errors

WORKER = {"isolation": "worker"}


@asynccontextmanager
async def waiting(write: ModuleWriter, **settings: Any) -> AsyncIterator[tuple[hostcore.ModuleSystem, Clock, Any]]:
    """A system whose module "counter" has crashed twice, and waits for its restart; the state that it had was 1."""
    async with timed(**settings) as (system, clock, events):
        await system.load("counter", source=crashing(write, manifest="snapshot = { messages = 1 }"), **WORKER)
        await count(system)
        await until(lambda: system.record("counter").snapshot is not None)
        for _ in range(2):
            await until(lambda: state_of(system) == "running")
            await kill(system)
        await until(lambda: clock.waits)
        yield system, clock, events


@asynccontextmanager
async def quarantined(
    write: ModuleWriter, tmp_path: Path, **settings: Any
) -> AsyncIterator[tuple[hostcore.ModuleSystem, Clock, Any]]:
    """A system whose module "counter" is in quarantine: it does not come up while the file "mark" is there."""
    async with timed(**settings) as (system, clock, events):
        await system.load("counter", source=crashing(write, mark=tmp_path / "mark"), **WORKER)
        (tmp_path / "mark").touch()
        await kill(system)
        await until(lambda: clock.waits == [300])
        yield system, clock, events


async def test_reload_of_what_waits(write: ModuleWriter) -> None:
    """A reload does not wait for the restart's time; the new release gets the last state."""
    async with waiting(write) as (system, clock, _):
        report = await system.reload("counter", source=crashing(write, version="2.0"), strict=True)
        assert (report.kind, report.new_version, clock.waits) == ("reload", "2.0", [])
        assert (await count(system))[1:] == ["2.0", 2]
        await kill(system)
        assert (await count(system))[1:] == ["2.0", 2]


async def test_a_reload_that_fails(write: ModuleWriter) -> None:
    """If a reload of a module that is down fails, it is restarted when its time comes, as if nobody had tried."""
    async with waiting(write) as (system, clock, _):
        broken = crashing(write, version="2.0", mark=__file__)
        report = await system.reload("counter", source=broken)
        assert (report.rolled_back, state_of(system), clock.waits) == (True, "restarting", [0.1])
        clock.advance(0.1)
        assert (await count(system))[1:] == ["1.0", 2]


@pytest.mark.parametrize("state", ["last", "fresh"])
async def test_revive_of_what_waits(write: ModuleWriter, state: str) -> None:
    """Reviving a module that waits for its restart starts it at once, with its state or without."""
    async with waiting(write) as (system, clock, _):
        await system.revive("counter", state=state, strict=True)
        assert clock.waits == []
        assert (await count(system))[2] == (2 if state == "last" else 1)


async def test_rollback_of_what_waits(write: ModuleWriter) -> None:
    """A module that is down can be rolled back; what crashed is not kept to go back to."""
    async with waiting(write) as (system, clock, _):
        await system.revive("counter", strict=True)
        await system.reload("counter", source=crashing(write, version="2.0"), strict=True)
        await kill(system)
        await until(lambda: state_of(system) == "running")
        await kill(system)
        await until(lambda: clock.waits)
        report = await system.rollback("counter", strict=True)
        assert (report.new_version, clock.waits) == ("1.0", [])
        assert (await count(system))[1] == "1.0"
        with pytest.raises(errors.LifecycleError, match="none is kept"):
            await system.rollback("counter")


@pytest.mark.parametrize("ends", ["waiting", "quarantined"])
async def test_unload(write: ModuleWriter, tmp_path: Path, ends: str) -> None:
    """A module that is down can be unloaded; whoever waits is answered, and nothing comes back."""
    make = waiting(write) if ends == "waiting" else quarantined(write, tmp_path)
    async with make as (system, clock, _):
        asking = asyncio.ensure_future(system.request("counter"))
        await asyncio.sleep(0)
        assert await system.unload("counter") == ()
        with pytest.raises(errors.StoppedError):
            await soon(asking)
        assert (clock.waits, "counter" in system.modules) == ([], False)
        await system.load("counter", source=crashing(write), **WORKER)
        assert (await count(system))[2] == 1


@pytest.mark.parametrize("ends", ["waiting", "quarantined"])
async def test_the_end_of_the_system(write: ModuleWriter, tmp_path: Path, ends: str) -> None:
    """A system with modules that are down stops, and answers whoever waits."""
    make = waiting(write) if ends == "waiting" else quarantined(write, tmp_path)
    async with make as (system, clock, _):
        asking = asyncio.ensure_future(system.request("counter"))
        await asyncio.sleep(0)
        await soon(system.stop())
        with pytest.raises(errors.StoppedError):
            await soon(asking)
        assert clock.waits == []


async def test_reload_of_what_is_quarantined(write: ModuleWriter, tmp_path: Path) -> None:
    """A reload to a release that works ends a quarantine at once, and with it the ladder begins anew."""
    async with quarantined(write, tmp_path) as (system, clock, events):
        await system.reload("counter", source=crashing(write, version="1.1"), strict=True)
        await next_event(events, "hostcore.module.revived")
        assert ((await count(system))[1], clock.waits) == ("1.1", [])
        await kill(system)
        assert (await count(system))[1] == "1.1"


async def test_a_revival_that_fails(write: ModuleWriter, tmp_path: Path) -> None:
    """Whoever revives a module that does not come up is told why, and it stays where it is."""
    async with quarantined(write, tmp_path) as (system, clock, _):
        report = await system.revive("counter")
        assert (report.rolled_back, report.phase, state_of(system)) == (True, "prepare", "quarantined")
        assert "no luck" in report.reason
        assert clock.waits == [300]
        with pytest.raises(errors.ReloadError, match="no luck"):
            await system.revive("counter", strict=True)


async def test_nothing_to_revive(write: ModuleWriter) -> None:
    """Only what is down can be revived."""
    async with timed() as (system, _, _events):
        with pytest.raises(errors.UnknownModuleError):
            await system.revive("counter")
        await system.load("counter", source=crashing(write), **WORKER)
        with pytest.raises(errors.LifecycleError, match="'counter' is running: there is nothing to revive"):
            await system.revive("counter")
        with pytest.raises(ValueError, match="state is one of 'last', 'fresh', not 'current'"):
            await system.revive("counter", state="current")


GATE = "permissions = ['cap:gate']"
STARTS = """
@hookimpl
async def initialize(self, context):
    if os.path.exists(MARK):
        await context.invoke("gate", "wait")

@hookimpl
def handle_message(self, message):
    return os.getpid()
"""


@pytest.mark.parametrize("verb", ["reload", "unload", "stop"])
async def test_a_restart_in_hand(write: ModuleWriter, tmp_path: Path, gate: Gate, verb: str) -> None:
    """A restart that does not end is called off for whoever wants something else."""
    mark = tmp_path / "mark"
    async with timed({"gate": gate}) as (system, _, _events):
        source = write(STARTS.replace("MARK", repr(str(mark))), "counter", top="import os", manifest=GATE)
        await system.load("counter", source=source, **WORKER)
        mark.touch()
        await kill(system)
        await soon(gate.arrived.wait())
        mark.unlink()
        if verb == "stop":
            await soon(system.stop())
        elif verb == "unload":
            await soon(system.unload("counter"))
            assert "counter" not in system.modules
        else:
            assert (await soon(system.reload("counter", strict=True))).new_generation == 3
            assert await count(system)


async def test_a_crash_during_a_reload(write: ModuleWriter, tmp_path: Path, gate: Gate) -> None:
    """A module that crashes while a new release is being made ready is down until that serves, with the last state."""
    async with timed({"gate": gate}) as (system, clock, events):
        await system.load("counter", source=crashing(write, manifest="snapshot = { messages = 1 }"), **WORKER)
        await count(system)
        await until(lambda: system.record("counter").snapshot is not None)
        body = "@hookimpl\nasync def initialize(self, context):\n    await context.invoke('gate', 'wait')\n"
        body += "@hookimpl\ndef restore_state(self, state):\n    self.state = state\n"
        body += "@hookimpl\ndef handle_message(self):\n    return self.state\n"
        source = write(body, "counter", version="2.0", manifest=GATE)
        reloading = asyncio.ensure_future(system.reload("counter", source=source, strict=True))
        await soon(gate.arrived.wait())
        await kill(system)
        assert state_of(system) == "restarting"
        asking = asyncio.ensure_future(system.request("counter"))
        gate.opened.set()
        assert (await soon(reloading)).new_version == "2.0"
        assert await soon(asking) == 1
        await next_event(events, "hostcore.module.restarted")
        assert clock.waits == []
