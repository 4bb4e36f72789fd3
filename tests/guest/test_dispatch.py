"""From a call of the host to a hook and back, run here with a host that only remembers."""

from __future__ import annotations

import asyncio
import json
import logging
import math
import random
import sys
import time
import types
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

import hostcore
from hostcore import errors
from hostcore.guest.inside import logs, surroundings
from hostcore.guest.inside.dispatch import Guest, Refused
from hostcore.guest.inside.ports import GuestPorts
from hostcore.guest.inside.refusals import error_of


class Imports:
    """A host that answers with what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[object, ...]] = []
        self.logged: list[tuple[int, str, str | None]] = []
        self.error: Callable[[], Exception] | None = None
        self.info: tuple[object, ...] | None = ("m1", "other", "s/1", "t1", None)
        self.values: dict[str, str] = {}
        self.log = lambda *line: self.logged.append(line)

    def _ask(self, *what):
        self.asked.append(what)
        if self.error is not None:
            raise self.error()

    def request(self, *what):
        self._ask("request", *what)
        return what[2]

    def send(self, *what):
        self._ask("send", *what)

    def publish(self, *what):
        self._ask("publish", *what)

    def subscribe(self, pattern):
        self._ask("subscribe", pattern)

    def unsubscribe(self, pattern):
        self._ask("unsubscribe", pattern)

    def granted(self, permission):
        return permission != "spawn"

    def invoke(self, *what):
        self._ask("invoke", *what)
        return what[2]

    def get(self, key):
        return self.values.get(key)

    def set(self, key, value):
        self.values[key] = value

    def delete(self, key):
        return self.values.pop(key, None) is not None

    def keys(self, prefix):
        return sorted(self.values, reverse=True)

    def module(self):
        return "counter", "1.2", 7

    def message(self):
        self._ask("message")
        return self.info

    def sleep(self, milliseconds):
        self._ask("sleep", milliseconds)
        time.sleep(milliseconds / 1000)


@pytest.fixture
def imports() -> Imports:
    return Imports()


@pytest.fixture
def make(imports, monkeypatch):
    """Make a guest of a class, an object or a module, which need not be importable; it is called in its own thread."""
    monkeypatch.setattr(logs, "start", lambda log: None)  # this process has a root logger of its own

    made: list[Guest] = []

    def make(plugin) -> Guest:
        place = types.ModuleType("acme_inside")
        place.Module = plugin  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "acme_inside", place)
        made.append(Guest("counter", "acme_inside:Module", GuestPorts("counter", imports)))
        return made[-1]

    yield make
    for guest in made:
        guest.loop._thread_id = None  # it counts as running for as long as a guest lives
        guest.loop.close()


def call(function, *arguments):
    """Call `function` as a guest's host would: in the one thread of the guest, where no other event loop runs."""
    return call.thread.submit(function, *arguments).result()


@pytest.fixture(autouse=True)
def one_thread():
    with ThreadPoolExecutor(1) as call.thread:
        yield


def refused(function, *arguments) -> Refused:
    with pytest.raises(Refused) as caught:
        call(function, *arguments)
    return caught.value


class Counter:
    @hostcore.hookimpl
    def initialize(self, context):
        self.context = context

    @hostcore.hookimpl(specname="handle_message")
    def on_message(self, message):
        return message.payload

    @hostcore.hookimpl
    def migrate_state(self, from_version, state):
        return {**state, "from": from_version}

    @hostcore.hookimpl
    async def restore_state(self, state):
        self.state = state

    @hostcore.hookimpl
    def execute(self):
        return None

    @hostcore.hookimpl(optionalhook=True)
    def complete(self, text):
        return text.upper()


def test_hooks_are_listed_with_their_arguments(make):
    """Hooks are known by their own names, and with the arguments that the module takes."""
    assert sorted(call(make(Counter).implemented)) == [
        "complete(text)", "execute()", "handle_message(message)", "initialize(context)",
        "migrate_state(from_version, state)", "restore_state(state)",
    ]  # fmt: skip


