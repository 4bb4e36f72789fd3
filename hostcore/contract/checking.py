"""Turning parsed TOML or JSON into Structs, with every mistake reported at once.

`msgspec.convert` stops at the first mistake; an author who fixes a file wants all of them.  `check` walks the data
along the annotations of a Struct: fields, values of tables and items of arrays are each converted by themselves,
leaves by msgspec, and what does not fit becomes a `Problem` with its place.  Annotations steer it with
`msgspec.Meta`:

    description, examples        what a value should be, as in "a size such as '64MiB'"
    extra={"parse": function}    the value has a written form of its own; `function` raises ValueError
    extra={"shape": type}        the value is checked as that type, and kept as it was written
    extra={"doc": text}          what the field is for (`doc` makes it)

A Struct with a method `mistakes` (see `Checked`) adds what only shows when its fields are seen together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cache
from itertools import islice
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Protocol, TypeVar, Union, get_args, get_origin, runtime_checkable

import msgspec
from msgspec import Meta

from hostcore.contract.documents import KeyPath, show_path
from hostcore.contract.versions import shorten
from hostcore.errors import Problem, did_you_mean

T = TypeVar("T")
MAX_PROBLEMS = 100
"""A walk ends after so many: nobody reads more, and a hostile file must not cost seconds."""
_PLAIN = {str: "text", int: "an integer", float: "a number", bool: "true or false"}


@runtime_checkable
class Checked(Protocol):
    """A Struct that looks for mistakes between its fields."""

    def mistakes(self) -> Iterable[tuple[KeyPath, Problem]]:
        """Yield each mistake: the keys of the value at fault, from this Struct on, and a problem without place."""


def check(
    data: Any, type: type[T], *, at: KeyPath = (), where: Callable[[KeyPath], str] = show_path
) -> tuple[T | None, list[Problem]]:  # fmt: skip
    """Convert `data` to `type` and report everything that is wrong with it.

    Args:
        data: Tables, arrays and values as a TOML or JSON parser gives them.
        type: A Struct class, or any annotation that msgspec knows.
        at: The keys that lead to `data` in its document.
        where: Turns keys into a place for people, such as `Document.where`.

    Returns:
        The value and an empty list, or None and all problems.
    """
    checker = _Checker(where)
    value = checker.value(data, type, at)
    if len(checker.problems) >= MAX_PROBLEMS:
        checker.add(at, Problem(f"too many problems; these are the first {MAX_PROBLEMS}"))
    return (None if checker.problems else value), checker.problems


def describe(annotation: Any) -> str:
    """Return what a value of `annotation` looks like, as in "an integer" or "one of 'a', 'b'"."""
    core, metas = split(annotation)
    for meta in metas:
        if meta.description:
            return meta.description
    if get_origin(core) is Literal:
        return "one of " + ", ".join(map(repr, get_args(core)))
    if _is_array(core):
        return f"an array, each item {describe(get_args(core)[0])}"
    return _PLAIN.get(core, "a table")


def doc(text: str) -> Meta:
    """Return the annotation that says what a field is for."""
    return Meta(extra={"doc": text})


def text_form(parse: Callable[[str], Any], description: str, *, pattern: str = "") -> Meta:
    """Return the annotation of a value that is written as text and made by `parse`, which raises ValueError."""

    def from_text(value: object) -> Any:
        if not isinstance(value, str):
            raise ValueError(f"{show(value)} is not text")
        return parse(value)

    schema = {"type": "string", "pattern": pattern} if pattern else {"type": "string"}
    return Meta(description=description, extra={"parse": from_text}, extra_json_schema=schema)


def split(annotation: Any) -> tuple[Any, list[Meta]]:
    """Return the type within `annotation`, freed of Annotated and `| None`, and its Metas, innermost first."""
    metas: list[Meta] = []
    while True:
        if get_origin(annotation) is Annotated:
            annotation, *notes = get_args(annotation)
            metas = [note for note in notes if isinstance(note, Meta)] + metas
        elif is_optional(annotation) and annotation is not Any:
            (annotation,) = (arm for arm in get_args(annotation) if arm is not NoneType)
        else:
            return annotation, metas


def extras(metas: Iterable[Meta]) -> dict[str, Any]:
    """Return what the Metas say beyond msgspec, as listed at the top of this file."""
    return {key: value for meta in metas for key, value in (meta.extra or {}).items()}


def is_optional(annotation: Any) -> bool:
    """Tell whether None is a value of `annotation`."""
    if get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    return annotation is Any or (get_origin(annotation) in (Union, UnionType) and NoneType in get_args(annotation))


def show(value: Any) -> str:
    """Return `value` for a message, with its TOML type where that tells, and shortened."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return "a table"
    if isinstance(value, list | tuple):
        return "an array"
    if isinstance(value, int | float) and abs(value) > 10**20:
        return "a huge number"
    text = repr(value)
    text = text if len(text) <= 60 else f"{text[:50]}...{text[-1]}"
    kind = {str: "text", int: "integer", float: "number"}.get(type(value), type(value).__name__)
    return f"the {kind} {text}"


