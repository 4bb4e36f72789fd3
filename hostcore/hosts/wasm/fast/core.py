"""Core modules on fibers: functions of numbers, memory, and the callbacks of their imports."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from ctypes import CFUNCTYPE, POINTER, addressof, c_char_p, c_int64, c_size_t, c_uint8, c_uint32, c_void_p
from types import CoroutineType
from typing import Any, NamedTuple

from wasmtime import Func, FuncType, Linker, Memory, Store

from hostcore.hosts.wasm.fast import library as lib
from hostcore.hosts.wasm.fast.callbacks import FINALIZE, TRAP, suspend
from hostcore.hosts.wasm.fast.fibers import Asked, Fiber
from hostcore.hosts.wasm.outcomes import OutOfMemory, dead_of

_I32, _I64 = 0, 1
_CALLBACK: Any = CFUNCTYPE(
    None, c_void_p, c_void_p, c_void_p, c_size_t, c_void_p, c_size_t, POINTER(c_void_p), c_void_p
)
_define = lib.bind(
    "wasmtime_linker_define_async_func", c_void_p,
    c_void_p, c_char_p, c_size_t, c_char_p, c_size_t, c_void_p, _CALLBACK, c_void_p, FINALIZE,
)  # fmt: skip
_number = c_int64.from_address
_short = c_uint32.from_address


class _Imported(NamedTuple):
    function: Callable[..., Any]
    readers: tuple[tuple[Callable[[int], Any], int], ...]
    results: int
    fibers: Mapping[int, Fiber]


_imported: dict[int, _Imported] = {}
_numbers = itertools.count(1)


@FINALIZE  # type: ignore[untyped-decorator]
def _forget(number: int | None) -> None:
    if _imported is not None:  # None: the interpreter is going down
        _imported.pop(number or 0, None)


@_CALLBACK  # type: ignore[untyped-decorator]
@lib.entered
def _called(
    number: int, caller: int, arguments: int, _count: int, results: int, _results: int, trap: Any, continuation: int
) -> None:
    try:
        suspend(continuation, None)
        function, readers, given, fibers = _imported[number]
        fiber = fibers[lib.caller_context(caller)]
        result = function(fiber.host, *[read(arguments + place).value for read, place in readers])
        if type(result) is CoroutineType:
            fiber.asked = Asked(result, _answer(fiber, results))
            suspend(continuation, fiber.asked)
        elif given:
            _put(results, given, result)
    except BaseException as exc:  # noqa: BLE001 - nothing may leave a callback; the caller raises it
        suspend(continuation, None)
        trap[0] = lib.trap_new(TRAP, len(TRAP))
        _blame(number, lib.caller_context(caller), exc)


def _blame(number: int, context: int, error: BaseException) -> None:
    if number in _imported and context in _imported[number].fibers:
        _imported[number].fibers[context].failure = error


def _put(results: int, kind: int, value: int) -> None:
    _number(results + 8).value = value
    c_uint8.from_address(results).value = kind - 1


def _answer(fiber: Fiber, results: int) -> Callable[[Any], None]:
    def answer(result: int) -> None:
        fiber.asked = None
        _put(results, 1 + _I64, result)

    return answer


def define(
    linker: Linker, module: str, name: str, kind: FuncType, function: Callable[..., Any], fibers: Mapping[int, Fiber]
) -> None:
    """Define a host function of numbers.

    Args:
        linker: Where.
        module: The module that guests import it from.
        name: Its name there.
        kind: Its type: i32 and i64, at most one result; an `async` function returns an i64.
        function: Called with the guest's host object and the numbers, those of i32 unsigned.
        fibers: The fibers of all guests, by the address of their store's context.
    """
    number = next(_numbers)
    result = 0 if not kind.results else 1 + (_I64 if str(kind.results[0]) == "i64" else _I32)
    readers = tuple(
        (_number if str(each) == "i64" else _short, index * lib.CORE_VAL + 8) for index, each in enumerate(kind.params)
    )
    _imported[number] = _Imported(function, readers, result, fibers)
    first, second = module.encode(), name.encode()
    failed = _define(lib.address(linker.ptr()), first, len(first), second, len(second), lib.address(kind.ptr()),
                     _called, number, _forget)  # fmt: skip
    if failed:
        raise lib.take_error(failed)


class CoreFunction:
    """An exported function of i32 numbers that returns one number, or none.

    What a call needs is made with the first: most guests are never asked for most of their functions.
    """

    def __init__(self, store: Store, function: Func, kinds: Sequence[str], results: int = 1) -> None:
        self._handle = function._func
        self._context = lib.address(store._context())
        self._counts = len(kinds), results
        self._call: tuple[Any, ...] = ()

    def _prepare(self) -> None:
        count, results = self._counts
        # A value is four words: its kind, and in the second the number.
        self._arguments: Any = (c_int64 * (4 * max(1, count)))()
        self._numbers = slice(1, 4 * count, 4)
        self._arguments[0 : 4 * count : 4] = [_I32] * count
        self._result = (c_int64 * 4)()
        self._trap, self._error = c_void_p(0), c_void_p(0)
        self._call = lib.prepared(
            lib.core_call_async, self._context, addressof(self._handle), addressof(self._arguments), count,
            addressof(self._result), results, addressof(self._trap), addressof(self._error),
        )  # fmt: skip

    def begin(self, *numbers: int) -> int:
        """Start a call and return its future."""
        if not self._call:
            self._prepare()
        self._arguments[self._numbers] = numbers
        return lib.core_call_async(*self._call)  # type: ignore[no-any-return]

    def end(self) -> int:
        """Return the result of the call that has ended; raises Dead if it trapped."""
        if self._error.value or self._trap.value:
            raise_failed(self._trap, self._error)
        return self._result[1]


def raise_failed(trap: c_void_p, error: c_void_p) -> None:
    """Raise Dead if the library filled one of the two."""
    pointer, error.value = error.value, None
    other, trap.value = trap.value, None
    if pointer:
        raise dead_of(lib.take_error(pointer))
    if other:
        raise dead_of(lib.take_trap(other))


class Bytes:
    """A guest's memory: it can grow, but neither shrink nor move (`Settings`)."""

    def __init__(self, store: Store, memory: Memory) -> None:
        self._handle = memory._memory
        self._where = lib.prepared(lib.memory_size, lib.address(store._context()), addressof(self._handle))
        self._base: int = lib.memory_data(*self._where)
        self._size: int = lib.memory_size(*self._where)

    def _check(self, end: int) -> None:
        self._size = lib.memory_size(*self._where)  # it may have grown
        if end > self._size:
            raise OutOfMemory

    def read(self, pointer: int, length: int) -> bytes:
        """Return a copy of a part; raises OutOfMemory."""
        if pointer + length > self._size:
            self._check(pointer + length)
        place = self._base + pointer
        return lib.octets[place : place + length].tobytes()

    def write(self, pointer: int, data: bytes) -> None:
        """Write to it; raises OutOfMemory."""
        length = len(data)
        if pointer + length > self._size:
            self._check(pointer + length)
        place = self._base + pointer
        lib.octets[place : place + length] = data