def test_arguments_go_by_name(make):
    """A hook takes fewer arguments, in any order; what it does not take is left out."""
    guest = make(Counter)
    assert call(guest.call, "migrate_state", '{"state": {"a": 1}, "from_version": 2}') == '{"a":1,"from":2}'
    assert call(guest.call, "restore_state", '{"state": 5, "from_version": 2}') is None
    assert call(guest.execute, '{"a": 1}') == "null"
    assert call(guest.call, "complete", '{"text": "im"}') == '"IM"'


def test_the_context(make, imports):
    """`initialize` gets hostcore's own context, which says who the module is."""

    class Module:
        @hostcore.hookimpl
        def initialize(self, context):
            assert type(context) is hostcore.Context
            self.context = context

        @hostcore.hookimpl
        async def handle_message(self, message):
            context = self.context
            await context.send("a", {1}, topic="t")
            await context.publish("news", None)
            context.subscribe("x.*")
            context.unsubscribe("x.*")
            context.kv.set("k", {"b": 1})
            context.kv.set("a", None)
            context.kv.delete("none")
            return [
                context.name, context.version, context.generation, context.config, context.kv.keys(),
                context.kv.get("k"), context.kv.get("none", 3), context.granted("spawn"), context.granted("kv"),
                await context.request("b", [1], timeout=0.0001), await context.request("b"),
                await context.request("b", timeout=math.inf), await context.invoke("http", "get", url="u"),
            ]  # fmt: skip

    guest = make(Module)
    call(guest.initialize, '{"start": 1}')
    told = json.loads(call(guest.handle_message, "", "null"))
    assert told == [
        "counter",
        "1.2",
        7,
        {"start": 1},
        ["a", "k"],
        {"b": 1},
        3,
        False,
        True,
        [1],
        None,
        None,
        {"url": "u"},
    ]
    assert imports.asked == [
        ("send", "a", "t", "[1]"), ("publish", "news", "null"), ("subscribe", "x.*"), ("unsubscribe", "x.*"),
        ("request", "b", "", "[1]", 1), ("request", "b", "", "null", 0), ("request", "b", "", "null", 2**32 - 1),
        ("invoke", "http", "get", '{"url":"u"}'),
    ]  # fmt: skip


def test_a_full_mailbox_is_told_to_who_awaits(make, imports):
    """`send` to a full mailbox raises where it is awaited, and loses the message where it is not."""

    class Module(Counter):
        @hostcore.hookimpl
        def handle_message(self, message):
            self.context.send("full")

        @hostcore.hookimpl
        async def get_state(self):
            await self.context.send("full")

        on_message = None

    guest = make(Module)
    call(guest.initialize, "{}")
    imports.error = lambda: errors.MailboxFullError("full")
    assert call(guest.handle_message, "", "1") is None
    assert json.loads(refused(guest.get_state).details)["exception"] == "MailboxFullError"


def test_a_message_asks_once_and_only_when_it_must(make, imports):
    """Topic and payload cost no question; the rest is asked for when it is first wanted, or when a message is kept."""

    class Module:
        kept = None

        @hostcore.hookimpl
        def handle_message(self, message):
            if message.topic == "keep":
                self.kept = message
            if message.topic == "who":
                return [message.sender, message.id, message.trace, message.schema, message.remaining() == math.inf]
            return self.kept and self.kept.sender

    guest = make(Module)
    assert call(guest.handle_message, "", "1") is None
    assert imports.asked == []
    assert json.loads(call(guest.handle_message, "who", "1")) == ["other", "m1", "t1", "s/1", True]
    assert imports.asked == [("message",)]
    call(guest.handle_message, "keep", "1")
    imports.info = ("m2", "somebody", "", "", 100)
    assert json.loads(call(guest.handle_message, "", "1")) == "other"


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (ValueError("bad"), "failed", "ValueError: bad"),
        (SystemExit(3), "failed", "SystemExit: 3"),
        (KeyboardInterrupt(), "failed", "KeyboardInterrupt"),
        (asyncio.CancelledError(), "failed", "CancelledError"),
        (MemoryError(), "memory", "MemoryError"),
        (errors.DeniedError("no", hint="ask"), "failed", "DeniedError: HC601 no\n  hint: ask"),
        (errors.CallCycleError("round", trail=["a", "b"]), "cycle", "round"),
    ],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.parametrize("kind", ["def", "async"])
