"""Checkpoints: the state of a running module, kept as often as its manifest asks for."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from support.modules import COUNTER, ModuleWriter
from system.clock import timed
from system.support import Gate, next_event, soon, until

import hostcore
from hostcore import errors


def known(system: hostcore.ModuleSystem) -> Any:
    """Return the last good state of the module."""
    snapshot = system.record("counter").snapshot
    return snapshot.value() if snapshot is not None else None


async def settled(system: hostcore.ModuleSystem) -> None:
    """Wait until no checkpoint is being taken."""
    await until(lambda: not [t for t in asyncio.all_tasks() if t.get_name().startswith("hostcore:checkpoint")])


async def test_after_so_many_messages(write: ModuleWriter) -> None:
    """The state is kept after every so many messages, failed ones included."""
    async with timed() as (system, _, _events):
        await system.load("counter", source=write(COUNTER, "counter", manifest="snapshot = { messages = 3 }"))
        seen = []
        for _ in range(7):
            await system.request("counter")
            await settled(system)
            seen.append(known(system) and known(system)["count"])
        assert seen == [None, None, 3, 3, 3, 6, 6]


async def test_after_so_long(write: ModuleWriter) -> None:
    """The state is kept every so often, if there was any message in that time."""
    async with timed() as (system, clock, _):
        await system.load("counter", source=write(COUNTER, "counter", manifest="snapshot = { interval = '5s' }"))
        clock.advance(5)
        await settled(system)
        assert known(system) is None
        await system.request("counter")
        clock.advance(4)
        await settled(system)
        assert known(system) is None
        clock.advance(1)
        await settled(system)
        assert known(system) == {"count": 1}
        snapshot = system.record("counter").snapshot
        clock.advance(5)
        await settled(system)
        assert system.record("counter").snapshot is snapshot
        await system.unload("counter")
        assert clock.waits == []


async def test_after_a_reload(write: ModuleWriter) -> None:
    """The copy that a reload has made is followed, by its own manifest."""
    async with timed() as (system, clock, _):
        await system.load("counter", source=write(COUNTER, "counter", manifest="snapshot = { interval = '5s' }"))
        source = write(COUNTER, "counter", version="2.0", manifest="snapshot = { messages = 1 }")
        await system.reload("counter", source=source, strict=True)
        assert clock.waits == []
        await system.request("counter")
        await until(lambda: known(system) == {"count": 1})
        await system.reload("counter", source=write(COUNTER, "counter", version="3.0"), strict=True)
        await system.request("counter")
        await settled(system)
        assert known(system) == {"count": 1}


BODY = """
@hookimpl
def initialize(self, context):
    self.context, self.seen, self.asked = context, [], 0

@hookimpl
async def handle_message(self, message):
    if message.topic == "hold":
        await self.context.invoke("gate", "wait")
    self.seen.append(message.payload)
    return list(self.seen)

@hookimpl
async def get_state(self):
    self.asked += 1
    if "bad" in self.seen:
        raise ValueError("no luck")
    if "slow" in self.seen:
        await self.context.invoke("gate", "wait")
    return self.seen
"""


async def test_between_messages(write: ModuleWriter, gate: Gate) -> None:
    """A checkpoint waits for the message in hand; those that come meanwhile are handled after it, in order."""
    async with timed({"gate": gate}) as (system, clock, _):
        source = write(BODY, "counter", manifest="snapshot = { interval = '5s' }")
        await system.load("counter", source=source)
        await system.request("counter", 1)
        holding = asyncio.ensure_future(system.request("counter", 2, topic="hold"))
        await soon(gate.arrived.wait())
        clock.advance(5)
        await asyncio.sleep(0)
        later = [asyncio.ensure_future(system.request("counter", n)) for n in (3, 4)]
        await asyncio.sleep(0)
        assert known(system) is None
        gate.opened.set()
        assert await soon(holding) == [1, 2]
        assert await soon(asyncio.gather(*later)) == [[1, 2, 3], [1, 2, 3, 4]]
        assert known(system) == [1, 2]


async def test_a_state_that_cannot_be_had(write: ModuleWriter, gate: Gate) -> None:
    """A get_state that raises leaves the last good state in place, and is told as an event."""
    async with timed({"gate": gate}) as (system, _, events):
        await system.load("counter", source=write(BODY, "counter", manifest="snapshot = { messages = 1 }"))
        await system.request("counter", 1)
        await until(lambda: known(system) == [1])
        await system.request("counter", "bad")
        told = await next_event(events, "hostcore.handler.failed", hook="get_state")
        assert "ValueError: no luck" in told["error"]["text"]
        await settled(system)
        assert known(system) == [1]
        assert await soon(system.request("counter", 2)) == [1, "bad", 2]


@pytest.mark.parametrize("verb", ["reload", "unload", "stop"])
async def test_a_checkpoint_in_hand(write: ModuleWriter, gate: Gate, verb: str) -> None:
    """A reload or an unload comes after the checkpoint that is being taken; the end of the system breaks it off."""
    async with timed({"gate": gate}) as (system, _, _events):
        await system.load("counter", source=write(BODY, "counter", manifest="snapshot = { messages = 1 }"))
        await system.request("counter", "slow")
        await soon(gate.arrived.wait())
        if verb == "stop":
            await soon(system.stop())
            return
        doing = asyncio.ensure_future(
            system.reload("counter", strict=True) if verb == "reload" else system.unload("counter")
        )
        await asyncio.sleep(0)
        gate.opened.set()
        await soon(doing)
        if verb == "unload":
            with pytest.raises(errors.StoppedError):
                await system.request("counter", 1)


async def test_without_a_state(write: ModuleWriter) -> None:
    """A module that has no state has no checkpoints."""
    body = "@hookimpl\ndef handle_message(self):\n    return 1\n"
    async with timed() as (system, clock, _):
        rule = "snapshot = { messages = 1, interval = '1s' }"
        await system.load("counter", source=write(body, "counter", manifest=rule))
        assert await system.request("counter") == 1
        assert (clock.waits, known(system)) == ([], None)
