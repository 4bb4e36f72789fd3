"""What the parser is asked, what it answers, and what it tells the others.

Lines count from 1.  Columns count characters from 0, as `ast` counts bytes.
"""

from __future__ import annotations

from typing import Literal

import msgspec

import hostcore

Kind = Literal["class", "function", "method", "variable"]


class Symbol(msgspec.Struct, frozen=True):
    """Something the source defines.

    Attributes:
        name: The name with those of the classes and functions around it, as in "Server.start.callback".
        kind: A function right inside a class is a method.  Variables are those of modules and classes only,
            each told once, where it is first assigned.
        line: Where the definition begins: the line of `def` or `class`, not of a decorator.
        end_line: The definition's last line.
    """

    name: str
    kind: Kind
    line: int
    end_line: int


class Import(msgspec.Struct, frozen=True):
    """One imported module.

    Attributes:
        module: As written: "os.path", and with its dots where relative: "..util".
        names: What a `from` import takes, without the `as` names; ["*"] for everything; [] for plain `import`.
        line: The line of the statement.
    """

    module: str
    names: list[str]
    line: int


class SyntaxProblem(msgspec.Struct, frozen=True):
    """A place where the source is not Python."""

    message: str
    line: int
    column: int


class Parsed(msgspec.Struct, frozen=True):
    """What one source consists of, each list in the order of the source.

    Attributes:
        path: As it was given.
        symbols: What is defined.
        imports: What is imported, at any depth.
        errors: What could not be parsed; the rest of the source is told in spite of it.
        lines: How many lines the source has.
    """

    path: str
    symbols: list[Symbol]
    imports: list[Import]
    errors: list[SyntaxProblem]
    lines: int


class ParseSource(hostcore.Payload[Parsed], topic="parser.parse"):
    """Ask for one source to be parsed.

    Attributes:
        path: Names the source in the answer; no file is read.
        source: The text.
    """

    path: str
    source: str


class GetCount(hostcore.Payload[dict[str, int]], topic="parser.count"):
    """Ask how many sources were parsed; the reply is such as {"files": 33}."""


class FileParsed(hostcore.Payload[None], topic="parser.parsed"):
    """Tell that a source was parsed.

    Attributes:
        path: As it was given.
        lines: How many lines the source has.
        symbols: How many symbols of each kind, as in {"class": 2, "method": 9}.
        imports: The module of each import.
        errors: How many places could not be parsed.
    """

    path: str
    lines: int
    symbols: dict[str, int]
    imports: list[str]
    errors: int
