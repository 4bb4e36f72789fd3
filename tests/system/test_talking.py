"""Messages to, from and between modules of a running system."""

from __future__ import annotations

import asyncio
import math

import pytest
from support.modules import COUNTER, ECHO, WAITER, ModuleWriter
from system.support import Gate, next_event, running, soon, until

import hostcore
from hostcore import errors

ASKS = """
@hookimpl
def initialize(self, context):
    self.context = context
    self.heard = []
    context.subscribe("news.*")

@hookimpl
async def handle_message(self, message):
    if message.topic.startswith("news."):
        self.heard.append(message.payload)
        return None
    if message.topic == "heard":
        return self.heard
    return await self.context.request(message.payload, {"from": self.context.name})
"""
"""Asks the module that the payload names, and remembers the news."""


async def test_request(system: hostcore.ModuleSystem, write: ModuleWriter) -> None:
    """A request returns what the handler returned."""
    await system.load("echo", source=write(ECHO))
    assert await system.request("echo", {"a": [1, None, "x"]}, topic="t", timeout=5) == {"a": [1, None, "x"]}


async def test_message_says_where_it_is_from(system: hostcore.ModuleSystem, write: ModuleWriter) -> None:
    """A handler sees topic, sender, deadline and trace of its message."""
    body = """
    @hookimpl
    def handle_message(self, message):
        return [message.topic, message.sender, message.remaining() > 0, message.trace == message.id]
    """
    await system.load("echo", source=write(body))
    assert await system.request("echo", 1, topic="a.b") == ["a.b", "host", True, True]


async def test_send_keeps_the_order(system: hostcore.ModuleSystem, write: ModuleWriter) -> None:
    """Messages of one sender are handled in the order in which they were sent, before a later request."""
    await system.load("counter", source=write(COUNTER, "counter"))
    for _ in range(500):
        await system.send("counter")
    assert (await system.request("counter"))["count"] == 501


async def test_publish(system: hostcore.ModuleSystem, write: ModuleWriter) -> None:
    """What is published reaches every module and listener that subscribed to it, and nobody else."""
    for name in ("one", "two"):
        await system.load(name, source=write(ASKS, name))
    async with system.subscribe("news.>") as events:
        assert await system.publish("news.today", "it rains") == 3
        assert await system.publish("other.today", "nobody hears") == 0
        assert (await soon(anext(events))).payload == "it rains"
    for name in ("one", "two"):
        assert await system.request(name, topic="heard") == ["it rains"]


async def test_execute(system: hostcore.ModuleSystem, write: ModuleWriter) -> None:
    """`execute` calls the hook of that name with the plain request."""
    body = """
    @hookimpl
    async def execute(self, request):
        return {"did": request["goal"]}
    """
    await system.load("worker", source=write(body, "worker"))
    assert await system.execute("worker", {"goal": "g"}) == {"did": "g"}
    with pytest.raises(errors.HookError, match="does not implement 'handle_message'"):
        await system.request("worker")


async def test_modules_talk(system: hostcore.ModuleSystem, write: ModuleWriter) -> None:
    """A module asks another in the middle of its own handler."""
    await system.load("asker", source=write(ASKS, "asker"))
    await system.load("echo", source=write(ECHO))
    assert await system.request("asker", "echo") == {"from": "asker"}


async def test_a_capability_is_an_address(system: hostcore.ModuleSystem, write: ModuleWriter) -> None:
    """A request to a capability goes to its best provider, and to the next one when that is unloaded."""
    for name, version in (("old", "1.0"), ("new", "2.0"), ("newest", "10.0")):
        await system.load(name, source=write(COUNTER, name, version=version, manifest=f"provides = ['sum/{version}']"))
    assert (await system.request("sum"))["version"] == "10.0"
    await system.unload("newest")
    assert (await system.request("sum"))["version"] == "2.0"
    assert (await system.request("old"))["version"] == "1.0"


async def test_capabilities_can_be_told_at_run_time(system: hostcore.ModuleSystem, write: ModuleWriter) -> None:
    """What `get_capabilities` returns counts like what the manifest says."""
    body = ECHO + "\n@hookimpl\ndef get_capabilities(self):\n    return ['mirror/1.1', 'glass']\n"
    info = await system.load("echo", source=write(body, manifest="provides = ['reply/2.0']"))
    assert set(info.provides) >= {"mirror/1.1", "reply/2.0"}
    for capability in ("mirror", "glass", "reply"):
        assert await system.request(capability, 5) == 5


