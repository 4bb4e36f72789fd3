"""Who requires a module that is down: it waits, goes on, hears of quarantine, and restarts too if it asks for that."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from support.modules import ECHO, ModuleWriter
from system.clock import timed
from system.crashing import count, crashing, kill, state_of
from system.support import next_event, soon, until

from hostcore import errors

WORKER = {"isolation": "worker"}
TOP = """
@hookimpl
def initialize(self, context):
    self.context, self.count = context, 0

@hookimpl
async def handle_message(self, message):
    self.count += 1
    if message.topic == "pass on":
        return await self.context.request(message.payload)
    return [self.context.generation, self.count]

@hookimpl
def get_state(self):
    return self.count

@hookimpl
def restore_state(self, state):
    self.count = state
"""


async def test_dependents_wait(write: ModuleWriter) -> None:
    """While a module is down, what requires it, itself or through others, is held and loses nothing; others go on."""
    async with timed() as (system, clock, _):
        await system.load("counter", source=crashing(write), **WORKER)
        await system.load("top", source=write(TOP, "top", manifest="requires = ['counter']"))
        await system.load("higher", source=write(TOP, "higher", manifest="requires = ['top']"))
        await system.load("aside", source=write(TOP, "aside", manifest="requires = ['counter?']"))
        await kill(system)
        await until(lambda: state_of(system) == "running")
        await kill(system)
        await until(lambda: clock.waits)
        assert await soon(system.request("aside")) == [1, 1]
        asking = [asyncio.ensure_future(system.request(name)) for name in ("top", "higher")]
        await asyncio.sleep(0)
        assert [system.modules[name].mailbox for name in ("top", "higher")] == [1, 1]
        assert state_of(system, "top") == "running"
        clock.advance(0.1)
        assert await soon(asyncio.gather(*asking)) == [[1, 1], [1, 1]]
        assert (await count(system))[0] == 3


async def test_a_dependents_message_in_hand(write: ModuleWriter) -> None:
    """A dependent's request to a module that is down is answered when that is back."""
    async with timed() as (system, clock, _):
        await system.load("counter", source=crashing(write), **WORKER)
        await system.load("top", source=write(TOP, "top", manifest="requires = ['counter']"))
        for _ in range(2):
            await until(lambda: state_of(system) == "running")
            await kill(system)
        await until(lambda: clock.waits)
        asking = asyncio.ensure_future(system.request("top", "counter", topic="pass on"))
        await asyncio.sleep(0)
        assert not asking.done()
        clock.advance(0.1)
        assert await soon(asking) == [3, "1.0", 1]


async def test_dependents_of_what_is_quarantined(write: ModuleWriter, tmp_path: Path) -> None:
    """Quarantine lets dependents go on: they serve, and what they ask of the module gets its error."""
    mark = tmp_path / "mark"
    async with timed() as (system, _, events):
        await system.load("counter", source=crashing(write, mark=mark), **WORKER)
        await system.load("top", source=write(TOP, "top", manifest="requires = ['counter']"))
        mark.touch()
        await kill(system)
        await next_event(events, "hostcore.module.quarantined")
        assert await soon(system.request("top")) == [1, 1]
        with pytest.raises(errors.HookError, match="QuarantinedError"):
            await soon(system.request("top", "counter", topic="pass on"))
        await system.load("late", source=write(TOP, "late", manifest="requires = ['counter']"))
        assert await soon(system.request("late")) == [1, 1]
        with pytest.raises(errors.LifecycleError, match="is required by late, top"):
            await system.unload("counter")


@pytest.mark.parametrize("how", ["unload", "end"])
async def test_dependents_of_what_goes(write: ModuleWriter, how: str) -> None:
    """Dependents do not wait for a module that goes for good."""
    manifest = 'restart = { policy = "temporary" }' if how == "end" else ""
    async with timed() as (system, clock, events):
        await system.load("counter", source=crashing(write, manifest=manifest), **WORKER)
        await system.load("top", source=write(TOP, "top", manifest="requires = ['counter']"))
        await kill(system)
        if how == "end":
            await next_event(events, "hostcore.module.ended")
        else:
            await until(lambda: state_of(system) == "running")
            await kill(system)
            await until(lambda: clock.waits)
            await system.unload("counter", force=True)
        assert await soon(system.request("top")) == [1, 1]


async def test_followers(write: ModuleWriter) -> None:
    """A module that follows another restarts when that has come back, with its state; and so do its own followers."""
    follow = "requires = [{0!r}]\nrestart = {{ follows = [{0!r}] }}"
    async with timed() as (system, _, events):
        await system.load("counter", source=crashing(write), **WORKER)
        await system.load("top", source=write(TOP, "top", manifest=follow.format("counter")))
        await system.load("higher", source=write(TOP, "higher", manifest=follow.format("top")))
        await system.load("still", source=write(TOP, "still", manifest="requires = ['counter']"))
        for name in ("top", "higher", "still"):
            assert await soon(system.request(name)) == [1, 1]
        await kill(system)
        told = await next_event(events, "hostcore.module.reloaded", module="higher")
        assert (told["why"], told["kind"]) == ("restarted with top", "restart")
        assert await soon(system.request("top")) == [2, 2]
        assert await soon(system.request("higher")) == [2, 2]
        assert await soon(system.request("still")) == [1, 2]
        assert system.modules["top"].restarts == 0


async def test_another_provider(write: ModuleWriter, tmp_path: Path) -> None:
    """What a quarantined module provides is asked of another that provides it, and of itself once it is back."""
    mark = tmp_path / "mark"
    async with timed() as (system, _, events):
        source = crashing(write, mark=mark, manifest="provides = ['counting/2.0']")
        await system.load("counter", source=source, **WORKER)
        await system.load("spare", source=write(ECHO, "spare", manifest="provides = ['counting/1.0']"))
        assert (await soon(system.request("counting", 7)))[2] == 1
        mark.touch()
        await kill(system)
        await next_event(events, "hostcore.module.quarantined")
        assert await soon(system.request("counting", 7)) == 7
        mark.unlink()
        await system.revive("counter", strict=True)
        assert (await soon(system.request("counting", 7)))[2] == 1
