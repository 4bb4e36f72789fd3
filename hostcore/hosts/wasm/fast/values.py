"""Component values in memory: read into Python values, and written from them.

A value is four words: its kind; a length, a pointer, or whether a result is good; a pointer; and one that nothing of
the interface uses.  A `Reader` takes the address of a value and frees nothing; a `Writer` fills a value whose slot is
empty with memory that the library owns and will free.  Both are made once for each type.

A string is read as bytes (JSON for a decoder) or as text; a record is a dict with Python's names; none is None; an
error of a result raises `Refused`.  What is written for a result is the value, or a `Refused` for its error.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from ctypes import addressof, c_uint64
from struct import Struct
from typing import Any

from wasmtime.component import (
    S32,
    U8,
    U32,
    U64,
    Bool,
    EnumType,
    ListType,
    OptionType,
    OwnType,
    RecordType,
    ResultType,
    String,
    TupleType,
)

from hostcore.hosts.wasm.fast import library as lib
from hostcore.hosts.wasm.outcomes import Refused

Reader = Callable[[int], Any]
Writer = Callable[[int, Any], None]


words, octets = lib.words, lib.octets
_NUMBERS = {U8: (lib.KIND_U8, Struct("<B")), S32: (lib.KIND_S32, Struct("<i")), U32: (lib.KIND_U32, Struct("<I")),
            U64: (lib.KIND_U64, Struct("<Q"))}  # fmt: skip


def python_name(name: str) -> str:
    """Return a name of the interface as Python has it."""
    return name.replace("-", "_")


# --- reading ---------------------------------------------------------------------------------------------------


def read_bytes(at: int) -> bytes:
    """Read a string as UTF-8."""
    size, start = words[at + 8 >> 3], words[at + 16 >> 3]
    return octets[start : start + size].tobytes() if size else b""


def read_text(at: int) -> str:
    """Read a string, or the name of an enum's case."""
    size, start = words[at + 8 >> 3], words[at + 16 >> 3]
    return str(octets[start : start + size], "utf-8") if size else ""


def reader(kind: Any, string: Reader) -> Reader:
    """Return how to read a value of type `kind`; strings are read with `string`.

    Raises:
        TypeError: The interface has no such type.
    """
    if isinstance(kind, String):
        return string
    if isinstance(kind, EnumType):
        return read_text
    if isinstance(kind, Bool):
        return lambda at: octets[at + 8] != 0
    if type(kind) in _NUMBERS:
        form = _NUMBERS[type(kind)][1]
        return lambda at: form.unpack_from(octets, at + 8)[0]
    if isinstance(kind, OptionType):
        return _option_reader(reader(kind.payload, string))
    if isinstance(kind, ListType):
        return _list_reader(reader(kind.element, string))
    if isinstance(kind, RecordType):
        return _record_reader([(python_name(name), reader(field, string)) for name, field in kind.fields])
    if isinstance(kind, ResultType):
        ok = reader(kind.ok, string) if kind.ok is not None else _read_nothing
        return _result_reader(ok, reader(kind.err, read_text) if kind.err is not None else _read_nothing)
    raise TypeError(f"{kind!r} is no type of the interface")


def _read_nothing(at: int) -> Any:
    return None


def _option_reader(payload: Reader) -> Reader:
    def read(at: int) -> Any:
        inner = words[at + 8 >> 3]
        return payload(inner) if inner else None

    return read


def _list_reader(element: Reader) -> Reader:
    def read(at: int) -> Any:
        count, first = words[at + 8 >> 3], words[at + 16 >> 3]
        return [element(first + index * lib.VAL) for index in range(count)]

    return read


def _record_reader(fields: list[tuple[str, Reader]]) -> Reader:
    places = [(name, field, 16 + index * lib.ENTRY) for index, (name, field) in enumerate(fields)]

    def read(at: int) -> Any:
        first = words[at + 16 >> 3]
        return {name: field(first + place) for name, field, place in places}

    return read


def _result_reader(ok: Reader, error: Reader) -> Reader:
    def read(at: int) -> Any:
        inner = words[at + 16 >> 3]
        if words[at + 8 >> 3] & 1:  # one byte; what stands beside it is left over
            return ok(inner)
        raise Refused(error(inner) or {})

    return read


# --- writing ---------------------------------------------------------------------------------------------------


