"""Specs that cannot be rendered: each mistake is named, with its place, and all at once."""

from __future__ import annotations

import ast
import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hostcore_synthesis.rendering import Renderer
from hostcore_synthesis.shape import read_spec
from hostcore_synthesis.specs import KINDS, SpecError

RENDERER = Renderer()


def problems(data: object) -> list[str]:
    """Return what is wrong with a spec."""
    with pytest.raises(SpecError) as caught:
        RENDERER.render(*read_spec(data))
    assert all(problem in str(caught.value) for problem in caught.value.problems)
    return caught.value.problems


def function(**spec: Any) -> dict[str, Any]:
    """Return the spec of a function."""
    return {"kind": "function", "name": "f", **spec}


@pytest.mark.parametrize("data", [None, 3, "function", [], [function()]])
def test_no_object(data: object) -> None:
    """Anything but an object is refused with its type."""
    assert problems(data) == [f"expected an object with a 'kind', got {type(data).__name__}"]


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        ({}, "it is missing"),
        ({"kind": 3}, "got 3"),
        ({"kind": "dataclas"}, "got 'dataclas'; did you mean 'dataclass'?"),
    ],
)
def test_kind(data: object, problem: str) -> None:
    """A missing or unknown kind is answered with those there are."""
    assert problems(data) == [f"kind: expected one of dataclass, enum, function, test; {problem}"]


def test_all_misfits_of_the_shape_are_told() -> None:
    """Missing, unknown and mistyped fields, also of parts, are told together."""
    assert problems({
        "kind": "test",
        "module": 3,
        "cases": [{"argments": []}, 3, {"arguments": ["1", 2], "expected": None}],
        "doc": ["x"],
    }) == [
        "target: it is missing",
        "module: expected `str`, got `int`",
        "cases[0].argments: unknown field; did you mean 'arguments'?",
        "cases[1]: expected an object, got int",
        "cases[2].arguments[1]: expected `str`, got `int`",
        "doc: expected `str`, got `array`",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("data", "place"),
    [
        ({"kind": "enum", "name": "E", "members": []}, "members"),
        ({"kind": "enum", "name": "E", "members": [{"name": "A", "value": 1.5}]}, "members[0].value"),
        ({"kind": "enum", "name": "E", "members": [{"name": "A", "value": 2**63}]}, "members[0].value"),
        ({"kind": "enum", "name": "E", "members": [{"name": "A", "value": 1}], "base": "Bool"}, "base"),
        (function(parameters=[{"name": "a"}] * 1_001), "parameters"),
        (function(body="x" * 20_001), "body"),
        (function(asynchronous=1), "asynchronous"),
    ],
)
def test_bounds(data: object, place: str) -> None:
    """Values and sizes out of bounds are told with their place."""
    (problem,) = problems(data)
    assert problem.startswith(f"{place}: ")


def test_all_mistakes_of_meaning_are_told() -> None:
    """Names that are none, code that is none, duplicates and defaults out of order are told together."""
    assert problems({
        "kind": "dataclass",
        "name": "class",
        "doc": "\0",
        "imports": ["import os; x", "def"],
        "fields": [
            {"name": "a b", "default": "1"},
            {"name": "x", "type": "("},
            {"name": "x", "default": "a = 1"},
        ],
    }) == [
        "imports[0]: 'import os; x' is not an import statement",
        "imports[1]: 'def' is not an import statement: invalid syntax",
        "doc: it holds '\\x00', a control character or a line break other than '\\n'",
        "name: 'class' is a keyword",
        "fields[2].name: 'x' is there already",
        "fields[0].name: 'a b' is not a name",
        "fields[1].type: '(' is not an expression: '(' was never closed",
        "fields[1].default: 'x' needs one, since it comes after 'a b', which has one",
        "fields[2].default: 'a = 1' is not an expression: invalid syntax",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("member", "base", "problem"),
    [
        ({"name": "A", "value": "x"}, "IntEnum", "value: 'x' does not go with IntEnum; expected an integer"),
        ({"name": "A", "value": 1}, "StrEnum", "value: 1 does not go with StrEnum; expected a text"),
        ({"name": "mro", "value": 1}, "Enum", "name: 'mro' has a meaning of its own in enums"),
        ({"name": "_x_", "value": 1}, "Enum", "name: '_x_' has a meaning of its own in enums"),
        ({"name": "None", "value": 1}, "Enum", "name: 'None' is a keyword"),
    ],
)
def test_enum_members(member: dict[str, Any], base: str, problem: str) -> None:
    """A member whose name or value an enum of that base would not take is refused."""
    assert problems({"kind": "enum", "name": "E", "base": base, "members": [member]}) == [f"members[0].{problem}"]


def test_cases() -> None:
    """A case needs a result or an exception, not both, and names the exception by a name."""
    assert problems(
        {"kind": "test", "target": "f", "module": "a..b", "cases": [{}, {"expected": "1", "raises": "x()"}]}
    ) == [
        "module: 'a..b' is not a name, or names with dots between",
        "cases[0]: expected exactly one of 'expected' and 'raises'",
        "cases[1]: expected exactly one of 'expected' and 'raises'",
        "cases[1].raises: 'x()' is not a name, or names with dots between",
    ]


@pytest.mark.parametrize(
    "text",
    ["", "int\nimport os", "int = 3", "x)", "x): pass\n#", "import os", "\0", "\ud800", "(" * 300, "1" + "+1" * 5_000],
)
def test_an_expression_cannot_leave_its_place(text: str) -> None:
    """A text that is not exactly one expression is refused wherever an expression belongs."""
    (problem,) = problems(function(returns=text))
    assert problem.startswith("returns: ")
    assert "is not an expression" in problem


def test_comments_do_not_swallow_code() -> None:
    """A comment in an expression is dropped, so that what comes after it stays code."""
    code = RENDERER.render(*read_spec(function(parameters=[{"name": "a", "type": "int # x", "default": "1 # y"}])))
    assert code.startswith("def f(a: int = 1):\n")


@pytest.mark.parametrize(
    ("body", "reason"),
    [("await x", "'await' outside"), ("break", "'break' outside loop"), ("nonlocal x", "no binding for nonlocal")],
)
def test_code_that_does_not_compile_is_not_returned(body: str, reason: str) -> None:
    """Statements that parse but make no sense where they stand are refused, with the line."""
    (problem,) = problems(function(body=body))
    assert problem.startswith(f"the code does not compile: {reason}")
    assert repr(body) in problem


texts = st.text(max_size=8) | st.sampled_from(["x", "int", "1", "class"])
keys = st.sampled_from(["name", "type", "value", "arguments", "expected", "raises", "x"])
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=8,
)
fields = st.sampled_from(
    sorted({field.name for type_ in KINDS.values() for field in dataclasses.fields(type_)} | {"y"})
)
kinds = st.fixed_dictionaries({"kind": st.sampled_from([*KINDS, "other", 3])})


@given(st.tuples(kinds, st.dictionaries(fields, values)).map(lambda parts: {**parts[1], **parts[0]}) | values)
def test_any_data_is_rendered_or_refused(data: object) -> None:
    """Whatever comes in, the result is code that parses or a SpecError with at least one problem."""
    try:
        code = RENDERER.render(*read_spec(data))
    except SpecError as exc:
        assert exc.problems
    else:
        ast.parse(code)
