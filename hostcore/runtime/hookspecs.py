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
from collections.abc import Iterable
from typing import Any, NamedTuple

from hostcore.contract.spec import HOOKS, PROJECT
from hostcore.contract.versions import parse_version
from hostcore.errors import HostcoreError, did_you_mean
from hostcore.generations import Generation
from hostcore.hosts.aside import import_aside
from hostcore.hosts.base import Tools
from hostcore.hosts.importing import find_object
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

    async def refresh(self, entries: Iterable[Entry], tools: Tools, seconds: float) -> None:
        """Read the declarations of `entries` that are new, each within `seconds`, and forget those that are gone."""
        wanted = {(e.distribution, e.version, e.value): e for e in entries}
        read = {key: self._read.get(key) for key in wanted}
        for key, entry in wanted.items():
            if read[key] is None:
                read[key] = await self._declarations(entry, tools, seconds)
        self._read = {key: hooks for key, hooks in read.items() if hooks is not None}
        everything = [hook for hooks in self._read.values() for hook in hooks]
        everything.sort(key=lambda hook: (parse_version(hook.version), hook.distribution))
        self._hooks = {hook.name: hook for hook in everything if hook.name not in HOOKS}

    async def _declarations(self, entry: Entry, tools: Tools, seconds: float) -> list[Declared]:
        generation = None
        try:
            release = locate(entry)
            generation = Generation(f"hookspecs {entry.name}", release.paths, owned=release.owned)
            namespace = await import_aside(tools, (generation, release), seconds, find_object)
            return list(_declared_in(namespace, entry))
        except HostcoreError as error:
            self.problems.append(f"hookspecs of {entry.distribution}: {error}")
            log.error("hookspecs of %s cannot be read: %s", entry.distribution, error)
            return []
        finally:
            if generation is not None:
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
