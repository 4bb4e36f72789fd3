"""Every guest language does the same, on either call path: what `tests/guests/README.md` says of the topics."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from support.guests import CONFORMANCE
from wasm.hosting import hosted, ready, soon, until

import hostcore
from hostcore import errors

pytestmark = pytest.mark.usefixtures("compiled_once")

PERMISSIONS = ["bus.send:>", "bus.request:*", "bus.subscribe:>", "cap:*", "kv", "clock"]
LANGUAGES = (*CONFORMANCE, "python")
PLAIN = ("c", "c-core", "zig", "python-raw")
"""Those that are tried on the plain path as well: components and core modules, small and large."""
PRINTING = ("python", "python-raw", "go")
TRAPPING = ("assemblyscript", "go")
"""Those whose runtimes end the guest when memory is refused."""


class Variant(NamedTuple):
    """A guest and a call path."""

    language: str
    calls: str

    def __str__(self) -> str:
        return self.language if self.calls == "fast" else f"{self.language}-{self.calls}"


VARIANTS = [*(Variant(name, "fast") for name in LANGUAGES), *(Variant(name, "plain") for name in PLAIN)]


class Service:
    """A service of the program's."""

    async def add(self, a: int, b: int) -> int:
        return a + b


class Loaded(NamedTuple):
    """A system, and how to talk to the guest "g" in it."""

    system: hostcore.ModuleSystem
    variant: Variant

    @property
    def path(self) -> Path:
        return ready(self.variant.language)

    async def load(self, name: str = "g", **more: Any) -> hostcore.ModuleInfo:
        return await self.system.load(name, source=self.path, **more)

    async def __call__(self, topic: str, payload: Any = None, **more: Any) -> Any:
        return await soon(self.system.request("g", payload, topic=topic, **more))

    async def failing(self, topic: str, payload: Any = None) -> hostcore.errors.HostcoreError:
        with pytest.raises(errors.HostcoreError) as caught:
            await self(topic, payload)
        return caught.value


@pytest.fixture(params=VARIANTS, ids=str)
async def guest(request: pytest.FixtureRequest) -> AsyncIterator[Loaded]:
    """A system with nothing in it yet."""
    variant: Variant = request.param
    ready(variant.language)
    grants = dict.fromkeys(("g", "other"), PERMISSIONS)
    async with hosted(variant.calls, grants=grants, services={"sums": Service()}) as system:
        yield Loaded(system, variant)


async def test_topics_are_answered(guest: Loaded) -> None:
    """A guest answers with what it is sent, with nothing, with its configuration, and with who asks."""
    info = await guest.load(config={"a": [1, {"b": None}], "text": "ä€😀"})
    assert (info.host, info.generation) == ("wasm", 1)
    payload = {"text": 'ä€😀\x00"\\', "numbers": [0, -1, 2**53, 1.5], "nothing": None, "flags": [True, False]}
    assert await guest("echo", payload) == payload
    assert await guest("echo", None) is None
    assert await guest("count") == {"count": 3}
    assert await guest("none") is None
    assert await guest("config") == {"a": [1, {"b": None}], "text": "ä€😀"}
    who = await guest("who")
    assert (who["name"], who["version"], who["generation"], who["sender"]) == ("g", info.version, 1, "host")
    assert who["trace"] == who["id"] != ""


async def test_a_large_payload_goes_and_comes_back(guest: Loaded) -> None:
    """A guest takes what is larger than the memory that it starts with."""
    await guest.load()
    payload = {"text": "ä" * 500_000}
    assert await guest("echo", payload) == payload


async def test_an_error_of_the_guest_reaches_the_asker(guest: Loaded) -> None:
    """What a guest answers as an error is one of its hook, and does not end it."""
    await guest.load()
    await guest("count")
    for topic, text in (("fail", "bad thing"), ("no.such", "unknown topic")):
        error = await guest.failing(topic)
        assert (type(error), error.code) == (errors.HookError, "HC302")
        assert text in error.message
    assert await guest("count") == {"count": 2}


