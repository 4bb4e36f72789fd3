"""What can be rendered: one dataclass for each kind, told apart by the field "kind".

    {"kind": "function", "name": "add", "parameters": [{"name": "a"}, {"name": "b"}], "body": "return a + b"}

Texts that become code are *names*, *expressions* ("list[int]", "x + 1") or *statements*; all others are docstrings.
"""

# The annotations are read by `shape`, so they are objects here and not texts.
from dataclasses import dataclass
from typing import Annotated, Literal


@dataclass(frozen=True, eq=False)  # `typing` hands out one type for equal ones, of another copy of this file too
class Bounds:
    """How many characters a text or items a list may have, or how large an integer may be."""

    least: int
    most: int


Text = Annotated[str, Bounds(0, 20_000)]
"""Any text; the bound keeps one spec from occupying the host for seconds."""
Integer = Annotated[int, Bounds(-(2**63), 2**63 - 1)]
Imports = Annotated[tuple[Text, ...], Bounds(0, 1_000)]


@dataclass(frozen=True)
class Field:
    """A field of a dataclass.

    Attributes:
        name: A name.
        type: An expression.
        default: An expression; one that makes a list, dict or set makes a new one for each object.
    """

    name: Text
    type: Text = "object"
    default: Text | None = None


@dataclass(frozen=True)
class Parameter:
    """A parameter of a function: `name`, and the expressions `type` and `default`, which may be missing."""

    name: Text
    type: Text | None = None
    default: Text | None = None


@dataclass(frozen=True)
class Member:
    """A member of an enum: its name and value."""

    name: Text
    value: Integer | Text


@dataclass(frozen=True)
class Case:
    """One case of a test.

    Attributes:
        arguments: Expressions, passed by position.
        expected: An expression that the result must equal; or
        raises: The name of the exception that must come, as in "ValueError".
    """

    arguments: Annotated[tuple[Text, ...], Bounds(0, 1_000)] = ()
    expected: Text | None = None
    raises: Text | None = None


@dataclass(frozen=True)
class DataclassSpec:
    """A dataclass with fields."""

    name: Text
    doc: Text = ""
    imports: Imports = ()
    fields: Annotated[tuple[Field, ...], Bounds(0, 1_000)] = ()
    frozen: bool = False


@dataclass(frozen=True)
class FunctionSpec:
    """A function.  `body` holds statements, "..." where there is nothing to do; `asynchronous` makes it `async`."""

    name: Text
    doc: Text = ""
    imports: Imports = ()
    parameters: Annotated[tuple[Parameter, ...], Bounds(0, 1_000)] = ()
    returns: Text | None = None
    body: Text = "..."
    asynchronous: bool = False


@dataclass(frozen=True)
class EnumSpec:
    """An enum.  The values must fit `base`: IntEnum and Flag take integers, StrEnum takes texts."""

    name: Text
    members: Annotated[tuple[Member, ...], Bounds(1, 1_000)]
    doc: Text = ""
    imports: Imports = ()
    base: Literal["Enum", "IntEnum", "StrEnum", "Flag"] = "Enum"


@dataclass(frozen=True)
class TestSpec:
    """A pytest test of the function `target` in the package or file `module`, one case a call."""

    __test__ = False

    target: Text
    module: Text
    cases: Annotated[tuple[Case, ...], Bounds(1, 1_000)]
    doc: Text = ""
    imports: Imports = ()


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
