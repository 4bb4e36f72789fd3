"""A module that misbehaves in the phase of a reload, and in the way, that a test names.

source = faulty(write, "restore", "hangs")        # a new release whose restore_state never returns
source = faulty(write, "snapshot", "raises", awake=False)    # one whose get_state raises, once it is told to

It writes down what it is sent; that is its state.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from support.modules import ModuleWriter
from system.support import soon

import hostcore

NAME = "counter"
WAYS = ("raises", "hangs", "spins", "ignores")
NEW_ONES = ("prepare", "migrate", "restore", "verify")
"""The phases in which the new release's code runs."""

TOP = """
async def misbehave(how, context):
    if how == "raises":
        raise ValueError("no luck")
    if how == "hangs":
        await asyncio.Event().wait()
    if how == "waits":
        await context.invoke("gate", "wait")
    while how == "spins":
        pass
    for _ in range(20 if how == "ignores" else 0):
        try:
            await asyncio.sleep(1000)
        except asyncio.CancelledError:
            pass
"""
BODY = """
phase, how, awake = PHASE, HOW, AWAKE

async def may_fail(self, phase):
    if self.awake and phase == self.phase:
        await misbehave(self.how, self.context)

@hookimpl
async def initialize(self, context):
    self.context, self.seen = context, []
    await self.may_fail("prepare")

@hookimpl
async def handle_message(self, message):
    if message.topic == "wake":
        self.awake = message.payload
        return
    if message.topic == "hold":
        await self.context.invoke("gate", "wait")
    self.seen.append(message.payload)
    return [self.context.generation, list(self.seen)]

@hookimpl
async def get_state(self):
    await self.may_fail("snapshot")
    return {"seen": self.seen}

@hookimpl
async def migrate_state(self, state, from_version):
    await self.may_fail("migrate")
    return state

@hookimpl
async def restore_state(self, state):
    await self.may_fail("restore")
    self.seen = state["seen"]

@hookimpl
async def check_health(self):
    await self.may_fail("verify")

@hookimpl
async def shutdown(self):
    await self.may_fail("retire")
"""


def faulty(write: ModuleWriter, phase: str = "", how: str = "", *, version: str = "1.0", awake: bool = True) -> Path:
    """Write a release that misbehaves in `phase`; if not `awake`, only after a message with the topic "wake"."""
    body = BODY.replace("PHASE", repr(phase)).replace("HOW", repr(how)).replace("AWAKE", repr(awake))
    state_version = 2 if phase == "migrate" else 1
    return write(body, NAME, version=version, top=TOP, manifest=f"state_version = {state_version}")


async def faulty_pair(system: hostcore.ModuleSystem, write: ModuleWriter, phase: str, how: str) -> Path:
    """Load release 1.0 and return the source of 2.0; whichever has its part in `phase` misbehaves there."""
    if phase in NEW_ONES:
        await system.load(NAME, source=faulty(write))
        return faulty(write, phase, how, version="2.0")
    await system.load(NAME, source=faulty(write, phase, how, awake=False))
    await system.request(NAME, True, topic="wake")
    return faulty(write, version="2.0")


class Clients:
    """Clients that talk to the module, one message after the other, for as long as the block lasts."""

    def __init__(self, system: hostcore.ModuleSystem, count: int = 3) -> None:
        self._system = system
        self._stop = asyncio.Event()
        self.sent = [0] * count
        self._count = count

    async def __aenter__(self) -> Clients:
        self._tasks = [asyncio.create_task(self._talk(number)) for number in range(self._count)]
        await asyncio.sleep(0)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._stop.set()
        await soon(asyncio.gather(*self._tasks))

    async def _talk(self, number: int) -> None:
        while not self._stop.is_set():
            what = [number, self.sent[number]]
            self.sent[number] += 1
            if number == 0:
                await self._system.send(NAME, what)
            else:
                _, seen = await self._system.request(NAME, what)
                assert seen[-1] == what
            await asyncio.sleep(0.001)

    async def check(self) -> None:
        """Assert that each message was handled exactly once, in its sender's order, by a module that works now."""
        _, seen = await soon(self._system.request(NAME, "last"))
        for number, sent in enumerate(self.sent):
            assert [what for what in seen if what[0] == number] == [[number, n] for n in range(sent)]


async def end_stubborn_tasks() -> None:
    """Cancel what ignores its cancellation until it gives in: it does so after 20 times."""
    while left := [task for task in asyncio.all_tasks() if task.get_name().startswith("hostcore:counter")]:
        for task in left:
            task.cancel()
        await asyncio.sleep(0)


def history_of(system: hostcore.ModuleSystem) -> Any:
    """Return the last entry of the module's history."""
    return system.history(NAME)[-1]
