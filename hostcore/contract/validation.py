"""Check every hook that a module declares, when it loads: all problems at once.

pluggy itself would stop at the first problem, or find it only when the hook is called (keyword-only arguments).
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MethodType
from typing import Any

from hostcore.contract.spec import BLOCKING, HOOKS, PROJECT
from hostcore.errors import Problem, did_you_mean

IMPL = f"{PROJECT}_impl"
_ODD: dict[Any, str] = {
    inspect.Parameter.POSITIONAL_ONLY: "positional-only argument ",
    inspect.Parameter.KEYWORD_ONLY: "keyword-only argument ",
    inspect.Parameter.VAR_POSITIONAL: "*",
    inspect.Parameter.VAR_KEYWORD: "**",
}
"""How a parameter that is not plain is shown: the host calls some hooks by position and others by keyword."""


def marked(plugin: object) -> dict[str, Any]:
    """Return attribute name -> function for everything in `plugin` that `hookimpl` marked.

    Properties are not evaluated: they are the module's code and it has not been checked yet.
    """
    found = {}
    for name, member in sorted(members(plugin).items()):
        function = getattr(member, "__func__", member)
        if isinstance(getattr(function, "__dict__", {}).get(IMPL), dict):
            found[name] = function
    return found


def members(plugin: object) -> dict[str, Any]:
    """Return everything that `plugin` has, as it stands in the namespaces: no descriptor is run."""
    found: dict[str, Any] = {}
    for cls in reversed(type(plugin).__mro__[:-1]):
        found |= type.__getattribute__(cls, "__dict__")
    return found | getattr(plugin, "__dict__", {})


def check_hooks(plugin: object, third_party: Mapping[str, tuple[str, ...]]) -> list[Problem]:
    """Return what is wrong with the hooks of `plugin`.

    Args:
        plugin: A module's object: an instance of its class, or a Python module.
        third_party: Hooks that other packages declare: name -> argument names.
    """
    functions = marked(plugin)
    known = {**third_party, **HOOKS}
    problems = list(_check_markers(plugin))
    for name, function in functions.items():
        problems += _check(name, function, known, bound=_is_bound(plugin, name))
    if not functions and not problems:
        problems.append(
            Problem(
                "implements no hook",
                code="HC305",
                expected=f"at least one of {', '.join(HOOKS)}",
                hint="mark its functions with @hostcore.hookimpl",
            )
        )
    return problems


def _check_markers(plugin: object) -> Iterator[Problem]:
    for name, member in sorted(members(plugin).items()):
        function = getattr(member, "__func__", member)
        if function is not member and IMPL in getattr(member, "__dict__", {}) and IMPL not in function.__dict__:
            kind = type(member).__name__
            yield Problem(
                f"hook {name!r} is marked outside of @{kind}, where nobody sees it", code="HC309",
                where=place_of(function), hint=f"write @{kind} first and @hookimpl below it",
            )  # fmt: skip


def _is_bound(plugin: object, name: str) -> bool:
    """Tell whether Python passes a first argument of its own, `self` or `cls`."""
    member = members(plugin)[name]
    of_class = name not in getattr(plugin, "__dict__", {})
    return isinstance(member, (classmethod, MethodType)) or (of_class and inspect.isfunction(member))


def _check(
    name: str, function: Any, known: Mapping[str, tuple[str, ...]], *, bound: bool
) -> Iterator[Problem]:  # fmt: skip
    options = function.__dict__[IMPL]
    hook = options.get("specname") or name
    where = place_of(function)
    if hook not in known:
        if not options.get("optionalhook"):
            hint = did_you_mean(hook, known) or f"known hooks: {', '.join(known)}"
            yield Problem(f"implements an unknown hook {hook!r}", code="HC300", where=where, hint=hint)
        return
    if options.get("hookwrapper") or options.get("wrapper"):
        yield Problem(
            f"hook {hook!r} is a wrapper", code="HC304", where=where, hint="modules are isolated: implement it plainly"
        )
    spec = f"spec: {hook}({', '.join(known[hook])})"
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        yield Problem(f"hook {hook!r} is a {type(function).__name__}, not a function", "HC310", where, spec)
        return
    yield from _check_parameters(hook, parameters[1:] if bound else parameters, known[hook], where, spec)
    yield from _check_kind(hook, function, where)


def _check_parameters(
    hook: str, parameters: list[inspect.Parameter], arguments: tuple[str, ...], where: str, spec: str
) -> Iterator[Problem]:
    for parameter in parameters:
        optional = parameter.default is not inspect.Parameter.empty
        if optional and parameter.name not in arguments:
            continue  # nobody fills it in
        if parameter.kind in _ODD:
            text = f"{_ODD[parameter.kind]}{parameter.name}"
            yield Problem(f"hook {hook!r} takes {text!r}; hooks take plain arguments", "HC306", where, spec)
        elif parameter.name not in arguments:
            yield Problem(
                f"hook {hook!r} takes an unknown argument {parameter.name!r}",
                "HC301",
                where,
                spec,
                did_you_mean(parameter.name, arguments),
            )


def _check_kind(hook: str, function: Any, where: str) -> Iterator[Problem]:
    if inspect.isasyncgenfunction(function) or inspect.isgeneratorfunction(function):
        yield Problem(f"hook {hook!r} is a generator", "HC307", where, hint="return a value instead of yielding")
    if getattr(function, BLOCKING, False) and inspect.iscoroutinefunction(function):
        yield Problem(
            f"hook {hook!r} is async and declared blocking", "HC308", where, hint="use one: def with blocking=True"
        )


def place_of(function: Any) -> str:
    """Return "package/file.py:12" of a function, or ""."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    if code is None:
        return ""
    return f"{'/'.join(Path(code.co_filename).parts[-2:])}:{code.co_firstlineno}"