def test_whatever_a_hook_raises_is_told(make, error, code, message, kind):
    """Any exception, even one that would end a process, is an error of the call, and the guest goes on."""

    class Module:
        @hostcore.hookimpl
        def handle_message(self, message):
            if not message.payload:
                return "fine"
            return self.later() if kind == "async" else self.now()

        async def later(self):
            raise error

        def now(self):
            raise error

    guest = make(Module)
    told = refused(guest.handle_message, "", "1")
    assert (told.code, told.message) == (code, message)
    details = json.loads(told.details)
    assert details["exception"] == type(error).__name__
    if code != "memory":
        assert "in now" in details["traceback"] or "in later" in details["traceback"]
        assert "guest/inside" not in details["traceback"]
    assert call(guest.handle_message, "", "0") == '"fine"'


def test_long_errors_are_cut(make):
    """What is told of an error has a limit."""

    class Module:
        @hostcore.hookimpl
        def execute(self, request):
            raise ValueError("x" * 1_000_000)

    told = refused(make(Module).execute, "1")
    assert len(told.message) < 10_000
    assert len(told.details) < 20_000


def test_a_result_that_is_no_data(make):
    """A result that cannot be encoded is "invalid-argument" and names the type."""

    class Module:
        @hostcore.hookimpl
        def handle_message(self, message):
            return {"x": object()}

    told = refused(make(Module).handle_message, "", "1")
    assert (told.code, "object" in told.message, "'handle_message'" in told.message) == ("invalid-argument", True, True)


def test_what_is_not_there(make):
    """A hook that the module lacks is "unimplemented"; beginning and ending work without one."""

    class Module:
        @hostcore.hookimpl
        def execute(self, request):
            return request

    guest = make(Module)
    assert call(guest.initialize, "{}") is None
    calls = [
        (guest.handle_message, "", "1"),
        (guest.get_state,),
        (guest.restore_state, "1"),
        (guest.call, "get_capabilities", "{}"),
        (guest.call, "anything", "{}"),
    ]
    for function, *arguments in calls:
        assert refused(function, *arguments).code == "unimplemented"
    assert call(guest.get_capabilities) == []
    assert call(guest.shutdown) is None


def test_capabilities(make):
    """Capabilities are texts or objects; something else is an error."""

    class Module:
        told = ("echo/1.0", hostcore.Capability("parser:python/2"), "bare")

        @hostcore.hookimpl
        def get_capabilities(self):
            return self.told

    guest = make(Module)
    assert call(guest.get_capabilities) == [("echo", "1.0"), ("parser:python", "2"), ("bare", "0")]
    assert json.loads(call(guest.call, "get_capabilities", "{}")) == ["echo/1.0", "parser:python/2", "bare/0"]
    Module.told = ["not a capability"]
    assert "is not a capability" in refused(guest.get_capabilities).message


def test_other_entry_points(make):
    """The entry point may name an object or a module as well as a class."""
    assert call(make(Counter()).handle_message, "", "[1]") == "[1]"
    place = types.ModuleType("acme_functions")

    @hostcore.hookimpl
    def execute(request):
        return [request]

    place.execute = execute
    assert call(make(place).execute, "1") == "[1]"


@pytest.mark.parametrize(
    ("body", "code", "text"),
    [
        ("def handle_message(self, mesage): ...", "HC301", "did you mean 'message'"),
        ("def handle_message(self, message: hostcore.Message[Point]): ...", "HC311", "plain data"),
        ("def execute(self, request: Point): ...", "HC311", "plain data"),
        ("def get_state(self): yield 1", "HC307", "generator"),
        ("def get_state(self, *args): ...", "HC306", "plain arguments"),
    ],
)
def test_hooks_that_are_wrong(make, body, code, text):
    """Hooks are checked as natively; typed payloads, which only exist there, are refused too."""
    namespace = {"hostcore": hostcore, "Point": types.new_class("Point")}
    exec(f"class Module:\n    @hostcore.hookimpl\n    {body}", namespace)
    told = refused(make(namespace["Module"]).implemented)
    assert code in told.message
    assert text in told.message


