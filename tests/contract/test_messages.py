"""Payload types, envelopes and messages: plain, frozen data."""

from __future__ import annotations

import time
from math import inf

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hostcore.contract.messages import Envelope, Message, Payload


class Parse(Payload[int], topic="parser.parse", version=2):
    source: str
    path: str = "<string>"


def message(**facts):
    given_ = {"id": "1", "topic": "t", "payload": None, "sender": "s", "schema": "", "deadline": inf, "trace": "1"}
    return Message(**given_ | facts)


def test_a_payload_type_knows_its_schema():
    """Topic, version and schema are on the class, and not among the fields."""
    assert (Parse.__topic__, Parse.__version__, Parse.__schema__) == ("parser.parse", 2, "parser.parse/2")
    assert Parse.__struct_fields__ == ("source", "path")
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(Parse("x"))) == {"source": "x", "path": "<string>"}


def test_defaults():
    """A version is 1 where none is given; without a topic there is no schema."""

    class Simple(Payload[None], topic="simple"):
        pass

    class Nameless(Payload[None]):
        number: int = 0

    assert Simple.__schema__ == "simple/1"
    assert (Nameless.__topic__, Nameless.__schema__) == ("", "")
    assert Nameless(number=2).number == 2


def test_inheritance():
    """A derived type has its base's topic and schema until it names its own."""

    class Same(Parse):
        encoding: str = "utf-8"

    class Other(Parse, topic="other", version=7):
        pass

    assert Same.__schema__ == "parser.parse/2"
    assert Other.__schema__ == "other/7"
    assert Parse.__schema__ == "parser.parse/2"


@pytest.mark.parametrize("topic", ["a b", "a..b", "a.*", ">", ".", "a\n"])
def test_a_malformed_topic(topic):
    """A topic that is none is refused where the class is written."""
    with pytest.raises(TypeError, match=r"Wrong: topic .* is not words with dots between"):
        type(Payload)("Wrong", (Payload,), {}, topic=topic)


@pytest.mark.parametrize("version", [0, -1, True, 1.0, "1", None])
def test_a_malformed_version(version):
    """A version that is no positive integer is refused where the class is written."""
    with pytest.raises(TypeError, match="Wrong: version must be an integer of at least 1"):
        type(Payload)("Wrong", (Payload,), {}, topic="t", version=version)


def test_everything_is_frozen():
    """Payloads, messages and envelopes cannot be changed; a payload type may say otherwise for itself."""
    envelope = Envelope("1", "s", "t", "", "", b"", inf, (), "1")
    for value, field in ((Parse("x"), "source"), (message(), "topic"), (envelope, "target")):
        with pytest.raises(AttributeError):
            setattr(value, field, "changed")
    assert hash(Parse("x")) == hash(Parse("x"))


def test_struct_options():
    """Payload types take the options of Structs."""

    class Strict(Payload[None], topic="strict", forbid_unknown_fields=True, kw_only=True):
        number: int

    with pytest.raises(TypeError):
        Strict(5)
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"number": 1, "other": 2}, Strict)


def test_no_upcast_by_default():
    """A type that says nothing of older versions knows none."""
    with pytest.raises(NotImplementedError):
        Parse.upcast({}, 1)


@given(st.floats(-100, 100))
def test_remaining(seconds):
    """The time left is never negative and never more than there was."""
    left = message(deadline=time.monotonic() + seconds).remaining()
    assert 0 <= left <= max(0, seconds) + 1e-3


def test_no_deadline():
    """Without a deadline there is endless time left."""
    assert message().remaining() == inf


@given(st.binary(), st.text(), st.tuples(st.text()))
def test_an_envelope_travels(payload, text, trail):
    """An envelope comes back from its bytes as it was: another transport can carry it."""
    envelope = Envelope("1", "s", text, "topic", "topic/1", payload, 12.5, trail, "1", "execute")
    data = msgspec.msgpack.encode(envelope)
    assert msgspec.msgpack.decode(data, type=Envelope) == envelope


def test_the_usual_hook():
    """A message goes to `handle_message` where nothing else is said."""
    assert Envelope("1", "s", "t", "", "", b"", inf, (), "1").hook == "handle_message"