async def test_typed_payloads(system: hostcore.ModuleSystem, write: ModuleWriter) -> None:
    """A handler that names a payload type gets it decoded, and one that does not fit names the field."""
    top = """
    class Add(hostcore.Payload, topic="sum.add"):
        by: int
    """
    body = """
    @hookimpl
    def handle_message(self, message: hostcore.Message[Add]):
        return message.payload.by + 1
    """
    await system.load("sum", source=write(body, "sum", top=top))
    assert await system.request("sum", {"by": 2, "unknown": 1}, topic="sum.add") == 3
    with pytest.raises(errors.ContractError, match=r"\bby\b") as caught:
        await system.request("sum", {"by": "many"}, topic="sum.add")
    assert caught.value.module == "sum"
    assert await system.request("sum", {"by": 3}, topic="sum.add") == 4


# --- what cannot be delivered --------------------------------------------------------------------------------------


async def test_an_unknown_target(system: hostcore.ModuleSystem, write: ModuleWriter) -> None:
    """A message to nobody is refused, with the nearest name."""
    await system.load("echo", source=write(ECHO))
    for call in (system.request("ecko"), system.send("ecko"), system.execute("ecko")):
        with pytest.raises(errors.UnknownModuleError, match="did you mean 'echo'"):
            await call


async def test_a_stopped_target(system: hostcore.ModuleSystem, write: ModuleWriter) -> None:
    """A message to a module that was unloaded says so."""
    await system.load("echo", source=write(ECHO))
    await system.unload("echo")
    with pytest.raises(errors.StoppedError, match="'echo' was unloaded"):
        await system.request("echo")


async def test_a_failed_target(system: hostcore.ModuleSystem, write: ModuleWriter) -> None:
    """A message to a module that could not be loaded says why."""
    with pytest.raises(errors.LoadError):
        await system.load("echo", source=write(ECHO, top="1 / 0"))
    with pytest.raises(errors.StoppedError, match="division by zero"):
        await system.send("echo")


@pytest.mark.parametrize(
    "payload", [object(), {"a": {1, object()}}, 2**100, print], ids=["object", "inside", "too_big", "function"]
)
async def test_a_payload_that_is_not_data(system: hostcore.ModuleSystem, write: ModuleWriter, payload: object) -> None:
    """A payload that cannot be encoded is the sender's error, and the module never sees it."""
    await system.load("counter", source=write(COUNTER, "counter"))
    for call in (system.request("counter", payload), system.send("counter", payload)):
        with pytest.raises(errors.ContractError, match="the payload for 'counter' cannot be encoded"):
            await call
    assert (await system.request("counter"))["count"] == 1


async def test_a_payload_that_is_too_large(write: ModuleWriter) -> None:
    """A payload beyond the host's limit is refused, and so is a reply beyond the module's own."""
    async with running(message_limit=1000) as system:
        await system.load("echo", source=write(ECHO, manifest="[limits]\nmessage = 100"))
        assert await system.request("echo", "x" * 50) == "x" * 50
        with pytest.raises(errors.LimitError, match="the payload for 'echo' from 'host'"):
            await system.request("echo", "x" * 2000)
        with pytest.raises(errors.LimitError, match="the reply of 'handle_message' from 'echo'"):
            await system.request("echo", "x" * 500)


async def test_a_full_mailbox(system: hostcore.ModuleSystem, write: ModuleWriter, gate: Gate) -> None:
    """A sender waits for room as long as it said; what had been accepted is handled."""
    await system.load("slow", source=write(WAITER, "slow"), limits={"mailbox": 2})
    asking = asyncio.ensure_future(system.request("slow", "first"))
    await soon(gate.arrived.wait())
    for number in range(2):
        await system.send("slow", number)
    with pytest.raises(errors.MailboxFullError, match=r"'slow' is full \(2 messages\)"):
        await system.send("slow", "too much", timeout=0.01)
    gate.opened.set()
    assert await soon(asking) == "first"
    assert await soon(system.request("slow", "after")) == "after"
    assert system.modules["slow"].handled == 4


async def test_a_deadline(system: hostcore.ModuleSystem, write: ModuleWriter, gate: Gate) -> None:
    """A request that is not answered in time fails for its asker; the handler goes on undisturbed."""
    await system.load("slow", source=write(WAITER, "slow"))
    with pytest.raises(TimeoutError) as caught:
        await system.request("slow", 1, topic="t", timeout=0.01)
    assert isinstance(caught.value, errors.DeadlineError)
    gate.opened.set()
    assert await soon(system.request("slow", 2)) == 2
    assert system.modules["slow"].failed == 0


async def test_a_deadline_is_inherited(system: hostcore.ModuleSystem, write: ModuleWriter) -> None:
    """A nested request has no more time than the one that it is made for."""
    body = ASKS.replace('{"from": self.context.name}', "None, timeout=1000")
    told = "@hookimpl\ndef handle_message(self, message):\n    return message.remaining()"
    await system.load("asker", source=write(body, "asker"))
    await system.load("clock", source=write(told, "clock"))
    assert await system.request("asker", "clock", timeout=7) <= 7
    assert await system.request("clock", timeout=math.inf) == math.inf