@pytest.mark.parametrize(
    "annotation",
    ["object", "dict", "dict[str, int]", "list[int] | None", "str", "None", "Missing", "T", "Mapping[str, int]"],
)
def test_annotations_of_plain_data(make, annotation):
    """Annotations that say plain data, or cannot be resolved, change nothing."""
    from collections.abc import Mapping
    from typing import TypeVar

    namespace = {"hostcore": hostcore, "Mapping": Mapping, "T": TypeVar("T")}
    parameter = f"message: 'hostcore.Message[{annotation}]'"
    exec(f"class Module:\n    @hostcore.hookimpl\n    def handle_message(self, {parameter}): ...", namespace)
    assert call(make(namespace["Module"]).implemented) == ["handle_message(message)"]


def test_a_class_that_wants_arguments(make):
    """A class that cannot be made without arguments is named, with what to do."""

    class Module:
        def __init__(self, database): ...

    told = refused(make(Module).implemented)
    assert "HC208" in told.message
    assert "initialize(context)" in told.message


def test_tasks_left_by_a_hook_run(make):
    """A task that a hook starts and does not await runs before the call is over."""

    class Module:
        done = False

        @hostcore.hookimpl
        def handle_message(self, message):
            self.task = asyncio.create_task(self.work())

        async def work(self):
            await asyncio.sleep(0)
            self.done = True

        @hostcore.hookimpl
        def get_state(self):
            return self.done

    guest = make(Module)
    assert call(guest.handle_message, "", "1") is None
    assert call(guest.get_state) == "true"


# --- errors of the host ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "code", "kind"),
    [
        ("denied", "HC601", errors.DeniedError),
        ("not-found", "HC401", errors.UnknownModuleError),
        ("deadline", "HC404", errors.DeadlineError),
        ("full", "HC403", errors.MailboxFullError),
        ("stopped", "HC402", errors.StoppedError),
        ("cycle", "HC405", errors.CallCycleError),
        ("too-large", "HC503", errors.LimitError),
        ("invalid-argument", "HC351", errors.ContractError),
        ("failed", "HC302", errors.HookError),
        ("internal", "HC500", errors.HostError),
        ("failed", "HC303", errors.HookError),
        ("anything", "HC777", errors.HostError),
    ],
)
def test_an_error_of_the_host_has_its_class_and_code(word, code, kind):
    """What the host says is the same error as natively: class, code, text and hint; without a code the word decides."""
    details = json.dumps({"code": code, "hint": "do it", "module": "m", "hook": "h", "trail": ["a"]})
    error = error_of(word, f"{code} it went wrong", details)
    assert (type(error), error.code, error.message, error.hint) == (kind, code, "it went wrong", "do it")
    assert type(error_of(word, "x", None)) is kind


@pytest.mark.parametrize("details", ["", "{", "[]", "7", '{"code": 5, "trail": 7, "hint": null}', '{"code": "HC801"}'])
def test_details_that_are_odd(details):
    """An error is an error whatever its details are."""
    for word in ("denied", "cycle", "failed", "?"):
        assert error_of(word, "text", details).message == "text"


# --- logging and surroundings ----------------------------------------------------------------------------------


def test_log_records(imports):
    """Records keep their level; others than the module's own say their logger; exceptions are told in the fields."""
    handler = logs.HostHandler(imports.log)
    for name, error in (("hostcore.module.counter", None), ("black", ValueError("bad"))):
        info = (type(error), error, None) if error else None
        handler.emit(logging.LogRecord(name, logging.WARNING, "f.py", 1, "look %s", ("out\ud800",), info))
    handler.emit(logging.LogRecord("hostcore.module.x", logging.ERROR, "f.py", 1, "%d", ("no number",), None))
    assert [line[:2] for line in imports.logged[:2]] == [(30, "look out\\ud800")] * 2
    assert imports.logged[0][2] is None
    assert json.loads(imports.logged[1][2]) == {
        "logger": "black", "exception": "ValueError: bad", "traceback": "ValueError: bad\n",
    }  # fmt: skip
    assert "cannot be formatted" in imports.logged[2][1]


def test_renewing_changes_what_random_gives():
    """Copies of one snapshot of memory do not share their random numbers."""
    random.seed(1)
    first = random.random()
    random.seed(1)
    surroundings.renew()
    assert random.random() != first
