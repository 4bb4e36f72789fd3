"""What each kind of spec is rendered to; the code is also run, to see that it does what it says."""

from __future__ import annotations

import dataclasses
import enum
import inspect
import re
from typing import Any

import jinja2
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hostcore_synthesis.rendering import Renderer
from hostcore_synthesis.shape import read_spec

RENDERER = Renderer()


def render(kind: str, **spec: Any) -> str:
    """Return the code for a spec."""
    return RENDERER.render(*read_spec({"kind": kind, **spec}))


def run(code: str) -> dict[str, Any]:
    """Return what some code defines."""
    names: dict[str, Any] = {"__name__": "builtins"}  # dataclasses look for their module in sys.modules
    exec(code, names)
    return names


def test_dataclass() -> None:
    """A dataclass is rendered with its imports, docstring and fields; a list as a default becomes a factory."""
    code = render(
        "dataclass",
        name="Point",
        doc="A point.",
        imports=["from decimal import Decimal"],
        fields=[
            {"name": "x", "type": "Decimal"},
            {"name": "tags", "type": "list[str]", "default": "['a']"},
            {"name": "y", "type": "int", "default": "1 +  1"},
        ],
    )
    assert code == (
        "from decimal import Decimal\n"
        "from dataclasses import dataclass, field\n"
        "\n"
        "\n"
        "@dataclass\n"
        "class Point:\n"
        '    """A point."""\n'
        "\n"
        "    x: Decimal\n"
        "    tags: list[str] = field(default_factory=lambda: ['a'])\n"
        "    y: int = 1 + 1\n"
    )
    point = run(code)["Point"]
    assert point(1).tags == ["a"]
    assert point(1).tags is not point(1).tags


def test_frozen_dataclass() -> None:
    """`frozen` is passed on to the decorator."""
    point = run(render("dataclass", name="Point", fields=[{"name": "x"}], frozen=True))["Point"]
    with pytest.raises(dataclasses.FrozenInstanceError):
        point(1).x = 2


@pytest.mark.parametrize("doc", ["", "Only this."])
def test_empty_dataclass(doc: str) -> None:
    """A dataclass without fields is complete, with and without a docstring."""
    assert dataclasses.fields(run(render("dataclass", name="Empty", doc=doc))["Empty"]) == ()


def test_function() -> None:
    """A function is rendered with its parameters, types, defaults and body."""
    code = render(
        "function",
        name="add",
        doc="Add.",
        parameters=[
            {"name": "a", "type": "int"},
            {"name": "b", "default": "2"},
            {"name": "c", "type": "int", "default": "3"},
        ],
        returns="int",
        body="if a:\n  return a + b\nreturn c",
    )
    assert code == (
        'def add(a: int, b=2, c: int = 3) -> int:\n    """Add."""\n    if a:\n        return a + b\n    return c\n'
    )
    assert run(code)["add"](1) == 3


def test_asynchronous_function() -> None:
    """`asynchronous` makes a coroutine function, which may await."""
    function = run(render("function", name="f", parameters=[{"name": "x"}], body="await x", asynchronous=True))["f"]
    assert inspect.iscoroutinefunction(function)


@pytest.mark.parametrize("body", ["", "...", "# nothing", "  \n"])
def test_function_without_a_body(body: str) -> None:
    """A body with no statement becomes `...`."""
    assert render("function", name="f", body=body) == "def f():\n    ...\n"


def test_strings_in_a_body_stay_as_they_are() -> None:
    """Indenting the body does not reach into strings of several lines."""
    body = "a = '''x\ny'''\nb = f'''{1}\n z'''\nif a:\n  c = '''\n\tz'''\nreturn a, b, c"
    assert run(render("function", name="f", body=body))["f"]() == ("x\ny", "1\n z", "\n\tz")


def test_a_body_may_be_indented() -> None:
    """The indentation that all lines of a body share is dropped."""
    assert run(render("function", name="f", body="    a = 1\n    return a"))["f"]() == 1


@pytest.mark.parametrize(
    ("base", "value"), [("Enum", "it's"), ("Enum", 3), ("IntEnum", -1), ("Flag", 4), ("StrEnum", 'say "x"\n')]
)
def test_enum(base: str, value: int | str) -> None:
    """An enum has the asked base and its members' values."""
    color = run(render("enum", name="Color", doc="Colours.", base=base, members=[{"name": "RED", "value": value}]))[
        "Color"
    ]
    assert issubclass(color, getattr(enum, base))
    assert color.RED.value == value
    assert color.__doc__ == "Colours."


def test_test(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A test has a case for each result and each exception, and passes where the function keeps to them."""
    code = render(
        "test",
        target="divide",
        module="arithmetic",
        doc="It divides.",
        cases=[
            {"arguments": ["1", "2"], "expected": "0.5"},
            {"arguments": ["7"], "expected": "7"},
            {"arguments": ["1", "0"], "raises": "ZeroDivisionError"},
        ],
    )
    assert "        ((1, 2), 0.5),\n        ((7,), 7),\n" in code
    assert "        ((1, 0), ZeroDivisionError),\n" in code
    (tmp_path / "arithmetic.py").write_text("def divide(a, b=1): return a / b")
    monkeypatch.syspath_prepend(tmp_path)
    names = run(code)
    names["test_divide"]((1, 2), 0.5)
    names["test_divide_raises"]((1, 0), ZeroDivisionError)
    with pytest.raises(AssertionError):
        names["test_divide"]((1, 2), 0.4)


def test_only_the_needed_tests_are_rendered() -> None:
    """Without cases that return, or without any that raise, that test is left out."""
    returning = render("test", target="f", module="a.b", cases=[{"expected": "1"}])
    raising = render(
        "test", target="f", module="a.b", cases=[{"raises": "errors.Bad"}], imports=["from a import errors"]
    )
    assert re.findall(r"def (\w+)", returning) == ["test_f"]
    assert re.findall(r"def (\w+)", raising) == ["test_f_raises"]


def test_a_future_import_comes_first() -> None:
    """Imports of the spec come before those of the template, so that `from __future__` works."""
    render("dataclass", name="A", imports=["from __future__ import annotations"])


def test_templates_use_nothing_undefined() -> None:
    """A template that names what its spec does not have raises instead of rendering nothing."""
    with pytest.raises(jinja2.UndefinedError):
        RENDERER._environment.from_string("{{ spec.nmae }}").render(
            spec=read_spec({"kind": "function", "name": "f"})[1]
        )


words = st.text(st.sampled_from("ab \n\"'\\{}%#\té\u2028\0"), max_size=40)


@given(words.filter(lambda text: not {"\0", "\u2028"} & set(text)), st.sampled_from(["function", "dataclass"]))
@example('ends with "', "function")
@example('"""', "function")
@example('five """""', "function")
@example('"four""""x"', "dataclass")
@example("{{ spec }}{% if %}", "function")
@example("a\\", "dataclass")
def test_any_text_can_be_a_docstring(text: str, kind: str) -> None:
    """Whatever a docstring holds, quotes, backslashes and template marks, it comes out as it went in."""
    thing = next(value for name, value in run(render(kind, name="Thing", doc=text)).items() if name == "Thing")
    if text.strip():
        assert inspect.cleandoc(thing.__doc__).split() == text.split()
