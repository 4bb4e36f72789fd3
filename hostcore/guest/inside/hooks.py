"""The hooks of a guest's module: found by the same marks and rules as natively, each with its way to be called."""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, NamedTuple

from hostcore.contract.messages import Message
from hostcore.contract.spec import HOOKS, PROJECT
from hostcore.contract.validation import check_hooks, marked, place_of
from hostcore.errors import HookError, LoadError, Problem, did_you_mean
from hostcore.hosts import adapters

ADDRESSED = ("handle_message", "execute")
"""The contract's hooks that messages go to; they are called with the one argument, the others with a mapping."""
ANYBODYS = "HC300"
"""The code of an unknown hook: another package may declare it, which only the host knows."""


class Hook(NamedTuple):
    """One hook of the module: `function` takes one argument, the hook itself `names`."""

    name: str
    function: Callable[[Any], Any]
    names: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.name}({', '.join(self.names)})"


def find_object(module: str, value: str) -> Any:
    """Import what the entry point `value` names, as in "acme_counter:Counter".

    Raises:
        LoadError: It names something that is not there.
    """
    place, _, path = value.partition(":")
    found: Any = import_module(place)
    for part in path.split(".") if path else ():
        if not hasattr(found, part):
            hint = did_you_mean(part, [name for name in dir(found) if not name.startswith("_")])
            raise LoadError(module, f"the entry point {value!r} names {part!r}, which {place!r} does not have",
                            code="HC210", hint=hint)  # fmt: skip
        found = getattr(found, part)
    return found


def make_plugin(module: str, found: Any, value: str) -> Any:
    """Return the module's object: an instance, where the entry point names a class.

    Raises:
        LoadError: The class cannot be made without arguments.
    """
    if not inspect.isclass(found):
        return found
    try:
        inspect.signature(found).bind()
    except TypeError as exc:
        raise LoadError(module, f"{value!r} cannot be made without arguments: {exc}", code="HC208",
                        hint="take what it needs from the context, in initialize(context)") from None  # fmt: skip
    except ValueError:
        pass  # no signature to look at: calling it will tell
    return found()


def collect(module: str, plugin: Any) -> dict[str, Hook]:
    """Return hook name -> hook for all that `plugin` implements.

    Raises:
        HookError: Hooks are declared wrongly; every problem is listed.
    """
    problems = [problem for problem in check_hooks(plugin, {}) if problem.code != ANYBODYS]
    hooks: dict[str, Hook] = {}
    for attribute, function in marked(plugin).items():
        name = function.__dict__[f"{PROJECT}_impl"].get("specname") or attribute
        problems += _check_reading(name, function)
        if not problems:
            hooks.setdefault(name, _hook(name, getattr(plugin, attribute)))
    if problems:
        raise HookError(module, problems=problems)
    return hooks


def _hook(name: str, function: Callable[..., Any]) -> Hook:
    names = tuple(inspect.signature(function).parameters)
    if name in HOOKS:  # others have a default that nobody fills in
        names = tuple(argument for argument in names if argument in HOOKS[name])
    if name not in ADDRESSED:
        return Hook(name, adapters.with_arguments(function, names), names)
    (argument,) = HOOKS[name]
    if argument not in names:
        return Hook(name, adapters.without_argument(function), names)
    first = next(iter(inspect.signature(function).parameters)) == argument
    return Hook(name, function if first else adapters.by_keyword(function, argument), names)


def _check_reading(name: str, function: Any) -> list[Problem]:
    """Return what is wrong with the annotation of the argument that a message's payload goes into."""
    if name not in ADDRESSED:
        return []
    (argument,) = HOOKS[name]
    wanted = _annotation(function, argument)
    if typing.get_origin(wanted) is Message:
        (wanted,) = typing.get_args(wanted)
    if _is_plain(wanted):
        return []
    return [Problem(
        f"argument {argument!r} of hook {name!r} is annotated {wanted!r}", code="HC311", where=place_of(function),
        expected="expected: plain data", hint="inside a WebAssembly guest payloads are plain data: read it in the hook",
    )]  # fmt: skip


def _annotation(function: Any, argument: str) -> Any:
    """Return the resolved annotation; Any where there is none or it cannot be resolved, as natively."""
    try:
        return typing.get_type_hints(function).get(argument, Any)
    except Exception:  # noqa: BLE001 - evaluating an annotation runs whatever the module wrote there
        return Any


def _is_plain(wanted: Any) -> bool:
    """Tell whether payloads of that annotation are handed over as they come."""
    if wanted in _PLAIN or isinstance(wanted, typing.TypeVar):
        return True
    origin = typing.get_origin(wanted)
    if origin in (typing.Union, types.UnionType):
        return all(map(_is_plain, typing.get_args(wanted)))
    return origin in (dict, list) or (isinstance(origin, type) and issubclass(origin, Mapping))


_PLAIN: tuple[Any, ...] = (Any, object, Message, dict, list, str, int, float, bool, None, type(None), Mapping)
