"""Encoding at every boundary: MessagePack, by msgspec.

Modules share no mutable object, since each payload is bytes in between.  What msgspec raises is translated here.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from hostcore.contract.messages import Payload
from hostcore.errors import ContractError, LimitError

encode_raw = msgspec.msgpack.Encoder().encode
decode_raw = msgspec.msgpack.Decoder().decode
DECODE_ERRORS = (msgspec.DecodeError, msgspec.ValidationError, RecursionError, UnicodeDecodeError, ValueError)
ENCODE_ERRORS = (TypeError, ValueError, OverflowError, RecursionError, AttributeError, msgspec.MsgspecError)


class Reply(NamedTuple):
    """An encoded reply, with the schema of the payload type that it was made from ("" for plain data)."""

    schema: str
    data: bytes


NOTHING = Reply("", encode_raw(None))


def encode(value: Any, *, module: str, what: str, limit: int) -> bytes:
    """Return `value` as MessagePack.

    Args:
        value: Plain data (None, bool, int, float, str, bytes, list, dict, ...), Structs, dataclasses, datetimes.
        module: Who is to blame if it cannot be encoded.
        what: What it is, for the error: "the payload of 'parser.parse'".
        limit: The most bytes allowed.

    Raises:
        ContractError: It holds something that is not data.
        LimitError: It is too large.
    """
    try:
        data = encode_raw(value)
    except ENCODE_ERRORS as exc:
        raise ContractError(
            module,
            f"{what} cannot be encoded: {_reason(exc)}",
            hint="send plain data, msgspec Structs or dataclasses; a module's own objects do not travel",
        ) from None
    if len(data) > limit:
        raise LimitError(
            f"{what} from {module!r} is {len(data):,} bytes; at most {limit:,} are allowed",
            hint="send it in parts, pass a path, or raise message_limit in the host's configuration",
        )
    return data


def reply_of(value: Any, *, module: str, what: str, limit: int) -> Reply:
    """Return what a handler returned as a `Reply`; raises as `encode` does."""
    if value is None:
        return NOTHING
    schema = value.__schema__ if isinstance(value, Payload) else ""
    return Reply(schema, encode(value, module=module, what=what, limit=limit))


def _reason(exc: BaseException) -> str:
    if isinstance(exc, RecursionError):
        return "it is nested too deeply, or contains itself"
    return str(exc)
