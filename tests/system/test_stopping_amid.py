"""A system that stops while processes die and modules are being unloaded: nothing vanishes, and nobody complains."""

from __future__ import annotations

import asyncio

import pytest
from support.modules import ModuleWriter
from system.crashing import crashing
from system.support import Gate, next_event, running, soon, until

from hostcore import errors

LAST = """
@hookimpl
def initialize(self, context):
    self.context = context

@hookimpl
async def shutdown(self):
    await self.context.invoke("gate", "wait")
"""


async def test_what_a_dying_module_had(write: ModuleWriter, gate: Gate) -> None:
    """If a process dies while the system stops, a sent message in hand is a dead letter and requests are refused."""
    async with running({"gate": gate}) as system:
        await system.load("counter", source=crashing(write), isolation="worker")
        await system.load("last", source=write(LAST, "last", manifest="requires = ['counter']"))
        dead = system._bus.dead_letters
        async with system.subscribe("hostcore.>") as events:
            stopping = asyncio.create_task(system.stop())
            await soon(gate.arrived.wait())  # "last" is being taken down, "counter" has not had its turn
            cell = system.record("counter").cell
            bus = system._parts.bus
            await bus.send(system._sender, "counter", topic="die")
            await next_event(events, "hostcore.handler.failed", module="counter")
            asked = asyncio.ensure_future(bus.request(system._sender, "counter"))
            await bus.send(system._sender, "counter", topic="late")
            await until(lambda: cell.depth == 3)
            gate.opened.set()
            await soon(stopping)
        with pytest.raises(errors.StoppedError):
            await soon(asked)
        assert [letter.envelope.topic for letter in dead] == ["die", "late"]


async def test_what_is_being_unloaded(write: ModuleWriter, gate: Gate, caplog: pytest.LogCaptureFixture) -> None:
    """The end of the system waits for an unload in hand, and complains of nothing."""
    async with running({"gate": gate}) as system:
        await system.load("last", source=write(LAST, "last"))
        unloading = asyncio.create_task(system.unload("last"))
        await soon(gate.arrived.wait())
        stopping = asyncio.create_task(system.stop())
        await until(lambda: system.record("last").busy._waiters)
        gate.opened.set()
        await soon(asyncio.gather(unloading, stopping))
    assert "could not be stopped" not in caplog.text
