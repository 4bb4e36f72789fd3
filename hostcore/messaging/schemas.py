"""Decoders made from type annotations: how typed payloads are read, upcast and refused.

A `Reader` is made once, when a module loads.  Reading tries the exact schema first; only a payload of another
version, or one that does not fit, takes the longer way.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Callable
from typing import Any

import msgspec

from hostcore.contract.messages import Message, Payload
from hostcore.errors import ContractError, did_you_mean
from hostcore.messaging.wire import DECODE_ERRORS, NOTHING, decode_raw, encode_raw

_EMPTY_MAP = encode_raw({})
_PLAIN: tuple[Any, ...] = (Any, object, dict, None, type(None))


class Reader:
    """Reads payloads as one type.

    Attributes:
        type: The type read.
        topic: The topic of a `Payload` type, else "".
        schema: Its "topic/version", else "".
    """

    def __init__(self, type_: Any) -> None:
        self.type = type_
        is_payload = isinstance(type_, type) and issubclass(type_, Payload)
        self.topic: str = type_.__topic__ if is_payload else ""
        self.version: int = type_.__version__ if is_payload else 0
        self.schema: str = type_.__schema__ if is_payload else ""
        self._decode = msgspec.msgpack.Decoder(type_).decode
        # A request without a payload stands for one whose fields all have defaults.
        self._nothing = _EMPTY_MAP if is_payload and not _required(type_) else NOTHING.data

    def read(self, data: bytes, schema: str, *, reader: str, sender: str) -> Any:
        """Return `data`, written by `sender` under `schema`, as this type for module `reader`.

        Raises:
            ContractError: It does not fit; the field and both versions are named.
        """
        if schema and self.schema and schema != self.schema:
            return self._read_other(data, schema, reader, sender)
        try:
            return self._decode(self._nothing if data == NOTHING.data else data)
        except DECODE_ERRORS as exc:
            raise self._misfit(exc, schema, reader, sender) from None

    def _read_other(self, data: bytes, schema: str, reader: str, sender: str) -> Any:
        topic, _, written = schema.rpartition("/")
        version = int(written) if written.isdecimal() and len(written) < 10 else 0
        if topic != self.topic or version > self.version:
            what = "newer" if topic == self.topic else "another"
            raise ContractError(
                reader,
                f"{sender!r} sent {schema!r}; {reader!r} speaks {self.schema!r} and cannot read {what} schema",
                hint=f"upgrade {reader!r}, or send version {self.version}" if topic == self.topic else "",
            )
        fields = read_plain(data, reader=reader, sender=sender)
        try:
            fields = self.type.upcast(fields, version)
        except NotImplementedError:
            raise ContractError(
                reader,
                f"{sender!r} sent {schema!r}; {reader!r} speaks {self.schema!r} and cannot upcast version {version}",
                hint=f"give {self.type.__name__} an upcast() classmethod, or upgrade {sender!r}",
            ) from None
        except Exception as exc:  # noqa: BLE001 - the module's own
            raise ContractError(
                reader, f"{self.type.__name__}.upcast() from version {version} raised {type(exc).__name__}: {exc}"
            ) from None
        try:
            return msgspec.convert(fields, self.type)
        except DECODE_ERRORS as exc:
            raise self._misfit(exc, schema, reader, sender) from None

    def _misfit(self, exc: BaseException, schema: str, reader: str, sender: str) -> ContractError:
        name = getattr(self.type, "__name__", str(self.type))
        mine = f" version {self.version}" if self.version else ""
        theirs = f"version {schema.rpartition('/')[2]}" if schema else "plain data"
        text = "it is nested too deeply" if isinstance(exc, RecursionError) else str(exc)
        problem, _, path = text.partition(" - at `")
        field = path.rstrip("`").removeprefix("$").removeprefix(".")
        at = f"field '{field}': " if field else ""
        return ContractError(reader, f"{sender!r} sent {theirs} that is no {name}{mine}: {at}{problem}")


def _required(type_: Any) -> bool:
    return any(field.required for field in msgspec.structs.fields(type_))


class Chooser:
    """Reads a payload by its topic as one of several `Payload` types, or as plain data where that is allowed."""

    def __init__(self, readers: list[Reader], *, plain: bool) -> None:
        self._by_topic = {reader.topic: reader for reader in readers}
        self._only = readers[0] if len(readers) == 1 and not plain else None
        self._plain = plain

    def read(self, data: bytes, schema: str, topic: str, *, reader: str, sender: str) -> Any:
        """Return the payload of a message to module `reader`; raises ContractError."""
        chosen = self._by_topic.get(topic)
        if chosen is None and self._only is not None and (not topic or not self._only.topic):
            chosen = self._only
        if chosen is not None:
            return chosen.read(data, schema, reader=reader, sender=sender)
        if self._plain:
            return read_plain(data, reader=reader, sender=sender)
        known = sorted(self._by_topic)
        raise ContractError(
            reader,
            f"{reader!r} does not handle topic {topic!r}; it handles {', '.join(map(repr, known))}",
            hint=did_you_mean(topic, known),
        )


def read_plain(data: bytes, *, reader: str, sender: str) -> Any:
    """Return `data` as plain Python data; raises ContractError."""
    try:
        return decode_raw(data)
    except DECODE_ERRORS as exc:
        reason = "it is nested too deeply" if isinstance(exc, RecursionError) else str(exc)
        raise ContractError(reader, f"{sender!r} sent data that cannot be decoded: {reason}") from None


def chooser_for(annotation: Any) -> Chooser | None:
    """Return how to read the payload of a handler whose parameter is annotated so; None: as plain data.

    Understands `Message[T]` and, for `execute`, `T` itself; `T` may be a union of `Payload` types.
    """
    if typing.get_origin(annotation) is Message:
        (annotation,) = typing.get_args(annotation)
    elif annotation is Message:
        return None
    members = typing.get_args(annotation) if _is_union(annotation) else (annotation,)
    typed = [m for m in members if m not in _PLAIN and not isinstance(m, typing.TypeVar)]
    payloads = [m for m in typed if isinstance(m, type) and issubclass(m, Payload)]
    if not typed or typing.get_origin(annotation) is dict:
        return None
    if len(payloads) == len(typed):
        return Chooser([Reader(m) for m in payloads], plain=len(typed) < len(members))
    return Chooser([Reader(annotation)], plain=False)


def _is_union(annotation: Any) -> bool:
    return typing.get_origin(annotation) in (typing.Union, types.UnionType)


def parameter_annotation(function: Callable[..., Any], name: str) -> Any:
    """Return the resolved annotation of parameter `name`, or Any where there is none or it cannot be resolved.

    Names that are imported for type checkers only cannot be resolved; such a handler gets plain data.
    """
    try:
        return typing.get_type_hints(function).get(name, Any)
    except Exception:  # noqa: BLE001 - evaluating an annotation runs whatever the module wrote there
        return Any


def reply_reader(payload_type: type[Payload[Any]]) -> Reader | None:
    """Return how to read the reply to a `Payload` of this type; None: as plain data.

    The reader is kept on the class, so that it goes when the class's module goes.
    """
    try:
        return payload_type.__dict__["__reply_reader__"]  # type: ignore[no-any-return]
    except KeyError:
        reader = _make_reply_reader(payload_type)
        type.__setattr__(payload_type, "__reply_reader__", reader)
        return reader


def _make_reply_reader(payload_type: type[Payload[Any]]) -> Reader | None:
    for base in getattr(payload_type, "__orig_bases__", ()):
        if typing.get_origin(base) is Payload:
            (reply,) = typing.get_args(base)
            if reply in _PLAIN or isinstance(reply, (typing.TypeVar, typing.ForwardRef)):
                return None
            try:
                return Reader(reply)
            except Exception as exc:  # noqa: BLE001 - msgspec raises what it likes
                name = payload_type.__name__
                raise ContractError(name, f"its reply type {reply!r} cannot be decoded: {exc}") from None
    return None
