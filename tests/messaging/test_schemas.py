"""Typed payloads: reading by annotation, upcasting, refusing with both versions named."""

from __future__ import annotations

import gc
import weakref
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hostcore.contract.messages import Message, Payload
from hostcore.errors import ContractError
from hostcore.messaging import wire
from hostcore.messaging.schemas import Reader, chooser_for, parameter_annotation, read_plain, reply_reader

if TYPE_CHECKING:
    from decimal import Decimal as Unresolvable

T = TypeVar("T")


class Parse1(Payload[int], topic="parser.parse", version=1):
    source: str


class Parse2(Payload[int], topic="parser.parse", version=2):
    source: str
    path: str


class Point(msgspec.Struct):
    x: int


class Parse3(Payload[Point], topic="parser.parse", version=3):
    """Speaks version 3 and reads 1 and 2."""

    source: str
    path: str
    encoding: str = "utf-8"
    lines: list[Point] = []

    @classmethod
    def upcast(cls, data, from_version):
        if from_version < 2:
            data["path"] = "<string>"
        return {**data, "encoding": data.pop("charset", "latin-1")}


class Forget(Payload[None], topic="parser.forget"):
    path: str


class Defaults(Payload[None], topic="defaults"):
    number: int = 5


def read(annotation, payload, topic="", schema=""):
    if isinstance(payload, Payload):
        schema, topic = schema or payload.__schema__, topic or payload.__topic__
    chooser = chooser_for(annotation)
    return chooser.read(wire.encode_raw(payload), schema, topic, reader="r", sender="s")


# --- which type ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "annotation",
    [Any, object, dict, dict[str, int], None, Message, Message[Any], Message[dict], Message[T], Any | None],
)
def test_handlers_of_plain_data(annotation):
    """A handler that names no type gets plain data."""
    assert chooser_for(annotation) is None


@pytest.mark.parametrize("annotation", [Parse3, Message[Parse3]])
def test_one_type(annotation):
    """A handler that names one type gets it, for its topic, for no topic; another topic is refused by name."""
    sent = Parse3(source="x", path="p")
    assert read(annotation, sent) == sent
    assert read(annotation, {"source": "x", "path": "p"}) == sent
    assert read(annotation, {"source": "x", "path": "p"}, topic="parser.parse") == sent
    with pytest.raises(ContractError, match=r"not handle topic 'parser\.parce'; it handles 'parser\.parse'") as e:
        read(annotation, {}, topic="parser.parce")
    assert e.value.hint == "did you mean 'parser.parse'?"


def test_a_union_is_chosen_by_topic():
    """A handler of several types gets the one of the message's topic; anything else is refused with all it handles."""
    annotation = Message[Parse3 | Forget]
    assert read(annotation, Forget(path="p")) == Forget(path="p")
    assert read(annotation, Parse3(source="x", path="p")) == Parse3(source="x", path="p")
    with pytest.raises(ContractError, match=r"it handles 'parser\.forget', 'parser\.parse'"):
        read(annotation, {"path": "p"})


def test_a_union_with_plain_data_takes_the_rest():
    """A union with `dict` or `Any` gets other topics as plain data."""
    annotation = Message[Forget | dict]
    assert read(annotation, Forget(path="p")) == Forget(path="p")
    assert read(annotation, {"a": 1}, topic="other") == {"a": 1}
    assert read(annotation, {"a": 1}) == {"a": 1}


@pytest.mark.parametrize(
    ("annotation", "payload", "expected"),
    [(int, 5, 5), (Message[int], 5, 5), (Point, {"x": 1}, Point(1)), (list[Point], [{"x": 1}], [Point(1)]),
     (int | str, "a", "a"), (Message[str | None], None, None)],
)  # fmt: skip
def test_types_that_are_no_payloads(annotation, payload, expected):
    """Any type that msgspec reads can be named, whatever the topic."""
    assert read(annotation, payload, topic="any") == expected
    with pytest.raises(ContractError):
        read(annotation, {"y": []}, topic="any")