@pytest.mark.parametrize("ring", [["a"], ["a", "b"], ["a", "b", "c"]])
async def test_a_circle_of_requests(system: hostcore.ModuleSystem, write: ModuleWriter, ring: list[str]) -> None:
    """Modules that would wait for each other for ever get an error that names the circle, at once."""
    for name, target in zip(ring, [*ring[1:], ring[0]], strict=True):
        body = ASKS.replace("message.payload, {", f"{target!r}, {{")
        await system.load(name, source=write(body, name))
    with pytest.raises(errors.HostcoreError, match="cannot wait for 'a', which waits for it"):
        await soon(system.request("a", timeout=1000))
    assert await system.request("a", topic="heard") == []  # all are free again


async def test_two_chains_that_meet(system: hostcore.ModuleSystem, write: ModuleWriter, gate: Gate) -> None:
    """Two requests that meet head-on do not wait for each other for ever: one gets the circle, both an answer."""
    held = ASKS.replace("    return await", "    await self.context.invoke('gate', 'wait')\n    return await")
    await system.load("left", source=write(held, "left"))
    await system.load("right", source=write(held, "right"))
    both = [
        asyncio.ensure_future(system.request("left", "right")),
        asyncio.ensure_future(system.request("right", "left")),
    ]
    await soon(gate.arrived.wait())
    gate.opened.set()
    outcomes = await soon(asyncio.gather(*both, return_exceptions=True))
    assert any("waits for it" in str(outcome) for outcome in outcomes)


async def test_dead_letters(system: hostcore.ModuleSystem, write: ModuleWriter, gate: Gate) -> None:
    """What nobody handled is kept with the reason, and announced."""
    await system.load("slow", source=write(WAITER, "slow"))
    asking = asyncio.ensure_future(system.request("slow"))
    await soon(gate.arrived.wait())
    await system.send("slow", "left over", topic="t")
    async with system.subscribe("hostcore.message.*") as events:
        unloading = asyncio.ensure_future(system.unload("slow"))
        dead = await next_event(events, "hostcore.message.dead")
        gate.opened.set()
        await soon(asyncio.gather(unloading, asking))
    assert (dead["target"], dead["topic"], dead["reason"]) == ("slow", "t", "'slow' was unloaded")
    assert [letter.reason for letter in system.dead_letters if letter.envelope.topic == "t"] == ["'slow' was unloaded"]


async def test_a_listener_that_does_not_keep_up(system: hostcore.ModuleSystem) -> None:
    """A listener keeps the latest messages and counts what it lost; its iteration ends with the subscription."""
    async with system.subscribe("n", capacity=3) as events:
        for number in range(10):
            await system.publish("n", number)
    assert [event.payload async for event in events] == [7, 8, 9]
    assert events.lost == 7


async def test_bad_topics(system: hostcore.ModuleSystem) -> None:
    """A topic with wildcards cannot be published to, nor one of the host's own; a pattern must be one."""
    with pytest.raises(errors.ContractError, match="is not a topic"):
        await system.publish("a.*")
    with pytest.raises(errors.DeniedError, match="the host's own"):
        await system.publish("hostcore.module.loaded")
    with pytest.raises(errors.ContractError, match="is not a topic pattern"):
        async with system.subscribe("a..b"):
            pass


async def test_a_plain_hook_sends_and_publishes(system: hostcore.ModuleSystem, write: ModuleWriter) -> None:
    """A `def` hook cannot await: what it sends and publishes is on its way when the call returns."""
    body = """
@hookimpl
def initialize(self, context):
    self.context = context

@hookimpl
def handle_message(self, message):
    self.context.send("echo", 1, topic="sent.by")
    self.context.publish("told.all", 2)
"""
    await system.load("echo", source=write(ECHO))
    await system.load("plain", source=write(body, "plain"))
    async with system.subscribe("told.*") as events:
        assert await system.request("plain") is None
        assert (await soon(anext(events))).payload == 2
    await until(lambda: system.modules["echo"].handled == 1)


async def test_sending_waits_for_room(system: hostcore.ModuleSystem, write: ModuleWriter, gate: Gate) -> None:
    """An `async def` hook that awaits its `send` goes on only when the full mailbox has taken the message."""
    body = """
@hookimpl
def initialize(self, context):
    self.context = context

@hookimpl
async def handle_message(self, message):
    for number in range(3):
        await self.context.send("echo", number)
    return "sent"
"""
    await system.load("echo", source=write(WAITER), limits={"mailbox": 1})
    await system.load("busy", source=write(body, "busy"))
    asked = asyncio.ensure_future(system.request("busy"))
    await soon(gate.arrived.wait())
    await until(lambda: system.modules["echo"].mailbox == 2)
    assert not asked.done()
    gate.opened.set()
    assert await soon(asked) == "sent"
    await until(lambda: system.modules["echo"].handled == 3)
