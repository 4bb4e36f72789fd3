"""What a module can be configured with: the options a manifest declares, and a user's values held against them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

import msgspec

from hostcore.contract.checking import doc, show
from hostcore.contract.documents import KeyPath, show_path
from hostcore.errors import ConfigError, Problem, did_you_mean

OptionType = Literal["string", "integer", "number", "boolean", "array", "object"]

_WORDS = {
    "string": "text", "integer": "an integer", "number": "a number", "boolean": "true or false",
    "array": "an array", "object": "a table",
}  # fmt: skip
_INT64 = 2**63


class Option(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One option of a module's configuration."""

    type: Annotated[OptionType, doc("What kind of value it takes.")]
    default: Annotated[Any, doc("The value where the user gives none.")] = msgspec.UNSET
    required: Annotated[bool, doc("The user must give a value.")] = False
    choices: Annotated[tuple[Any, ...], doc("The only values allowed; none listed: any.")] = ()
    minimum: Annotated[float | None, doc("The lowest value of an integer or number.")] = None
    maximum: Annotated[float | None, doc("The highest value of an integer or number.")] = None
    summary: Annotated[str, doc("One line for people.")] = ""

    def describe(self) -> str:
        """Return what a value must be, as in "an integer from 0 to 9"."""
        if self.choices:
            return "one of " + ", ".join(map(repr, self.choices))
        low = "" if self.minimum is None else f" from {self.minimum:g}"
        high = "" if self.maximum is None else f" up to {self.maximum:g}"
        return _WORDS[self.type] + low + high

    def admits(self, value: Any) -> bool:
        """Tell whether `value` is of the right type, among the choices and within the bounds."""
        if not self._is_typed(value):
            return False
        if self.choices and value not in self.choices:
            return False
        if self.type not in ("integer", "number"):
            return True
        low, high = self.minimum, self.maximum
        return (low is None or value >= low) and (high is None or value <= high)

    def mistakes(self) -> Iterator[tuple[KeyPath, Problem]]:
        """Yield what the declaration itself has wrong."""
        bounds = [bound for bound in (self.minimum, self.maximum) if bound is not None]
        if bounds and self.type not in ("integer", "number"):
            yield (), Problem(f"'minimum' and 'maximum' do not go with type {self.type!r}")
        if not all(map(math.isfinite, bounds)):
            yield (), Problem("'minimum' and 'maximum' must be finite")
        if len(bounds) == 2 and bounds[0] > bounds[1]:
            yield ("minimum",), Problem(f"'minimum' {bounds[0]:g} is above 'maximum' {bounds[1]:g}")
        for choice in self.choices:
            if not self._is_typed(choice):
                yield ("choices",), Problem(f"choice {choice!r} is not {_WORDS[self.type]}")
        if self.default is not msgspec.UNSET and self.required:
            yield ("required",), Problem("an option with a default cannot be required", hint="drop one of the two")
        if self.default is not msgspec.UNSET and not self.admits(self.default):
            problem = Problem(f"'default' is {show(self.default)}", expected=f"expected: {self.describe()}")
            yield ("default",), problem

    def _is_typed(self, value: Any) -> bool:
        if isinstance(value, bool):
            return self.type == "boolean"
        match self.type:
            case "string":
                return isinstance(value, str)
            case "integer":
                return isinstance(value, int) and -_INT64 <= value < _INT64
            case "number":
                return isinstance(value, int | float) and abs(value) < math.inf
            case "array":
                return isinstance(value, list | tuple)
            case "object":
                return isinstance(value, Mapping)
        return False


def configure(options: Mapping[str, Option], values: Mapping[str, Any], at: KeyPath) -> dict[str, Any]:
    """Return `values` held against `options`, defaults filled in, as plain data shared with nobody.

    A module that declares no options takes any.

    Args:
        options: What the manifest declares.
        values: What the user gives.
        at: The keys that lead to `values`, for messages.

    Raises:
        ConfigError: Every mistake in `values`.
    """
    problems = list(_missing(options, values, at))
    result = {
        name: _plain_copy(option.default) for name, option in options.items() if option.default is not msgspec.UNSET
    }
    for name, value in values.items():
        problem, result[name] = _take(options, name, value)
        if problem is not None:
            problems.append(problem._replace(where=show_path((*at, str(name)))))
    if problems:
        raise ConfigError(f"{len(problems)} mistakes in the configuration", problems=problems)
    return result


def _missing(options: Mapping[str, Option], values: Mapping[str, Any], at: KeyPath) -> Iterator[Problem]:
    for name, option in options.items():
        if option.required and name not in values:
            expected = f"expected: {option.describe()}"
            yield Problem(f"{name!r} is missing", where=show_path((*at, name)), expected=expected, hint=option.summary)


def _take(options: Mapping[str, Option], name: str, value: Any) -> tuple[Problem | None, Any]:
    if options and name not in options:
        known = sorted(options)
        hint = did_you_mean(str(name), known)
        return Problem(f"unknown option {name!r}", expected=f"known: {', '.join(known)}", hint=hint), None
    if options and not options[name].admits(value):
        return _refusal(options[name], name, value), None
    try:
        return None, _plain_copy(value)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        return Problem(f"{name!r} is not plain data: {error}", hint="use text, numbers, arrays and tables"), None


def _refusal(option: Option, name: str, value: Any) -> Problem:
    choices = [choice for choice in option.choices if isinstance(choice, str)]
    hint = did_you_mean(value, choices) if isinstance(value, str) else ""
    return Problem(f"{name!r} is {show(value)}", expected=f"expected: {option.describe()}", hint=hint)


def _plain_copy(value: Any) -> Any:
    """Return `value` as it arrives on the far side of any boundary, so that every host gives a module the same."""
    return msgspec.msgpack.decode(msgspec.msgpack.encode(value))
