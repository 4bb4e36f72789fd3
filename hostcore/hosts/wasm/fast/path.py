"""The fast path as a whole."""

from __future__ import annotations

from ctypes import addressof, c_void_p

from wasmtime import Instance, Linker, Module
from wasmtime import _ffi as ffi
from wasmtime import component as comp

from hostcore.hosts.wasm.fast import library as lib
from hostcore.hosts.wasm.fast.callbacks import add_function
from hostcore.hosts.wasm.fast.core import Bytes, CoreFunction, define, raise_failed
from hostcore.hosts.wasm.fast.fibers import Fiber, Function, shape_of
from hostcore.hosts.wasm.outcomes import dead_of
from hostcore.hosts.wasm.paths import CallPath, Steps


def fast_path() -> CallPath:
    """Return it; raises RuntimeError if it does not know this wasmtime."""
    lib.check()
    return CallPath(
        "fast",
        True,
        Fiber,
        shape_of,
        Function,
        CoreFunction,
        Bytes,
        add_function,
        define,
        _instantiate,
        _core_instantiate,
    )


def _instantiate(linker: comp.Linker, code: comp.Component, fiber: Fiber) -> Steps:
    raw, error = ffi.wasmtime_component_instance_t(), c_void_p(0)
    call = (lib.address(linker.ptr()), fiber.context, lib.address(code.ptr()), addressof(raw), addressof(error))

    def end() -> comp.Instance:
        if error.value:
            raise dead_of(lib.take_error(error.value))
        return comp.Instance._from_raw(raw)

    return lambda: lib.instantiate_async(*call), end


def _core_instantiate(linker: Linker, module: Module, fiber: Fiber) -> Steps:
    raw, trap, error = ffi.wasmtime_instance_t(), c_void_p(0), c_void_p(0)
    call = (lib.address(linker.ptr()), fiber.context, lib.address(module.ptr()), addressof(raw), addressof(trap),
            addressof(error))  # fmt: skip

    def end() -> Instance:
        raise_failed(trap, error)
        instance: Instance = Instance._from_raw(raw)
        return instance

    return lambda: lib.core_instantiate_async(*call), end
