"""What a native instance calls for each hook: decided once, when the module loads.

pluggy says which functions implement which hook and with which arguments; a call then goes straight to the
function, which costs a tenth of a hook call through pluggy's dispatch, made for several plugins.
"""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import pluggy

from hostcore.contract.messages import Envelope, Message
from hostcore.contract.spec import BLOCKING, HOOKS, PROJECT, HookSpecs
from hostcore.contract.validation import IMPL, members, place_of
from hostcore.hosts import adapters
from hostcore.messaging.schemas import Chooser, chooser_for, parameter_annotation, read_plain

ADDRESSED = ("handle_message", "execute")
"""The contract's hooks that messages go to; the others are called by the host."""


class Handler(NamedTuple):
    """One hook of one module: `function` takes one argument, the hook itself `names`; `limit` is in seconds."""

    hook: str
    function: Callable[[Any], Any]
    chooser: Chooser | None
    blocking: bool
    limit: float
    by_reference: bool
    order: int
    names: tuple[str, ...]

    def read(self, envelope: Envelope, module: str) -> Any:
        """Return the function's argument for a message; raises ContractError."""
        e = envelope
        if self.chooser is None:
            payload = read_plain(e.payload, reader=module, sender=e.sender)
        else:
            payload = self.chooser.read(e.payload, e.schema, e.topic, reader=module, sender=e.sender)
        if self.hook == "handle_message":
            return Message(e.id, e.topic, payload, e.sender, e.schema, e.deadline, e.trace)
        return payload


class Plugins(pluggy.PluginManager):
    """One generation's plugin manager: it holds the module and dies with it, hook callers included."""

    def __init__(self, project: str = PROJECT) -> None:
        super().__init__(project)

    def parse_hookimpl_opts(self, plugin: object, name: str) -> Any:
        """Return the marks of a member without evaluating properties, which are the module's code."""
        member = inspect.getattr_static(plugin, name, None)
        function = getattr(member, "__func__", member)
        if isinstance(getattr(function, "__dict__", {}).get(f"{self.project_name}_impl"), dict):
            return super().parse_hookimpl_opts(plugin, name)
        return None


def register(plugin: object, name: str, project: str = PROJECT) -> Plugins:
    """Return a plugin manager with the contract's hooks and `plugin` in it."""
    manager = Plugins(project)
    if project == PROJECT:
        manager.add_hookspecs(HookSpecs)
    manager.register(plugin, name)
    return manager


def handlers_of(
    manager: Plugins, limit: Callable[[str], float], third_party: Mapping[str, tuple[str, ...]]
) -> dict[str, Handler]:
    """Return hook name -> handler for all that the manager's one plugin implements."""
    found: dict[str, Handler] = {}
    for hook, caller in vars(manager.hook).items():
        implementations = caller.get_hookimpls()
        if implementations and (hook in HOOKS or hook in third_party):
            found[hook] = _handler(hook, implementations[0], limit(hook), manager.project_name)
    return found


def _handler(hook: str, implementation: pluggy.HookImpl, limit: float, project: str) -> Handler:
    function = implementation.function
    names = (*implementation.argnames, *implementation.kwargnames)
    blocking = bool(getattr(function, BLOCKING, False))
    order = implementation.trylast - implementation.tryfirst
    chooser = None
    if hook in ADDRESSED:
        argument = HOOKS[hook][0]
        if argument in names:
            chooser = _chooser(function, argument)
        call = _one_argument(function, names, argument)
    else:
        call = adapters.with_arguments(function, names)
    return Handler(hook, call, chooser, blocking, limit, project != PROJECT, order, names)


def _chooser(function: Callable[..., Any], argument: str) -> Chooser | None:
    annotation = parameter_annotation(function, argument)
    try:
        return chooser_for(annotation)
    except Exception as exc:  # noqa: BLE001 - msgspec raises what it likes for a type that it cannot read
        raise TypeError(f"argument {argument!r} of {place_of(function)} is annotated {annotation!r}: {exc}") from None


def _one_argument(function: Callable[..., Any], names: tuple[str, ...], argument: str) -> Callable[[Any], Any]:
    if argument not in names:
        return adapters.without_argument(function)
    return function if names[0] == argument else adapters.by_keyword(function, argument)


def projects_of(plugin: object) -> set[str]:
    """Return the pluggy projects, other than hostcore, whose marks `plugin` carries."""
    found = set()
    for member in members(plugin).values():
        function = getattr(member, "__func__", member)
        own = function.__dict__ if type(function) is types.FunctionType else {}
        for key, value in own.items():
            if key.endswith("_impl") and key != IMPL and isinstance(value, dict):
                found.add(key.removesuffix("_impl"))
    return found
