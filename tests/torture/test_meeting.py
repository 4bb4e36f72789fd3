"""Tiers that meet: circles and deadlines across them, full mailboxes, storms of reloads, reloads under load."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from support.modules import COUNTER, ECHO, WAITER, ModuleWriter
from system.support import Gate, soon, until
from torture.conftest import Opened
from torture.counting import Left
from wasm.wat import core
from worker.puppet import EVERYTHING, PUPPET

import hostcore
from hostcore import errors

ASKS = """
@hookimpl
def initialize(self, context):
    self.context = context

@hookimpl
async def handle_message(self, message):
    return await self.context.request(NEXT, message.payload)
"""
ASK_FIRST = '{"target":"first","topic":"","payload":1}'
RESULT = "(drop (call $read (i32.const 8192) (i32.const 4096)))"


def asking_guest(directory: Path) -> Path:
    """Write a guest that asks the module "first" for every message, and answers with what it got, error or not."""
    body = f"""
      (local.set $n (call $call (i32.const 16) (i32.const 11)
        (i32.const 27) (i32.const {len(ASK_FIRST)}) (i32.const 8192) (i32.const 4096)))
      (local.get $n)"""
    path = directory / "asking.wasm"
    path.write_bytes(core(body, data="bus.request" + ASK_FIRST))
    return path


@pytest.mark.parametrize("order", [("native", "worker"), ("worker", "native"), ("worker", "worker")])
async def test_circle(opened: Opened, write: ModuleWriter, tmp_path: Path, order: tuple[str, str]) -> None:
    """A circle through all tiers is refused at once, at whichever module it closes, and all of them go on."""
    manifest = 'permissions = ["bus.request:>"]'
    first, second = (write(ASKS.replace("NEXT", repr(other)), name, manifest=manifest)
                     for name, other in (("first", "second"), ("second", "guest")))  # fmt: skip
    async with opened() as system:
        await system.load("first", source=first, isolation=order[0])
        await system.load("second", source=second, isolation=order[1])
        await system.load("guest", source=asking_guest(tmp_path), config={})
        for name in ("first", "second", "guest"):
            with pytest.raises(errors.HostcoreError) as caught:
                await soon(system.request(name, 1, timeout=20))
            assert "HC405" in str(caught.value) or "first" in str(caught.value), name
        assert all(info.state is hostcore.State.RUNNING for info in system.modules.values())


@pytest.mark.parametrize("isolation", ["native", "worker"])
async def test_full_mailbox(opened: Opened, write: ModuleWriter, gate: Gate, isolation: str) -> None:
    """Senders to a full mailbox are told when there is no room in time; what was accepted is handled, in its order."""
    body = WAITER.replace("return message.payload", 'await self.context.invoke("notes", "take", what=message.payload)')
    manifest = 'permissions = ["cap:*"]\n[limits]\nmailbox = 4\n'
    async with opened() as system:
        await system.load("waiter", source=write(body, "waiter", manifest=manifest), isolation=isolation)
        await system.send("waiter", "first")
        await soon(gate.arrived.wait())
        sends = [system.send("waiter", number, timeout=0.3) for number in range(20)]
        outcomes = await soon(asyncio.gather(*sends, return_exceptions=True))
        assert outcomes[:4] == [None] * 4
        assert {type(outcome) for outcome in outcomes[4:]} == {errors.MailboxFullError}
        gate.opened.set()
        await until(lambda: system.modules["waiter"].handled == 5)


@pytest.mark.parametrize("isolation", ["native", "worker"])
async def test_reply_after_the_deadline(opened: Opened, write: ModuleWriter, gate: Gate, isolation: str) -> None:
    """A reply that comes when nobody waits any more is dropped: the next request gets its own."""
    source = write(WAITER, "waiter", manifest='permissions = ["cap:*"]')
    async with opened() as system:
        await system.load("waiter", source=source, isolation=isolation)
        with pytest.raises(errors.DeadlineError):
            await system.request("waiter", "late", timeout=0.1)
        asked = asyncio.ensure_future(system.request("waiter", "in time"))
        gate.opened.set()
        assert await soon(asked) == "in time"
        assert await soon(system.request("waiter", "again")) == "again"


@pytest.mark.slow
async def test_storm_of_reloads(opened: Opened, write: ModuleWriter, tmp_path: Path) -> None:
    """A hundred reloads at once, of modules in all tiers, under load: each ends, and no message is lost."""
    names = {f"{tier}-{number}": tier for tier in ("native", "worker") for number in range(4)}
    guest = asking_guest(tmp_path)
    async with opened(reload={"waiting": 100}) as system:
        for name, tier in names.items():
            await system.load(name, source=write(COUNTER, name), isolation=tier)
        await system.load("guest", source=guest)
        targets = [*names, "guest"]
        reloads = [asyncio.create_task(system.reload(targets[turn % len(targets)])) for turn in range(100)]
        asked: Counter[str] = Counter()
        while not all(task.done() for task in reloads):
            for name in names:
                asked[name] += 1
                assert (await soon(system.request(name)))["count"] == asked[name]
        reports = await soon(asyncio.gather(*reloads))
        assert [report.reason for report in reports if report.rolled_back] == []
        for name in names:
            assert (await soon(system.request(name)))["count"] == asked[name] + 1


async def test_dependents_at_once(opened: Opened, write: ModuleWriter) -> None:
    """Modules of different tiers that require each other, reloaded all at once and by cascade, all come back."""
    tiers = {"base": "worker", "middle": "native", "top": "worker"}
    requires = {"base": "", "middle": 'requires = ["base"]', "top": 'requires = ["middle"]'}
    async with opened() as system:
        for name, tier in tiers.items():
            await system.load(name, source=write(COUNTER, name, manifest=requires[name]), isolation=tier)
            await system.request(name)
        reloads = [system.reload(name, cascade=cascade) for name in tiers for cascade in (False, True)]
        reports = await soon(asyncio.gather(*reloads))
        assert [report.reason for report in reports if report.rolled_back] == []
        for name in tiers:
            assert (await soon(system.request(name)))["count"] == 2


async def test_reload_under_load(opened: Opened, write: ModuleWriter) -> None:
    """Of what is sent to a worker that is reloaded and killed all the while, all is answered or failed with a name."""
    kills = PUPPET.replace("names = {", 'if message.topic == "die":\n        __import__("os")._exit(1)\n    names = {')
    outcomes: Counter[str] = Counter()
    async with opened() as system:
        await system.load("puppet", source=write(kills, "puppet", manifest=EVERYTHING), isolation="worker")

        async def ask(number: int) -> None:
            topic = "die" if number % 50 == 49 else "run"
            try:
                assert await system.request("puppet", f"return {number}", topic=topic, timeout=30) == number
                outcomes["answered"] += 1
            except errors.HostcoreError as error:
                outcomes[type(error).__name__] += 1

        asks = [asyncio.create_task(ask(number)) for number in range(200)]
        for _ in range(3):
            await soon(system.reload("puppet"))
        await soon(asyncio.gather(*asks))
        assert sum(outcomes.values()) == 200
        assert set(outcomes) <= {"answered", "WorkerDiedError"}
        assert outcomes["WorkerDiedError"] == 4


@pytest.mark.slow
@pytest.mark.usefixtures("attack_folders")
async def test_many_that_come_and_go(opened: Opened, write: ModuleWriter, caplog: pytest.LogCaptureFixture) -> None:
    """After two hundred loads and unloads of workers there is no process, descriptor, thread or folder more."""
    caplog.set_level(logging.CRITICAL)
    source = write(ECHO)
    async with opened() as system:
        await come_and_go(system, source, 3)
        before = Left.now()
        await come_and_go(system, source, 200)
        await until(lambda: len(Left.now().workers) == len(before.workers))
        assert Left.now() == before


async def come_and_go(system: hostcore.ModuleSystem, source: Path, times: int) -> None:
    """Load a module into a worker, ask it and unload it, so many times."""
    for number in range(times):
        await system.load("echo", source=source, isolation="worker")
        answer: Any = await system.request("echo", number)
        assert answer == number
        await system.unload("echo")
