"""The plain path as a whole."""

from __future__ import annotations

from wasmtime import Linker, Module
from wasmtime import component as comp

from hostcore.hosts.wasm.paths import CallPath, Steps
from hostcore.hosts.wasm.plain.functions import Bytes, CoreFunction, Function, add_function, define, shape_of
from hostcore.hosts.wasm.plain.threads import ThreadRunner, kept


def plain_path() -> CallPath:
    """Return it."""
    return CallPath(
        "plain",
        False,
        ThreadRunner,
        shape_of,
        Function,
        CoreFunction,
        Bytes,
        add_function,
        define,
        _instantiate,
        _instantiate,
    )


def _instantiate(linker: Linker | comp.Linker, code: Module | comp.Component, runner: ThreadRunner) -> Steps:
    return kept(lambda: linker.instantiate(runner.store, code))  # type: ignore[arg-type]