def test_the_annotation_of_a_parameter():
    """Annotations are resolved where that is possible; a handler with others gets plain data."""

    def typed(self, message: Message[Parse3]): ...
    def text(self, message: "Message[Parse3]"): ...  # noqa: UP037
    def bare(self, message): ...
    def unresolvable(self, message: Message[Unresolvable]): ...
    def nonsense(self, message: "1 +"): ...  # noqa: F722
    def not_a_type(self, message: 5): ...

    assert parameter_annotation(typed, "message") == Message[Parse3]
    assert parameter_annotation(text, "message") == Message[Parse3]
    for function in (bare, unresolvable, nonsense, not_a_type):
        assert parameter_annotation(function, "message") in (Any, 5)
    assert parameter_annotation(print, "message") is Any


# --- versions ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (Parse1(source="x"), Parse3(source="x", path="<string>", encoding="latin-1")),
        (Parse2(source="x", path="p"), Parse3(source="x", path="p", encoding="latin-1")),
        (Parse3(source="x", path="p"), Parse3(source="x", path="p")),
    ],
)
def test_older_versions_are_upcast(sent, expected):
    """A receiver reads its own version directly, and every older one through its upcast."""
    assert read(Parse3, sent) == expected


def test_a_newer_version_is_refused():
    """A payload of a newer version is refused with both versions named, and whom to upgrade."""
    with pytest.raises(ContractError) as caught:
        read(Parse2, Parse3(source="x", path="p"))
    text = str(caught.value)
    assert "'s' sent 'parser.parse/3'" in text
    assert "'r' speaks 'parser.parse/2'" in text
    assert "upgrade 'r', or send version 2" in text


def test_an_older_version_that_nobody_upcasts():
    """Without an upcast an older payload is refused with both versions named, and what to write."""
    with pytest.raises(ContractError) as caught:
        read(Parse2, Parse1(source="x"))
    assert "'parser.parse/1'" in caught.value.message
    assert "'parser.parse/2'" in caught.value.message
    assert "give Parse2 an upcast() classmethod, or upgrade 's'" in caught.value.hint


@pytest.mark.parametrize(
    "error", [KeyError("source"), ValueError("v"), TypeError("t"), RecursionError(), AttributeError("a")]
)
def test_an_upcast_that_raises(error):
    """An upcast that raises is the receiver's fault, and the error says so, whatever it raised."""

    class Broken(Payload[None], topic="parser.parse", version=2):
        @classmethod
        def upcast(cls, data, from_version):
            raise error

    with pytest.raises(ContractError) as caught:
        read(Broken, Parse1(source="x"))
    assert f"Broken.upcast() from version 1 raised {type(error).__name__}" in caught.value.message
    assert caught.value.module == "r"


@pytest.mark.parametrize("made", [None, 5, {}, {"source": 1, "path": "p"}, {"source": "x", "path": object()}])
def test_an_upcast_that_returns_nonsense(made):
    """What an upcast returns is validated as what is sent."""

    class Broken(Payload[None], topic="parser.parse", version=2):
        source: str
        path: str

        @classmethod
        def upcast(cls, data, from_version):
            return made

    with pytest.raises(ContractError, match="that is no Broken version 2"):
        read(Broken, Parse1(source="x"))


def test_another_schema_under_this_topic():
    """A payload written under another schema altogether is refused by name."""
    with pytest.raises(ContractError, match="another schema"):
        read(Parse3, Forget(path="p"), topic="parser.parse")


@pytest.mark.parametrize("schema", ["parser.parse/x", "parser.parse/", "parser.parse/-1", "parser.parse/" + "9" * 5000])
def test_an_odd_version(schema):
    """A version that is no number counts as one before the first; nothing breaks."""
    assert read(Parse3, {"source": "x"}, "parser.parse", schema).path == "<string>"


