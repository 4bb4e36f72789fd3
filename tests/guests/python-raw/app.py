"""The conformance module in Python, straight on the interface: what `componentize-py` generates, and nothing else."""

import json
from collections.abc import Callable
from typing import Any

from componentize_py_types import Err
from wit_world import exports
from wit_world.imports import bus, capabilities, context, kv, log, timers
from wit_world.imports.types import Capability, Error

count = 0
config: dict[str, Any] = {}


def fail(code: str, message: str, details: str | None = None) -> Err[Error]:
    return Err(Error(code, message, details))


def echo(payload: str) -> str:
    global count
    count += 1
    return payload


def counted(_: str = "") -> str:
    global count
    count += 1
    return json.dumps({"count": count})


def bad(_: str) -> str:
    raise fail("invalid-argument", "bad thing", '{"field": "x"}')


def trap(_: str) -> str:
    raise ValueError("an exception that is not an Err is a trap")


def spin(_: str) -> str:
    while True:
        pass


class Deep:
    """Its `repr` recurses in C, where Python's own limit does not reach all of it."""

    def __repr__(self) -> str:
        return f"<{self!r}>"


def recurse(_: str) -> str:
    return json.dumps(repr(Deep()))


def grow(_: str) -> str:
    held = []
    try:
        while True:
            held.append(bytes(1 << 20))
    except MemoryError:
        held.clear()
        raise fail("memory", "no more memory") from None


def logged(payload: str) -> None:
    log.log(log.Level.WARN, json.loads(payload), None)


def printed(payload: str) -> None:
    print(json.loads(payload), flush=True)


def stored(payload: str) -> str | None:
    kv.set("k", payload)
    return kv.get("k")


def ask(payload: str) -> str | None:
    it = json.loads(payload)
    return bus.request(it["target"], it["topic"], json.dumps(it.get("payload")), 0)


def send(payload: str) -> None:
    it = json.loads(payload)
    bus.send(it["target"], it["topic"], json.dumps(it.get("payload")))


def publish(payload: str) -> None:
    it = json.loads(payload)
    bus.publish(it["topic"], json.dumps(it.get("payload")))


def invoke(payload: str) -> str:
    it = json.loads(payload)
    return capabilities.invoke(it["capability"], it["operation"], json.dumps(it["args"]))


def who(_: str) -> str:
    me, message = context.module(), context.message()
    assert message is not None
    fields = {"sender": message.sender, "trace": message.trace, "id": message.id}
    return json.dumps({"name": me.name, "version": me.version, "generation": me.generation, **fields})


def sleep(payload: str) -> str:
    timers.sleep(json.loads(payload))
    return '"slept"'


TOPICS: dict[str, Callable[[str], str | None]] = {
    "echo": echo,
    "count": counted,
    "none": lambda _: None,
    "fail": bad,
    "trap": trap,
    "spin": spin,
    "recurse": recurse,
    "grow": grow,
    "log": logged,
    "print": printed,
    "kv": stored,
    "delete": lambda _: json.dumps(kv.delete("k")),
    "keys": lambda payload: json.dumps(kv.keys(json.loads(payload))),
    "unsubscribe": lambda payload: bus.unsubscribe(json.loads(payload)),
    "ask": ask,
    "send": send,
    "publish": publish,
    "invoke": invoke,
    "granted": lambda payload: json.dumps(capabilities.granted(json.loads(payload))),
    "who": who,
    "sleep": sleep,
    "config": lambda _: json.dumps(config),
}


class Lifecycle(exports.Lifecycle):
    def initialize(self, config: str) -> None:
        given = json.loads(config)
        globals()["config"] = given
        log.log(log.Level.INFO, "ready", None)
        if "fail" in given:
            raise fail("invalid-argument", given["fail"])
        if isinstance(given.get("subscribe"), str):
            bus.subscribe(given["subscribe"])

    def get_capabilities(self) -> list[Capability]:
        return [Capability("echo", "1.0", None)]

    def handle_message(self, topic: str, payload: str) -> str | None:
        if topic not in TOPICS:
            raise fail("invalid-argument", "unknown topic")
        return TOPICS[topic](payload)

    def execute(self, input: str) -> str:
        return json.dumps({"echo": json.loads(input), "count": count})

    def get_state(self) -> str:
        return json.dumps({"count": count})

    def restore_state(self, state: str) -> None:
        global count
        count = json.loads(state)["count"]

    def shutdown(self) -> None:
        log.log(log.Level.INFO, "bye", None)


class Hooks(exports.Hooks):
    def implemented(self) -> list[str]:
        return [
            "initialize(config)",
            "get_capabilities()",
            "handle_message(topic, payload)",
            "execute(input)",
            "get_state()",
            "restore_state(state)",
            "shutdown()",
            "check_health()",
        ]

    def call(self, hook: str, arguments: str) -> str | None:
        given = json.loads(arguments)
        if hook == "check_health":
            return "true"
        if hook == "restore_state":
            return Lifecycle().restore_state(json.dumps(given["state"]))
        raise fail("unimplemented", "no such hook")
