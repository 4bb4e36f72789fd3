"""From a checked spec to code: one Jinja2 template for each kind, and CPython's own verdict at the end.

The templates come from the package's resources and are all read when this is imported: an upgrade that replaces the
files must not mix two releases, and in a sandbox there are no files later.
"""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
import warnings
from importlib.resources import files

import jinja2

from hostcore_synthesis.meaning import PARSE_ERRORS, parse_code, problems_of, reason_of, write_code
from hostcore_synthesis.specs import KINDS, Spec, SpecError

_FOLDER = files("hostcore_synthesis") / "templates"
_TEMPLATES = {name: (_FOLDER / f"{name}.jinja").read_text("utf-8") for name in ("common", *KINDS)}
_CLOSING = re.compile(r'"""|"+\Z')
"""Quotes that would end a docstring."""
_MUTABLE = (ast.List, ast.Dict, ast.Set, ast.ListComp, ast.DictComp, ast.SetComp)


class Renderer:
    """Renders specs."""

    def __init__(self) -> None:
        """Make the templates ready."""
        self._environment = jinja2.Environment(
            loader=jinja2.DictLoader(_TEMPLATES),
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
            autoescape=False,
        )
        self._environment.filters |= {
            "expression": write_expression,
            "statement": write_statement,
            "block": write_block,
            "docstring": write_docstring,
            "literal": repr,
        }
        self._environment.tests["mutable"] = is_mutable

    def render(self, kind: str, spec: Spec) -> str:
        """Return the code for `spec`, formatted, ending with a line break.

        Raises:
            SpecError: The spec makes no sense, or its code would not compile.
        """
        if problems := list(problems_of(spec)):
            raise SpecError(problems)
        try:
            code = self._environment.get_template(kind).render(spec=spec)
        except RecursionError as exc:
            raise SpecError([f"an expression or statement: {reason_of(exc)}"]) from None
        _check_code(code)
        return code


def _check_code(code: str) -> None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compile(code, "<synthesis>", "exec", dont_inherit=True)
    except PARSE_ERRORS as exc:
        line = exc.lineno if isinstance(exc, SyntaxError) else None
        at = f", in {code.splitlines()[line - 1].strip()!r}" if line and line <= code.count("\n") else ""
        raise SpecError([f"the code does not compile: {reason_of(exc)}{at}"]) from None


def write_expression(text: str) -> str:
    """Return an expression without comments."""
    return write_code(text, "eval")


def write_statement(text: str) -> str:
    """Return a statement without comments."""
    return write_code(text, "exec")


def write_block(text: str) -> str:
    """Return statements as the block under a `def`: indented by four blanks, "..." where there are none.

    CPython indents them itself, under an `if`: done to the text, it would also move the lines within strings.
    """
    module = parse_code(text, "exec")
    body: list[ast.stmt] = module.body if isinstance(module, ast.Module) else []
    body = body or [ast.Expr(ast.Constant(...))]
    return ast.unparse(ast.If(ast.Constant(True), body, [])).partition("\n")[2].lstrip("\n")


def write_docstring(text: str) -> str:
    """Return `text` as a docstring whose lines are indented by four blanks."""
    escaped = _CLOSING.sub(lambda quotes: '\\"' * len(quotes[0]), inspect.cleandoc(text).replace("\\", "\\\\"))
    closing = "\n" if "\n" in escaped else ""
    return textwrap.indent(f'"""{escaped}{closing}"""', " " * 4)


def is_mutable(text: str) -> bool:
    """Tell whether an expression makes a list, dict or set, which dataclasses refuse as a default."""
    tree = parse_code(text, "eval")
    return isinstance(tree, ast.Expression) and isinstance(tree.body, _MUTABLE)
