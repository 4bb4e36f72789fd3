"""What a guest's call is compared with: wasmtime's public interface on the same file, and Extism's SDK for Python.

Neither has what a module has: no address, mailbox, permission or deadline, and no event loop that goes on meanwhile.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import extism
import wasmtime
from wasmtime import component as comp

HANDLE = ("hostcore:module/lifecycle@1.0.0", "handle-message")
VALUE = '{"kept":true}'
_store = sqlite3.connect(":memory:", isolation_level=None)
_store.execute("CREATE TABLE kv (key TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID")
_store.execute("INSERT INTO kv VALUES ('k', ?)", (VALUE,))


def stored(key: str) -> str:
    """Return what is stored under `key`, as a module's own store does: from SQLite."""
    row: tuple[str] = _store.execute("SELECT value FROM kv WHERE key = ?", (key,)).fetchone()
    return row[0]


class PublicComponent:
    """A component, called through wasmtime's public interface."""

    def __init__(self, path: Path) -> None:
        self._engine = engine = wasmtime.Engine()
        self._code = code = comp.Component(engine, path.read_bytes())
        self._linker = linker = comp.Linker(engine)
        linker.allow_shadowing = True
        linker.add_wasip2()
        imports: dict[str, Any] = code.type.imports(engine)
        with linker.root() as root:
            for name in filter(lambda name: name.startswith("hostcore:"), imports):
                with root.add_instance(name) as interface:
                    for function, kind in imports[name].ty.exports(engine).items():
                        if isinstance(kind.ty, comp.FuncType):
                            interface.add_func(function, lambda _, key, *rest: stored(key))
        self._store, instance = self.instantiate()
        outer = instance.get_export_index(self._store, HANDLE[0])
        assert outer is not None
        place = instance.get_export_index(self._store, HANDLE[1], outer)
        assert place is not None
        self._function: Any = instance.get_func(self._store, place)

    def instantiate(self) -> tuple[wasmtime.Store, comp.Instance]:
        """Return a new instance, in a store of its own."""
        store = wasmtime.Store(self._engine)
        store.set_wasi(wasmtime.WasiConfig())
        return store, self._linker.instantiate(store, self._code)

    def call(self, topic: str, payload: str) -> Any:
        """Return the reply."""
        return self._function(self._store, topic, payload)


class PublicCore:
    """A core module, called through wasmtime's public interface."""

    def __init__(self, path: Path) -> None:
        self._engine = engine = wasmtime.Engine()
        self._code = wasmtime.Module(engine, path.read_bytes())
        self._linker = wasmtime.Linker(engine)
        for each in self._code.imports:  # `echo` calls none of them
            self._linker.define_func(each.module, each.name or "", each.type, lambda *_: 0)
        self._store, instance = self.instantiate()
        exports: Any = instance.exports(self._store)
        self._memory, self._buffer = exports["memory"], exports["hc_buf"]
        self._handle = exports["hc_handle_message"]

    def instantiate(self) -> tuple[wasmtime.Store, wasmtime.Instance]:
        """Return a new instance, in a store of its own."""
        store = wasmtime.Store(self._engine)
        return store, self._linker.instantiate(store, self._code)

    def call(self, topic: bytes, payload: bytes) -> bytes:
        """Return the reply."""
        store, data = self._store, topic + payload
        at = self._buffer(store, len(data))
        self._memory.write(store, data, at)
        result = self._handle(store, len(topic), len(payload))
        at = result >> 32 & 0x7FFF_FFFF
        return bytes(self._memory.read(store, at, at + (result & 0xFFFF_FFFF)))


@extism.host_fn()
def kv_get(key: str) -> str:
    return stored(key)


def extism_plugin(path: Path) -> extism.Plugin:
    """Return an Extism plug-in; `plugin.call("echo", payload)` is a call."""
    return extism.Plugin({"wasm": [{"path": str(path)}]}, functions=[kv_get])
