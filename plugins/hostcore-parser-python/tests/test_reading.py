"""What is found in a source, and where."""

from __future__ import annotations

import textwrap

import pytest

from hostcore_parser_python.messages import Import, Parsed, SyntaxProblem
from hostcore_parser_python.reading import load_language, read_source

LANGUAGE = load_language()


def read(source: str) -> Parsed:
    """Read a source that may be indented as the test is."""
    return read_source(LANGUAGE, "a.py", textwrap.dedent(source))


def symbols(source: str) -> list[tuple[str, str, int, int]]:
    """Return the symbols of a source as tuples."""
    return [(s.name, s.kind, s.line, s.end_line) for s in read(source).symbols]


def test_empty_source() -> None:
    """An empty source has nothing in it, not even a line."""
    assert read("") == Parsed("a.py", [], [], [], 0)


def test_names_are_qualified() -> None:
    """A symbol's name contains the classes and functions around it, and a function right in a class is a method."""
    assert symbols("""\
        class Outer:
            class Inner:
                def method(self):
                    def helper(): ...
                    class Local:
                        def deep(self): ...
        async def free(): ...
        """) == [
        ("Outer", "class", 1, 6),
        ("Outer.Inner", "class", 2, 6),
        ("Outer.Inner.method", "method", 3, 6),
        ("Outer.Inner.method.helper", "function", 4, 4),
        ("Outer.Inner.method.Local", "class", 5, 6),
        ("Outer.Inner.method.Local.deep", "method", 6, 6),
        ("free", "function", 7, 7),
    ]


def test_definitions_are_found_within_statements() -> None:
    """Definitions within if, try, with, for, while and match are found, and belong to the scope around those."""
    source = """\
        if x:
            def a(): ...
        elif y:
            def b(): ...
        else:
            def c(): ...
        try:
            def d(): ...
        except E:
            def e(): ...
        else:
            def f(): ...
        finally:
            def g(): ...
        with x:
            def h(): ...
        for i in x:
            def i(): ...
        while x:
            def j(): ...
        match x:
            case 1:
                class K:
                    if x:
                        def m(self): ...
        """
    assert [(name, kind) for name, kind, *_ in symbols(source)] == [
        *((name, "function") for name in "abcdefghij"),
        ("K", "class"),
        ("K.m", "method"),
    ]


def test_a_definition_begins_at_its_keyword_and_ends_before_comments() -> None:
    """Neither decorators above nor comments below belong to the lines of a definition."""
    assert symbols("""\
        @decorated
        @twice
        def f():
            return (
                1
            )
            # the end

            # really
        x = 1
        """) == [("f", "function", 3, 6), ("x", "variable", 10, 10)]


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("a = 1", ["a"]),
        ("a: int", ["a"]),
        ("a: int = 1", ["a"]),
        ("a = b = c = 1", ["a", "b", "c"]),
        ("a, (b, [*c]) = x", ["a", "b", "c"]),
        ("type A = int\ntype B[T] = list[T]", ["A", "B"]),
        ("a = 1\na = 2", ["a"]),
        ("a.b = c[0] = 1", []),
        ("a += 1", []),
        ("f(a=1)", []),
        ("def f():\n  a = 1", ["f"]),
        ("class A:\n  a = 1\n  def f(self):\n    self.b = b = 1", ["A", "A.a", "A.f"]),
        ("if x:\n  a = 1", ["a"]),
        ("\u00b5 = 1", ["\u03bc"]),
    ],
)
def test_variables(source: str, names: list[str]) -> None:
    """Names assigned in modules and classes are variables, each told once and in normal form; no others are."""
    assert [symbol.name for symbol in read(source).symbols] == names


@pytest.mark.parametrize(
    ("source", "imports"),
    [
        ("import a", [Import("a", [], 1)]),
        ("import a.b as c, d", [Import("a.b", [], 1), Import("d", [], 1)]),
        ("from a.b import c as d, e", [Import("a.b", ["c", "e"], 1)]),
        ("from . import a", [Import(".", ["a"], 1)]),
        ("from ..a import (\n  b, # why\n  c)", [Import("..a", ["b", "c"], 1)]),
        ("from a import *", [Import("a", ["*"], 1)]),
        ("from __future__ import annotations", [Import("__future__", ["annotations"], 1)]),
        ("import a . b", [Import("a.b", [], 1)]),
        ("from . \\\n  a import b", [Import(".a", ["b"], 1)]),
        ("def f():\n  if x:\n    import a", [Import("a", [], 3)]),
        ("x = 'import a'  # import b", []),
    ],
)
def test_imports(source: str, imports: list[Import]) -> None:
    """Every import statement is told as it was written, wherever it stands."""
    assert read(source).imports == imports


@pytest.mark.parametrize(
    ("source", "errors"),
    [
        ("def f(:\n  pass\n", [SyntaxProblem("missing ')'", 1, 6)]),
        ("\nx = (1\ny = 2\n", [SyntaxProblem("cannot parse '= (1'", 2, 2)]),
        ("class :\n  def f(self): pass\n", [SyntaxProblem("cannot parse 'class :'", 1, 0)]),
        ("print 'x'\n", [SyntaxProblem("Python 2 statement \"print 'x'\"", 1, 0)]),
        ("print >> f, 'x'\n", []),
        ("a = 1\0\nb\n\0", [SyntaxProblem("a NUL character, which no source may contain (2 in all)", 1, 5)]),
    ],
)
def test_errors_have_a_position(source: str, errors: list[SyntaxProblem]) -> None:
    """A syntax error is told with its line, counted from 1, and its column, counted from 0."""
    assert read(source).errors == errors


def test_columns_count_characters() -> None:
    """A column counts characters, not bytes."""
    (error,) = read("äöü = '€'; print 'x'").errors
    assert error.column == 11


def test_a_broken_source_is_still_told_about() -> None:
    """What is sound in a source with a syntax error is found."""
    parsed = read("import a\ndef f(): ...\nx = = 1\nclass A:\n  def g(self): ...\n")
    assert {s.name for s in parsed.symbols} >= {"f", "A", "A.g"}
    assert [e.line for e in parsed.errors] == [3]
    assert parsed.imports == [Import("a", [], 1)]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_ends(end: str) -> None:
    """All of Python's line ends count as one."""
    parsed = read(end.join(["x = 1", "", "def f(): ...", "y ="]))
    assert [(s.name, s.line) for s in parsed.symbols[:2]] == [("x", 1), ("f", 3)]
    assert parsed.lines == 4
    assert parsed.errors[0].line == 4


@pytest.mark.parametrize(("source", "lines"), [("\n", 1), ("a", 1), ("a\n", 1), ("a\n\n", 2), ("a\nb", 2)])
def test_lines(source: str, lines: int) -> None:
    """A last line counts whether or not it is ended."""
    assert read(source).lines == lines
