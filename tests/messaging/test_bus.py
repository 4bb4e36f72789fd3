"""The bus: addresses, routing, permissions, what is sealed into an envelope."""

from __future__ import annotations

import asyncio
import random

import pytest
from messaging.support import World, active, only, passes

from hostcore.contract.messages import Payload
from hostcore.contract.versions import Capability
from hostcore.errors import (
    ContractError,
    DeniedError,
    HookError,
    LimitError,
    StoppedError,
    UnknownModuleError,
)
from hostcore.messaging.bus import Sender


class Ping(Payload[int], topic="ping", version=3):
    number: int


class Untyped(Payload, topic="untyped"):
    number: int = 0


class Pong(Payload[None], topic="pong"):
    number: int


# --- addresses -----------------------------------------------------------------------------------------------------


async def test_nobody_has_that_name(world):
    """A message to an unknown name is refused with the nearest known one, be it a module or a capability."""
    world.cell("counter", lambda message: None)
    world.bus.provide("counter", (Capability("parser:python/1.0"),))
    with pytest.raises(UnknownModuleError, match="did you mean 'counter'"):
        await world.request("countre")
    with pytest.raises(UnknownModuleError, match="did you mean 'parser:python'"):
        await world.send("parser:pyton")
    with pytest.raises(LookupError, match="hostcore modules list"):
        await world.request("zzz")


async def test_the_best_provider_answers_whoever_came_first():
    """A capability goes to its highest version, among equals to the first by name, in whatever order they came."""
    offers = {"a": "1.2", "b": "1.10", "c": "1.10", "d": "1.10rc1", "e": "1.9"}
    for seed in range(10):
        world = World()
        names = list(offers)
        random.Random(seed).shuffle(names)
        for name in names:
            world.cell(name, lambda message, name=name: name)
            world.bus.provide(name, (Capability(f"parser/{offers[name]}"), Capability("other/1")))
        assert world.bus.providers("parser") == ["b", "c", "d", "e", "a"]
        for expected in ("b", "c", "d", "e", "a"):
            assert await world.request("parser") == expected
            world.bus.remove(expected, "gone")
        with pytest.raises(UnknownModuleError):
            await world.request("parser")
        world.close()


async def test_providing_again_replaces(world):
    """What a module provides replaces what it provided before."""
    world.cell("a", lambda message: "a")
    world.bus.provide("a", (Capability("x/1"), Capability("y/1")))
    world.bus.provide("a", (Capability("x/2"),))
    assert world.bus.providers("x") == ["a"]
    assert world.bus.providers("y") == []


async def test_a_module_goes_before_a_capability_of_that_name(world):
    """A module's own name wins over a capability that is called the same."""
    world.cell("parser", lambda message: "module")
    world.cell("b", lambda message: "capability")
    world.bus.provide("b", (Capability("parser/9"),))
    assert await world.request("parser") == "module"
    world.bus.remove("parser", "gone")
    assert await world.request("parser") == "capability"


async def test_a_provider_without_a_cell_is_passed_over(world):
    """A provider that is not reachable gives way to the next best."""
    world.cell("b", lambda message: "b")
    world.bus.provide("a", (Capability("x/2"),))
    world.bus.provide("b", (Capability("x/1"),))
    assert await world.request("x") == "b"


async def test_a_module_that_loads_with_its_first_message(world):
    """A message to an expected module, or to what it will provide, activates it first, and once."""
    activated = []

    async def activate(name):
        activated.append(name)
        await asyncio.sleep(0)
        if name not in world.bus.cells:
            world.cell(name, lambda message: name)
            world.bus.provide(name, (Capability(f"cap-{name}/1"),))

    world.bus.activate = activate
    world.bus.expect("a", (Capability("cap-a/1"),))
    world.bus.expect("b", ())
    assert await asyncio.gather(*(world.request("cap-a") for _ in range(3))) == ["a"] * 3
    assert await world.request("b") == "b"
    assert await world.request("a") == "a"
    assert set(activated) == {"a", "b"}
    with pytest.raises(UnknownModuleError):
        await world.request("c")


async def test_why_there_is_none(world):
    """Removing an address keeps the reason, until a module of that name comes again."""
    world.bus.remove("a", "'a' could not be loaded")
    with pytest.raises(StoppedError, match="could not be loaded"):
        await world.request("a")
    world.cell("a", lambda message: 1)
    assert await world.request("a") == 1
    assert not world.bus.gone


# --- permissions ---------------------------------------------------------------------------------------------------


async def test_permissions_are_checked_for_the_module_that_is_reached(world):
    """A sender needs the permission for the module behind a capability, for each verb by itself."""
    world.cell("a", lambda message: "a")
    world.bus.provide("a", (Capability("x/1"),))
    asker = Sender("m", only("bus.request:a"))
    assert await world.bus.request(asker, "x") == "a"
    with pytest.raises(DeniedError, match=r"'m' has no permission 'bus\.send:a'") as caught:
        await world.bus.send(asker, "a")
    assert "module.toml" in caught.value.hint
    with pytest.raises(PermissionError):
        await world.bus.request(Sender("n", only()), "a")
    with pytest.raises(DeniedError, match=r"bus\.send:t"):
        world.bus.publish(asker, "t")
    assert world.bus.publish(Sender("m", only("bus.send:t")), "t") == 0


async def test_the_hosts_own_topics_are_reserved(world):
    """Nobody can forge one of the host's events."""
    with pytest.raises(DeniedError, match="host's own"):
        world.bus.publish(world.host, "hostcore.module.loaded", {})


# --- payloads ------------------------------------------------------------------------------------------------------

CYCLE: list = []
CYCLE.append(CYCLE)


