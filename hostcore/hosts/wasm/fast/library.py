"""The functions of wasmtime's C library that the fast path uses, and the check that they are what it expects."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from ctypes import POINTER, c_bool, c_char_p, c_size_t, c_uint8, c_uint64, c_void_p, cast
from opcode import opmap
from typing import Any

from wasmtime import Trap, WasmtimeError
from wasmtime import _ffi as ffi

_held = ctypes.PyDLL(ffi.dll._name, handle=ffi.dll._handle)
"""The library with functions that keep the interpreter's lock."""


def bind(name: str, result: Any, *arguments: Any, runs_guest: bool = False) -> Callable[..., Any]:
    """Return a function of the library with types of our own.

    One that runs no guest code keeps the interpreter's lock: it takes less time than giving the lock away, after which
    another thread may keep it for 5 ms.
    """
    function: Any = (ffi.dll if runs_guest else _held)[name]  # a fresh object: wasmtime's own keep their types
    function.restype = result
    function.argtypes = arguments
    return function  # type: ignore[no-any-return]


def prepared(function: Any, *arguments: int) -> tuple[Any, ...]:
    """Return arguments that are converted for `function` now, and not at each call."""
    return tuple(kind(argument) for kind, argument in zip(function.argtypes, arguments, strict=True))


def entered(function: Any) -> Any:
    """Have the body of a callback entered, even while a signal waits for its handler.

    Python runs handlers of signals where a function begins, before any `try` of its own.  What a handler raises there
    (KeyboardInterrupt) leaves the callback without a word to the library, which then aborts the process.  The
    instruction that looks for signals has a form that does not, for what is resumed from an `await`; with that one
    they are handled a moment later, in the body.
    """
    code = bytearray(function.__code__.co_code)
    at = next(index for index in range(0, len(code), 2) if code[index] == opmap["RESUME"])
    code[at + 1] |= _RESUMED
    function.__code__ = function.__code__.replace(co_code=bytes(code))
    return function


_RESUMED = 2


def address(pointer: Any) -> int:
    """Return the address that a ctypes pointer holds."""
    return cast(pointer, c_void_p).value or 0


VAL = 32
"""Bytes of a component's value: its kind, and at 8 what is in it."""
ENTRY = 48
"""Bytes of a record's entry: the field's name, and at 16 its value."""
CORE_VAL = 32
KIND_BOOL, KIND_S32, KIND_U32, KIND_U64, KIND_STRING = 0, 5, 6, 8, 12
KIND_LIST, KIND_RECORD, KIND_TUPLE, KIND_ENUM, KIND_OPTION, KIND_RESULT, KIND_U8 = 13, 14, 15, 17, 18, 19, 2

call_async = bind(
    "wasmtime_component_func_call_async", c_void_p,
    c_void_p, c_void_p, c_void_p, c_size_t, c_void_p, c_size_t, c_void_p,
)  # fmt: skip
instantiate_async = bind(
    "wasmtime_component_linker_instantiate_async", c_void_p, c_void_p, c_void_p, c_void_p, c_void_p, c_void_p
)
poll = bind("wasmtime_call_future_poll", c_bool, c_void_p, runs_guest=True)
future_delete = bind("wasmtime_call_future_delete", None, c_void_p)
set_deadline = bind("wasmtime_context_set_epoch_deadline", None, c_void_p, c_uint64)
# Its header promises an error; the library returns nothing.
yield_at_deadline = bind("wasmtime_context_epoch_deadline_async_yield_and_update", None, c_void_p, c_uint64)
error_new = bind("wasmtime_error_new", c_void_p, c_char_p)

val_delete = bind("wasmtime_component_val_delete", None, c_void_p)
val_new = bind("wasmtime_component_val_new", c_void_p, c_void_p)
bytes_new = bind("wasm_byte_vec_new", None, c_void_p, c_size_t, c_char_p)
list_new = bind("wasmtime_component_vallist_new_uninit", None, c_void_p, c_size_t)
record_new = bind("wasmtime_component_valrecord_new_uninit", None, c_void_p, c_size_t)
tuple_new = bind("wasmtime_component_valtuple_new_uninit", None, c_void_p, c_size_t)

core_call_async = bind(
    "wasmtime_func_call_async", c_void_p,
    c_void_p, c_void_p, c_void_p, c_size_t, c_void_p, c_size_t, c_void_p, c_void_p,
)  # fmt: skip
core_instantiate_async = bind(
    "wasmtime_linker_instantiate_async", c_void_p, c_void_p, c_void_p, c_void_p, c_void_p, c_void_p, c_void_p
)
caller_context = bind("wasmtime_caller_context", c_void_p, c_void_p)
memory_data = bind("wasmtime_memory_data", c_void_p, c_void_p, c_void_p)
memory_size = bind("wasmtime_memory_data_size", c_size_t, c_void_p, c_void_p)
trap_new = bind("wasmtime_trap_new", c_void_p, c_char_p, c_size_t)

_ADDRESSES = 1 << 56
words: Any = (c_uint64 * (_ADDRESSES // 8)).from_address(0)
"""The process's memory as 64-bit words: `words[address >> 3]`.

To index it takes half as long as to make a ctypes object for a place, and to slice `octets` a third of copying by a
function of ctypes's.  Whoever does either knows the address from the library, and that what is there is still alive.
"""
octets = memoryview((c_uint8 * (_ADDRESSES - 1)).from_address(0)).cast("B")
"""The same as bytes: `octets[address : address + size]`."""


def take_error(pointer: int) -> WasmtimeError:
    """Return an error of the library as its Python object, which frees it."""
    error: WasmtimeError = WasmtimeError._from_ptr(cast(pointer, POINTER(ffi.wasmtime_error_t)))
    return error


def take_trap(pointer: int) -> Trap:
    """Return a trap of the library as its Python object, which frees it."""
    trap: Trap = Trap._from_ptr(cast(pointer, POINTER(ffi.wasm_trap_t)))
    return trap


def check() -> None:
    """Make sure that values are laid out as this folder expects.

    Raises:
        RuntimeError: They are not; the public interface is to be used.
    """
    types: Any = ffi
    val, entry = types.wasmtime_component_val_t, types.wasmtime_component_valrecord_entry_t
    core, result = types.wasmtime_val_t, types.wasmtime_component_valresult_t
    sizes = {
        "a component value": (ctypes.sizeof(val), VAL),
        "its contents": (val.of.offset, 8),
        "a record's entry": (ctypes.sizeof(entry), ENTRY),
        "a result's contents": (result.val.offset, 8),
        "a core value": (ctypes.sizeof(core), CORE_VAL),
        "its number": (core.of.offset, 8),
        "a continuation": (ctypes.sizeof(ffi.wasmtime_async_continuation_t), 24),
    }
    kinds = {
        "BOOL": KIND_BOOL, "U8": KIND_U8, "U32": KIND_U32, "S32": KIND_S32, "U64": KIND_U64, "STRING": KIND_STRING,
        "LIST": KIND_LIST, "RECORD": KIND_RECORD, "TUPLE": KIND_TUPLE, "ENUM": KIND_ENUM, "OPTION": KIND_OPTION,
        "RESULT": KIND_RESULT,
    }  # fmt: skip
    sizes |= {kind: (getattr(ffi, f"WASMTIME_COMPONENT_{kind}").value, number) for kind, number in kinds.items()}
    wrong = [f"{what} is {found}, not {wanted}" for what, (found, wanted) in sizes.items() if found != wanted]
    if wrong:
        raise RuntimeError(f"wasmtime is not laid out as expected: {'; '.join(wrong)}")