async def test_execute_and_capabilities(guest: Loaded) -> None:
    """A guest is found by what it provides, and executes."""
    info = await guest.load()
    assert info.provides == ("echo/1.0",)
    assert await soon(guest.system.request("echo", [1], topic="echo")) == [1]
    assert await soon(guest.system.execute("g", {"a": 1})) == {"echo": {"a": 1}, "count": 1}


async def test_a_guest_that_cannot_begin_is_not_loaded(guest: Loaded) -> None:
    """An error of `initialize` is that of the load, and leaves nothing."""
    with pytest.raises(errors.HookError, match="not today") as caught:
        await guest.load(config={"fail": "not today"})
    assert caught.value.hook == "initialize"
    assert (await guest.load(config={})).generation == 2


async def test_lines_of_the_log(guest: Loaded, caplog: pytest.LogCaptureFixture) -> None:
    """What a guest logs stands in the log of its module, at its level, made safe to show."""
    caplog.set_level(logging.INFO, "hostcore.module.g")
    await guest.load()
    await guest("log", "a \x1b[31mred\x1b[0m ä\u202eline")
    await guest.system.unload("g")
    told = [(r.levelname, r.message) for r in caplog.records if r.name == "hostcore.module.g"]
    assert told == [("INFO", "ready"), ("WARNING", r"a \x1b[31mred\x1b[0m ä\u202eline"), ("INFO", "bye")]


async def test_lines_of_standard_output(guest: Loaded, caplog: pytest.LogCaptureFixture) -> None:
    """What a guest prints stands in the log of its module, where its language has a standard output."""
    caplog.set_level(logging.INFO, "hostcore.module.g")
    await guest.load()
    if guest.variant.language not in PRINTING:
        assert (await guest.failing("print", "x")).code == "HC312"
        return
    await guest("print", "one\ntwo \x1b]0;title\x07")
    await guest.system.unload("g")
    told = [r.message for r in caplog.records if r.name == "hostcore.module.g"]
    assert [line for line in told if line not in ("ready", "bye")] == ["one", r"two \x1b]0;title\x07"]


async def test_subscribing_and_publishing(guest: Loaded) -> None:
    """A guest gets what it subscribed to until it takes that back, and what it publishes reaches others."""
    await guest.load(config={"subscribe": "count"})
    assert await guest.system.publish("count") == 1
    await until(lambda: guest.system.modules["g"].handled == 1)
    await guest("unsubscribe", "count")
    assert await guest.system.publish("count") == 0
    async with guest.system.subscribe("news.*") as listener:
        await guest("publish", {"topic": "news.today", "payload": {"n": [1]}})
        message = await soon(anext(aiter(listener)))
    assert (message.topic, message.payload, message.sender) == ("news.today", {"n": [1]}, "g")
    assert await guest("count") == {"count": 2}


async def test_talking_to_others(guest: Loaded) -> None:
    """A guest asks another guest and gets its reply, and sends it what needs none."""
    await guest.load()
    await guest.load("other")
    assert await guest("ask", {"target": "other", "topic": "echo", "payload": [1, "two"]}) == [1, "two"]
    assert await guest("ask", {"target": "other", "topic": "none", "payload": 1}) is None
    who = await guest("ask", {"target": "other", "topic": "who", "payload": None})
    assert (who["name"], who["sender"]) == ("other", "g")
    await guest("send", {"target": "other", "topic": "count", "payload": None})
    await until(lambda: guest.system.modules["other"].handled == 4)
    assert await soon(guest.system.request("other", topic="count")) == {"count": 3}


async def test_services_and_the_store(guest: Loaded) -> None:
    """A guest calls a service, keeps values of its own, knows what it may do, and sleeps without holding anybody."""
    await guest.load()
    assert await guest("invoke", {"capability": "sums", "operation": "add", "args": {"a": 1, "b": 2}}) == 3
    assert await guest("kv", {"a": ["ä", None]}) == {"a": ["ä", None]}
    assert await guest("keys", "") == ["k"]
    assert await guest("keys", "x") == []
    assert await guest("delete") is True
    assert await guest("delete") is False
    assert await guest("granted", "kv") is True
    assert await guest("granted", "net:example.org:443") is False
    assert await guest("sleep", 1) == "slept"


