"""Call the hooks that other packages declare: `await system.hooks.NAME(...)` and `system.first.NAME(...)`.

Each implementation is a request to its module, so it waits its turn in the mailbox, has its module's time limit, and
one that fails is an event and left out of the results.
"""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from hostcore.errors import HostcoreError, LifecycleError
from hostcore.messaging import wire
from hostcore.messaging.bus import Sender
from hostcore.runtime.hookspecs import Declared, DeclaredHooks
from hostcore.runtime.parts import Parts

_tokens = itertools.count(1)


class HookCaller:
    """`system.hooks`, or with `first` `system.first`; an attribute is a declared hook."""

    def __init__(self, declared: DeclaredHooks, parts: Callable[[], Parts], sender: Sender, *, first: bool) -> None:
        self._declared = declared
        self._parts = parts
        self._sender = sender
        self._first = first

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        if name.startswith("_"):
            raise AttributeError(name)
        hook = self._declared.get(name)

        async def call(**arguments: Any) -> Any:
            _check_arguments(hook, arguments)
            return await self._call(hook, arguments, self._first or hook.first_result)

        call.__name__ = name
        return call

    async def _call(self, hook: Declared, arguments: dict[str, Any], first: bool) -> Any:
        parts = self._parts()
        _check_provider(parts, hook)
        if not hook.by_reference:  # what cannot be encoded is the caller's mistake, not the modules'
            what = f"the arguments of hook {hook.name!r}"
            wire.encode(arguments, module=self._sender.name, what=what, limit=parts.bus.message_limit)
        results = []
        for name in _implementers(parts, hook):
            try:
                result = await self._ask(parts, name, hook, arguments)
            except HostcoreError:
                continue  # an event has told of it
            if result is not None:
                if first:
                    return result
                results.append(result)
        return None if first else results

    async def _ask(self, parts: Parts, name: str, hook: Declared, arguments: dict[str, Any]) -> Any:
        if not hook.by_reference:
            return await parts.bus.request(self._sender, name, arguments, hook=hook.name)
        references, token = parts.tools.references, next(_tokens)
        box = references[token] = [arguments]  # arguments there, result back
        try:
            await parts.bus.request(self._sender, name, token, hook=hook.name)
            return box.pop()
        finally:
            references.pop(token, None)


def _check_arguments(hook: Declared, arguments: Mapping[str, Any]) -> None:
    unknown = [name for name in arguments if name not in hook.arguments]
    missing = [name for name in hook.arguments if name not in arguments]
    if unknown or missing:
        raise TypeError(
            f"hook {hook.name!r} takes ({', '.join(hook.arguments)})"
            + (f"; unknown: {', '.join(unknown)}" if unknown else "")
            + (f"; missing: {', '.join(missing)}" if missing else "")
        )


def _implementers(parts: Parts, hook: Declared) -> list[str]:
    """Return who implements a hook: those marked tryfirst first, and later loaded ones before earlier."""
    found = []
    for record in reversed(parts.registry.records()):
        hooks = record.copy.instance.hooks if record.copy and record.copy.instance else {}
        if hook.name in hooks:
            found.append((hooks[hook.name], record.name))
    return [name for _, name in sorted(found, key=lambda entry: entry[0])]


def _check_provider(parts: Parts, hook: Declared) -> None:
    entries = parts.discovery.scan().modules.values()
    own = [entry.name for entry in entries if entry.distribution == hook.distribution]
    if own and not any(name in parts.registry and parts.registry.record(name).copy for name in own):
        raise LifecycleError(
            f"hook {hook.name!r} is declared by {hook.distribution!r}, of which no module runs",
            hint=f"load {' or '.join(own)}",
        )
