"""The standard library, as the parser and as Python itself read it."""

from __future__ import annotations

import ast
import asyncio
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

from hostcore_parser_python.reading import load_language, read_source

LANGUAGE = load_language()
FILES = sorted(Path(asyncio.__file__).parent.glob("*.py"))
DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def names_in(target: ast.expr) -> Iterator[str]:
    """Yield the names that an assignment to `target` binds."""
    match target:
        case ast.Name(name):
            yield name
        case ast.Starred(inner):
            yield from names_in(inner)
        case ast.Tuple(items) | ast.List(items):
            for item in items:
                yield from names_in(item)


class Reference(ast.NodeVisitor):
    """Collects from Python's own tree what the parser should find."""

    def __init__(self) -> None:
        self.symbols: list[tuple[str, str, int, int | None]] = []
        self.imports: list[tuple[str, list[str], int]] = []
        self.scopes: list[tuple[str, str]] = []

    def visit(self, node: ast.AST) -> None:
        """Note a definition, an assignment or an import, then what is in it."""
        prefix = "".join(f"{name}." for name, _ in self.scopes)
        scope = self.scopes[-1][1] if self.scopes else "module"
        match node:
            case ast.ClassDef() | ast.FunctionDef() | ast.AsyncFunctionDef():
                inner = "class" if isinstance(node, ast.ClassDef) else "function"
                kind = "method" if (inner, scope) == ("function", "class") else inner
                self.symbols.append((prefix + node.name, kind, node.lineno, node.end_lineno))
                self.scopes.append((node.name, inner))
                self.generic_visit(node)
                self.scopes.pop()
                return
            case ast.Import(names):
                self.imports += [(alias.name, [], node.lineno) for alias in names]
            case ast.ImportFrom(module, names, level):
                self.imports.append(("." * (level or 0) + (module or ""), [a.name for a in names], node.lineno))
            case ast.Assign(targets=targets) if scope != "function":
                self.note_variables(prefix, targets, node)
            case ast.AnnAssign(target=target) if scope != "function":
                self.note_variables(prefix, [target], node)
        self.generic_visit(node)

    def note_variables(self, prefix: str, targets: list[ast.expr], node: ast.stmt) -> None:
        """Note the names in `targets` that are new."""
        known = {name for name, kind, *_ in self.symbols if kind == "variable"}
        for name in dict.fromkeys(prefix + name for target in targets for name in names_in(target)):
            if name not in known:
                self.symbols.append((name, "variable", node.lineno, node.end_lineno))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_the_parser_agrees_with_ast(path: Path) -> None:
    """Every class, function, method, variable and import has the name, kind and lines that `ast` gives it."""
    with tokenize.open(path) as file:
        source = file.read()
    reference = Reference()
    reference.visit(ast.parse(source))
    parsed = read_source(LANGUAGE, path.name, source)
    assert [(s.name, s.kind, s.line, s.end_line) for s in parsed.symbols] == reference.symbols
    assert [(i.module, i.names, i.line) for i in parsed.imports] == reference.imports
    assert parsed.errors == []
    assert parsed.lines == len(source.splitlines())


def test_there_is_something_to_compare() -> None:
    """The comparison covers a real package."""
    assert len(FILES) >= 20
