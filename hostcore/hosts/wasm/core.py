"""Core modules: guests that speak hostcore-core-1, on the fast call path."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import inf
from types import CoroutineType
from typing import Any, TypedDict

import msgspec
from wasmtime import Engine, FuncType, Linker, Memory, MemoryType, Module, Store, ValType

from hostcore.errors import Problem
from hostcore.hosts.text import printable
from hostcore.hosts.wasm.abi import MASK, HostAbi
from hostcore.hosts.wasm.guests import settled
from hostcore.hosts.wasm.imports import HostCalls
from hostcore.hosts.wasm.outcomes import Dead, OutOfMemory, Refused
from hostcore.hosts.wasm.paths import CallPath, Runner, Steps
from hostcore.hosts.wasm.stores import Streams
from hostcore.hosts.wasm.ticker import Ticker

ABI = 1


class _Capability(TypedDict):
    name: str
    version: str


_LISTS: dict[str, Any] = {"lifecycle.get-capabilities": list[_Capability], "hooks.implemented": list[str]}
"""Function of the interface that returns a list -> its type."""
_HOOKS = {
    "lifecycle.initialize": 1, "lifecycle.execute": 1, "lifecycle.restore-state": 1, "lifecycle.handle-message": 2,
    "lifecycle.get-capabilities": 0, "lifecycle.get-state": 0, "lifecycle.shutdown": 0, "hooks.implemented": 0,
    "hooks.call": 2,
}  # fmt: skip
"""Function of the interface -> how many arguments it takes."""
_ERROR, _LENGTH_BITS = 1 << 63, 32
_EXPORTS = {"hc_abi": ((), "i32"), "hc_buf": (("i32",), "i32")}
_WASI = "wasi_snapshot_preview1"
_SHOWN, _TOLD = 200, 20
"""Characters of a name of the guest's choosing that are shown, and how many wrong imports are told."""
IMPORTS: dict[tuple[str, str], tuple[tuple[str, ...], str, Callable[..., Any]]] = {
    ("hostcore", "log"): (("i32",) * 3, "", HostAbi.log),
    ("hostcore", "call"): (("i32",) * 6, "i64", HostAbi.call),
    ("hostcore", "read"): (("i32",) * 2, "i32", HostAbi.read),
    (_WASI, "clock_time_get"): (("i32", "i64", "i32"), "i32", HostAbi.clock_time),
    (_WASI, "random_get"): (("i32", "i32"), "i32", HostAbi.random),
    (_WASI, "poll_oneoff"): (("i32",) * 4, "i32", HostAbi.poll),
}
"""Module and name -> parameters, result, and what the host does for it; the rest of WASI is wasmtime's."""


def export_name(function: str) -> str:
    """Return the export that stands for a function of the interface."""
    name = function.partition(".")[2].replace("-", "_")
    return "hc_hooks" if function == "hooks.implemented" else f"hc_{name}"


class CoreCode:
    """A compiled core module, linked to the host; instances share it.  See `Code`."""

    def __init__(self, engine: Engine, module: Module, ticker: Ticker, path: CallPath, memories: int = 1) -> None:
        self.memories = memories
        self._engine, self._module, self._ticker, self._path = engine, module, ticker, path
        self.problems = [*_import_problems(module), *_export_problems(module)]
        self._runners: dict[int, Any] = {}
        self._linker = self._link(self._runners) if path.shared and not self.problems else None

    def _link(self, runners: dict[int, Any]) -> Linker:
        linker = Linker(self._engine)
        linker.allow_shadowing = True
        linker.define_wasi()
        for (module, name), (parameters, result, function) in IMPORTS.items():
            kind = FuncType([_kind(text) for text in parameters], [_kind(result)] if result else [])
            self._path.define(linker, module, name, kind, function, runners)
        return linker

    async def instantiate(
        self, store: Store, host: HostCalls, until: float, *, fuel: int | None, streams: Streams
    ) -> CoreGuest:
        """Return a new guest; see `Code.instantiate`."""
        abi = HostAbi(host)
        runners = self._runners if self._path.shared else {}
        runner = self._path.runner(store, self._ticker, abi, runners, fuel=fuel, closed=streams.close)
        try:
            begin, end = self._path.core_instantiate(self._linker or self._link(runners), self._module, runner)
            exports = (await settled(runner.run(begin, end, until))).exports(store)
            guest = CoreGuest(self._path, store, runner, abi, {name: exports[name] for name in exports})
            await guest.begin(until)
            return guest
        except BaseException:
            runner.close()
            raise


