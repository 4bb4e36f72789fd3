"""Sources that are huge, nested without end, or no Python at all."""

from __future__ import annotations

import random

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hostcore_parser_python import walk
from hostcore_parser_python.reading import load_language, read_source

LANGUAGE = load_language()
DEPTH = 50_000
DEEP = {
    "parentheses": "x = " + "(" * DEPTH + ")" * DEPTH,
    "unclosed": "(" * DEPTH,
    "brackets with an error inside": "x = " + "[" * DEPTH + "1 2" + "]" * DEPTH,
    "sum": "x = " + "1+" * DEPTH + "1",
    "attributes": "x = " + "a." * DEPTH + "b",
    "not": "not " * DEPTH + "x",
    "chained assignment": "a = " * DEPTH + "1",
    "nested targets": "(" * DEPTH + "a," + ")" * DEPTH + " = 1",
    "indentation": "".join(" " * depth + "if x:\n" for depth in range(1_000)),
    "classes": "".join(" " * depth + "class A:\n" for depth in range(1_000)),
    "definitions on one line": "def f():" * 10_000,
}
TOKENS = ["def f(", "):", "class A", "\n", "\n  ", "import ", "from . ", "print ", "x", "=", ",", ";", "(", "\\"]
TRAPS = ["'", '"""', "\0", "\r", "é", "\ud800", "\f"]


@pytest.mark.parametrize("source", DEEP.values(), ids=DEEP)
def test_depth_does_no_harm(source: str) -> None:
    """However deeply a source is nested, it is read without recursion."""
    parsed = read_source(LANGUAGE, "deep.py", source)
    assert len(parsed.errors) <= walk.MAX_PROBLEMS


def test_only_the_first_problems_are_told() -> None:
    """A file that is no Python yields at most so many problems, the first ones."""
    parsed = read_source(LANGUAGE, "old.py", "print 'x'\n" * 500)
    assert [error.line for error in parsed.errors] == list(range(1, walk.MAX_PROBLEMS + 1))


@pytest.mark.parametrize("seed", range(5))
def test_noise(seed: int) -> None:
    """Random characters are told to be no Python."""
    noise = "".join(random.Random(seed).choices("()[]{}:;=+'\" \nabc\0", k=100_000))
    assert read_source(LANGUAGE, "noise", noise).errors


def test_names_do_not_multiply(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nested long names, each of which repeats all those around it, are refused before they fill the memory."""
    monkeypatch.setattr(walk, "MAX_NAMES", 10_000)
    source = "".join(" " * depth + f"class {'A' * 100}:\n" for depth in range(50)) + " " * 50 + "pass\n"
    with pytest.raises(ValueError, match="more than 10,000 characters"):
        read_source(LANGUAGE, "names.py", source)


@given(st.one_of(st.text(st.characters()), st.lists(st.sampled_from(TOKENS + TRAPS), max_size=40).map("".join)))
@example("\ud800")
@example("\ufeffx = 1")
def test_any_text_is_read(source: str) -> None:
    """No text raises, and every position lies within the source."""
    parsed = read_source(LANGUAGE, "any", source)
    lines = source.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    for error in parsed.errors:
        assert 1 <= error.line <= len(lines)
        assert 0 <= error.column <= len(lines[error.line - 1])
    for symbol in parsed.symbols:
        assert 1 <= symbol.line <= symbol.end_line <= len(lines)
    for entry in parsed.imports:
        assert 1 <= entry.line <= len(lines)
    assert parsed.lines in (len(lines), len(lines) - 1)