async def test_what_is_refused_is_an_error_of_the_guest(guest: Loaded) -> None:
    """The host's errors reach the guest as data, and it answers with them."""
    await guest.load()
    asked = {"capability": "sums", "operation": "subtract", "args": {}}
    if guest.variant.language == "python":
        asked["args"] = {"a": 1}
    error = await guest.failing("invoke", asked)
    assert (type(error), error.code) == (errors.HookError, "HC302")
    assert "no operation 'subtract'" in error.message
    error = await guest.failing("publish", {"topic": "hostcore.mine", "payload": 1})
    assert "may not publish" in error.message
    if guest.variant.calls == "fast":  # see hostcore.hosts.wasm.plain: it has no errors of this type
        error = await guest.failing("ask", {"target": "nobody", "topic": "x", "payload": 1})
        assert "no module is named 'nobody'" in error.message
        error = await guest.failing("ask", {"target": "g", "topic": "echo", "payload": 1})
        assert "waits for it" in error.message
    assert await guest("echo", 1) == 1


async def test_state_over_a_reload(guest: Loaded) -> None:
    """A reload makes another guest, with the state of the one before; one that has `check_health` is asked."""
    await guest.load()
    for _ in range(3):
        await guest("count")
    report = await guest.system.reload("g", strict=True)
    assert (report.old_generation, report.new_generation, report.rolled_back, report.leaks) == (1, 2, False, ())
    assert await guest("count") == {"count": 4}
    assert (await guest("who"))["generation"] == 2
    await guest.system.reload("g", state="fresh", strict=True)
    assert await guest("count") == {"count": 1}


async def test_rollback(guest: Loaded) -> None:
    """A rollback makes the guest of before again, with the present state."""
    await guest.load()
    await guest("count")
    await guest.system.reload("g", source=ready("c"), strict=True)
    await guest("count")
    report = await guest.system.rollback("g", strict=True)
    assert (report.kind, report.rolled_back) == ("rollback", False)
    assert await guest("count") == {"count": 3}
    assert (await guest("who"))["version"] == report.new_version


async def test_a_trap_ends_one_message_only(guest: Loaded) -> None:
    """A guest that trapped is made anew for the next message, with the last state that is known of it."""
    await guest.load()
    await guest("count")
    await guest("count")
    await guest.system.reload("g", strict=True)
    await guest("count")
    error = await guest.failing("trap")
    assert (type(error), error.code) == (errors.GuestTrapError, "HC502")
    assert await guest("count") == {"count": 3}
    assert await guest("kv", 1) == 1


async def test_an_endless_loop_is_stopped(guest: Loaded) -> None:
    """A guest that does not come to an end is stopped at its limit, and answers again."""
    await guest.load(limits={"handle_message": "150ms"})
    error = await guest.failing("spin")
    assert (type(error), error.code) == (errors.HookError, "HC303")
    assert await guest("echo", 1, timeout=20) == 1


async def test_recursion_and_memory_are_bounded(guest: Loaded) -> None:
    """What goes beyond stack or memory fails, is told as that, and does not keep the guest from answering."""
    await guest.load(limits={"memory": "48MiB"})
    error = await guest.failing("recurse")
    if guest.variant.language == "python":
        assert "RecursionError" in error.message
    else:
        assert (type(error), error.code) == (errors.LimitError, "HC506")
    assert await guest("echo", 1) == 1
    error = await guest.failing("grow")
    assert error.code == ("HC502" if guest.variant.language in TRAPPING else "HC504")
    assert await guest("echo", 2) == 2


async def test_from_one_language_to_another() -> None:
    """A reload can change the language of a guest, its ABI too; the state goes along."""
    road = ["c", "zig", "python-raw", "c-core", "python"]
    for name in road:
        ready(name)
    async with hosted() as system:
        await system.load("g", source=ready("c"))
        for number, name in enumerate(road, 1):
            if number > 1:
                await system.reload("g", source=ready(name), strict=True)
            assert await soon(system.request("g", topic="count")) == {"count": number}
        assert [entry.generation for entry in system.history("g")] == [1, 2, 3, 4, 5]
