"""The first half of checking a spec: has it the right fields, of the right types?

One walk over the data, led by the annotations in `specs`, makes the spec and notes every misfit on its way, so that
the author of the spec learns of all at once.
"""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Iterable
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

from hostcore.errors import did_you_mean
from hostcore_synthesis.specs import KINDS, Bounds, Spec, SpecError

_NAMES: dict[type, str] = {list: "array", dict: "object", type(None): "null"}
"""What types are called in problems, where not by their own name."""
_COUNTED: dict[type, str] = {str: " characters", list: " items"}


def read_spec(data: object) -> tuple[str, Spec]:
    """Return the kind and the spec that `data`, plain dicts and lists, describes.

    Raises:
        SpecError: Its shape is wrong; every misfit is listed.
    """
    kind, fields = _split(data)
    reader = _Reader()
    spec: Spec | None = reader.part(fields, KINDS[kind], "")
    if spec is None:
        raise SpecError(reader.problems)
    return kind, spec


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


class _Form(NamedTuple):
    """What an annotation asks for: the type of plain data, for a list that of its items, and bounds."""

    type: type
    item: Any
    bounds: Bounds | None


class _Reader:
    """Reads plain data as the types of `specs`.

    Attributes:
        problems: What did not fit, each with its place.
    """

    def __init__(self) -> None:
        self.problems: list[str] = []

    def part(self, data: object, type_: Any, path: str) -> Any:
        """Return `data` as the dataclass `type_`; None if anything in it does not fit."""
        if not isinstance(data, dict):
            self.problems.append(f"{path}: expected an object, got {type(data).__name__}")
            return None
        before, prefix, found = len(self.problems), f"{path}." if path else "", {}
        fields = {field.name: field for field in dataclasses.fields(type_)}
        for key in [key for key in data if key not in fields]:
            self.problems.append(_join(f"{prefix}{key}: unknown field", did_you_mean(str(key), fields)))
        for name, field in fields.items():
            if name in data:
                found[name] = self._value(data[name], field.type, f"{prefix}{name}")
            elif field.default is dataclasses.MISSING:
                self.problems.append(f"{prefix}{name}: it is missing")
        return type_(**found) if len(self.problems) == before else None

    def _value(self, value: Any, type_: Any, path: str) -> Any:
        """Return `value` as `type_`; what is returned for one that does not fit has no meaning."""
        if get_origin(type_) is Literal:
            if value not in get_args(type_):
                self.problems.append(f"{path}: expected one of {', '.join(get_args(type_))}; got {value!r:.80}")
            return value
        forms = _forms(type_)
        form = next((form for form in forms if type(value) is form.type), None)  # exactly: True is no integer here
        if form is None:
            expected = _names(form.type for form in forms)
            self.problems.append(f"{path}: expected {expected}, got {_names([type(value)])}")
        elif problem := _excess(value, form.bounds):
            self.problems.append(f"{path}: {problem}")
        elif form.type is list:
            read = self.part if dataclasses.is_dataclass(form.item) else self._value
            return tuple(read(item, form.item, f"{path}[{index}]") for index, item in enumerate(value))
        return value


def _forms(type_: Any) -> list[_Form]:
    """Return what data of the annotation `type_` may be."""
    forms = []
    for member in get_args(type_) if get_origin(type_) in (Union, types.UnionType) else (type_,):
        plain, bounds = get_args(member) if get_origin(member) is Annotated else (member, None)
        is_list = get_origin(plain) is tuple
        forms.append(_Form(list, get_args(plain)[0], bounds) if is_list else _Form(plain, None, bounds))
    return forms


def _excess(value: Any, bounds: Bounds | None) -> str:
    """Return how `value` is out of bounds, or ""."""
    if bounds is None:
        return ""
    size = value if type(value) is int else len(value)
    if bounds.least <= size <= bounds.most:
        return ""
    return f"expected {bounds.least:,} to {bounds.most:,}{_COUNTED.get(type(value), '')}, got {size:,}"


def _names(forms: Iterable[type]) -> str:
    return f"`{' | '.join(_NAMES.get(form, form.__name__) for form in forms)}`"


def _join(problem: str, hint: str) -> str:
    return f"{problem}; {hint}" if hint else problem
