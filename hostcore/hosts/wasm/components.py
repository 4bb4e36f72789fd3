"""Components: guests that speak the WIT interface, on the fast call path."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import inf
from typing import Any, NamedTuple

from wasmtime import Engine, Store
from wasmtime.component import Component, ExportIndex, FuncType, Instance, Linker

from hostcore.errors import Problem
from hostcore.hosts.wasm import interface
from hostcore.hosts.wasm.guests import LISTS, settled
from hostcore.hosts.wasm.imports import HostCalls
from hostcore.hosts.wasm.outcomes import Dead
from hostcore.hosts.wasm.paths import CallPath, Runner, Steps
from hostcore.hosts.wasm.signatures import signature
from hostcore.hosts.wasm.stores import Streams
from hostcore.hosts.wasm.ticker import Ticker

HOST: dict[tuple[str, str], Callable[..., Any]] = {
    ("log", "log"): HostCalls.log,
    ("context", "module"): HostCalls.module,
    ("context", "message"): HostCalls.message,
    ("bus", "send"): HostCalls.send,
    ("bus", "request"): HostCalls.request,
    ("bus", "publish"): HostCalls.publish,
    ("bus", "subscribe"): HostCalls.subscribe,
    ("bus", "unsubscribe"): HostCalls.unsubscribe,
    ("kv", "get"): HostCalls.kv_get,
    ("kv", "set"): HostCalls.kv_set,
    ("kv", "delete"): HostCalls.kv_delete,
    ("kv", "keys"): HostCalls.kv_keys,
    ("capabilities", "granted"): HostCalls.granted,
    ("capabilities", "invoke"): HostCalls.invoke,
    ("timers", "sleep"): HostCalls.sleep,
}
"""Interface and function -> what the host does for it."""

WASI: dict[tuple[str, str], Callable[..., Any]] = {
    ("wasi:clocks/monotonic-clock", "now"): HostCalls.monotonic,
    ("wasi:clocks/monotonic-clock", "resolution"): HostCalls.resolution,
    ("wasi:clocks/monotonic-clock", "subscribe-instant"): HostCalls.no_sleep,
    ("wasi:clocks/monotonic-clock", "subscribe-duration"): HostCalls.no_sleep,
    ("wasi:clocks/wall-clock", "now"): HostCalls.wall,
    ("wasi:clocks/wall-clock", "resolution"): HostCalls.wall_resolution,
    ("wasi:random/random", "get-random-bytes"): HostCalls.random_bytes,
    ("wasi:random/random", "get-random-u64"): HostCalls.random_number,
    ("wasi:random/insecure", "get-insecure-random-bytes"): HostCalls.random_bytes,
    ("wasi:random/insecure", "get-insecure-random-u64"): HostCalls.random_number,
    ("wasi:random/insecure-seed", "insecure-seed"): HostCalls.insecure_seed,
}
"""What is the host's own of WASI, instead of wasmtime's, because it needs a permission or would hold the loop."""

_WASI_PREFIXES = ("wasi:cli/", "wasi:clocks/", "wasi:filesystem/", "wasi:io/", "wasi:random/", "wasi:sockets/")
_HOOKS = {name.replace("-", "_"): name for name in interface.EXPORTS["lifecycle"]}


class _Export(NamedTuple):
    """A function that a component exports: where it is, and its type as the call path has it."""

    place: ExportIndex
    shape: Any


class ComponentCode:
    """A compiled component, linked to the host; instances share it.

    Attributes:
        problems: What is wrong with it, if anything; then it cannot be instantiated.
        memories: How many memories it declares.
    """

    def __init__(self, engine: Engine, component: Component, ticker: Ticker, path: CallPath, memories: int = 1) -> None:
        self.memories = memories
        self._engine, self._component, self._ticker, self._path = engine, component, ticker, path
        self.problems = [*_import_problems(component, engine), *_export_problems(component, engine)]
        self._runners: dict[int, Any] = {}
        self._linker: Linker | None = None
        if path.shared and not self.problems:
            try:
                self._linker = self._link(self._runners)
            except TypeError as exc:  # of a function of WASI's that the host has in wasmtime's place
                self.problems = [Problem(f"imports a function of WASI with a type that it has not: {exc}", "HC212")]
        self._exports: dict[str, _Export] = {}
        if not self.problems:
            self._find_exports()

    def _link(self, runners: dict[int, Any]) -> Linker:
        linker = Linker(self._engine)
        linker.allow_shadowing = True
        linker.add_wasip2()
        with linker.root() as root:
            imports: dict[str, Any] = self._component.type.imports(self._engine)
            for name, item in imports.items():
                functions = _host_functions(name)
                if not functions:
                    continue
                with root.add_instance(name) as instance:
                    for function, declared in item.ty.exports(self._engine).items():
                        if function in functions:
                            self._path.add_function(instance, function, declared.ty, functions[function], runners)
        return linker

    def _find_exports(self) -> None:
        exports: dict[str, Any] = self._component.type.exports(self._engine)
        for name, item in exports.items():
            found = interface.split(name)
            if found is None or found[0] not in interface.EXPORTS:
                continue
            outer = self._component.get_export_index(name)
            declared = item.ty.exports(self._engine)
            for function in interface.EXPORTS[found[0]]:
                place = self._component.get_export_index(function, outer)
                if place is not None:
                    called = f"{found[0]}.{function}"
                    shape = self._path.shape(declared[function].ty, text=called in LISTS)
                    self._exports[called] = _Export(place, shape)

    async def instantiate(
        self, store: Store, host: HostCalls, until: float, *, fuel: int | None, streams: Streams
    ) -> ComponentGuest:
        """Return a new guest; see `Code.instantiate`."""
        runners = self._runners if self._path.shared else {}
        runner = self._path.runner(store, self._ticker, host, runners, fuel=fuel, closed=streams.close)
        try:
            begin, end = self._path.instantiate(self._linker or self._link(runners), self._component, runner)
            instance = await settled(runner.run(begin, end, until))
            return ComponentGuest(self._path, store, runner, instance, self._exports)
        except BaseException:
            runner.close()
            raise


class ComponentGuest:
    """A component's instance in a store of its own."""

    def __init__(
        self, path: CallPath, store: Store, runner: Runner, instance: Instance, exports: Mapping[str, _Export]
    ) -> None:
        self._runner = runner
        self._functions: dict[str, Steps] = {}
        for name, export in exports.items():
            function = instance.get_func(store, export.place)
            assert function is not None
            bound = path.function(store, function, export.shape)
            self._functions[name] = bound.begin, bound.end
        self.hooks = frozenset(hook for hook, name in _HOOKS.items() if f"lifecycle.{name}" in self._functions)
        self.tells_hooks = "hooks.implemented" in self._functions

    @property
    def dead(self) -> Dead | None:
        """Why nothing can be called any more, or None."""
        return self._runner.dead

    def call(self, name: str, *arguments: bytes, until: float = inf) -> Any:
        """Call a function of the interface; see `Guest.call`."""
        begin, end = self._functions[name]
        return self._runner.run(begin, end, until, arguments)

    def close(self) -> None:
        """Free the store."""
        self._functions = {}
        self._runner.close()


