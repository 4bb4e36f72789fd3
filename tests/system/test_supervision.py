"""Modules that crash, in processes of their own: they come back, with their state, and nothing is lost."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from support.modules import ModuleWriter
from system.clock import timed
from system.crashing import count, crashing, done, kill, state_of
from system.support import next_event, running, soon, until

import hostcore
from hostcore import errors

WORKER = {"isolation": "worker"}
KEEPS = "snapshot = { messages = 1 }"


async def kept(system: hostcore.ModuleSystem, state: bytes) -> None:
    """Wait until that is the module's last good state."""
    await until(lambda: (found := system.record("counter").snapshot) is not None and found.data == state)


async def test_a_killed_process(write: ModuleWriter) -> None:
    """A module whose process is killed is back with its last state, in a new generation of the same release."""
    async with timed() as (system, _, events):
        await system.load("counter", source=crashing(write, manifest=KEEPS), **WORKER)
        assert await count(system) == [1, "1.0", 1]
        await kept(system, b"\x01")
        pid = await kill(system)
        told = await next_event(events, "hostcore.module.crashed", module="counter")
        assert (told["kind"], told["generation"], told["host"]) == ("died", 1, "worker")
        assert (told["error"]["code"], told["error"]["signal"]) == ("HC501", "SIGKILL")
        assert (await next_event(events, "hostcore.module.restarting"))["how"] == "restart"
        assert (await next_event(events, "hostcore.module.restarted"))["restarts"] == 1
        assert await count(system) == [2, "1.0", 2]
        assert await soon(system.request("counter", topic="pid")) != pid
        info = system.modules["counter"]
        assert (info.restarts, info.next_try, info.error, info.generation) == (1, 0.0, "", 2)
        assert [entry.what for entry in system.history("counter")] == ["loaded", "restarted"]


async def test_the_list_of_crashes(write: ModuleWriter) -> None:
    """A crash is written down with module, version, hook, topic, message, how it ended, and what was done."""
    async with timed() as (system, _, _events):
        await system.load("counter", source=crashing(write), **WORKER)
        with pytest.raises(errors.WorkerDiedError, match=r"exited with code 3, in 'handle_message', handling 'die'"):
            await soon(system.request("counter", topic="die"))
        (entry,) = system.crashes("counter")
        assert (entry.module, entry.version, entry.generation, entry.host) == ("counter", "1.0", 1, "worker")
        assert (entry.kind, entry.hook, entry.topic) == ("died", "handle_message", "die")
        assert (entry.code, entry.exit_code, entry.signal) == ("HC501", 3, "")
        assert (entry.message != "", entry.done) == (True, "restart at once")
        assert system.crashes() == [entry]
        await system.unload("counter")
        assert system.crashes("counter") == [entry]
        with pytest.raises(errors.UnknownModuleError):
            system.crashes("nobody")


