"""Handlers that go wrong: their caller gets a named error, the event tells of it, and everything else goes on."""

from __future__ import annotations

import asyncio

import pytest
from support.modules import COUNTER, ModuleWriter
from system.support import Gate, next_event, running, soon

import hostcore
from hostcore import State, errors

BAD = """
@hookimpl
{kind} handle_message(self, message):
    if message.topic == "good":
        return "good"
    {action}
"""


async def load_bad(
    system: hostcore.ModuleSystem, write: ModuleWriter, action: str, kind: str = "def", limit: str = "100ms"
) -> None:
    """Load the module "bad", whose handler does `action` except under the topic "good"."""
    await system.load(
        "bad", source=write(BAD.format(kind=kind, action=action), "bad"), limits={"handle_message": limit}
    )


@pytest.mark.parametrize("kind", ["def", "async def"])
@pytest.mark.parametrize(
    ("action", "said"),
    [
        ("raise ValueError('no luck')", "raised ValueError: no luck"),
        ("raise SystemExit(3)", "raised SystemExit: 3"),
        ("raise KeyboardInterrupt", "raised KeyboardInterrupt"),
        ("raise GeneratorExit", "raised GeneratorExit"),
        ("raise asyncio.CancelledError", "raised CancelledError"),
        ("raise StopIteration", "StopIteration"),
        ("raise type('Own', (BaseException,), {})", "raised Own"),
        ("1 / 0", "raised ZeroDivisionError"),
    ],
)
async def test_a_handler_that_raises(
    system: hostcore.ModuleSystem, write: ModuleWriter, kind: str, action: str, said: str
) -> None:
    """Whatever a handler raises is a HookError for its caller, an event, and nothing more."""
    await load_bad(system, write, action, kind)
    async with system.subscribe("hostcore.handler.*") as events:
        with pytest.raises(errors.HookError) as caught:
            await system.request("bad", topic="t")
        event = await next_event(events, "hostcore.handler.failed")
    error = caught.value
    assert said in str(error)
    assert (error.module, error.hook, error.label) == ("bad", "handle_message", "bad 1.0 (acme-bad)")
    if "StopIteration" not in said:  # which Python turns into an error of its own
        assert "acme_bad/__init__.py:" in str(error)
    assert (event["module"], event["topic"], event["error"]["text"]) == ("bad", "t", str(error))
    assert await system.request("bad", topic="good") == "good"
    assert (system.modules["bad"].state, system.modules["bad"].failed) == (State.RUNNING, 1)


async def test_a_sent_message_that_raises(system: hostcore.ModuleSystem, write: ModuleWriter) -> None:
    """A handler that raises on a message without a caller is announced, and the next message is handled."""
    await load_bad(system, write, "raise ValueError('no luck')")
    async with system.subscribe("hostcore.handler.failed") as events:
        await system.send("bad", topic="t")
        assert (await next_event(events, "hostcore.handler.failed", topic="t"))["sender"] == "host"
    assert await system.request("bad", topic="good") == "good"


@pytest.mark.parametrize(
    ("kind", "action"),
    [
        ("def", "while True: pass"),
        ("def", "__import__('time').sleep(1000)"),
        ("def", "__import__('threading').Event().wait()"),
        ("async def", "await asyncio.Event().wait()"),
        ("async def", "while True: await asyncio.sleep(0)"),
        ("async def", "await asyncio.sleep(0)\n    while True: pass"),
    ],
)
async def test_a_handler_that_overruns(
    system: hostcore.ModuleSystem, write: ModuleWriter, kind: str, action: str
) -> None:
    """A handler that does not end is stopped at its limit, and the module handles the next message."""
    await load_bad(system, write, action, kind)
    with pytest.raises(errors.HookError, match=r"overran its limit of 0\.1 s"):
        await soon(system.request("bad", topic="t"))
    assert await system.request("bad", topic="good") == "good"


async def test_a_handler_past_the_callers_deadline(system: hostcore.ModuleSystem, write: ModuleWriter) -> None:
    """A handler that spins is stopped at its caller's deadline, if that is before its own limit."""
    await load_bad(system, write, "while True: pass", limit="1000s")
    with pytest.raises(errors.DeadlineError, match="'bad'"):
        await soon(system.request("bad", topic="t", timeout=0.1))
    assert await system.request("bad", topic="good") == "good"


@pytest.mark.parametrize(
    "value", ["object()", "{1: {object()}}", "lambda: 0", "2**100", "self", "asyncio.Event()", "type('X', (), {})"]
)
async def test_a_reply_that_is_not_data(system: hostcore.ModuleSystem, write: ModuleWriter, value: str) -> None:
    """A reply that cannot be encoded is the module's contract error."""
    await load_bad(system, write, f"return {value}")
    with pytest.raises(errors.ContractError, match="the reply of 'handle_message' to 't' cannot be encoded") as caught:
        await system.request("bad", topic="t")
    assert caught.value.module == "bad"
    assert await system.request("bad", topic="good") == "good"


async def test_a_reply_that_contains_itself(system: hostcore.ModuleSystem, write: ModuleWriter) -> None:
    """A reply without an end is refused."""
    await load_bad(system, write, "a = []; a.append(a); return a")
    with pytest.raises(errors.ContractError, match="nested too deeply, or contains itself"):
        await system.request("bad")


async def test_a_handler_that_cancels_its_asker(system: hostcore.ModuleSystem, write: ModuleWriter) -> None:
    """A handler that cancels the current task stops itself only, not whoever asked."""
    await load_bad(system, write, "asyncio.current_task().cancel(); await asyncio.sleep(0)", "async def")
    with pytest.raises(errors.HookError, match="CancelledError"):
        await soon(system.request("bad"))
    assert not asyncio.current_task().cancelling()
    assert await system.request("bad", topic="good") == "good"


