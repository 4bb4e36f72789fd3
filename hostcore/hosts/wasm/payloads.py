"""Between MessagePack, which travels, and JSON, which guests read.

JSON has no bytes, times or keys that are not text: they reach a guest as msgspec writes them (bytes as base64).  Nor
has it NaN and infinities: a guest reads null.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from hostcore.errors import ContractError, LimitError
from hostcore.messaging.schemas import read_plain
from hostcore.messaging.wire import DECODE_ERRORS, ENCODE_ERRORS, NOTHING, Reply, decode_raw, encode_raw

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode
_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def from_wire(data: bytes, *, reader: str, sender: str) -> bytes:
    """Return a payload as JSON.

    Raises:
        ContractError: It cannot be decoded, or holds what JSON does not.
    """
    try:
        return _encode(decode_raw(data))
    except (msgspec.MsgspecError, *ENCODE_ERRORS):
        value = read_plain(data, reader=reader, sender=sender)
    return write(value, module=reader)


def write(value: Any, *, module: str = "host") -> bytes:
    """Return plain data as JSON; raises ContractError."""
    try:
        return _encode(value)
    except ENCODE_ERRORS as exc:
        raise ContractError(module, f"this does not fit into JSON, which guests read: {exc}",
                            hint="send text keys, numbers, text, lists, tables") from None  # fmt: skip


def read(data: bytes | None, *, module: str, what: str, limit: int) -> Any:
    """Return what a guest wrote as data.

    Args:
        data: JSON; None stands for null.
        module: Who wrote it.
        what: What it is, for the error.
        limit: The most bytes allowed.

    Raises:
        ContractError: It is not JSON.
        LimitError: It is too large.
    """
    if data is None:
        return None
    if len(data) > limit:
        raise LimitError(f"{what} from {module!r} is {len(data):,} bytes; at most {limit:,} are allowed",
                         hint="send it in parts, or raise the limit")  # fmt: skip
    try:
        return _decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError) as exc:
        reason = "it is nested too deeply" if isinstance(exc, RecursionError) else str(exc)
        raise ContractError(module, f"{what} is not JSON: {reason}", hint="return JSON text, in UTF-8") from None


def reply_of(data: bytes | None, *, limit: int) -> Reply | None:
    """Return what a guest wrote as a reply; None if anything is wrong with it: `read` says what."""
    if data is None:
        return NOTHING
    if len(data) > limit:
        return None
    try:
        reply = encode_raw(_decode(data))
    except (*DECODE_ERRORS, *ENCODE_ERRORS):
        return None
    return Reply("", reply) if len(reply) <= limit else None


def joined(parts: Mapping[str, bytes], names: Iterable[str]) -> bytes:
    """Return a JSON object of those of `parts`, JSON themselves, that `names` has."""
    return b"{" + b",".join(_encode(name) + b":" + parts[name] for name in names if name in parts) + b"}"


def chosen(data: bytes, names: Iterable[str]) -> bytes:
    """Return the JSON object in `data` with those of its fields that `names` has, each as it is."""
    fields = _fields(data)
    return b"{" + b",".join(_encode(name) + b":" + bytes(fields[name]) for name in names if name in fields) + b"}"
