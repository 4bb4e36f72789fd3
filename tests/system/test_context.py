"""What a module reaches through its context, and what it is not allowed to."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from support.modules import ECHO, ModuleWriter
from system.support import SETTINGS, running, soon

import hostcore
from hostcore import errors

ACTS = """
@hookimpl
def initialize(self, context):
    self.context = context

@hookimpl
async def handle_message(self, message):
    context = self.context
    what, *arguments = message.payload
    match what:
        case "kv":
            operation, *arguments = arguments
            return getattr(context.kv, operation)(*arguments)
        case "granted":
            return context.granted(*arguments)
        case "subscribe" | "unsubscribe":
            return getattr(context, what)(*arguments)
        case "invoke":
            capability, operation, keywords = arguments
            return await context.invoke(capability, operation, **keywords)
        case _:
            return await getattr(context, what)(*arguments)
"""
"""Does with its context what the message says."""


async def acting(system: hostcore.ModuleSystem, write: ModuleWriter, name: str = "actor") -> Any:
    """Load a module and return a function that has it use its context."""
    await system.load(name, source=write(ACTS, name))

    async def act(*what: Any) -> Any:
        return await system.request(name, list(what))

    return act


async def test_what_it_knows(system: hostcore.ModuleSystem, write: ModuleWriter) -> None:
    """A context tells the module's name, version, generation and configuration."""
    body = """
    @hookimpl
    def initialize(self, context):
        self.known = [context.name, context.version, context.generation, context.config, repr(context)]

    @hookimpl
    def handle_message(self):
        return self.known
    """
    await system.load("echo", source=write(body, version="1.4"), config={"a": [1]})
    assert await system.request("echo") == ["echo", "1.4", 1, {"a": [1]}, "<Context echo 1.4 #1>"]
    await system.reload("echo", strict=True)
    assert (await system.request("echo"))[2] == 2


async def test_log(system: hostcore.ModuleSystem, write: ModuleWriter, caplog: pytest.LogCaptureFixture) -> None:
    """What a module logs is under its own name."""
    body = "@hookimpl\ndef initialize(self, context):\n    context.log.warning('hello %s', 'there')"
    await system.load("echo", source=write(body))
    assert ("hostcore.module.echo", logging.WARNING, "hello there") in caplog.record_tuples


# --- its own store -------------------------------------------------------------------------------------------------


async def test_kv(write: ModuleWriter) -> None:
    """A module's store outlives messages, reloads and the system; other modules do not see it."""
    async with running() as system:
        act = await acting(system, write)
        assert await act("kv", "get", "a") is None
        assert await act("kv", "get", "a", 5) == 5
        await act("kv", "set", "a", {"b": [1, None]})
        await act("kv", "set", "other", 1)
        await system.reload("actor", strict=True)
        assert await act("kv", "get", "a") == {"b": [1, None]}
        another = await acting(system, write, "another")
        assert await another("kv", "keys") == []
    async with running() as system:
        act = await acting(system, write)
        assert await act("kv", "keys") == ["a", "other"]
        await act("kv", "delete", "a")
        await act("kv", "delete", "never there")
        assert await act("kv", "keys") == ["other"]


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("", 1, "a key is text of 1 to 512 characters"),
        ("x" * 513, 1, "a key is text"),
        (5, 1, "a key is text"),
        ("a", "x" * (1024 * 1024 + 1), "at most 1,048,576 are allowed"),
    ],
)
async def test_kv_refuses(system: hostcore.ModuleSystem, write: ModuleWriter, key: Any, value: Any, said: str) -> None:
    """Keys that are no short text and values that are too large are refused, and nothing is stored."""
    act = await acting(system, write)
    with pytest.raises(errors.HookError, match=said):
        await act("kv", "set", key, value)
    assert await act("kv", "keys") == []


async def test_kv_in_a_blocking_hook(system: hostcore.ModuleSystem, write: ModuleWriter) -> None:
    """A store can be used from the module's thread as from the event loop."""
    body = """
    @hookimpl
    def initialize(self, context):
        self.context = context
        context.kv.set("n", 1)

    @hookimpl(blocking=True)
    def handle_message(self, message):
        self.context.kv.set("n", self.context.kv.get("n") + 1)

    @hookimpl
    def execute(self):
        return self.context.kv.get("n")
    """
    await system.load("echo", source=write(body))
    for _ in range(5):
        await system.request("echo")
    assert await system.execute("echo") == 6


# --- the host's services -------------------------------------------------------------------------------------------


class Clock:
    """A service."""

    def __init__(self) -> None:
        self.seen: list[Any] = []

    def now(self, zone: str = "UTC") -> dict[str, str]:
        """Return the time, always the same."""
        return {"time": "12:00", "zone": zone}

    async def later(self, data: list[int]) -> int:
        """Take data of the module's."""
        self.seen.append(data)
        return len(data)

    def broken(self) -> None:
        """Raise."""
        raise ValueError("clock stopped")

    def thing(self) -> object:
        """Return what is not data."""
        return object()

    def _private(self) -> str:
        return "secret"


