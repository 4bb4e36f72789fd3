"""Call a hook whose parameters do not fit a call with one positional argument.

Their frames stand between a guard and the handler that it watches, so they live in a file of their own, which the
guard looks through.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def without_argument(function: Callable[[], Any]) -> Callable[[Any], Any]:
    """Return a function of one argument that calls `function` with none."""

    def call(_: Any) -> Any:
        return function()

    return call


def by_keyword(function: Callable[..., Any], name: str) -> Callable[[Any], Any]:
    """Return a function of one argument that passes it on under `name`."""

    def call(argument: Any) -> Any:
        return function(**{name: argument})

    return call


def with_arguments(function: Callable[..., Any], names: tuple[str, ...]) -> Callable[[Any], Any]:
    """Return a function of one mapping that passes on those of its entries that `function` takes."""

    def call(arguments: Any) -> Any:
        return function(**{name: arguments[name] for name in names if name in arguments})

    return call
