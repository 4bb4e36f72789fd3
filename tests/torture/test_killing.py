"""Processes that are killed in the middle of a reload, old and new ones, in each of its phases: nothing is lost."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest
from support.modules import ModuleWriter
from system.support import Gate, soon, until
from torture.conftest import Opened
from torture.counting import workers
from worker.puppet import is_alive

import hostcore
from hostcore import State, errors

BODY = """
where = WHERE

async def wait_in(self, phase):
    if phase == self.where:
        await self.context.invoke("gate", "wait")

@hookimpl
async def initialize(self, context):
    self.context, self.count = context, 0
    await self.wait_in("prepare")

@hookimpl
async def handle_message(self, message):
    if message.topic == "hold":
        await self.wait_in("drain")
    if message.topic == "pid":
        import os
        return os.getpid()
    self.count += 1
    return [self.context.version, self.count]

@hookimpl
async def get_state(self):
    await self.wait_in("snapshot")
    return {"count": self.count}

@hookimpl
async def restore_state(self, state):
    await self.wait_in("restore")
    self.count = state["count"]

@hookimpl
async def check_health(self):
    await self.wait_in("verify")

@hookimpl
async def shutdown(self):
    await self.wait_in("retire")
"""
OLD_ONES = ("drain", "snapshot", "retire")
"""The phases in which the old copy's code waits; in the others it is the new one's."""


def release(write: ModuleWriter, where: str, version: str) -> Path:
    """Write a release that waits at the gate in one phase of a reload."""
    return write(BODY.replace("WHERE", repr(where)), "counter", version=version,
                 manifest='permissions = ["cap:*"]')  # fmt: skip


class Senders:
    """Callers that ask all the while, and count what became of it."""

    def __init__(self, system: hostcore.ModuleSystem, count: int = 5) -> None:
        self.sent = self.answered = 0
        self.errors: list[errors.HostcoreError] = []
        self._system, self._going = system, True
        self._tasks = [asyncio.create_task(self._go_on()) for _ in range(count)]

    async def _go_on(self) -> None:
        while self._going:
            self.sent += 1
            try:
                await self._system.request("counter", timeout=30.0)
                self.answered += 1
            except errors.HostcoreError as error:
                self.errors.append(error)
            await asyncio.sleep(0.001)

    async def check(self) -> None:
        """Assert that every request was answered, with a reply or the named error of a death."""
        self._going = False
        await soon(asyncio.gather(*self._tasks))
        assert self.sent == self.answered + len(self.errors)
        assert {type(error) for error in self.errors} <= {errors.WorkerDiedError}


PHASES = ("prepare", "drain", "snapshot", "restore", "verify", "retire")
QUICK = (("snapshot", "old"), ("restore", "new"))
MURDERS = [
    pytest.param(phase, victim, marks=[] if (phase, victim) in QUICK else pytest.mark.slow)
    for phase in PHASES
    for victim in ("old", "new")
]


@pytest.mark.parametrize(("phase", "victim"), MURDERS)
async def test_killed_in_a_phase(opened: Opened, write: ModuleWriter, gate: Gate, phase: str, victim: str) -> None:
    """Whichever process is killed in whichever phase: all callers are answered, one copy serves in the end."""
    old, new = (phase, "") if phase in OLD_ONES else ("", phase)
    async with opened() as system:
        await system.load("counter", source=release(write, old, "1.0"), isolation="worker")
        old_pid = await system.request("counter", topic="pid")
        senders = Senders(system)
        if phase == "drain":
            await system.send("counter", topic="hold")
        children = workers()
        reloading = asyncio.create_task(system.reload("counter", source=release(write, new, "2.0")))
        await soon(gate.arrived.wait())
        fresh = workers() - children
        if phase == "drain" and victim == "new":
            await until(lambda: workers() - children)
            fresh = workers() - children
        pid = old_pid if victim == "old" else next(iter(fresh), 0) or await system.request("counter", topic="pid")
        os.kill(pid, signal.SIGKILL)
        await until(lambda: not is_alive(pid))
        gate.opened.set()
        report = await soon(reloading)
        await until(lambda: system.modules["counter"].state is State.RUNNING)
        await senders.check()
        version, _ = await soon(system.request("counter"))
        assert version == ("1.0" if report.rolled_back else "2.0")
        assert len(workers() & {old_pid, *fresh}) <= 1
