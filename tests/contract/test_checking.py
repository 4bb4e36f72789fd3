"""Checking: every mistake of a piece of data, each with its place."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Annotated, Any, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta

from hostcore.contract.checking import MAX_PROBLEMS, check, describe, doc, show, text_form
from hostcore.contract.documents import MAX_BYTES, Document, KeyPath, Unreadable, read_document, show_path
from hostcore.contract.units import Size
from hostcore.contract.versions import Capability
from hostcore.errors import Problem

Provided = Annotated[Capability, text_form(Capability, "a capability such as 'a/1'")]


class Leg(msgspec.Struct, frozen=True, kw_only=True):
    length: Annotated[int, Meta(ge=1, description="an integer of at least 1")]
    shoe: str | None = None


class Animal(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    legs: tuple[Leg, ...] = ()
    kind: Literal["cat", "dog"] = "cat"
    weight: Annotated[float | None, doc("In kilograms.")] = None
    nose: Annotated[Size | None, doc("How large.")] = None
    tricks: tuple[Provided, ...] = ()
    parts: dict[str, Leg] = {}
    notes: Any = None

    def mistakes(self) -> Iterator[tuple[KeyPath, Problem]]:
        if self.kind == "dog" and not self.legs:
            yield ("legs",), Problem("a dog needs legs")


def places(problems: list[Problem]) -> list[str]:
    return [problem.where for problem in problems]


def test_good_data_becomes_the_struct():
    """Data that fits is converted all the way down, written forms included, with nothing to report."""
    data = {
        "name": "Rex", "legs": [{"length": 3}, {"length": 4, "shoe": "red"}], "kind": "dog", "weight": 7, "nose": "2kB",
        "tricks": ["sit/2"], "parts": {"front left": {"length": 1}}, "notes": {"x": [1, None]},
    }  # fmt: skip
    animal, problems = check(data, Animal)
    assert problems == []
    assert animal == Animal(
        name="Rex", legs=(Leg(length=3), Leg(length=4, shoe="red")), kind="dog", weight=7.0, nose=2000,
        tricks=(Capability("sit/2"),), parts={"front left": Leg(length=1)}, notes={"x": [1, None]},
    )  # fmt: skip


def test_every_mistake_is_reported_in_the_order_of_the_data():
    """Fields, items of arrays and values of tables are checked on their own; what is missing comes last."""
    data = {
        "legs": [{"length": 0}, 5, {"shoe": 1}], "kind": "cow", "nose": "big", "tricks": ["sit/2", "?", 3],
        "parts": {"tail": [], "ear": {"length": True}}, "weigth": 3, "weight": "much",
    }  # fmt: skip
    animal, problems = check(data, Animal)
    assert animal is None
    assert places(problems) == [
        "legs[0].length", "legs[1]", "legs[2].shoe", "legs[2].length", "kind", "nose", "tricks[1]", "tricks[2]",
        "parts.tail", "parts.ear.length", "weigth", "weight", "name",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        ({"name": 5}, Problem("'name' is the integer 5", where="name", expected="expected: text")),
        ({}, Problem("'name' is missing", where="name", expected="expected: text")),
        ({"name": None}, Problem("'name' is nothing", where="name", expected="expected: text")),
        (
            {"name": "x", "kind": "dogg"},
            Problem("'kind' is the text 'dogg'", "", "kind", "expected: one of 'cat', 'dog'", "did you mean 'dog'?"),
        ),
        (
            {"name": "x", "legs": "two"},
            Problem("'legs' is the text 'two'", where="legs", expected="expected: an array, each item a table"),
        ),
        (
            {"name": "x", "legs": [{"length": 0}]},
            Problem("'length' is the integer 0", where="legs[0].length", expected="expected: an integer of at least 1"),
        ),
        (
            {"name": "x", "tricks": [7]},
            Problem(
                "'tricks[0]': the integer 7 is not text",
                where="tricks[0]",
                expected="expected: a capability such as 'a/1'",
            ),
        ),
        ({"name": "x", "parts": 1}, Problem("'parts' is the integer 1", where="parts", expected="expected: a table")),
        ({"name": "x", "kind": "dog"}, Problem("a dog needs legs", where="legs")),
        ("Rex", Problem("the value is the text 'Rex'", expected="expected: a table")),
    ],
)
def test_a_problem_says_what_came_where_and_what_was_expected(data, problem):
    """Each problem names the value that came, its keys, what would fit and, where one is near, the right word."""
    assert check(data, Animal) == (None, [problem])


def test_an_unknown_key_gets_a_suggestion():
    """A key that nobody knows is reported with the nearest known one and the list of all."""
    _, (problem,) = check({"name": "x", "wieght": 1}, Animal)
    assert problem.message == "unknown key 'wieght'"
    assert problem.hint == "did you mean 'weight'?"
    assert problem.expected == "known: kind, legs, name, nose, notes, parts, tricks, weight"


def test_what_is_converted_already_is_taken():
    """A program may pass Structs and parsed values where a file has tables and texts."""
    data = {"name": "x", "legs": (Leg(length=1),), "tricks": [Capability("sit/1")]}
    animal, problems = check(data, Animal)
    assert problems == []
    assert animal == Animal(name="x", legs=(Leg(length=1),), tricks=(Capability("sit/1"),))


def test_keys_and_places_come_from_the_caller():
    """Keys in front and the way of showing a place are the caller's."""
    _, (problem,) = check({}, Animal, at=("zoo", "a b"), where=lambda path: f"file {show_path(path)}")
    assert problem.where == 'file zoo."a b".name'


