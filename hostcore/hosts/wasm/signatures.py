"""Types of a component as text, to compare and to show."""

from __future__ import annotations

from typing import Any

from wasmtime.component import (
    S32,
    U8,
    U32,
    U64,
    Bool,
    EnumType,
    FuncType,
    ListType,
    OptionType,
    RecordType,
    ResultType,
    String,
    TupleType,
)

_PLAIN = {String: "string", Bool: "bool", U8: "u8", U32: "u32", U64: "u64", S32: "s32"}


def signature(function: FuncType) -> str:
    """Return a function's type as in "(string, u32) -> result<_, string>"."""
    parameters = ", ".join(type_text(kind) for _, kind in function.params)
    return f"({parameters})" + (f" -> {type_text(function.result)}" if function.result is not None else "")


def type_text(kind: Any) -> str:
    """Return a type as WIT has it, with records, enums and variants spelt out."""
    if kind is None:
        return "_"
    if type(kind) in _PLAIN:
        return _PLAIN[type(kind)]
    if isinstance(kind, ListType):
        return f"list<{type_text(kind.element)}>"
    if isinstance(kind, OptionType):
        return f"option<{type_text(kind.payload)}>"
    if isinstance(kind, ResultType):
        return f"result<{type_text(kind.ok)}, {type_text(kind.err)}>"
    if isinstance(kind, RecordType):
        return f"record{{{', '.join(f'{name}: {type_text(field)}' for name, field in kind.fields)}}}"
    if isinstance(kind, EnumType):
        return f"enum{{{', '.join(kind.names)}}}"
    if isinstance(kind, TupleType):
        return f"tuple<{', '.join(map(type_text, kind.elements))}>"
    return type(kind).__name__.removesuffix("Type").lower()
