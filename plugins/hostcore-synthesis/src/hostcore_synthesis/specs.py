"""What can be rendered: one Struct for each kind, told apart by the field "kind".

    {"kind": "function", "name": "add", "parameters": [{"name": "a"}, {"name": "b"}], "body": "return a + b"}

Texts that become code are *names*, *expressions* ("list[int]", "x + 1") or *statements*; all others are docstrings.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

Text = Annotated[str, msgspec.Meta(max_length=20_000)]
"""Any text; the bound keeps one spec from occupying the host for seconds."""
Integer = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
_Many = msgspec.Meta(max_length=1_000)


class _Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A part of a spec."""


class Field(_Part, frozen=True):
    """A field of a dataclass.

    Attributes:
        name: A name.
        type: An expression.
        default: An expression; one that makes a list, dict or set makes a new one for each object.
    """

    name: Text
    type: Text = "object"
    default: Text | None = None


class Parameter(_Part, frozen=True):
    """A parameter of a function: `name`, and the expressions `type` and `default`, which may be missing."""

    name: Text
    type: Text | None = None
    default: Text | None = None


class Member(_Part, frozen=True):
    """A member of an enum: its name and value."""

    name: Text
    value: Integer | Text


class Case(_Part, frozen=True):
    """One case of a test.

    Attributes:
        arguments: Expressions, passed by position.
        expected: An expression that the result must equal; or
        raises: The name of the exception that must come, as in "ValueError".
    """

    arguments: Annotated[list[Text], _Many] = []
    expected: Text | None = None
    raises: Text | None = None


class DataclassSpec(_Part, frozen=True, tag="dataclass", tag_field="kind"):
    """A dataclass with fields."""

    name: Text
    doc: Text = ""
    imports: Annotated[list[Text], _Many] = []
    fields: Annotated[list[Field], _Many] = []
    frozen: bool = False


class FunctionSpec(_Part, frozen=True, tag="function", tag_field="kind"):
    """A function.  `body` holds statements, "..." where there is nothing to do; `asynchronous` makes it `async`."""

    name: Text
    doc: Text = ""
    imports: Annotated[list[Text], _Many] = []
    parameters: Annotated[list[Parameter], _Many] = []
    returns: Text | None = None
    body: Text = "..."
    asynchronous: bool = False


class EnumSpec(_Part, frozen=True, tag="enum", tag_field="kind"):
    """An enum.  The values must fit `base`: IntEnum and Flag take integers, StrEnum takes texts."""

    name: Text
    members: Annotated[list[Member], msgspec.Meta(min_length=1, max_length=1_000)]
    doc: Text = ""
    imports: Annotated[list[Text], _Many] = []
    base: Literal["Enum", "IntEnum", "StrEnum", "Flag"] = "Enum"


class TestSpec(_Part, frozen=True, tag="test", tag_field="kind"):
    """A pytest test of the function `target` in the package or file `module`, one case a call."""

    __test__ = False

    target: Text
    module: Text
    cases: Annotated[list[Case], msgspec.Meta(min_length=1, max_length=1_000)]
    doc: Text = ""
    imports: Annotated[list[Text], _Many] = []


Spec = DataclassSpec | FunctionSpec | EnumSpec | TestSpec
KINDS: dict[str, type[Spec]] = {
    "dataclass": DataclassSpec,
    "enum": EnumSpec,
    "function": FunctionSpec,
    "test": TestSpec,
}


class SpecError(ValueError):
    """A spec that cannot be rendered.

    Attributes:
        problems: Everything that is wrong with it, each with its place, as in "fields[2].name: ...".
    """

    def __init__(self, problems: list[str]) -> None:
        """Make the text from `problems`."""
        super().__init__("the spec cannot be rendered:\n" + "\n".join(f"  {problem}" for problem in problems))
        self.problems = problems