class CoreGuest:
    """A core module's instance in a store of its own."""

    def __init__(self, path: CallPath, store: Store, runner: Runner, abi: HostAbi, exports: dict[str, Any]) -> None:
        self._path, self._runner, self._store = path, runner, store
        memory = exports["memory"]
        assert isinstance(memory, Memory)
        self._memory = abi.memory = path.memory(store, memory)
        self._buffer = path.core_function(store, exports["hc_buf"], ("i32",))
        self._abi = path.core_function(store, exports["hc_abi"], ())
        self._start = exports.get("_initialize")
        self._pointer = self._capacity = 0
        self._functions = {
            function: self._steps(function, path.core_function(store, exports[export_name(function)], ("i32",) * count))
            for function, count in _HOOKS.items()
            if export_name(function) in exports
        }
        names = (name.removeprefix("lifecycle.").replace("-", "_") for name in self._functions if "lifecycle" in name)
        self.hooks = frozenset(names)
        self.tells_hooks = "hooks.implemented" in self._functions

    def _steps(self, name: str, function: Any) -> Steps:
        kind = _LISTS.get(name)
        read: Callable[[int], Any] = self._read if kind is None else partial(self._read_list, kind)
        return function.begin, lambda: read(function.end())

    async def begin(self, until: float) -> None:
        """Start a WASI reactor, and make sure of the ABI.

        Raises:
            Dead: It trapped, or speaks another version.
        """
        if self._start is not None:
            start = self._path.core_function(self._store, self._start, (), results=0)
            await settled(self._runner.run(start.begin, start.end, until))
        version = await settled(self._runner.run(self._abi.begin, self._abi.end, until)) & MASK
        if version != ABI:
            raise Dead(f"speaks hostcore-core-{version}; this host speaks hostcore-core-{ABI}")

    @property
    def dead(self) -> Dead | None:
        """Why nothing can be called any more, or None."""
        return self._runner.dead

    def call(self, name: str, *arguments: bytes, until: float = inf) -> Any:
        """Call a function of the interface; see `Guest.call`."""
        data = b"".join(arguments)
        lengths = [*map(len, arguments)]
        if len(data) <= self._capacity:
            return self._call(name, data, lengths, until)
        outcome = self._runner.run(self._buffer.begin, self._buffer.end, until, (len(data),))
        if type(outcome) is CoroutineType:
            return self._call_later(outcome, name, data, lengths, until)
        self._take_buffer(outcome, len(data))
        return self._call(name, data, lengths, until)

    async def _call_later(self, outcome: Any, name: str, data: bytes, lengths: list[int], until: float) -> Any:
        self._take_buffer(await outcome, len(data))
        return await settled(self._call(name, data, lengths, until))

    def _take_buffer(self, pointer: int, size: int) -> None:
        if not pointer & MASK:
            raise Refused({"code": "memory", "message": f"it has no room for {size:,} bytes", "details": None})
        self._pointer, self._capacity = pointer & MASK, size

    def _call(self, name: str, data: bytes, lengths: list[int], until: float) -> Any:
        begin, end = self._functions[name]
        try:
            if data and self._runner.dead is None:
                self._memory.write(self._pointer, data)
        except OutOfMemory as exc:
            raise self._hostile(exc) from None
        return self._runner.run(begin, end, until, lengths)

    def _hostile(self, error: OutOfMemory) -> Dead:
        dead = Dead(error.reason)
        self._runner.kill(dead)
        return dead

    def _read(self, result: int) -> bytes | None:
        if result == 0:
            return None
        raw = result & (1 << 64) - 1
        try:
            data: bytes = self._memory.read(raw >> _LENGTH_BITS & 0x7FFF_FFFF, raw & MASK)
        except OutOfMemory as exc:
            raise self._hostile(exc) from None
        if raw & _ERROR:
            raise Refused(_error_of(data))
        return data

    def _read_list(self, kind: Any, result: int) -> list[Any]:
        data = self._read(result)
        try:
            return list(msgspec.json.decode(data or b"[]", type=kind))
        except (msgspec.MsgspecError, RecursionError) as exc:
            message = f"it returned no list as the ABI has it: {exc}"
            raise Refused({"code": "failed", "message": message, "details": None}) from None

    def close(self) -> None:
        """Free the store."""
        self._functions = {}
        self._runner.close()