def test_reports_end_at_a_hundred():
    """A file with thousands of mistakes gives the first hundred and says so."""
    _, problems = check({"name": "x", "legs": [1] * 5000} | {f"k{i}": 1 for i in range(5000)}, Animal)
    assert len(problems) == MAX_PROBLEMS + 1
    assert problems[-1].message == "too many problems; these are the first 100"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "nothing"), (True, "true"), (False, "false"), ({}, "a table"), ([1], "an array"), (5, "the integer 5"),
        (2.5, "the number 2.5"), ("x", "the text 'x'"), ("x" * 100, f"the text '{'x' * 49}...'"),
        pytest.param(10**5000, "a huge number", id="huge"),
    ],
)  # fmt: skip
def test_values_are_shown_shortened_and_with_their_type(value, text):
    """A message shows what came, never at length."""
    assert show(value) == text


def test_expectations_are_described():
    """What an annotation admits is said in words."""
    assert describe(bool | None) == "true or false"
    assert describe(tuple[int, ...]) == "an array, each item an integer"
    assert describe(Size) == "a size such as '64MiB', or a number of bytes"


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)
KEYS = st.sampled_from(["name", "legs", "kind", "weight", "nose", "tricks", "parts", "notes", "length", "x"])


@given(st.dictionaries(KEYS, PLAIN | st.dictionaries(KEYS, PLAIN) | st.lists(st.dictionaries(KEYS, PLAIN), max_size=3)))
def test_any_data_gives_a_value_or_problems(data):
    """Whatever the data, there is either a value or at least one problem, and no exception."""
    animal, problems = check(data, Animal)
    assert (animal is None) == bool(problems)


TEXT = '''
[counter]
summary = """
[fake]
x = 1
"""
state_version = 2
requires = [
    "clock",
]
config."a.b".type = "x"
[counter.limits]  # comment
memory = 1
[ "odd name" . 'sub' ]
'key' = 1
[[many]]
z = 1
'''


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("counter",), 2), (("counter", "summary"), 3), (("counter", "state_version"), 7),
        (("counter", "requires", 0), 8),
        (("counter", "config"), 11), (("counter", "config", "a.b", "type"), 11), (("counter", "limits"), 12),
        (("counter", "limits", "memory"), 13), (("counter", "limits", "gone"), 12), (("odd name", "sub", "key"), 15),
        (("many", 0, "z"), 16),
    ],
)  # fmt: skip
def test_a_key_is_found_on_its_line(path, line):
    """The line is that of the key, else of the nearest key above it; what looks like one inside a string is none."""
    assert Document(TEXT, "m.toml").where(path) == f"m.toml:{line}  {show_path(path)}"


def test_a_key_that_is_nowhere_has_no_line():
    """Without any line, the place is the file and the keys."""
    document = Document(TEXT, "m.toml")
    assert document.where(("nowhere", "x")) == "m.toml  nowhere.x"
    assert document.where(()) == "m.toml"


@pytest.mark.parametrize(
    ("text", "where", "says"),
    [
        ("a = 1\nb = = 2\n", "m.toml:2", "not TOML"), ("[a\n", "m.toml:1", "not TOML"),
        pytest.param("a = " + "[" * 20_000, "m.toml", "too deeply", id="deep"),
        pytest.param("a = " + "9" * 5000, "m.toml", "not TOML", id="digits"),
        pytest.param("\na" + ".a" * 100_000 + " = 1", "m.toml:2", "more than 40 parts", id="long key"),
        pytest.param("[" + "'a' . " * 100_000 + "a]", "m.toml:1", "more than 40 parts", id="long header"),
        pytest.param("a" + r'."\""' * 100_000 + " = 1", "m.toml:1", "more than 40 parts", id="escapes"),
        pytest.param("#" * (MAX_BYTES + 1), "m.toml", "larger than 1 MiB", id="large"),
    ],
)  # fmt: skip
def test_text_that_is_no_toml(text, where, says):
    """What cannot be parsed is one problem, with its line where the parser knows it."""
    with pytest.raises(Unreadable, match=says) as raised:
        Document(text, "m.toml")
    assert raised.value.problem.where == where


def test_files_that_cannot_be_read(tmp_path):
    """A missing file, a directory, a FIFO, a large one and one that is no UTF-8 are refused without hanging."""
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "large").write_bytes(b"#" * (MAX_BYTES + 1))
    (tmp_path / "latin").write_bytes(b"a = 1\nb = '\xe9'\n")
    for name, says in [
        ("gone", "No such file"), ("", "is not a file"), ("fifo", "is not a file"), ("large", "1 MiB"),
        ("latin", "not UTF-8"), ("nul\0", "cannot be read"),
    ]:  # fmt: skip
        with pytest.raises(Unreadable, match=says) as raised:
            read_document(f"{tmp_path}/{name}")
        if name == "latin":
            assert raised.value.problem.where == f"{tmp_path}/latin:2"


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path):
    """A file that an editor began with a byte order mark reads as any other."""
    (tmp_path / "m.toml").write_bytes(b"\xef\xbb\xbf[a]\r\nx = 1\r\n")
    document = read_document(tmp_path / "m.toml", "m.toml")
    assert document.data == {"a": {"x": 1}}
    assert document.where(("a", "x")) == "m.toml:2  a.x"


@given(st.text() | st.from_regex(r"([\[\]a-b.=\"'{}1, \n]|\"\"\")*", fullmatch=True))
def test_no_text_crashes_the_reader(text):
    """Any text is a document in which places can be asked for, or unreadable."""
    try:
        document = Document(text, "m")
    except Unreadable:
        return
    for key in document.data:
        assert document.where((key,)).startswith("m")
