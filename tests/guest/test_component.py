"""A real Python guest: the conformance module, built and run in WebAssembly."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("componentize_py", reason="it takes componentize-py to build a Python guest")

from guest.component import MIB, Component, Host, Instance
from support.python_guests import CONFORMANCE, python_guest


@pytest.fixture(scope="module")
def compiled() -> Component:
    """The conformance module as a compiled component."""
    return Component(python_guest(CONFORMANCE, "conformance"))


@pytest.fixture
def host() -> Host:
    return Host()


@pytest.fixture
def guest(compiled: Component, host: Host) -> Instance:
    """A fresh guest that has been initialised."""
    instance = compiled.start(host)
    assert instance("initialize", "{}") is None
    return instance


def test_it_imports_the_interface_and_wasi_only(compiled):
    """A Python guest asks for nothing but the interface and WASI."""
    assert {name.partition(":")[0] for name in compiled.imports} == {"hostcore", "wasi"}


def test_it_says_what_it_implements(compiled, host):
    """Before it is initialised a guest tells its hooks, each with the arguments that it takes."""
    told = compiled.start(host)("implemented")
    assert {"initialize(context)", "handle_message(message)", "restore_state(state)", "shutdown()"} <= set(told)
    assert not [hook for hook in told if hook.startswith("migrate_state")]


def test_it_begins_and_ends(guest, host):
    """`initialize` gets the context, `shutdown` is the last that it can be used in."""
    assert guest("shutdown") is None
    assert host.log == [("info", "ready", None), ("info", "bye", None)]
    assert guest.handle("send", {"target": "x", "topic": "t", "payload": 1})["details"]["code"] == "HC402"


def test_a_failing_initialize(compiled, host):
    """What `initialize` raises comes back as an error with its type, its place and its traceback."""
    told = compiled.start(host)("initialize", json.dumps({"fail": "no database"}))
    details = json.loads(told["details"])
    assert (told["code"], told["message"]) == ("failed", "ValueError: no database")
    assert details["exception"] == "ValueError"
    assert details["where"].startswith("acme_conformance/__init__.py:")
    assert 'raise ValueError(context.config["fail"])' in details["traceback"]


@pytest.mark.parametrize("payload", [None, True, 0, -1.5, 2**53, "", "é\u2028\U0001f40d", [], {}, {"a": [{"b": None}]}])
def test_payloads_come_back_as_they_went(guest, payload):
    """A payload is the same value after its way in and out."""
    assert guest.handle("echo", payload) == payload


def test_state(guest):
    """State that one instance gives is what another goes on from."""
    assert [guest.handle("count")["count"] for _ in range(3)] == [1, 2, 3]
    assert json.loads(guest("get-state")) == {"count": 3}
    assert guest("restore-state", '{"count": 40}') is None
    assert guest.handle("count") == {"count": 41}


def test_hooks_by_name(guest):
    """`call` reaches the same functions; a hook that is not there is "unimplemented"."""
    assert guest("call", "check_health", "{}") == "true"
    assert guest("call", "restore_state", '{"state": {"count": 6}, "from_version": 1}') is None
    assert guest.handle("count") == {"count": 7}
    assert json.loads(guest("call", "execute", '{"request": [1]}')) == {"echo": [1], "count": 7}
    assert json.loads(guest("call", "get_capabilities", "{}")) == ["echo/1.0"]
    assert guest("call", "migrate_state", "{}")["code"] == "unimplemented"


def test_an_exception_is_an_error_and_the_guest_lives(guest):
    """A handler that raises is an error of that message alone."""
    told = guest.handle("fail")
    assert (told["code"], told["message"]) == ("failed", "ValueError: bad thing")
    assert 'raise ValueError("bad thing")' in told["details"]["traceback"]
    assert "hostcore/guest" not in told["details"]["traceback"]
    assert guest.handle("echo", 1) == 1


def test_endless_recursion_is_an_error(guest):
    """Python's own limit ends a recursion before the sandbox's stack does."""
    assert guest.handle("recurse")["details"]["exception"] == "RecursionError"
    assert guest.handle("echo", 1) == 1


def test_memory_that_runs_out_is_an_error(guest):
    """A guest that may have no more memory gets a MemoryError, is told of as "memory", and lives."""
    assert guest.handle("grow")["code"] == "memory"
    assert guest.handle("echo", 1) == 1


def test_it_starts_in_little_memory(compiled, host):
    """A Python guest can live in 24 MiB."""
    guest = compiled.start(host, memory=24 * MIB)
    assert guest("initialize", "{}") is None
    assert guest.handle("echo", "x") == "x"


@pytest.mark.parametrize("payload", ["{", "", "nul", "[1] 2", "[" * 100_000, "[" * 900 + "]" * 900])
def test_what_is_no_payload(guest, payload):
    """What is not JSON, or nested deeper than the sandbox's stack bears, is refused, and the guest lives."""
    assert guest("handle-message", "echo", payload)["code"] == "invalid-argument"
    assert guest.handle("echo", 1) == 1


def test_messages_out(guest, host):
    """`request`, `send` and `publish` reach the host as JSON, and errors come back as hostcore's own."""
    assert guest.handle("ask", {"target": "other", "topic": "t", "payload": {"a": 1}}) == {"a": 1}
    guest.handle("send", {"target": "other", "topic": "t", "payload": [1]})
    guest.handle("publish", {"topic": "news", "payload": "x"})
    assert host.sent == [("send", "other", "t", "[1]"), ("publish", "news", '"x"')]
    full = guest.handle("send", {"target": "full", "topic": "t", "payload": 1})
    assert (full["details"]["exception"], full["message"]) == (
        "MailboxFullError", "MailboxFullError: HC403 the mailbox of 'full' is full",
    )  # fmt: skip
    denied = guest.handle("publish", {"topic": "denied", "payload": 1})
    assert denied["message"] == "DeniedError: HC601 no permission\n  hint: ask"


def test_the_store(guest, host):
    """Values are kept as JSON; without the permission the store cannot be had."""
    host.granted = False
    assert guest.handle("kv", 1)["details"]["exception"] == "DeniedError"
    host.granted = True
    assert guest.handle("kv", {"a": [1]}) == {"a": [1]}
    assert host.kv == {"k": '{"a":[1]}'}


def test_services(guest):
    """`invoke` hands over named arguments and returns the result."""
    asked = {"capability": "http", "operation": "get", "args": {"url": "x"}}
    assert guest.handle("invoke", asked) == ["http", "get", {"url": "x"}]
    assert guest.handle("granted", "kv") is True
    assert guest.handle("granted", "bogus")["details"]["exception"] == "ContractError"


def test_who_asks(guest, host):
    """What is known of a message is asked of the host for each message anew."""
    assert guest.handle("who")["sender"] == "host"
    host.message = {**host.message, "sender": "other", "id": "m2"}
    told = guest.handle("who")
    assert (told["sender"], told["id"], told["name"], told["generation"]) == ("other", "m2", "conformance", 3)


def test_waiting_is_the_hosts(guest, host):
    """A guest that sleeps asks its host to wake it, and never waits by itself."""
    assert guest.handle("sleep", 20) == "slept"
    assert host.slept
    assert max(host.slept) == 20


def test_tasks(guest):
    """Tasks, gather and timeouts work without a selector."""
    assert guest.handle("tasks", [1, 2, 3]) == {"slept": [1, 2, 3], "late": True}


def test_logging(guest, host):
    """What a module logs is the host's, with its level."""
    guest.handle("log", "look out: é")
    assert host.log[-1] == ("warn", "look out: é", None)