def _error_of(data: bytes) -> dict[str, Any]:
    """Return the error that a guest wrote, as far as it is one."""
    try:
        error = msgspec.json.decode(data)
    except (msgspec.DecodeError, RecursionError):
        error = None
    if not isinstance(error, dict):
        return {"code": "failed", "message": data[:1000].decode("utf-8", "replace"), "details": None}
    details = error.get("details")
    if details is not None and not isinstance(details, str):
        details = msgspec.json.encode(details).decode()
    return {"code": str(error.get("code") or "failed"), "message": str(error.get("message") or ""), "details": details}


# --- before anything runs ----------------------------------------------------------------------------------------


def _kind(text: str) -> ValType:
    return ValType.i32() if text == "i32" else ValType.i64()


def _shape(kind: Any) -> str:
    if not isinstance(kind, FuncType):
        return type(kind).__name__.removesuffix("Type").lower()
    results = ", ".join(map(str, kind.results))
    return f"({', '.join(map(str, kind.params))})" + (f" -> {results}" if results else "")


def _written(parameters: tuple[str, ...], result: str) -> str:
    return f"({', '.join(parameters)})" + (f" -> {result}" if result else "")


def _import_problems(module: Module) -> list[Problem]:
    problems = []
    for each in module.imports:
        known = IMPORTS.get((each.module, each.name or ""))
        what = f"imports {printable(f'{each.module}.{each.name}', _SHOWN)}"
        if known is None:
            if each.module != _WASI:
                problems.append(Problem(f"{what}, which no host provides", "HC212",
                                        hint="a core guest may import 'hostcore' and WASI preview 1"))  # fmt: skip
        elif _shape(each.type) != _written(*known[:2]):
            problems.append(Problem(f"{what} as {_shape(each.type)}", "HC212",
                                    expected=f"expected: {_written(*known[:2])}"))  # fmt: skip
    more = len(problems) - _TOLD
    return [*problems[:_TOLD], Problem(f"and {more:,} more such imports", "HC212")] if more > 0 else problems


def _export_problems(module: Module) -> list[Problem]:
    exports = {each.name: each.type for each in module.exports}
    missing = [name for name in ("memory", *_EXPORTS) if name not in exports]
    if missing:
        return [Problem(f"is no module: it does not export {', '.join(missing)}", "HC213",
                        hint="implement hostcore-core-1, or build a component for hostcore:module")]  # fmt: skip
    wanted = {name: _written(*kinds) for name, kinds in _EXPORTS.items()} | {"_initialize": _written((), "")}
    wanted |= {export_name(function): _written(("i32",) * count, "i64") for function, count in _HOOKS.items()}
    problems = [
        Problem(f"exports {name} as {_shape(exports[name])}", "HC212", expected=f"expected: {shape}")
        for name, shape in wanted.items()
        if name in exports and _shape(exports[name]) != shape
    ]
    if not isinstance(exports["memory"], MemoryType):
        problems.append(Problem("exports a 'memory' that is none", "HC212"))
    return problems