def deep(levels):
    value = None
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    "payload",
    [object(), print, 2**100, -(2**80), CYCLE, deep(100_000), {"a": {"b": object()}}, "\ud800", {object(): 1}, 1j,
     [Ping]],
    ids=["object", "function", "2**100", "-2**80", "cyclic", "deep", "nested", "surrogate", "key", "complex", "class"],
)  # fmt: skip
@pytest.mark.parametrize("verb", ["request", "send", "publish"])
async def test_a_payload_that_is_no_data(world, verb, payload):
    """What cannot be encoded is refused before anybody is disturbed, and the sender is named."""
    handled = []
    world.cell("c", lambda message: handled.append(1))
    world.bus.subscriptions.add("t", world.bus.cells["c"])
    sender = Sender("m", world.host.grants)
    with pytest.raises(ContractError, match="the payload of 't' cannot be encoded") as caught:
        if verb == "publish":
            world.bus.publish(sender, "t", payload)
        else:
            await getattr(world.bus, verb)(sender, "c", payload, topic="t")
    assert caught.value.module == "m"
    assert "plain data" in caught.value.hint
    await passes()
    assert not handled


@pytest.mark.parametrize("levels", [1, 10, 100, 300, 600, 900, 1_500, 5_000])
async def test_nesting_either_travels_or_is_refused(world, levels):
    """Deep nesting arrives as it was sent or is a named error on one of the two sides; nothing breaks."""
    world.cell("c", lambda message: message.payload)
    try:
        assert await world.request("c", deep(levels)) == deep(levels)
    except ContractError:
        assert levels > 300
    assert await world.request("c", 1) == 1


async def test_a_payload_that_is_too_large():
    """A payload over the limit is refused with both sizes; one of exactly the limit passes."""
    world = World(message_limit=100)
    world.cell("c", lambda message: len(message.payload))
    assert await world.request("c", b"x" * 98) == 98  # and two bytes of header
    for call in (world.request, world.send):
        with pytest.raises(LimitError, match=r"the payload for 'c' from 'host' is 101 bytes; at most 100") as caught:
            await call("c", b"x" * 99)
        assert "message_limit" in caught.value.hint
    world.close()


async def test_modules_share_no_object(world):
    """Sender and receiver each have their own copy of a payload and of a reply."""
    kept = []

    def handler(message):
        kept.append(message.payload)
        message.payload.append("changed by the receiver")
        return message.payload

    world.cell("c", handler)
    sent = ["from the sender"]
    reply = await world.request("c", sent)
    reply.append("changed by the asker")
    assert sent == ["from the sender"]
    assert kept == [["from the sender", "changed by the receiver"]]


async def test_typed_payloads_name_topic_and_schema(world):
    """A `Payload` is sent under its own topic, or the given one, with its schema; its reply is typed."""
    seen = []

    def handler(message):
        seen.append((message.topic, message.schema, message.payload))
        return message.payload["number"]

    world.cell("c", handler)
    assert await world.request("c", Ping(number=7)) == 7
    assert await world.request("c", Ping(number=8), topic="other") == 8
    await world.send("c", Untyped())
    await passes()
    assert seen == [
        ("ping", "ping/3", {"number": 7}),
        ("other", "ping/3", {"number": 8}),
        ("untyped", "untyped/1", {"number": 0}),
    ]


async def test_a_reply_that_does_not_fit(world):
    """A reply of another type than the request promises is the answering module's fault, told to the asker."""
    world.cell("c", lambda message: "seven")
    with pytest.raises(ContractError, match="'c' sent plain data that is no int"):
        await world.request("c", Ping(number=7))
    assert await world.request("c", Untyped()) == "seven"
    assert await world.request("c", Pong(number=1)) == "seven"


# --- trace and trail -----------------------------------------------------------------------------------------------


async def test_trace_and_trail_follow_nested_messages(world):
    """Everything that one message causes carries its trace; the trail lists the modules that wait, oldest first."""
    seen = {}

    def noting(name, target=None, verb="request"):
        async def handler(message):
            cell = world.bus.cells[name]
            seen[name] = (message.id, message.trace, cell.delivery.envelope.trail, message.sender)
            if target and verb == "request":
                await world.ask(name, target)
            elif target:
                await world.bus.send(Sender(name, world.host.grants), target)

        return handler

    world.cell("a", noting("a", "b"))
    world.cell("b", noting("b", "c", "send"))
    world.cell("c", noting("c"))
    await world.request("a")
    await passes()
    first = seen["a"][0]
    assert seen["a"] == (first, first, (), "host")
    assert seen["b"][1:] == (first, ("a",), "a")
    assert seen["c"][1:] == (first, ("a", "b"), "b")
    assert len({entry[0] for entry in seen.values()}) == 3
    await world.request("c")
    assert seen["c"][1] != first
    assert not active()


async def test_what_a_left_behind_task_sends_has_the_trace_but_no_trail(world):
    """After a handler ended its module waits for nothing, but what it still causes can be traced to it."""
    seen, tasks = [], []

    async def parent(message):
        tasks.append(asyncio.create_task(later()))
        seen.append(message.trace)

    async def later():
        await asyncio.sleep(0)
        await world.bus.send(Sender("p", world.host.grants), "c")

    def child(message):
        seen.append(message.trace)
        seen.append(world.bus.cells["c"].delivery.envelope.trail)

    world.cell("p", parent)
    world.cell("c", child)
    await world.request("p")
    await tasks[0]
    await passes()
    assert seen[0] == seen[1]
    assert seen[2] == ()


async def test_another_hook(world):
    """A request may name the hook that handles it, and errors name that hook."""
    world.cell("c", lambda message: 1 / 0)
    with pytest.raises(HookError) as caught:
        await world.request("c", hook="execute")
    assert caught.value.hook == "execute"