async def test_services(write: ModuleWriter) -> None:
    """A module calls what the host offers it, by plain data; anything else is refused with the right name."""
    clock = Clock()
    async with running({"clock": clock}) as system:
        act = await acting(system, write)
        assert await act("invoke", "clock", "now", {"zone": "CET"}) == {"time": "12:00", "zone": "CET"}
        assert await act("invoke", "clock", "later", {"data": [1, 2]}) == 2
        assert clock.seen == [[1, 2]]
        for capability, operation, said in [
            ("clok", "now", "did you mean 'clock'"), ("clock", "nov", "did you mean 'now'"),
            ("clock", "_private", "no operation '_private'"), ("clock", "seen", "no operation 'seen'"),
            ("clock", "broken", "clock stopped"), ("clock", "thing", "cannot be encoded"),
        ]:  # fmt: skip
            with pytest.raises(errors.HookError, match=said):
                await act("invoke", capability, operation, {})
        with pytest.raises(errors.HookError, match="zon"):
            await act("invoke", "clock", "now", {"zon": "CET"})


# --- permissions ---------------------------------------------------------------------------------------------------

DENIED = [
    ("request", "echo"), ("send", "echo"), ("publish", "news.today"), ("subscribe", "news.*"),
    ("kv", "set", "a", 1), ("invoke", "clock", "now", {}),
]  # fmt: skip
GRANTS = ["bus.request:echo", "bus.send:echo", "bus.send:news.*", "bus.subscribe:news.*", "kv", "cap:clock"]


@pytest.mark.parametrize("what", DENIED, ids=lambda what: what[0])
async def test_deny(write: ModuleWriter, what: tuple[Any, ...]) -> None:
    """Under a policy that denies, a module may do exactly what it was granted, and is told what it lacks."""
    policy = hostcore.Policy("deny", {"allowed": GRANTS, "other": ["bus.send:elsewhere"]})
    async with hostcore.ModuleSystem(SETTINGS, policy=policy, services={"clock": Clock()}) as system:
        await system.load("echo", source=write(ECHO))
        for name in ("other", "unnamed"):
            denied = await acting(system, write, name)
            with pytest.raises(errors.HookError, match="has no permission") as caught:
                await denied(*what)
            assert caught.value.exception == "DeniedError"
        allowed = await acting(system, write, "allowed")
        await allowed(*what)


async def test_granted(write: ModuleWriter) -> None:
    """A module can ask what it was granted; a question that is no permission is an error."""
    settings = {"policy": {"default": "deny", "grants": {"actor": ["net:api.example.org:443", "fs.read:/data"]}}}
    async with running(**settings) as system:
        act = await acting(system, write)
        assert await act("granted", "net:api.example.org:443")
        assert await act("granted", "fs.read:/data/deep")
        assert not await act("granted", "net:other.example.org:443")
        assert not await act("granted", "kv")
        with pytest.raises(errors.HookError, match="unknown kind 'netz'"):
            await act("granted", "netz:x")
        free = await acting(system, write, "free")
        assert not await free("granted", "kv")


async def test_asking_is_not_having(write: ModuleWriter) -> None:
    """What a manifest asks for is not granted by that."""
    async with running(policy={"default": "deny"}) as system:
        await system.load("actor", source=write(ACTS, "actor", manifest="permissions = ['kv']"))
        with pytest.raises(errors.HookError, match="has no permission 'kv'"):
            await system.request("actor", ["kv", "keys"])


async def test_denied_in_initialize(write: ModuleWriter) -> None:
    """A module that is denied what it needs to start does not start, and says what it lacked."""
    body = "@hookimpl\ndef initialize(self, context):\n    context.subscribe('news')"
    async with running(policy={"default": "deny"}) as system:
        with pytest.raises(errors.HookError, match=r"has no permission 'bus\.subscribe:news'"):
            await system.load("echo", source=write(body))


async def test_the_hosts_own_topics(system: hostcore.ModuleSystem, write: ModuleWriter) -> None:
    """A module can listen to the host's events but not forge them."""
    act = await acting(system, write)
    await act("subscribe", "hostcore.module.*")
    with pytest.raises(errors.HookError, match="the host's own"):
        await act("publish", "hostcore.module.loaded")
    with pytest.raises(errors.HookError, match="is not a topic pattern"):
        await act("subscribe", "a..b")


async def test_unsubscribe(system: hostcore.ModuleSystem, write: ModuleWriter) -> None:
    """A subscription can be taken back, and one that is not there as well."""
    act = await acting(system, write)
    await act("subscribe", "news.*")
    assert await system.publish("news.today", ["granted", "kv"]) == 1
    await act("unsubscribe", "news.*")
    await act("unsubscribe", "never")
    assert await system.publish("news.today", ["granted", "kv"]) == 0


# --- its end -------------------------------------------------------------------------------------------------------


async def test_a_closed_context(system: hostcore.ModuleSystem, write: ModuleWriter) -> None:
    """A generation that was shut down reaches nothing any more, even through a context that it kept."""
    act = await acting(system, write)
    await act("kv", "set", "a", 1)
    context = system.record("actor").copy.context  # type: ignore[union-attr]
    assert context is not None
    await system.reload("actor", strict=True)
    said = "generation 1 of 'actor' has been shut down"
    for use in (
        lambda: context.kv, lambda: context.subscribe("a"), lambda: context.unsubscribe("a"),
        lambda: context.granted("kv"), lambda: context.send("actor"), lambda: context.publish("a"),
    ):  # fmt: skip
        with pytest.raises(errors.StoppedError, match=said):
            use()
    for call in (context.request("actor"), context.invoke("a", "b")):
        with pytest.raises(errors.StoppedError, match=said):
            await soon(call)
    assert await act("kv", "get", "a") == 1