async def test_the_others_go_on(system: hostcore.ModuleSystem, write: ModuleWriter, gate: Gate) -> None:
    """While one module fails on every message and another hangs, a third handles all of its own."""
    await load_bad(system, write, "raise ValueError")
    stuck = "@hookimpl\ndef initialize(self, context):\n    self.context = context\n" + BAD.format(
        kind="async def", action="await self.context.invoke('gate', 'wait')"
    )
    await system.load("stuck", source=write(stuck, "stuck"))
    await system.load("counter", source=write(COUNTER, "counter"))
    hanging = asyncio.ensure_future(system.request("stuck"))
    for _ in range(100):
        with pytest.raises(errors.HookError):
            await system.request("bad")
        await system.request("counter")
    assert (await system.request("counter"))["count"] == 101
    assert not hanging.done()
    gate.opened.set()
    await soon(hanging)


async def test_errors_of_modules_travel(system: hostcore.ModuleSystem, write: ModuleWriter) -> None:
    """A module that asks another which raises gets the named error, and may handle it."""
    await load_bad(system, write, "raise ValueError('deep')")
    body = """
    @hookimpl
    def initialize(self, context):
        self.context = context

    @hookimpl
    async def handle_message(self, message):
        try:
            await self.context.request("bad")
        except hostcore.errors.HookError as error:
            return [error.module, error.exception]
    """
    await system.load("asker", source=write(body, "asker"))
    assert await system.request("asker") == ["bad", "ValueError"]


# --- events --------------------------------------------------------------------------------------------------------


async def test_a_handler_that_holds_the_loop_is_named(write: ModuleWriter) -> None:
    """A handler that holds the event loop for too long is named, with its hook and topic."""
    async with running(blocked_after=0.05) as system:
        await load_bad(system, write, "import time; time.sleep(0.1)", limit="10s")
        async with system.subscribe("hostcore.handler.blocked") as events:
            await system.request("bad", topic="slow.work")
            event = await next_event(events, "hostcore.handler.blocked")
        assert (event["module"], event["hook"], event["topic"]) == ("bad", "handle_message", "slow.work")
        assert event["milliseconds"] >= 50


@pytest.mark.parametrize("how", ["asyncio.create_task(self.hog())", "asyncio.get_running_loop().call_soon(self.block)"])
async def test_a_background_task_that_holds_the_loop_is_named(write: ModuleWriter, how: str) -> None:
    """Code of a module that holds the event loop outside of any handler is put down to that module."""
    body = f"""
    @hookimpl
    async def handle_message(self, message):
        self.task = {how}

    async def hog(self):
        self.block()

    def block(self):
        import time
        time.sleep(1.0)
    """
    async with running(blocked_after=0.05) as system:
        await system.load("innocent", source=write(COUNTER, "innocent"))
        await system.load("hog", source=write(body, "hog"))
        async with system.subscribe("hostcore.handler.blocked") as events:
            await system.request("hog")
            event = await next_event(events, "hostcore.handler.blocked")
        assert (event["module"], event["hook"]) == ("hog", "")


async def test_a_handler_that_ignores_its_cancellation(system: hostcore.ModuleSystem, write: ModuleWriter) -> None:
    """A handler that refuses to stop is announced as stuck; the host goes on, and stops."""
    action = """while not self.__dict__.get("let_go"):
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.count = self.__dict__.get("count", 0) + 1
            self.let_go = self.count > 3"""
    await load_bad(system, write, action, "async def", limit="50ms")
    async with system.subscribe("hostcore.module.stuck") as events:
        asking = asyncio.ensure_future(system.request("bad", topic="t"))
        event = await next_event(events, "hostcore.module.stuck")
    assert (event["module"], event["hook"], event["topic"]) == ("bad", "handle_message", "t")
    await soon(asyncio.gather(asking, return_exceptions=True))
    assert await system.request("bad", topic="good") == "good"


async def test_events_about_events_come_to_an_end(system: hostcore.ModuleSystem, write: ModuleWriter) -> None:
    """A module that fails on every event, its own failures included, does not keep the host busy for ever."""
    body = """
    @hookimpl
    def initialize(self, context):
        context.subscribe("hostcore.>")

    @hookimpl
    def handle_message(self, message):
        if message.topic == "count":
            return self.count
        self.count = self.__dict__.get("count", 0) + 1
        raise ValueError("fails on every event")
    """
    await system.load("bad", source=write(body, "bad"))
    await system.load("other", source=write(COUNTER, "other"))
    first = await system.request("bad", topic="count")
    for _ in range(50):
        await asyncio.sleep(0)
    assert await system.request("bad", topic="count") == first


async def test_a_full_mailbox_of_events(system: hostcore.ModuleSystem, write: ModuleWriter, gate: Gate) -> None:
    """A module that listens to dead letters and has no room for them loses them; nobody else notices."""
    body = """
    @hookimpl
    def initialize(self, context):
        self.context = context
        context.subscribe("hostcore.>")
        context.subscribe("news")

    @hookimpl
    async def handle_message(self, message):
        if message.topic == "hold":
            await self.context.invoke("gate", "wait")
    """
    await system.load("bad", source=write(body, "bad"), limits={"mailbox": 1})
    await system.request("bad")
    holding = asyncio.ensure_future(system.request("bad", topic="hold"))
    await soon(gate.arrived.wait())
    assert [await system.publish("news") for _ in range(3)] == [1, 0, 0]
    gate.opened.set()
    await soon(holding)
    assert any("mailbox of 'bad' is full" in letter.reason for letter in system.dead_letters)
