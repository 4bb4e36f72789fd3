"""A component run by wasmtime's public interface, with a host that remembers what it is asked for.

It shows what a guest does by itself, whatever hostcore's own host makes of it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import wasmtime
from wasmtime import component

PACKAGE = "hostcore:module/{}@1.0.0"
EXPORTS = {
    "lifecycle": (
        "initialize",
        "get-capabilities",
        "handle-message",
        "execute",
        "get-state",
        "restore-state",
        "shutdown",
    ),
    "hooks": ("implemented", "call"),
}
MIB = 1024 * 1024


def record(**fields: Any) -> component.Record:
    """Return a record of the interface."""
    made = component.Record()
    for name, value in fields.items():
        setattr(made, name.replace("_", "-"), value)
    return made


def error(code: str, message: str, details: dict[str, Any] | None = None) -> component.Record:
    """Return an error of the interface."""
    return record(code=code, message=message, details=None if details is None else json.dumps(details))


class Host:
    """Answers a guest's imports and remembers them."""

    def __init__(self) -> None:
        self.log: list[tuple[str, str, Any]] = []
        self.sent: list[tuple[str, ...]] = []
        self.slept: list[int] = []
        self.kv: dict[str, str] = {}
        self.granted = True
        self.message: dict[str, Any] | None = {"id": "m1", "sender": "host", "schema": "", "trace": "t1"}

    def imports(self) -> dict[str, dict[str, Callable[..., Any]]]:
        """Return the functions of each interface."""
        return {
            "log": {"log": lambda _, *line: self.log.append(line)},
            "context": {
                "module": lambda _: record(name="conformance", version="1.0.0", generation=3),
                "message": lambda _: None if self.message is None else record(**self.message, remaining_ms=5000),
            },
            "bus": {
                "send": lambda _, *args: self._send("send", *args),
                "request": lambda _, target, topic, payload, limit: payload,
                "publish": lambda _, *args: self._send("publish", *args),
                "subscribe": lambda _, *args: self._send("subscribe", *args),
                "unsubscribe": lambda _, *args: self._send("unsubscribe", *args),
            },
            "kv": {
                "get": lambda _, key: self.kv.get(key),
                "set": lambda _, key, value: self.kv.update({key: value}),
                "delete": lambda _, key: self.kv.pop(key, None) is not None,
                "keys": lambda _, prefix: [key for key in self.kv if key.startswith(prefix)],
            },
            "capabilities": {
                "granted": lambda _, permission: self.granted,
                "invoke": lambda _, capability, operation, args: json.dumps([capability, operation, json.loads(args)]),
            },
            "timers": {"sleep": lambda _, milliseconds: self.slept.append(milliseconds)},
        }

    def _send(self, *what: str) -> Any:
        self.sent.append(what)
        if "full" in what:
            return error("full", "HC403 the mailbox of 'full' is full", {"code": "HC403"})
        return error("denied", "no permission", {"code": "HC601", "hint": "ask"}) if "denied" in what else None


class Component:
    """A compiled component; `start` makes instances of it."""

    def __init__(self, file: Path) -> None:
        config = wasmtime.Config()
        config.max_wasm_stack = 512 * 1024
        self.engine = wasmtime.Engine(config)
        self._component = self._compiled(file)

    def _compiled(self, file: Path) -> component.Component:
        kept = file.with_suffix(f".{version('wasmtime')}.test.cwasm")
        if kept.is_file():
            return component.Component.deserialize_file(self.engine, str(kept))
        made = component.Component(self.engine, file.read_bytes())
        part = kept.with_suffix(f".{os.getpid()}")
        part.write_bytes(made.serialize())
        part.replace(kept)
        return made

    @property
    def imports(self) -> list[str]:
        """The interfaces that it imports."""
        return list(self._component.type.imports(self.engine))

    def start(self, host: Host, memory: int = 64 * MIB) -> Instance:
        """Return a new instance with `host` behind it."""
        linker = component.Linker(self.engine)
        linker.add_wasip2()
        with linker.root() as root:
            for interface, functions in host.imports().items():
                with root.add_instance(PACKAGE.format(interface)) as instance:
                    for name, function in functions.items():
                        instance.add_func(name, function)
        store = wasmtime.Store(self.engine)
        store.set_limits(memory_size=memory)
        store.set_wasi(wasmtime.WasiConfig())
        return Instance(store, linker.instantiate(store, self._component))


class Instance:
    """A running guest."""

    def __init__(self, store: wasmtime.Store, instance: component.Instance) -> None:
        self._store = store
        self._functions: dict[str, Any] = {}
        for interface, names in EXPORTS.items():
            index = instance.get_export_index(store, PACKAGE.format(interface))
            for name in names:
                self._functions[name] = instance.get_func(store, instance.get_export_index(store, name, index))

    def __call__(self, export: str, *arguments: str) -> Any:
        """Call an export; an error is a dict with "code"."""
        function = self._functions[export]
        result = function(self._store, *arguments)
        function.post_return(self._store)
        if isinstance(result, component.Variant):
            result = result.payload
        return dict(vars(result)) if isinstance(result, component.Record) else result

    def handle(self, topic: str, payload: Any = None) -> Any:
        """Handle a message: its decoded reply, or the error as a dict with "code", "message" and decoded "details"."""
        result = self("handle-message", topic, json.dumps(payload))
        if isinstance(result, dict):
            details = result["details"]
            return {**result, "details": json.loads(details) if details else None}
        return None if result is None else json.loads(result)
