"""The second half of checking a spec: are its names names, its expressions expressions, and do they go together?

A text that becomes code is parsed before it is pasted anywhere, and written back by `ast.unparse`: an "expression"
with a line break or a comment in it could otherwise change the code around it.
"""

from __future__ import annotations

import ast
import keyword
import textwrap
import unicodedata
import warnings
from collections.abc import Iterator, Sequence
from typing import Literal, Protocol

from hostcore_synthesis.specs import Case, DataclassSpec, EnumSpec, FunctionSpec, Spec, TestSpec

PARSE_ERRORS = (SyntaxError, ValueError, RecursionError, MemoryError)
"""What CPython's parser and compiler raise for text that is no Python, holds NUL, or nests too deeply."""
_NO_TEXT = frozenset({"Cc", "Cs", "Zl", "Zp"})
_VALUE_TYPES: dict[str, tuple[type, ...]] = {"IntEnum": (int,), "Flag": (int,), "StrEnum": (str,)}


class _Named(Protocol):
    @property
    def name(self) -> str: ...


class _Defaulted(_Named, Protocol):
    @property
    def type(self) -> str | None: ...
    @property
    def default(self) -> str | None: ...


def problems_of(spec: Spec) -> Iterator[str]:
    """Yield everything in `spec` that would not make sense as code, with its place."""
    for index, text in enumerate(spec.imports):
        yield from _import_problems(text, f"imports[{index}]")
    yield from _doc_problems(spec.doc)
    match spec:
        case DataclassSpec():
            yield from _name_problems(spec.name, "name")
            yield from _defaulted_problems(spec.fields, "fields")
        case FunctionSpec():
            yield from _name_problems(spec.name, "name")
            yield from _defaulted_problems(spec.parameters, "parameters")
            yield from _expression_problems(spec.returns, "returns")
            yield from _code_problems(spec.body, "body", "exec")
        case EnumSpec():
            yield from _name_problems(spec.name, "name")
            yield from _enum_problems(spec)
        case TestSpec():
            yield from _name_problems(spec.target, "target")
            yield from _dotted_problems(spec.module, "module")
            for index, case in enumerate(spec.cases):
                yield from _case_problems(case, f"cases[{index}]")


def parse_code(text: str, mode: Literal["eval", "exec"]) -> ast.AST:
    """Return the tree of an expression ("eval") or of statements ("exec"); raises one of `PARSE_ERRORS`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ast.parse(textwrap.dedent(text).strip(), mode=mode)


def write_code(text: str, mode: Literal["eval", "exec"]) -> str:
    """Return an expression or statements as `ast.unparse` writes them; raises one of `PARSE_ERRORS`."""
    return ast.unparse(parse_code(text, mode))


def _name_problems(name: str, path: str) -> Iterator[str]:
    if not name.isidentifier():
        yield f"{path}: {name!r} is not a name"
    elif keyword.iskeyword(name):
        yield f"{path}: {name!r} is a keyword"


def _doc_problems(text: str) -> Iterator[str]:
    odd = next((c for c in text if c not in "\n\t" and unicodedata.category(c) in _NO_TEXT), None)
    if odd is not None:
        yield f"doc: it holds {odd!r}, a control character or a line break other than '\\n'"


def _dotted_problems(name: str, path: str) -> Iterator[str]:
    for word in name.split("."):
        if not word.isidentifier() or keyword.iskeyword(word):
            yield f"{path}: {name!r} is not a name, or names with dots between"
            return


def _code_problems(text: str, path: str, mode: Literal["eval", "exec"]) -> Iterator[str]:
    try:
        write_code(text, mode)
    except PARSE_ERRORS as exc:
        what = "an expression" if mode == "eval" else "statements"
        yield f"{path}: {_shorten(text)} is not {what}: {reason_of(exc)}"


def _expression_problems(text: str | None, path: str) -> Iterator[str]:
    if text is not None:
        yield from _code_problems(text, path, "eval")


def _import_problems(text: str, path: str) -> Iterator[str]:
    try:
        tree = parse_code(text, "exec")
    except PARSE_ERRORS as exc:
        yield f"{path}: {_shorten(text)} is not an import statement: {reason_of(exc)}"
        return
    body = tree.body if isinstance(tree, ast.Module) else []
    if len(body) != 1 or not isinstance(body[0], (ast.Import, ast.ImportFrom)):
        yield f"{path}: {_shorten(text)} is not an import statement"


def _duplicate_problems(parts: Sequence[_Named], path: str) -> Iterator[str]:
    seen: set[str] = set()
    for index, part in enumerate(parts):
        if part.name in seen:
            yield f"{path}[{index}].name: {part.name!r} is there already"
        seen.add(part.name)


def _defaulted_problems(parts: Sequence[_Defaulted], path: str) -> Iterator[str]:
    yield from _duplicate_problems(parts, path)
    defaulted = ""
    for index, part in enumerate(parts):
        place = f"{path}[{index}]"
        yield from _name_problems(part.name, f"{place}.name")
        yield from _expression_problems(part.type, f"{place}.type")
        yield from _expression_problems(part.default, f"{place}.default")
        if part.default is not None:
            defaulted = part.name
        elif defaulted:
            yield f"{place}.default: {part.name!r} needs one, since it comes after {defaulted!r}, which has one"


def _enum_problems(spec: EnumSpec) -> Iterator[str]:
    yield from _duplicate_problems(spec.members, "members")
    allowed = _VALUE_TYPES.get(spec.base, (int, str))
    for index, member in enumerate(spec.members):
        place = f"members[{index}]"
        yield from _name_problems(member.name, f"{place}.name")
        if member.name == "mro" or member.name.startswith("_"):
            yield f"{place}.name: {member.name!r} has a meaning of its own in enums"
        if not isinstance(member.value, allowed):
            wanted = "an integer" if int in allowed else "a text"
            yield f"{place}.value: {member.value!r} does not go with {spec.base}; expected {wanted}"


def _case_problems(case: Case, path: str) -> Iterator[str]:
    if (case.expected is None) == (case.raises is None):
        yield f"{path}: expected exactly one of 'expected' and 'raises'"
    for index, argument in enumerate(case.arguments):
        yield from _expression_problems(argument, f"{path}.arguments[{index}]")
    yield from _expression_problems(case.expected, f"{path}.expected")
    if case.raises is not None:
        yield from _dotted_problems(case.raises, f"{path}.raises")


def reason_of(exc: BaseException) -> str:
    """Return why CPython refused some code, in a few words."""
    if isinstance(exc, (RecursionError, MemoryError)):
        return "it is nested too deeply"
    return exc.msg if isinstance(exc, SyntaxError) else str(exc)


def _shorten(text: str) -> str:
    return repr(text if len(text) <= 60 else f"{text[:60]}...")
