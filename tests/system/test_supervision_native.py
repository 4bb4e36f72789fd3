"""Native modules under supervision: handlers that do not end, and those that hold the event loop."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from support.modules import ModuleWriter
from system.clock import timed
from system.crashing import done, state_of
from system.support import arrived_so_far, next_event, soon, until

import hostcore
from hostcore import errors

STUBBORN = """
@hookimpl
def initialize(self, context):
    self.context, self.seen = context, []

@hookimpl
async def handle_message(self, message):
    if message.topic == "hang":
        for _ in range(message.payload or 3):
            try:
                await asyncio.sleep(1000)
            except asyncio.CancelledError:
                pass
    self.seen.append(message.payload)
    return [self.context.generation, os.getpid() == HOST, self.seen]

@hookimpl
def get_state(self):
    return self.seen

@hookimpl
def restore_state(self, state):
    self.seen = state
"""
LIMITS = {"handle_message": "30ms"}


async def stubborn(system: hostcore.ModuleSystem, write: ModuleWriter, **options: Any) -> None:
    """Load a module that ignores its cancellation."""
    import os

    body = STUBBORN.replace("HOST", str(os.getpid()))
    source = write(body, "counter", top="import asyncio, os", manifest="snapshot = { messages = 1 }")
    await system.load("counter", source=source, limits=LIMITS, **options)


async def test_a_handler_that_hangs(write: ModuleWriter) -> None:
    """A handler that ignores its cancellation is given up on: its caller is told, a new copy has the last state."""
    async with timed(supervision={"hung": 1}) as (system, _, events):
        await stubborn(system, write)
        assert await system.request("counter", 1) == [1, True, [1]]
        await until(lambda: system.record("counter").snapshot is not None)
        with pytest.raises(errors.HungError, match=r"'counter' did not end 'handle_message' although") as caught:
            await soon(system.request("counter", topic="hang"))
        assert caught.value.code == "HC520"
        told = await next_event(events, "hostcore.module.crashed")
        assert (told["kind"], told["hook"], told["topic"], told["host"]) == ("hung", "handle_message", "hang", "native")
        assert await soon(system.request("counter", 2)) == [2, True, [1, 2]]
        assert (system.modules["counter"].restarts, done(system)) == (1, ["restart at once"])


async def test_a_sent_message_that_hangs(write: ModuleWriter) -> None:
    """A sent message whose handler hangs is tried once more, and is poison then."""
    async with timed(supervision={"hung": 1, "demote": False}) as (system, clock, _):
        await stubborn(system, write)
        await system.send("counter", topic="hang")
        await system.send("counter", 7)
        await until(lambda: clock.waits == [0.1])
        assert state_of(system) == "restarting"
        assert [letter.reason for letter in system.dead_letters] == [
            "poison: it was in hand both times when 'counter' crashed"
        ]
        clock.advance(0.1)
        assert await soon(system.request("counter", 8)) == [3, True, [7, 8]]


@pytest.mark.parametrize(("rules", "hangs"), [({"hung": 0}, False), ({}, True)], ids=["never", "usual"])
async def test_patience(write: ModuleWriter, rules: dict[str, Any], hangs: bool) -> None:
    """A handler that has ignored its cancellation three times has hung, unless the configuration says otherwise."""
    async with timed(supervision=rules) as (system, _, events):
        await stubborn(system, write)
        asking = asyncio.ensure_future(system.request("counter", 5, topic="hang"))
        for _ in range(3):
            await next_event(events, "hostcore.module.stuck")
        if hangs:
            with pytest.raises(errors.HungError, match="although it was cancelled 4 times"):
                await soon(asking)
        else:
            assert await soon(asking) == [1, True, [5]]
            assert system.crashes() == []


async def test_a_handler_that_hangs_without_supervision(write: ModuleWriter) -> None:
    """With supervision off a handler that hangs is given up on too, and the module has failed."""
    async with timed(supervision={"hung": 1, "enabled": False}) as (system, _, events):
        await stubborn(system, write)
        with pytest.raises(errors.HungError):
            await soon(system.request("counter", topic="hang"))
        await next_event(events, "hostcore.module.ended")
        assert (state_of(system), done(system)) == ("failed", ["it stays down"])


async def test_a_move_to_a_process(write: ModuleWriter) -> None:
    """A native module that hangs again and again moves to a process of its own, and stays there."""
    async with timed(supervision={"hung": 1, "tries": 1}) as (system, _, events):
        await stubborn(system, write)
        assert await system.request("counter", 1) == [1, True, [1]]
        await until(lambda: system.record("counter").snapshot is not None)
        for _ in range(2):
            with pytest.raises(errors.HungError):
                await soon(system.request("counter", topic="hang"))
        told = await next_event(events, "hostcore.module.moved")
        assert (told["host"], told["before"]) == ("worker", "native")
        assert done(system) == ["restart at once", "move to a process of its own"]
        assert await soon(system.request("counter", 2)) == [3, False, [1, 2]]
        assert system.modules["counter"].host == "worker"
        await system.reload("counter", strict=True)
        assert system.modules["counter"].host == "worker"


# --- holding the loop ------------------------------------------------------------------------------------------

BLOCKING = """
@hookimpl
def initialize(self, context):
    self.context, self.seen = context, []