class _Checker:
    """One walk over one piece of data; collects problems."""

    def __init__(self, where: Callable[[KeyPath], str]) -> None:
        self.problems: list[Problem] = []
        self._where = where

    def value(self, data: Any, annotation: Any, path: KeyPath) -> Any:
        """Return `data` converted; a mistake is recorded, and what is returned then is of no use."""
        if len(self.problems) >= MAX_PROBLEMS:
            return None
        core, metas = split(annotation)
        extra = extras(metas)
        if core is Any or (data is None and is_optional(annotation)):
            return data
        if "parse" in extra:
            return self._parsed(data, core, extra["parse"], annotation, path)
        if "shape" in extra:
            self.value(data, extra["shape"], path)
            return data
        if isinstance(core, type) and issubclass(core, msgspec.Struct):
            return self._struct(data, core, path)
        if get_origin(core) is dict:
            return self._table(data, annotation, path)
        if _is_array(core):
            return self._array(data, annotation, path)
        return self._leaf(data, annotation, path)

    def add(self, path: KeyPath, problem: Problem) -> None:
        """Record `problem` as one of the value at `path`."""
        self.problems.append(problem._replace(where=self._where(path)))

    def _parsed(self, data: Any, core: Any, parse: Callable[[Any], Any], annotation: Any, path: KeyPath) -> Any:
        if isinstance(data, core) and not isinstance(data, str | int | float):
            return data  # a program's own Permission, not a file's text
        try:
            return parse(data)
        except ValueError as error:
            self.add(path, Problem(f"{_name(path)}: {error}", expected=f"expected: {describe(annotation)}"))
            return None

    def _struct(self, data: Any, core: type[msgspec.Struct], path: KeyPath) -> Any:
        if isinstance(data, core):
            return data
        if not isinstance(data, Mapping):
            return self._mismatch(data, core, path)
        fields, before, values = _fields(core), len(self.problems), {}
        for key, each in data.items():
            if key in fields:
                values[fields[key].name] = self.value(each, fields[key].type, (*path, key))
            else:
                self._unknown(str(key), sorted(fields), path)
        for key, field in fields.items():
            if field.required and key not in data:
                expected = f"expected: {describe(field.type)}"
                self.add((*path, key), Problem(f"{key!r} is missing", expected=expected))
        if len(self.problems) > before:
            return None
        struct = core(**values)
        if isinstance(struct, Checked):
            for keys, problem in islice(struct.mistakes(), MAX_PROBLEMS):
                self.add((*path, *keys), problem)
        return struct

    def _unknown(self, key: str, known: list[str], path: KeyPath) -> None:
        if len(self.problems) < MAX_PROBLEMS:
            problem = Problem(f"unknown key {shorten(key)}", expected=f"known: {', '.join(known)}")
            self.add((*path, key), problem._replace(hint=did_you_mean(key, known)))

    def _table(self, data: Any, annotation: Any, path: KeyPath) -> Any:
        if not isinstance(data, Mapping):
            return self._mismatch(data, annotation, path)
        key_type, value_type = get_args(split(annotation)[0])
        result = {}
        for key, each in data.items():
            below = (*path, str(key))
            result[self.value(key, key_type, below)] = self.value(each, value_type, below)
        return result

    def _array(self, data: Any, annotation: Any, path: KeyPath) -> Any:
        if not isinstance(data, list | tuple):
            return self._mismatch(data, annotation, path)
        core, _ = split(annotation)
        item = get_args(core)[0]
        return get_origin(core)(self.value(each, item, (*path, i)) for i, each in enumerate(data))

    def _leaf(self, data: Any, annotation: Any, path: KeyPath) -> Any:
        try:
            return msgspec.convert(data, annotation)
        except msgspec.ValidationError:
            return self._mismatch(data, annotation, path)

    def _mismatch(self, data: Any, annotation: Any, path: KeyPath) -> None:
        core, _ = split(annotation)
        choices = get_args(core) if get_origin(core) is Literal else ()
        hint = did_you_mean(data, choices) if choices and isinstance(data, str) else ""
        self.add(
            path, Problem(f"{_name(path)} is {show(data)}", expected=f"expected: {describe(annotation)}", hint=hint)
        )


@cache
def _fields(core: type[msgspec.Struct]) -> dict[str, msgspec.structs.FieldInfo]:
    return {field.encode_name: field for field in msgspec.structs.fields(core)}


def _is_array(core: Any) -> bool:
    return get_origin(core) in (list, tuple)


def _name(path: KeyPath) -> str:
    """Return the last key of `path`, with the indices behind it."""
    start = len(path) - 1
    while start > 0 and isinstance(path[start], int):
        start -= 1
    return repr(show_path(path[start:])) if path else "the value"