# --- fields --------------------------------------------------------------------------------------------------------


def test_unknown_fields_are_ignored():
    """A field that the receiver does not know does no harm."""
    assert read(Parse3, {"source": "x", "path": "p", "new": 1}) == Parse3(source="x", path="p")


@pytest.mark.parametrize(
    ("payload", "parts"),
    [
        ({"source": 5, "path": "p"}, ["field 'source': ", "Expected `str`, got `int`"]),
        ({"source": "x", "path": "p", "lines": [{"x": "1"}]}, ["field 'lines[", "].x': ", "Expected `int`, got `str`"]),
        ({"source": "x"}, ["missing required field `path`"]),
        ([1], ["Expected `object`, got `array`"]),
        (None, ["Expected `object`, got `None`"]),
    ],
)
@pytest.mark.parametrize("schema", ["", "parser.parse/3"])
def test_the_field_is_named(payload, parts, schema):
    """A payload that does not fit is refused with the field and both sides' versions."""
    with pytest.raises(ContractError) as caught:
        read(Parse3, payload, "parser.parse", schema)
    message = caught.value.message
    theirs = "version 3" if schema else "plain data"
    assert message.startswith(f"'s' sent {theirs} that is no Parse3 version 3: ")
    assert all(part in message for part in parts)
    assert caught.value.__cause__ is None


@given(st.binary())
def test_no_bytes_can_do_worse_than_a_named_error(data):
    """Any bytes under any type decode or give a ContractError."""
    for annotation in (Parse3, Message[Parse3 | Forget], list[int]):
        for schema in ("", "parser.parse/1", "parser.parse/3"):
            try:
                chooser_for(annotation).read(data, schema, "parser.parse", reader="r", sender="s")
            except ContractError as error:
                assert error.module == "r"


def test_nothing_is_a_payload_of_defaults():
    """A request without a payload is read as one whose fields all have defaults, where they all have."""
    assert read(Defaults, None) == Defaults()
    with pytest.raises(ContractError):
        read(Forget, None)


def test_nesting():
    """Data nested too deeply is refused in plain words, typed or not."""
    data = b"\x91" * 100_000
    for refuse in (Reader(list).read, None):
        with pytest.raises(ContractError, match="nested too deeply"):
            refuse(data, "", reader="r", sender="s") if refuse else read_plain(data, reader="r", sender="s")


# --- replies -------------------------------------------------------------------------------------------------------


def test_replies_are_typed_by_the_payload():
    """The reader of a reply comes from the payload's type argument, and is made once."""
    assert reply_reader(Parse3).type is Point
    assert reply_reader(Parse3) is reply_reader(Parse3)
    assert reply_reader(Forget) is None
    reader = reply_reader(Parse1)
    assert reader.read(wire.encode_raw(5), "", reader="r", sender="s") == 5
    with pytest.raises(ContractError, match="'s' sent plain data that is no int: Expected `int`, got `str`"):
        reader.read(wire.encode_raw("5"), "", reader="r", sender="s")


def test_payloads_without_a_reply_type():
    """A payload type that names no reply type, or a variable one, has plain replies."""

    class Bare(Payload, topic="bare"):
        pass

    class Variable(Payload[T], Generic[T], topic="variable"):
        pass

    class Forward(Payload["Point"], topic="forward"):
        pass

    for kind in (Bare, Variable, Forward):
        assert reply_reader(kind) is None


def test_a_derived_payload_has_the_reply_of_its_base():
    """A payload type derived from another is answered as that one."""

    class Child(Parse1, topic="child"):
        pass

    assert reply_reader(Child).type is int


def test_readers_die_with_their_classes():
    """Nothing of the host keeps a module's payload type alive."""

    class Mine(Payload[Point], topic="mine"):
        pass

    assert reply_reader(Mine).type is Point
    watched = weakref.ref(Mine)
    del Mine
    gc.collect()
    assert watched() is None