def writer(kind: Any) -> Writer:
    """Return how to write a value of type `kind`.

    Raises:
        TypeError: The interface has no such type.
    """
    if isinstance(kind, String):
        return _write_string
    if isinstance(kind, Bool):
        return _write_bool
    if type(kind) in _NUMBERS:
        return _number_writer(*_NUMBERS[type(kind)])
    if isinstance(kind, OptionType):
        return _option_writer(writer(kind.payload))
    if isinstance(kind, ListType) and isinstance(kind.element, U8):
        return _write_octets
    if isinstance(kind, ListType):
        return _list_writer(writer(kind.element))
    if isinstance(kind, TupleType):
        return _tuple_writer([writer(element) for element in kind.elements])
    if isinstance(kind, RecordType):
        return _record_writer([(name.encode(), python_name(name), writer(field)) for name, field in kind.fields])
    if isinstance(kind, ResultType):
        return _result_writer(
            writer(kind.ok) if kind.ok is not None else None, writer(kind.err) if kind.err is not None else None
        )
    if isinstance(kind, OwnType):
        return _write_resource
    raise TypeError(f"{kind!r} is no type of the interface")


def _write_resource(at: int, value: object) -> None:
    """Refuse: the host functions of such a type (a clock's alarms) end the guest and return nothing."""
    raise TypeError("the host has no resources to give")


def _set_kind(at: int, kind: int) -> None:
    octets[at] = kind


def _write_string(at: int, value: str) -> None:
    data = value.encode("utf-8", "replace")
    lib.bytes_new(at + 8, len(data), data)
    _set_kind(at, lib.KIND_STRING)


def _write_bool(at: int, value: object) -> None:
    octets[at + 8] = bool(value)
    _set_kind(at, lib.KIND_BOOL)


def _number_writer(kind: int, form: Struct) -> Writer:
    def write(at: int, value: int) -> None:
        form.pack_into(octets, at + 8, value)
        _set_kind(at, kind)

    return write


def _boxed(write: Writer, value: Any) -> int:
    """Return the address of a value of the library's own that holds `value`."""
    slot = (c_uint64 * 4)()
    write(addressof(slot), value)
    return lib.val_new(addressof(slot))  # type: ignore[no-any-return]


def _option_writer(payload: Writer) -> Writer:
    def write(at: int, value: Any) -> None:
        words[at + 8 >> 3] = 0 if value is None else _boxed(payload, value)
        _set_kind(at, lib.KIND_OPTION)

    return write


def _new_vals(at: int, kind: int, make: Callable[[int, int], None], count: int, size: int = lib.VAL) -> int:
    make(at + 8, count)
    first: int = words[at + 16 >> 3]
    octets[first : first + size * count] = bytes(size * count)
    _set_kind(at, kind)
    return first


def _list_writer(element: Writer) -> Writer:
    def write(at: int, value: Any) -> None:
        items = list(value)
        first = _new_vals(at, lib.KIND_LIST, lib.list_new, len(items))
        for index, item in enumerate(items):
            element(first + index * lib.VAL, item)

    return write


def _write_octets(at: int, value: bytes) -> None:
    first = _new_vals(at, lib.KIND_LIST, lib.list_new, len(value))
    filled = bytearray((bytes([lib.KIND_U8]) + bytes(lib.VAL - 1)) * len(value))
    filled[8 :: lib.VAL] = value
    octets[first : first + len(filled)] = filled


def _tuple_writer(elements: list[Writer]) -> Writer:
    def write(at: int, value: Any) -> None:
        first = _new_vals(at, lib.KIND_TUPLE, lib.tuple_new, len(elements))
        for index, (element, item) in enumerate(zip(elements, value, strict=True)):
            element(first + index * lib.VAL, item)

    return write


def _record_writer(fields: list[tuple[bytes, str, Writer]]) -> Writer:
    def write(at: int, value: Mapping[str, Any]) -> None:
        values = [value.get(key) for _, key, _ in fields]
        first = _new_vals(at, lib.KIND_RECORD, lib.record_new, len(fields), lib.ENTRY)
        for index, (name, _, field) in enumerate(fields):
            lib.bytes_new(first + index * lib.ENTRY, len(name), name)
            field(first + index * lib.ENTRY + 16, values[index])

    return write


def _result_writer(ok: Writer | None, error: Writer | None) -> Writer:
    def write(at: int, value: Any) -> None:
        refused = isinstance(value, Refused)
        chosen = error if refused else ok
        inner = value.data if refused else value
        words[at + 16 >> 3] = _boxed(chosen, inner) if chosen is not None else 0
        words[at + 8 >> 3] = not refused
        _set_kind(at, lib.KIND_RESULT)

    return write
