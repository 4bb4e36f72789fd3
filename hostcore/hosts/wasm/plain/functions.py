"""Exports, memories and host functions through wasmtime's public interface."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from wasmtime import Func, FuncType, Linker, Memory, Store, WasmtimeError
from wasmtime import component as comp

from hostcore.hosts.wasm.outcomes import OutOfMemory, Refused
from hostcore.hosts.wasm.plain.threads import ThreadRunner, kept

TRAP = "a host function raised"


def _python(value: Any) -> Any:
    """Return a value of wasmtime's as the fast path has it: records as dicts."""
    if isinstance(value, comp.Record):
        return {name.replace("-", "_"): _python(field) for name, field in vars(value).items()}
    if isinstance(value, list):
        return [_python(item) for item in value]
    return value


def _wasmtime(value: Any, kind: Any) -> Any:
    """Return a host's value as wasmtime wants it."""
    if isinstance(kind, comp.ResultType):
        return _wasmtime(value.data, kind.err) if isinstance(value, Refused) else _wasmtime(value, kind.ok)
    if isinstance(kind, comp.OptionType):
        return None if value is None else _wasmtime(value, kind.payload)
    if isinstance(kind, comp.RecordType):
        record = comp.Record()
        for name, field in kind.fields:
            setattr(record, name, _wasmtime(value.get(name.replace("-", "_")), field))
        return record
    if isinstance(kind, comp.String):
        return value.encode("utf-8", "replace").decode()
    return value


def shape_of(kind: comp.FuncType, *, text: bool = False) -> bool:
    """Return whether a function returns a value or an error; see the fast path's."""
    if not all(isinstance(parameter, comp.String) for _, parameter in kind.params):
        raise TypeError("its arguments are not all strings")
    return isinstance(kind.result, comp.ResultType)


class Function:
    """An exported function of a component whose arguments are all strings."""

    def __init__(self, store: Store, function: comp.Func, is_result: bool) -> None:
        self._store, self._function, self._is_result = store, function, is_result
        self._end: Callable[[], Any] = lambda: None

    def begin(self, *arguments: bytes) -> None:
        """Make the call."""
        texts = [data.decode() for data in arguments]
        begin, self._end = kept(lambda: self._function(self._store, *texts))
        begin()

    def end(self) -> Any:
        """Return the result; raises Refused or Dead."""
        value = _python(self._end())
        if self._is_result and isinstance(value, dict):
            raise Refused(value)
        return value.encode() if isinstance(value, str) else value


class CoreFunction:
    """An exported function of numbers."""

    def __init__(self, store: Store, function: Func, kinds: Sequence[str], results: int = 1) -> None:
        self._store, self._function = store, function
        self._end: Callable[[], Any] = lambda: None

    def begin(self, *numbers: int) -> None:
        """Make the call."""
        begin, self._end = kept(lambda: self._function(self._store, *numbers))
        begin()

    def end(self) -> int:
        """Return the result; raises Dead."""
        result = self._end()
        return 0 if result is None else result


class Bytes:
    """A guest's memory."""

    def __init__(self, store: Store, memory: Memory) -> None:
        self._store, self._memory = store, memory

    def _check(self, pointer: int, length: int) -> None:
        if pointer + length > self._memory.data_len(self._store):
            raise OutOfMemory

    def read(self, pointer: int, length: int) -> bytes:
        """Return a copy of a part; raises OutOfMemory."""
        self._check(pointer, length)
        return bytes(self._memory.read(self._store, pointer, pointer + length))

    def write(self, pointer: int, data: bytes) -> None:
        """Write to it; raises OutOfMemory."""
        self._check(pointer, len(data))
        self._memory.write(self._store, data, pointer)


def _called(runners: Mapping[int, ThreadRunner], function: Callable[..., Any], arguments: Sequence[Any]) -> Any:
    runner = runners[0]
    try:
        return runner.ask(function, *map(_python, arguments))
    except BaseException as exc:  # noqa: BLE001 - the call's own end raises it; wasmtime would mix it up with others'
        runner.failure = exc
        raise WasmtimeError(TRAP) from None


def add_function(
    instance: comp.LinkerInstance, name: str, kind: comp.FuncType, function: Callable[..., Any],
    runners: Mapping[int, ThreadRunner],
) -> None:  # fmt: skip
    """Define a host function of a component; see the fast path's."""
    result = kind.result

    def call(_: object, *arguments: Any) -> Any:
        value = _called(runners, function, arguments)
        if (
            isinstance(value, Refused)
            and isinstance(result, comp.ResultType)
            and isinstance(result.ok, comp.OptionType)
        ):
            runners[0].failure = value  # wasmtime's conversion cannot write it: the call ends with it
            raise WasmtimeError(TRAP)
        return _wasmtime(value, result)

    instance.add_func(name, call)


def define(
    linker: Linker, module: str, name: str, kind: FuncType, function: Callable[..., Any],
    runners: Mapping[int, ThreadRunner],
) -> None:  # fmt: skip
    """Define a host function of numbers; see the fast path's."""
    wide = [str(each) == "i64" for each in kind.params]

    def call(*numbers: int) -> Any:
        values = [number if is_wide else number & 0xFFFF_FFFF for number, is_wide in zip(numbers, wide, strict=True)]
        return _called(runners, function, values)

    linker.define_func(module, name, kind, call)


def _is_option(kind: object) -> bool:
    return isinstance(kind, comp.OptionType)
