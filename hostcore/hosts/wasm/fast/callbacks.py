"""Guests call the host: one callback for each calling convention, and the host functions behind it by number."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from ctypes import CFUNCTYPE, POINTER, c_bool, c_char_p, c_size_t, c_void_p, cast, pythonapi
from types import CoroutineType
from typing import Any, NamedTuple

from wasmtime.component import FuncType, LinkerInstance

from hostcore.hosts.wasm.fast import library as lib
from hostcore.hosts.wasm.fast.fibers import Asked, Fiber
from hostcore.hosts.wasm.fast.values import Reader, Writer, read_text, reader, writer

FINALIZE: Any = CFUNCTYPE(None, c_void_p)
_CONTINUE: Any = CFUNCTYPE(c_bool, c_void_p)
_CALLBACK: Any = CFUNCTYPE(
    None, c_void_p, c_void_p, c_void_p, c_void_p, c_size_t, c_void_p, c_size_t, POINTER(c_void_p), c_void_p
)
_add_function = lib.bind(
    "wasmtime_component_linker_instance_add_func_async", c_void_p,
    c_void_p, c_char_p, c_size_t, _CALLBACK, c_void_p, FINALIZE,
)  # fmt: skip
TRAP = b"a host function raised"


class _Imported(NamedTuple):
    """A host function as one import of a component: it is called with the guest's host object and the arguments."""

    function: Callable[..., Any]
    readers: tuple[tuple[Reader, int], ...]
    write: Writer | None
    fibers: Mapping[int, Fiber]


_imported: dict[int, _Imported] = {}
_numbers = itertools.count(1)
_waiting: dict[int, Asked] = {}


@_CONTINUE  # type: ignore[untyped-decorator]
def _go_on(number: int | None) -> bool:
    """Tell whether the guest can go on."""
    asked = _waiting.get(number or 0)
    return asked is None or asked.done


@FINALIZE  # type: ignore[untyped-decorator]
def _forget_wait(number: int | None) -> None:
    if _waiting is not None:  # None: the interpreter is going down
        _waiting.pop(number or 0, None)


@FINALIZE  # type: ignore[untyped-decorator]
def _forget(number: int | None) -> None:
    if _imported is not None:
        _imported.pop(number or 0, None)


_go_on_address = cast(_go_on, c_void_p).value
_at_once_address = cast(pythonapi.Py_IsInitialized, c_void_p).value
"""A function that says yes, and needs no interpreter to say so."""
_forget_wait_address = cast(_forget_wait, c_void_p).value


def suspend(continuation: int, asked: Asked | None) -> None:
    """Say what the guest waits for; None: nothing, it goes on at once."""
    parts = (c_void_p * 3).from_address(continuation)
    if asked is None:
        parts[0], parts[1], parts[2] = _at_once_address, None, None
        return
    number = next(_numbers)
    _waiting[number] = asked
    parts[0], parts[1], parts[2] = _go_on_address, number, _forget_wait_address


@_CALLBACK  # type: ignore[untyped-decorator]
@lib.entered
def _called(
    number: int, context: int, _kind: int, arguments: int, _count: int, results: int, _results: int, error: Any,
    continuation: int,
) -> None:  # fmt: skip
    try:
        suspend(continuation, None)
        function, readers, write, fibers = _imported[number]
        fiber = fibers[context]
        result = function(fiber.host, *[read(arguments + place) for read, place in readers])
        if type(result) is CoroutineType:
            fiber.asked = Asked(result, _answer(fiber, write, results))
            suspend(continuation, fiber.asked)
        elif write is not None:
            write(results, result)
    except BaseException as exc:  # noqa: BLE001 - nothing may leave a callback; the caller raises it
        suspend(continuation, None)  # first of all: without one, the library aborts the process
        error[0] = lib.error_new(TRAP)
        if number in _imported and context in _imported[number].fibers:  # else the guest is gone
            _imported[number].fibers[context].failure = exc


def _answer(fiber: Fiber, write: Writer | None, results: int) -> Callable[[Any], None]:
    def answer(result: Any) -> None:
        fiber.asked = None
        if write is not None:
            write(results, result)

    return answer


def add_function(
    instance: LinkerInstance, name: str, kind: FuncType, function: Callable[..., Any], fibers: Mapping[int, Fiber]
) -> None:
    """Define a host function in a linker.

    Args:
        instance: The interface that it belongs to.
        name: Its name there.
        kind: Its type, as the component declares it.
        function: Called with the guest's host object and the arguments; it may be `async`, and then the guest waits.
        fibers: The fibers of all guests, by the address of their store's context.

    Raises:
        TypeError: The interface has no such types.
    """
    readers = tuple((reader(parameter, read_text), index * lib.VAL) for index, (_, parameter) in enumerate(kind.params))
    write = writer(kind.result) if kind.result is not None else None
    number = next(_numbers)
    _imported[number] = _Imported(function, readers, write, fibers)
    text = name.encode()
    failed = _add_function(lib.address(instance.ptr()), text, len(text), _called, number, _forget)
    if failed:
        raise lib.take_error(failed)
