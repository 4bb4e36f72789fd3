"""The walk over a syntax tree that collects symbols, imports and problems, in the order of the source.

It keeps a stack of its own, so that no depth of nesting exhausts Python's, and goes only where definitions and
imports can stand: into statements, and into expressions only to find an error.  A tree-sitter query would be
shorter, but takes time quadratic in the depth of the tree: 40 seconds for 200 kB of `1+1+1+...`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import NamedTuple

from tree_sitter import Node

from hostcore_parser_python.messages import Import, Kind, Symbol, SyntaxProblem

MAX_PROBLEMS = 100
"""At most so many problems of one source are told; a file that is not Python at all has thousands."""

MAX_NAMES = 16 * 1024 * 1024
"""At most so many characters in all names: each repeats those around it, so a few kB can spell out a GB."""

_SNIPPET = 40
_BLANKS = re.compile(r"[\s\\]+")
_CLASS, _FUNCTION = "class_definition", "function_definition"
_IMPORTS = frozenset({"import_statement", "import_from_statement", "future_import_statement"})
_BINDINGS = frozenset({"assignment", "type_alias_statement"})
_PATTERNS = frozenset({"pattern_list", "tuple_pattern", "list_pattern", "list_splat_pattern", "type", "generic_type"})
_PYTHON_2 = frozenset({"print_statement", "exec_statement"})
_HOLDS_STATEMENTS = frozenset({
    "module", "block", "ERROR", _CLASS, _FUNCTION, "decorated_definition", "expression_statement", "assignment",
    "if_statement", "elif_clause", "else_clause", "for_statement", "while_statement", "with_statement",
    "try_statement", "except_clause", "except_group_clause", "finally_clause", "match_statement", "case_clause",
})  # fmt: skip


class _Place(NamedTuple):
    """Where in the source a node stands."""

    prefix: str = ""
    """The qualified name of the definition around it, with a dot."""
    scope: str = "module"
    """The kind of that definition."""
    in_error: bool = False
    """Inside something already told as a problem: only the outermost is."""


class Walk:
    """One walk over one tree.

    Attributes:
        symbols: What the source defines.
        imports: What it imports.
        problems: What is not Python, the first `MAX_PROBLEMS`.
    """

    def __init__(self, data: bytes) -> None:
        """Get ready to walk the tree of `data`."""
        self.symbols: list[Symbol] = []
        self.imports: list[Import] = []
        self.problems: list[SyntaxProblem] = []
        self._data = data
        self._variables: set[str] = set()
        self._name_room = MAX_NAMES

    def run(self, root: Node) -> None:
        """Collect everything under `root`.

        Raises:
            ValueError: The symbols' names are longer than `MAX_NAMES` together.
        """
        pending = [(root, _Place())]
        while pending:
            node, place = pending.pop()
            inside = self._visit(node, place)
            if node.has_error or node.type in _HOLDS_STATEMENTS:
                pending.extend((child, inside) for child in reversed(node.children))

    def _visit(self, node: Node, place: _Place) -> _Place:
        """Collect what `node` is, and return the place in which its children stand."""
        kind = node.type
        if not place.in_error and (node.is_error or node.is_missing or _is_python_2(node)):
            self._add_problem(node)
            return place._replace(in_error=True)
        if kind in (_CLASS, _FUNCTION):
            return self._add_definition(node, place)
        if kind in _IMPORTS:
            self.imports.extend(self._imports_of(node))
        elif kind in _BINDINGS and place.scope != _FUNCTION:
            self._add_variables(node, place)
        return place

    def _add_definition(self, node: Node, place: _Place) -> _Place:
        name = place.prefix + self._name(node.child_by_field_name("name"))
        kind: Kind = "class" if node.type == _CLASS else "method" if place.scope == _CLASS else "function"
        self._add_symbol(name, kind, node)
        return place._replace(prefix=f"{name}.", scope=node.type)

    def _add_variables(self, node: Node, place: _Place) -> None:
        """Add the names on the left side; attributes and items are no names."""
        pending = [node.child_by_field_name("left")]
        while pending:
            target = pending.pop()
            if target is None:
                continue
            if target.type in _PATTERNS:
                # Of a type alias, `type Pair[T] = ...`, only the name itself is a variable.
                several = target.type not in ("type", "generic_type")
                pending.extend(reversed(target.named_children if several else target.named_children[:1]))
            elif target.type == "identifier":
                name = place.prefix + self._name(target)
                if name not in self._variables:
                    self._variables.add(name)
                    self._add_symbol(name, "variable", node)

    def _add_symbol(self, name: str, kind: Kind, node: Node) -> None:
        self._name_room -= len(name)
        if self._name_room < 0:
            raise ValueError(f"the full names of its symbols take more than {MAX_NAMES:,} characters")
        self.symbols.append(Symbol(name, kind, node.start_point.row + 1, _last_line(node)))

    def _imports_of(self, node: Node) -> Iterator[Import]:
        names = [self._name(_unaliased(name)) for name in node.children_by_field_name("name")]
        line = node.start_point.row + 1
        if node.type == "import_statement":
            yield from (Import(name, [], line) for name in names)
            return
        if any(child.type == "wildcard_import" for child in node.named_children):
            names = ["*"]
        future = node.type == "future_import_statement"
        yield Import("__future__" if future else self._name(node.child_by_field_name("module_name")), names, line)

    def _add_problem(self, node: Node) -> None:
        if len(self.problems) < MAX_PROBLEMS:
            row, column = node.start_point
            before = self._data[node.start_byte - column : node.start_byte]
            self.problems.append(SyntaxProblem(self._describe(node), row + 1, len(before.decode("utf-8", "replace"))))

    def _describe(self, node: Node) -> str:
        if node.is_missing:
            return f"missing {node.type if node.is_named else repr(node.type)}"
        snippet = self._text(node).split("\n", 1)[0].strip()
        shown = snippet if len(snippet) <= _SNIPPET else f"{snippet[:_SNIPPET]}..."
        return f"Python 2 statement {shown!r}" if node.type in _PYTHON_2 else f"cannot parse {shown!r}"

    def _text(self, node: Node | None) -> str:
        """Return the node's source, or "" where there is no node."""
        return self._data[node.start_byte : node.end_byte].decode("utf-8", "replace") if node else ""

    def _name(self, node: Node | None) -> str:
        """Return a name as Python knows it: in normal form, without the blanks that may stand around its dots."""
        name = _BLANKS.sub("", self._text(node))
        return name if name.isascii() else unicodedata.normalize("NFKC", name)


def _is_python_2(node: Node) -> bool:
    """Tell whether `node` is a statement that Python 3 lacks; `print >> x` is still one, though it shifts."""
    return node.type in _PYTHON_2 and all(child.type != "chevron" for child in node.named_children)


def _unaliased(node: Node) -> Node | None:
    """Return the `a.b` of `a.b as c`."""
    return node.child_by_field_name("name") if node.type == "aliased_import" else node


def _last_line(node: Node) -> int:
    """Return the line on which `node` ends, without the comments that the grammar counts to the block above them."""
    while node.type in _HOLDS_STATEMENTS:
        inner = next((child for child in reversed(node.named_children) if child.type != "comment"), None)
        if inner is None:
            break
        node = inner
    return node.end_point.row + 1
