"""JSON at the edge of a guest: the same as msgspec makes on the other side."""

from __future__ import annotations

import collections
import dataclasses
import datetime
import decimal
import enum
import json
import uuid

import attrs
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hostcore.errors import ContractError
from hostcore.guest.inside.encoding import DEPTH, NotDataError, arguments_of, decode, encode, encode_for

UTC = datetime.UTC
Pair = collections.namedtuple("Pair", "a b")


class Color(enum.Enum):
    RED = "red"
    SHAPES = (1, 2)


class Level(enum.IntEnum):
    HIGH = 3


@dataclasses.dataclass
class Point:
    x: int
    _y: object = None
    unset: int = dataclasses.field(init=False, repr=False)


@attrs.define
class Size:
    width: int
    _hidden: int = 0


def zone(**offset: float) -> datetime.timezone:
    return datetime.timezone(datetime.timedelta(**offset))


SAME = [
    None, True, 0, -(2**63), 2**64 - 1, 1.5, -0.0, 1e300, float("nan"), float("inf"), "", "é\x00\x7f\u2028\U0001f40d",
    [], {}, (1, (2,)), {1}, frozenset({"a"}), b"ab", bytearray(b"\xff"), memoryview(b"abc"), Pair(1, [2]), Color.RED,
    Color.SHAPES, Level.HIGH, Point(1, {2}), Size(5, 6), decimal.Decimal("1.50"), uuid.UUID(int=5),
    datetime.datetime(2024, 1, 2, 3, 4, 5), datetime.datetime(2024, 1, 2, 3, 4, 5, 6000, UTC),
    datetime.datetime(2024, 1, 2, tzinfo=zone(hours=5, minutes=30)),
    datetime.datetime(2024, 1, 2, tzinfo=zone(hours=-3)),
    datetime.datetime(2024, 1, 2, tzinfo=zone(hours=1, seconds=20)), datetime.date(2024, 1, 2), datetime.time(1, 2, 3),
    datetime.time(1, 2, 3, 4, UTC), datetime.timedelta(), datetime.timedelta(days=1, seconds=1.5),
    -datetime.timedelta(days=1, seconds=1.5), datetime.timedelta(seconds=90), datetime.timedelta(microseconds=-1),
    {1: 2}, {1.5: 2}, {Color.RED: 1}, {Level.HIGH: 1}, {b"a": 1}, {datetime.date(2024, 1, 2): {uuid.UUID(int=1): {3}}},
]  # fmt: skip


@pytest.mark.parametrize("value", SAME, ids=lambda value: type(value).__name__)
def test_the_same_as_msgspec(value):
    """What a guest writes means what msgspec would have written."""
    assert json.loads(encode(value)) == json.loads(msgspec.json.encode(value))
    assert json.loads(encode([{"k": value}])) == json.loads(msgspec.json.encode([{"k": value}]))


numbers = st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False)
plain = st.recursive(
    st.none() | st.booleans() | numbers | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(plain)
def test_plain_data_comes_back(value):
    """Plain data is the same after its way out and in, and the other side reads it so too."""
    assert decode(encode(value)) == value
    assert msgspec.json.decode(encode(value)) == value


@given(st.timedeltas() | st.datetimes(timezones=st.none() | st.just(UTC)) | st.times() | st.dates())
def test_times_are_the_same_as_msgspec(value):
    """Times and spans of time are written as msgspec writes them."""
    assert encode(value) == msgspec.json.encode(value).decode()


class Odd:
    """Not data."""


@pytest.mark.parametrize("value", [object(), Odd(), 1j, range(3), Odd, {(1, 2): 3}, {Odd(): 1}, iter([]), {}.keys()])
def test_what_is_no_data_is_named(value):
    """The error of a value that cannot be encoded names its type, wherever it stands."""
    for held in (value, [value], {"a": {"b": value}}, Point(1, value)):
        with pytest.raises(NotDataError, match="unsupported"):
            encode(held)
    with pytest.raises(ContractError, match="the payload of 'x' cannot be encoded"):
        encode_for(value, "counter", "the payload of 'x'")


def test_text_that_cannot_be_encoded():
    """Half a surrogate pair is no text that could travel."""
    for value in ("\ud800", ["\udfff"], {"\ud800": 1}):
        with pytest.raises(NotDataError, match="cannot be encoded"):
            encode(value)


def test_what_contains_itself():
    """A list or dict within itself is an error, and the next value is not affected."""
    loop: list[object] = []
    loop.append({"x": loop})
    for _ in range(2):
        with pytest.raises(NotDataError, match="contains itself"):
            encode(loop)
        assert encode([[], {}]) == "[[],{}]"


def test_a_number_of_too_many_digits():
    """An integer that Python does not write is an error like any other."""
    with pytest.raises(NotDataError, match="digits"):
        encode([10**5000])
    with pytest.raises(NotDataError, match="not JSON"):
        decode("1" * 5000)


def test_what_an_object_raises_is_its_own():
    """An exception from a module's own property is not mistaken for a value that is no data."""

    @dataclasses.dataclass
    class Raising:
        x: int = 0

        def __getattribute__(self, name):
            if name == "x":
                raise RuntimeError("mine")
            return object.__getattribute__(self, name)

    with pytest.raises(RuntimeError, match="mine"):
        encode([Raising.__new__(Raising)])


@pytest.mark.parametrize("text", [" 1", "1 ", '\n{"a" : [ 1 ] }\t'])
def test_space_around(text):
    """Space around and within JSON does not matter."""
    assert decode(text) == json.loads(text)


@given(st.text(alphabet='[]{}",:\\0123456789.eE+-truefalsn u'))
def test_any_text_is_a_value_or_the_error(text):
    """Any text decodes to what the standard library makes of it, or is a NotDataError."""
    try:
        expected = json.loads(text)
    except ValueError:
        with pytest.raises(NotDataError):
            decode(text)
    else:
        assert repr(decode(text)) == repr(expected)


def test_depth():
    """Nesting up to the limit is read, deeper is refused; brackets within text do not count."""
    assert decode("[" * DEPTH + "]" * DEPTH)
    assert decode('{"a":' * DEPTH + "1" + "}" * DEPTH)
    for deep in ("[" * (DEPTH + 1) + "]" * (DEPTH + 1), "[" * 100_000, '{"a":[' * DEPTH):
        with pytest.raises(NotDataError, match="nested too deeply"):
            decode(deep)
    assert decode(json.dumps(["[" * 5000 + '"\\', "{" * 5000])) == ["[" * 5000 + '"\\', "{" * 5000]
    assert len(decode(json.dumps([[]] * 2000))) == 2000


def test_arguments_are_an_object():
    """Arguments by name are a JSON object and nothing else."""
    assert arguments_of('{"a": 1}') == {"a": 1}
    with pytest.raises(NotDataError, match="object"):
        arguments_of("[1]")
