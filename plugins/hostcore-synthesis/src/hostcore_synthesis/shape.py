"""The first half of checking a spec: has it the right fields, of the right types?

msgspec stops at the first misfit.  When it finds one, the spec is looked through field by field, so that the
author of the spec learns of all at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, get_args, get_origin

import msgspec

from hostcore.errors import did_you_mean
from hostcore_synthesis.specs import KINDS, Spec, SpecError


def read_spec(data: object) -> tuple[str, Spec]:
    """Return the kind and the spec that `data`, plain dicts and lists, describes.

    Raises:
        SpecError: Its shape is wrong; every misfit is listed.
    """
    kind, fields = _split(data)
    try:
        # By its kind, not as the union `Spec`: msgspec remembers the unions it reads, and so would pin this code.
        return kind, msgspec.convert(data, KINDS[kind])
    except msgspec.ValidationError as exc:
        raise SpecError(list(_struct_misfits(fields, KINDS[kind], "")) or [str(exc)]) from None


def _split(data: object) -> tuple[str, dict[str, object]]:
    """Return the kind of a spec, one of `KINDS`, and its other fields; raises SpecError."""
    if not isinstance(data, dict):
        raise SpecError([f"expected an object with a 'kind', got {type(data).__name__}"])
    kind = data.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        got = f"got {kind!r}" if "kind" in data else "it is missing"
        problem = f"kind: expected one of {', '.join(KINDS)}; {got}"
        raise SpecError([_join(problem, did_you_mean(str(kind), KINDS))])
    return kind, {key: value for key, value in data.items() if key != "kind"}


def _struct_misfits(data: object, type_: type[msgspec.Struct], path: str) -> Iterator[str]:
    if not isinstance(data, dict):
        yield f"{path}: expected an object, got {type(data).__name__}"
        return
    prefix = f"{path}." if path else ""
    fields = {field.encode_name: field for field in msgspec.structs.fields(type_)}
    for key in [key for key in data if key not in fields]:
        yield _join(f"{prefix}{key}: unknown field", did_you_mean(str(key), fields))
    for name, field in fields.items():
        if name in data:
            yield from _value_misfits(data[name], field.type, f"{prefix}{name}")
        elif field.required:
            yield f"{prefix}{name}: it is missing"


def _value_misfits(value: object, type_: Any, path: str) -> Iterator[str]:
    item_type = _struct_in_list(type_)
    if item_type is not None and isinstance(value, list):
        for index, item in enumerate(value):
            yield from _struct_misfits(item, item_type, f"{path}[{index}]")
        value = [{}] * len(value)
        type_ = _with_length_of(type_)
    try:
        msgspec.convert(value, type_)
    except msgspec.ValidationError as exc:
        reason, _, place = str(exc).partition(" - at `$")
        yield f"{path}{place.rstrip('`')}: {reason[0].lower()}{reason[1:]}"


def _struct_in_list(type_: Any) -> type[msgspec.Struct] | None:
    """Return S where `type_` is a list of the Struct S."""
    plain = get_args(type_)[0] if get_origin(type_) is Annotated else type_
    if get_origin(plain) is not list:
        return None
    (item,) = get_args(plain)
    return item if isinstance(item, type) and issubclass(item, msgspec.Struct) else None


def _with_length_of(type_: Any) -> Any:
    """Return a list type that checks nothing but the length that `type_` asks for."""
    return Annotated[list[Any], *type_.__metadata__] if get_origin(type_) is Annotated else list[Any]


def _join(problem: str, hint: str) -> str:
    return f"{problem}; {hint}" if hint else problem
