"""Hooks that other packages declare, through the entry-point group `hostcore.hookspecs`.

A declaration is read once for each release, in a generation that is dropped at once: what is kept is plain data
(names, arguments), so a package that declares hooks pins nothing and can go away.  If its distribution also has
modules, its hooks can be called while one of them runs; else while it is installed.

Hooks marked with hostcore's own `hookspec` are called by messages, in every kind of host.  Those of another pluggy
project (whose plugins are then hosted unchanged) are called with live objects, so natively only.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, NamedTuple

from hostcore.contract.spec import HOOKS, PROJECT
from hostcore.contract.versions import parse_version
from hostcore.errors import HostcoreError, did_you_mean
from hostcore.generations import Generation
from hostcore.hosts import faults
from hostcore.packages.entries import Entry
from hostcore.packages.locating import locate

log = logging.getLogger("hostcore")


class Declared(NamedTuple):
    """One declared hook."""

    name: str
    arguments: tuple[str, ...]
    first_result: bool
    project: str
    distribution: str
    version: str

    @property
    def by_reference(self) -> bool:
        """Whether its arguments are live objects."""
        return self.project != PROJECT


class DeclaredHooks:
    """All hooks declared by installed packages.

    Attributes:
        problems: Declarations that could not be read, as text.
    """

    def __init__(self) -> None:
        self._read: dict[tuple[str, str, str], list[Declared]] = {}
        self._hooks: dict[str, Declared] = {}
        self.problems: list[str] = []

    def refresh(self, entries: Iterable[Entry]) -> None:
        """Read the declarations of `entries` that are new, and forget those that are gone."""
        wanted = {(e.distribution, e.version, e.value): e for e in entries}
        self._read = {key: hooks for key, hooks in self._read.items() if key in wanted}
        for key, entry in wanted.items():
            if key not in self._read:
                self._read[key] = self._declarations(entry)
        everything = [hook for hooks in self._read.values() for hook in hooks]
        everything.sort(key=lambda hook: (parse_version(hook.version), hook.distribution))
        self._hooks = {hook.name: hook for hook in everything if hook.name not in HOOKS}

    def _declarations(self, entry: Entry) -> list[Declared]:
        try:
            release = locate(entry)
            generation = Generation(f"hookspecs {entry.name}", release.paths, owned=release.owned)
        except HostcoreError as error:
            self.problems.append(str(error))
            return []
        try:
            module, _, path = entry.value.partition(":")
            namespace = generation.load(module)
            for part in path.split(".") if path else ():
                namespace = getattr(namespace, part)
            return list(_declared_in(namespace, entry))
        except BaseException as error:  # noqa: BLE001 - whatever its import raises
            self.problems.append(f"hookspecs of {entry.distribution}: {faults.summary_of(error)}")
            log.error("hookspecs of %s cannot be read: %s", entry.distribution, faults.traceback_of(error))
            return []
        finally:
            generation.unload()

    def arguments(self) -> dict[str, tuple[str, ...]]:
        """Return hook name -> argument names."""
        return {name: hook.arguments for name, hook in self._hooks.items()}

    def get(self, name: str) -> Declared:
        """Return a declared hook.

        Raises:
            AttributeError: Nobody declares it.
        """
        try:
            return self._hooks[name]
        except KeyError:
            hint = did_you_mean(name, self._hooks) or f"declared: {', '.join(sorted(self._hooks)) or 'none'}"
            raise AttributeError(f"no installed package declares a hook {name!r}; {hint}") from None


def _declared_in(namespace: Any, entry: Entry) -> Iterable[Declared]:
    for name in dir(namespace):
        member = inspect.getattr_static(namespace, name, None)
        function = getattr(member, "__func__", member)
        for key, options in getattr(function, "__dict__", {}).items():
            if key.endswith("_spec") and isinstance(options, dict):
                names = [n for n in inspect.signature(function).parameters if n != "self"]
                yield Declared(
                    name, tuple(names), bool(options.get("firstresult")), key.removesuffix("_spec"),
                    entry.distribution, entry.version,
                )  # fmt: skip


Call = Callable[[Declared, dict[str, Any], bool], Awaitable[Any]]


class HookCaller:
    """`system.hooks` and `system.first`: `await system.hooks.NAME(argument=...)`."""

    def __init__(self, declared: DeclaredHooks, call: Call, *, first: bool) -> None:
        self._declared = declared
        self._call = call
        self._first = first

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        if name.startswith("_"):
            raise AttributeError(name)
        hook = self._declared.get(name)

        async def call(**arguments: Any) -> Any:
            unknown = [a for a in arguments if a not in hook.arguments]
            missing = [a for a in hook.arguments if a not in arguments]
            if unknown or missing:
                raise TypeError(
                    f"hook {name!r} takes ({', '.join(hook.arguments)})"
                    + (f"; unknown: {', '.join(unknown)}" if unknown else "")
                    + (f"; missing: {', '.join(missing)}" if missing else "")
                )
            return await self._call(hook, arguments, self._first or hook.first_result)

        call.__name__ = name
        return call