@hookimpl
def handle_message(self, message):
    if message.topic == "block":
        time.sleep(0.03)
    self.seen.append(message.payload)
    return [os.getpid() == HOST, len(self.seen)]

@hookimpl
def get_state(self):
    if UNMOVABLE and os.getpid() != HOST:
        raise ValueError
    return self.seen

@hookimpl
def restore_state(self, state):
    if UNMOVABLE and os.getpid() != HOST:
        raise ValueError("not here")
    self.seen = state
"""


async def blocking(system: hostcore.ModuleSystem, write: ModuleWriter, *, movable: bool = True) -> None:
    """Load a module that holds the loop when it is told to."""
    import os

    body = BLOCKING.replace("HOST", str(os.getpid())).replace("UNMOVABLE", str(not movable))
    await system.load("counter", source=write(body, "counter", top="import os, time"))


async def test_a_module_that_holds_the_loop(write: ModuleWriter) -> None:
    """One that holds the loop again rests for as long as it did before; what is sent to it waits meanwhile."""
    async with timed(blocked_after=0.02) as (system, clock, events):
        await blocking(system, write)
        await system.request("counter", topic="block")
        told = await next_event(events, "hostcore.handler.blocked", module="counter")
        assert clock.waits == []
        assert await system.request("counter", topic="block") == [True, 2]
        (rest,) = clock.waits
        assert rest == pytest.approx(told["milliseconds"] / 1000, abs=1e-3)
        asking = asyncio.ensure_future(system.request("counter"))
        await asyncio.sleep(0)
        assert (asking.done(), state_of(system)) == (False, "running")
        clock.advance(rest + 0.001)
        assert await soon(asking) == [True, 3]


async def test_a_module_that_holds_the_loop_now_and_then(write: ModuleWriter) -> None:
    """What a module was quiet for since it last held the loop counts as rest."""
    async with timed(blocked_after=0.02) as (system, clock, events):
        await blocking(system, write)
        for _ in range(3):
            await system.request("counter", topic="block")
            await next_event(events, "hostcore.handler.blocked", module="counter")
            assert clock.waits == []
            clock.advance(20)


async def test_no_rest(write: ModuleWriter) -> None:
    """With the factor 0 nobody rests, and with another the rest is so many times as long."""
    for factor in (0, 2.5):
        async with timed(blocked_after=0.02, supervision={"throttle": factor}) as (system, clock, events):
            await blocking(system, write)
            for _ in range(2):
                await system.request("counter", topic="block")
            told = await next_event(events, "hostcore.handler.blocked", module="counter")
            rests = [pytest.approx(factor * told["milliseconds"] / 1000, abs=1e-3)] if factor else []
            assert clock.waits == rests


async def test_a_reload_of_what_rests(write: ModuleWriter) -> None:
    """A module can be reloaded and unloaded while it rests; its rest goes on."""
    async with timed(blocked_after=0.02) as (system, clock, _):
        await blocking(system, write)
        for _ in range(2):
            await system.request("counter", topic="block")
        await system.reload("counter", strict=True)
        asking = asyncio.ensure_future(system.request("counter"))
        await asyncio.sleep(0)
        assert not asking.done()
        clock.advance(20)
        assert await soon(asking) == [True, 3]
        for _ in range(2):
            await soon(system.request("counter", topic="block"))
        await system.unload("counter")
        clock.advance(1)


async def strike(system: hostcore.ModuleSystem, clock: Any) -> None:
    """Have the module hold the loop, and let it rest; the strikes come half a second apart."""
    await soon(system.request("counter", topic="block"))
    clock.advance(0.5)


async def test_strikes(write: ModuleWriter) -> None:
    """A module that held the loop often enough within the window moves to a worker, with its state."""
    rules = {"move_blocking": 3, "blocking_window": "60s"}
    async with timed(blocked_after=0.02, supervision=rules) as (system, clock, events):
        await blocking(system, write)
        for _ in range(2):
            await strike(system, clock)
        clock.advance(60)
        for _ in range(2):
            await strike(system, clock)
        assert "hostcore.module.moved" not in [event.topic for event in await arrived_so_far(system, events)]
        await strike(system, clock)
        told = await next_event(events, "hostcore.module.moved")
        assert (told["module"], told["host"]) == ("counter", "worker")
        assert told["why"] == "supervision: it held the event loop 3 times"
        assert await soon(system.request("counter")) == [False, 6]
        assert system.history("counter")[-1].why == told["why"]


async def test_strikes_of_what_cannot_move(write: ModuleWriter) -> None:
    """A module that cannot run in a worker stays where it is, is tried once, and rests as before."""
    async with timed(blocked_after=0.02, supervision={"move_blocking": 1}) as (system, clock, events):
        await blocking(system, write, movable=False)
        for _ in range(3):
            await strike(system, clock)
            await until(lambda: not [t for t in asyncio.all_tasks() if t.get_name().startswith("hostcore:move")])
        assert await soon(system.request("counter")) == [True, 4]
        assert [entry.what for entry in system.history("counter")] == ["loaded", "kept"]
        topics = [event.topic for event in await arrived_so_far(system, events)]
        assert topics.count("hostcore.handler.blocked") == 3
