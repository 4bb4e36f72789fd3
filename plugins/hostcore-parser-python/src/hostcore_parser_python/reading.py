"""From text to `Parsed`: tree-sitter builds the tree, one walk over its statements collects the rest.

tree-sitter parses anything and marks what it cannot make sense of as ERROR (something too much) or MISSING
(something too little), so a broken source still yields the symbols of its sound parts.
"""

from __future__ import annotations

from collections.abc import Iterator

import tree_sitter
import tree_sitter_python

from hostcore_parser_python.messages import Parsed, SyntaxProblem
from hostcore_parser_python.walk import MAX_PROBLEMS, Walk


def load_language() -> tree_sitter.Language:
    """Return tree-sitter's grammar of Python."""
    return tree_sitter.Language(tree_sitter_python.language())


def read_source(language: tree_sitter.Language, path: str, source: str) -> Parsed:
    """Return what `source` defines and imports, and where it is not Python.

    Line ends are read as Python reads them: CR LF and a lone CR count as LF.  A NUL, which no Python source may
    contain, is told and then read as a space.
    """
    text = source.replace("\r\n", "\n").replace("\r", "\n")
    # A lone surrogate has no UTF-8; "?" keeps the columns behind it.
    data = text.replace("\0", " ").encode("utf-8", "replace")
    # A tree-sitter parser is one parse's state; large sources are parsed in threads, so each call has its own.
    walk = Walk(data)
    walk.run(tree_sitter.Parser(language).parse(data).root_node)
    errors = sorted([*_nul_problem(text), *walk.problems], key=lambda problem: (problem.line, problem.column))
    lines = text.count("\n") + (text[-1:] not in ("", "\n"))
    return Parsed(path, walk.symbols, walk.imports, errors[:MAX_PROBLEMS], lines)


def _nul_problem(text: str) -> Iterator[SyntaxProblem]:
    first = text.find("\0")
    if first >= 0:
        column = first - (text.rfind("\n", 0, first) + 1)
        message = f"a NUL character, which no source may contain ({text.count(chr(0))} in all)"
        yield SyntaxProblem(message, text.count("\n", 0, first) + 1, column)