def _host_functions(name: str) -> dict[str, Callable[..., Any]]:
    """Return what the host does itself of the imported interface `name`; nothing: wasmtime does it."""
    found = interface.split(name)
    if found is not None:
        return {function: do for (owner, function), do in HOST.items() if owner == found[0]}
    plain = name.partition("@")[0]
    return {function: do for (owner, function), do in WASI.items() if owner == plain}


def _import_problems(component: Component, engine: Engine) -> list[Problem]:
    problems = []
    imports: dict[str, Any] = component.type.imports(engine)
    for name, item in imports.items():
        found = interface.split(name)
        if not hasattr(item.ty, "exports"):
            problems.append(_no_interface(name, "imports"))
        elif found is None:
            if not name.startswith(_WASI_PREFIXES):
                problems.append(Problem(f"imports {name!r}, which no host provides", "HC212",
                                        hint="build it for the world 'module' of hostcore:module"))  # fmt: skip
        elif not interface.is_spoken(found[1]):
            problems.append(_other_version(name, found[1]))
        else:
            declared = {function: each.ty for function, each in item.ty.exports(engine).items()}
            problems += _type_problems(name, declared, interface.IMPORTS.get(found[0], {}), "imports")
    return problems


def _export_problems(component: Component, engine: Engine) -> list[Problem]:
    exports: dict[str, Any] = component.type.exports(engine)
    problems: list[Problem] = []
    known: list[str] = []
    for name, item in exports.items():
        found = interface.split(name)
        if found is None or found[0] not in interface.EXPORTS:
            continue
        known.append(found[0])
        if not hasattr(item.ty, "exports"):
            problems.append(_no_interface(name, "exports"))
            continue
        if not interface.is_spoken(found[1]):
            problems.append(_other_version(name, found[1]))
            continue
        declared = {function: each.ty for function, each in item.ty.exports(engine).items()}
        problems += _type_problems(name, declared, interface.EXPORTS[found[0]], "exports")
    if "lifecycle" not in known and "hooks" not in known:
        listed = ", ".join(map(repr, exports)) or "nothing"
        problems.append(Problem(f"is no module: it exports {listed}, not 'hostcore:module/lifecycle'", "HC213",
                                hint="build it for the world 'module' of hostcore:module"))  # fmt: skip
    return problems


def _no_interface(name: str, verb: str) -> Problem:
    return Problem(f"{verb} {name!r}, which is no interface", "HC212",
                   hint="build it for the world 'module' of hostcore:module")  # fmt: skip


def _other_version(name: str, version: tuple[int, int]) -> Problem:
    return Problem(
        f"speaks {name!r}; this host speaks hostcore:module {interface.SPEAKS}", "HC214",
        hint="upgrade hostcore" if version > interface.VERSION else "build it again for the present interface",
    )  # fmt: skip


def _type_problems(name: str, declared: dict[str, Any], known: dict[str, str], verb: str) -> list[Problem]:
    problems = []
    for function, kind in declared.items():
        if not isinstance(kind, FuncType):
            continue
        if function not in known:
            if verb == "imports":
                problems.append(Problem(f"imports {name}#{function}, which no host provides", "HC212"))
            continue
        found = signature(kind)
        if found != known[function]:
            problems.append(
                Problem(f"{verb} {name}#{function} as {found}", "HC212", expected=f"expected: {known[function]}")
            )
    return problems
