"""Encoding: what travels, and what is refused how."""

from __future__ import annotations

import dataclasses
import datetime
import enum
import uuid

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hostcore.contract.messages import Payload
from hostcore.errors import ContractError, HostcoreError, LimitError
from hostcore.messaging import wire
from hostcore.messaging.schemas import read_plain

SCALARS = (
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text() | st.binary()
)
PLAIN = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20)


class Colour(enum.Enum):
    RED = "red"


@dataclasses.dataclass
class Point:
    x: int


class Structured(msgspec.Struct):
    y: int


class Done(Payload[None], topic="done", version=2):
    ok: bool


def encode(value, limit=1000):
    return wire.encode(value, module="m", what="it", limit=limit)


@given(PLAIN)
def test_plain_data_comes_back_as_it_was(value):
    """Whatever is plain data is read back equal."""
    assert read_plain(encode(value, 1 << 20), reader="r", sender="s") == value


@given(st.binary())
def test_no_bytes_can_do_worse_than_a_named_error(data):
    """Any bytes at all decode or give a ContractError that names both sides."""
    try:
        read_plain(data, reader="r", sender="s")
    except ContractError as error:
        assert error.module == "r"
        assert "'s' sent data that cannot be decoded" in error.message


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Point(1), {"x": 1}), (Structured(2), {"y": 2}), ((1, 2), [1, 2]), ({3}, [3]), (Colour.RED, "red"),
        (uuid.UUID(int=0), "00000000-0000-0000-0000-000000000000"), (Done(ok=True), {"ok": True}),
        ({1: "key"}, {1: "key"}), (bytearray(b"b"), b"b"),
    ],
)  # fmt: skip
def test_what_else_travels(value, expected):
    """Structs, dataclasses, enums and their like travel as plain data."""
    assert wire.decode_raw(encode(value)) == expected


def test_times_travel():
    """A time with a zone comes back as a time."""
    now = datetime.datetime.now(datetime.UTC)
    assert wire.decode_raw(encode(now)) == now


def test_a_type_that_is_no_data_is_named():
    """The error names the type at fault and what it was to be."""
    with pytest.raises(ContractError, match=r"it cannot be encoded: .*object") as caught:
        encode([1, object()])
    assert (caught.value.module, caught.value.__cause__) == ("m", None)


def test_nested_too_deeply():
    """Data that contains itself is refused in plain words."""
    cycle: list = []
    cycle.append(cycle)
    with pytest.raises(ContractError, match="nested too deeply, or contains itself"):
        encode(cycle)
    with pytest.raises(ContractError, match="nested too deeply"):
        read_plain(b"\x91" * 100_000, reader="r", sender="s")


@given(st.integers(0, 300), st.integers(0, 300))
def test_the_limit_is_exact(size, limit):
    """As many bytes as the limit says pass, and not one more."""
    data = encode(b"x" * size, 1 << 20)
    if len(data) <= limit:
        assert encode(b"x" * size, limit) == data
    else:
        with pytest.raises(LimitError, match=f"it from 'm' is {len(data)} bytes; at most {limit} are allowed"):
            encode(b"x" * size, limit)


def test_replies_carry_their_schema():
    """A reply of a `Payload` type says so; plain data and nothing do not."""
    options = {"module": "m", "what": "the reply", "limit": 1000}
    assert wire.reply_of(None, **options) is wire.NOTHING
    assert wire.reply_of(5, **options) == ("", encode(5))
    assert wire.reply_of(Done(ok=True), **options).schema == "done/2"
    with pytest.raises(HostcoreError):
        wire.reply_of(object(), **options)
