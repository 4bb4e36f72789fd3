"""JSON at the edge of a guest, in the form that a native module's data would have.

The standard library's encoder does the common case in C.  Only what it cannot encode, or would encode otherwise than
msgspec does on the other side, takes the longer way through `plain`.
"""

from __future__ import annotations

import base64
import dataclasses
import datetime
import enum
import json
import math
import re
from collections.abc import Callable, Mapping
from itertools import accumulate
from typing import Any

from hostcore.errors import ContractError

DEPTH = 500
"""The deepest nesting that is read.  The parser is C code, whose stack inside is small: at some 1,300 it would trap."""
HINT = "send plain data or dataclasses; a module's own objects do not travel"


class NotDataError(TypeError):
    """A value holds something that is not data; the text names its type."""


def encode(value: Any) -> str:
    """Return `value` as JSON.

    Raises:
        NotDataError: It holds something that is not data.
    """
    try:
        text = _encode(value)
    except (TypeError, ValueError, RecursionError):
        text = _encode_slowly(value)
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as exc:
            raise NotDataError(f"it holds text that cannot be encoded: {exc.reason}") from None
    return text


def _encode_slowly(value: Any) -> str:
    """Encode what has odd keys or numbers that are none; name what cannot be encoded at all."""
    try:
        return _encode(plain(value))
    except NotDataError:
        raise
    except RecursionError:
        raise NotDataError("it is nested too deeply, or contains itself") from None
    except (TypeError, ValueError) as exc:
        raise NotDataError(str(exc)) from None


def encode_for(value: Any, module: str, what: str) -> str:
    """Return `value` as JSON; `module` is to blame if that fails, and `what` says what it is.

    Raises:
        ContractError: It holds something that is not data.
    """
    try:
        return encode(value)
    except NotDataError as exc:
        raise ContractError(module, f"{what} cannot be encoded: {exc}", hint=HINT) from None


def decode(text: str) -> Any:
    """Return the value of the JSON in `text`.

    Raises:
        NotDataError: It is no JSON, or nested too deeply.
    """
    if text.count("[") + text.count("{") > DEPTH and _depth_of(text) > DEPTH:
        raise NotDataError("it is nested too deeply")
    try:
        value, end = _scan(text, 0)
        return value if end == len(text) else _decoder.decode(text)
    except StopIteration:  # space in front, or no JSON
        return _spaced(text)
    except ValueError as exc:
        raise NotDataError(f"it is not JSON: {exc}") from None
    except RecursionError:
        raise NotDataError("it is nested too deeply") from None


def _depth_of(text: str) -> int:
    """Return how deep the JSON in `text` is nested."""
    outside = _NOT_BRACKETS.sub("", _STRING.sub("", text))
    return max(accumulate(1 if bracket in "[{" else -1 for bracket in outside))


def _spaced(text: str) -> Any:
    try:
        return _decoder.decode(text)
    except ValueError as exc:
        raise NotDataError(f"it is not JSON: {exc}") from None


def arguments_of(text: str) -> Mapping[str, Any]:
    """Return the JSON object in `text`, which holds arguments by name; raises NotDataError."""
    found = decode(text)
    if not isinstance(found, dict):
        raise NotDataError(f"arguments are a JSON object, not {text[:80]}")
    return found


def plain(value: Any) -> Any:
    """Return `value` in types that JSON has, lists and dicts copied.

    Raises:
        NotDataError: It holds something that is not data.
    """
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {_key(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(entry) for entry in value]
    return plain(_reduced(value))


def _key(key: Any) -> str:
    """Return the text of a dict's key."""
    found = key if isinstance(key, (str, int, float)) or key is None else _reduced(key)
    if isinstance(found, str):
        return str(found)
    if found is None or isinstance(found, (int, float)):
        return _encode(found)
    raise NotDataError(f"a key of type {_name(type(key))} is unsupported")


def _reduced(value: Any) -> Any:
    """Return `value`, which JSON does not know, in simpler types."""
    for kinds, reduce in _REDUCERS:
        if isinstance(value, kinds):
            return reduce(value)
    kind = type(value)
    if dataclasses.is_dataclass(kind):
        names = (field.name for field in dataclasses.fields(value))
        return {name: getattr(value, name) for name in names if hasattr(value, name)}
    if hasattr(kind, "__attrs_attrs__"):
        names = (field.name for field in kind.__attrs_attrs__)
        return {name: getattr(value, name) for name in names if hasattr(value, name) and not name.startswith("_")}
    if (kind.__module__, kind.__name__) in _AS_TEXT:
        return str(value)
    raise NotDataError(f"an object of type {_name(kind)} is unsupported")


def _moment(value: datetime.datetime | datetime.time) -> str:
    """Return a time as RFC 3339 has it: offsets in whole minutes, "Z" for UTC."""
    offset = value.utcoffset()
    if offset is None:
        return value.isoformat()
    text = value.replace(tzinfo=None).isoformat()
    minutes = round(offset.total_seconds() / 60)
    if minutes == 0:
        return f"{text}Z"
    hours, rest = divmod(abs(minutes), 60)
    return f"{text}{'-' if minutes < 0 else '+'}{hours:02}:{rest:02}"


def _duration(value: datetime.timedelta) -> str:
    """Return a time span as ISO 8601 has it, in days and seconds."""
    size = abs(value)
    seconds = (
        f"{size.seconds}.{size.microseconds:06}".rstrip("0").removesuffix(".") if size.microseconds else size.seconds
    )
    days = f"{size.days}D" if size.days or not size else ""
    rest = f"T{seconds}S" if size.seconds or size.microseconds else ""
    return f"{'-' if value.days < 0 else ''}P{days}{rest}"


def _name(kind: type) -> str:
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


_REDUCERS: tuple[tuple[Any, Any], ...] = (
    (enum.Enum, lambda value: value.value),
    ((bytes, bytearray, memoryview), lambda value: base64.b64encode(value).decode()),
    ((set, frozenset), list),
    ((datetime.datetime, datetime.time), _moment),
    (datetime.date, datetime.date.isoformat),
    (datetime.timedelta, _duration),
)
_AS_TEXT = {("decimal", "Decimal"), ("uuid", "UUID")}
"""Types that travel as text; they are not imported for that."""


def _make_encoder() -> Callable[[Any], str]:
    """Return the standard library's encoder, made once for all calls where its C part is there: a third of the time."""
    options: dict[str, Any] = {"ensure_ascii": False, "allow_nan": False, "separators": (",", ":"), "default": _reduced}
    make = json.encoder.c_make_encoder  # type: ignore[attr-defined]
    if make is None:
        return json.JSONEncoder(**options).encode
    entered: dict[int, Any] = {}  # the containers that the encoder is in: what contains itself is an error at once
    chunks = make(entered, _reduced, json.encoder.encode_basestring, None, ":", ",", False, False, False)

    def encode(value: Any) -> str:
        try:
            return "".join(chunks(value, 0))
        except BaseException:
            entered.clear()
            raise

    return encode


_encode = _make_encoder()
_decoder = json.JSONDecoder()
_scan: Any = _decoder.scan_once  # type: ignore[attr-defined]
_STRING = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_NOT_BRACKETS = re.compile(r"[^\[\]{}]+")