async def test_what_waits_meanwhile(write: ModuleWriter) -> None:
    """While a module is down its messages wait in order, and senders wait for room; deadlines hold."""
    async with timed(mailbox=3) as (system, clock, _):
        await system.load("counter", source=crashing(write), **WORKER)
        for _ in range(2):
            with pytest.raises(errors.WorkerDiedError):
                await soon(system.request("counter", topic="die"))
        await until(lambda: clock.waits)
        assert (state_of(system), clock.waits) == ("restarting", [0.1])
        info = system.modules["counter"]
        assert info.next_try > 0
        assert info.error.startswith("HC501 it crashed: 'counter' exited with code 3")
        replies = [asyncio.ensure_future(system.request("counter")) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(errors.DeadlineError):
            await system.request("counter", timeout=0.02)
        with pytest.raises(errors.MailboxFullError):
            await system.send("counter", timeout=0.02)
        clock.advance(0.1)
        assert await soon(asyncio.gather(*replies)) == [[3, "1.0", 1], [3, "1.0", 2]]


async def test_a_message_that_nobody_awaits(write: ModuleWriter, tmp_path: Path) -> None:
    """A message in hand that was sent is handled once more, before the others; if that kills too, it is poison."""
    async with timed() as (system, clock, events):
        await system.load("counter", source=crashing(write), **WORKER)
        await system.send("counter", topic="die")
        await system.send("counter")
        await next_event(events, "hostcore.module.restarting", seconds=0.1)
        clock.advance(0.1)
        assert await count(system) == [3, "1.0", 2]
        (letter,) = system.dead_letters
        assert letter.envelope.topic == "die"
        assert letter.reason == "poison: it was in hand both times when 'counter' crashed"
        assert [entry.message for entry in system.crashes()] == [letter.envelope.id] * 2


async def test_the_whole_ladder(write: ModuleWriter) -> None:
    """Restarts, then the generation before, then quarantine, out of which it can be revived."""
    async with timed(supervision={"tries": 1}) as (system, clock, events):
        await system.load("counter", source=crashing(write), **WORKER)
        assert await count(system) == [1, "1.0", 1]
        await system.reload("counter", source=crashing(write, version="2.0"), strict=True)
        for expected in ([3, "2.0", 2], [4, "1.0", 2], [5, "1.0", 2]):
            await kill(system)
            assert await count(system) == expected
        await kill(system)
        told = await next_event(events, "hostcore.module.quarantined")
        assert "SIGKILL" in told["reason"]
        said = ["restart at once", "rollback to the generation before", "restart at once"]
        assert done(system) == [*said, "quarantine; a start on trial in 300 s"]
        with pytest.raises(errors.QuarantinedError, match="'counter' is in quarantine: it crashed: ") as caught:
            await system.request("counter")
        assert (caught.value.code, caught.value.hint) == ("HC407", "hostcore modules revive counter")
        report = await system.revive("counter", strict=True)
        assert (report.kind, report.why, report.rolled_back) == ("restart", "revived", False)
        await next_event(events, "hostcore.module.revived")
        assert await count(system) == [6, "1.0", 2]
        assert clock.waits == []
        await kill(system)
        assert await count(system) == [7, "1.0", 2]


async def test_what_waits_when_it_is_quarantined(write: ModuleWriter, tmp_path: Path) -> None:
    """Quarantine answers all that waits: requests with its error, the others become dead letters."""
    mark = tmp_path / "mark"
    async with timed() as (system, clock, events):
        await system.load("counter", source=crashing(write, mark=mark), **WORKER)
        for _ in range(2):
            with pytest.raises(errors.WorkerDiedError):
                await soon(system.request("counter", topic="die"))
        await until(lambda: clock.waits)
        asking = asyncio.ensure_future(system.request("counter"))
        await system.send("counter", topic="lost")
        mark.touch()
        clock.advance(0.1)
        await next_event(events, "hostcore.module.quarantined")
        with pytest.raises(errors.QuarantinedError, match="no luck"):
            await soon(asking)
        assert [letter.envelope.topic for letter in system.dead_letters] == ["lost"]
        assert system.crashes()[-1].kind == "start"
        assert "ValueError: no luck" in system.crashes()[-1].traceback


async def test_a_start_on_trial(write: ModuleWriter, tmp_path: Path) -> None:
    """A quarantined module is started now and then; once it comes up it serves, and a crash takes it straight back."""
    mark = tmp_path / "mark"
    async with timed() as (system, clock, events):
        await system.load("counter", source=crashing(write, mark=mark), **WORKER)
        mark.touch()
        await kill(system)
        await next_event(events, "hostcore.module.quarantined")
        await until(lambda: clock.waits == [300])
        clock.advance(300)
        await next_event(events, "hostcore.module.quarantined")
        await until(lambda: clock.waits == [300])
        mark.unlink()
        clock.advance(300)
        await next_event(events, "hostcore.module.revived")
        assert (await count(system))[1:] == ["1.0", 1]
        await kill(system)
        await next_event(events, "hostcore.module.quarantined")
        await until(lambda: clock.waits == [300])
        await system.revive("counter", strict=True)
        clock.advance(60)
        await kill(system)
        await next_event(events, "hostcore.module.restarted")


async def test_stable_health(write: ModuleWriter) -> None:
    """After a minute of health a crash is the first again; without it the waits grow."""
    async with timed() as (system, clock, _):
        await system.load("counter", source=crashing(write), **WORKER)
        for seconds, wait in ((0, 0), (59, 0.1), (59, 0.2), (60, 0), (1, 0.1)):
            clock.advance(seconds)
            await kill(system)
            if wait:
                await until(lambda: clock.waits)
                assert clock.waits == [wait]
                clock.advance(wait)
            await count(system)


async def test_state_that_is_no_use(write: ModuleWriter) -> None:
    """A module that was started afresh does not get its old state back at the next crash."""
    async with timed() as (system, _, events):
        await system.load("counter", source=crashing(write, manifest=KEEPS), **WORKER)
        await count(system)
        await kept(system, b"\x01")
        await system.reload("counter", state="fresh", strict=True)
        await kill(system)
        await next_event(events, "hostcore.module.restarted")
        assert (await count(system))[2] == 1


@pytest.mark.parametrize(
    ("policy", "code", "comes_back", "by_host"),
    [
        ("permanent", 0, True, True),
        ("transient", 3, True, False),
        ("transient", 0, False, False),
        ("temporary", 3, False, True),
    ],
)
async def test_policies(write: ModuleWriter, policy: str, code: int, comes_back: bool, by_host: bool) -> None:
    """Whether a module comes back is for its manifest to say, or for the host's configuration."""
    other = "temporary" if comes_back else "permanent"
    manifest = f"restart = {{ policy = {(other if by_host else policy)!r} }}"
    modules = {"counter": {"restart": policy}} if by_host else {}
    async with timed(modules=modules) as (system, _, events):
        await system.load("counter", source=crashing(write, manifest=manifest), **WORKER)
        with pytest.raises(errors.WorkerDiedError):
            await soon(system.request("counter", code, topic="die"))
        if comes_back:
            await next_event(events, "hostcore.module.restarted")
            return
        await next_event(events, "hostcore.module.ended")
        assert (state_of(system), done(system)) == ("failed", ["it stays down"])
        what = "has ended" if code == 0 else "has crashed"
        with pytest.raises(errors.StoppedError, match=f"'counter' {what}.*; it is not restarted"):
            await system.request("counter")
        with pytest.raises(errors.LifecycleError, match="is failed: there is nothing to revive"):
            await system.revive("counter")
        await system.reload("counter", strict=True)
        assert (await count(system))[2] == 1


async def test_supervision_that_is_off(write: ModuleWriter) -> None:
    """With supervision off a crashed module fails, and the crash is listed."""
    async with timed(supervision={"enabled": False}) as (system, _, events):
        await system.load("counter", source=crashing(write), **WORKER)
        await kill(system)
        await next_event(events, "hostcore.module.ended")
        assert (state_of(system), done(system)) == ("failed", ["it stays down"])


async def test_nobody_else(write: ModuleWriter) -> None:
    """The crashes of one module do not touch the others."""
    async with running() as system:
        await system.load("other", source=crashing(write, "other"), **WORKER)
        await system.load("counter", source=crashing(write), **WORKER)
        before = await soon(system.request("other", topic="pid"))
        for _ in range(3):
            await kill(system)
            await count(system)
        assert await soon(system.request("other", topic="pid")) == before
        assert await count(system, "other") == [1, "1.0", 1]
        assert system.crashes("other") == []


async def test_a_start_that_is_killed(write: ModuleWriter, tmp_path: Path) -> None:
    """A process that is ended while it starts says nothing of the release: the start is tried again, with a wait."""
    mark = tmp_path / "mark"
    body = f"""
    @hookimpl
    def initialize(self, context):
        if os.path.exists({str(mark)!r}):
            os._exit(9)

    @hookimpl
    def handle_message(self, message):
        return os.getpid()
    """
    async with timed() as (system, clock, _):
        await system.load("counter", source=write(body, "counter", top="import os"), **WORKER)
        mark.touch()
        await kill(system)
        await until(lambda: clock.waits)
        assert [entry.kind for entry in system.crashes()] == ["died", "start"]
        assert done(system) == ["restart at once", "restart in 0.1 s"]
        mark.unlink()
        clock.advance(0.1)
        assert await count(system)
