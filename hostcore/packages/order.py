"""Load order: who must be there before whom.

A module that requires another, by its name or by a capability it provides, loads after it; `after`, and an optional
requirement, only order what is there.  Of several that provide a capability the one with the highest version counts,
then the first by name.  `plan` decides and touches nothing.  What cannot load does not stop the rest: it is left out
with the reason, and so is what requires it, saying through whom.

The order depends on nothing but names and versions: the same modules load in the same order on every machine.
"""

from __future__ import annotations

import graphlib
from collections.abc import Collection, Mapping
from graphlib import TopologicalSorter
from typing import NamedTuple, Protocol

from packaging.version import Version

from hostcore.contract.versions import Capability, Requirement, parse_version
from hostcore.errors import ConflictError, CycleError, MissingError, Problem, ResolutionError, did_you_mean


class Declares(Protocol):
    """What a manifest says that matters for the order."""

    @property
    def requires(self) -> tuple[Requirement, ...]: ...  # noqa: D102
    @property
    def after(self) -> tuple[str, ...]: ...  # noqa: D102
    @property
    def provides(self) -> tuple[Capability, ...]: ...  # noqa: D102


class Plan(NamedTuple):
    """What `plan` decided.

    Attributes:
        order: The modules that can load, each after all it requires.
        problems: Module name -> why it cannot.
    """

    order: list[str]
    problems: dict[str, ResolutionError]


def plan(modules: Mapping[str, tuple[str, Declares]]) -> Plan:
    """Return the order in which `modules` load.

    Args:
        modules: Module name -> its version and its manifest.
    """
    offers = _Offers(modules)
    problems: dict[str, ResolutionError] = {}
    # Each round leaves out at least one module more, and what is left out may be what another requires.
    while new := _unmet(offers, problems) or _circle(offers, problems):
        problems |= new
    return Plan(_sorted(offers, problems), {name: problems[name] for name in sorted(problems)})


class _Offers:
    """The modules, by name and by what they provide."""

    def __init__(self, modules: Mapping[str, tuple[str, Declares]]) -> None:
        self.manifests = {name: modules[name][1] for name in sorted(modules)}
        self.versions = {name: modules[name][0] for name in self.manifests}
        self._provided: dict[str, list[tuple[Version, str]]] = {}
        for name, manifest in self.manifests.items():
            for capability in manifest.provides:
                self._provided.setdefault(capability.name, []).append((capability.version, name))
        for providers in self._provided.values():
            providers.sort(key=lambda provider: provider[0], reverse=True)  # stable: then by name

    def of(self, wanted: str, asker: str) -> list[tuple[Version, str]]:
        """Return version and name of all that go by the name `wanted`, best first; nobody provides for itself."""
        named = [(parse_version(self.versions[wanted]), wanted)] if wanted in self.versions else []
        return named + [provider for provider in self._provided.get(wanted, ()) if provider[1] not in (asker, wanted)]

    def fitting(self, requirement: Requirement, asker: str) -> list[str]:
        """Return the modules that fulfil `requirement`, best first."""
        return [name for version, name in self.of(requirement.name, asker) if requirement.admits(version)]

    def known(self) -> list[str]:
        """Return every name that can be required."""
        return sorted({*self.versions, *self._provided})


def _unmet(offers: _Offers, failed: Mapping[str, ResolutionError]) -> dict[str, ResolutionError]:
    """Return an error for each module that requires what cannot be had, beside those that `failed` before."""
    new: dict[str, ResolutionError] = {}
    for name, manifest in offers.manifests.items():
        if name not in failed:
            needs = [requirement for requirement in manifest.requires if not requirement.optional]
            found = [problem for need in needs if (problem := _why_not(offers, name, need, failed))]
            if found:
                kind = ConflictError if all(problem.code == ConflictError.code for problem in found) else MissingError
                causes = [problem.message for problem in found]
                new[name] = kind(causes[0], causes=causes, problems=found)
    return new


def _why_not(offers: _Offers, asker: str, need: Requirement, failed: Collection[str]) -> Problem | None:
    """Return why `asker` cannot have what it needs, None if it can."""
    fitting = offers.fitting(need, asker)
    if any(name not in failed for name in fitting):
        return None
    lead = f"{asker} {offers.versions[asker]} requires {str(need)!r}, but"
    if fitting:
        return Problem(f"{lead} {fitting[0]} cannot load", MissingError.code, hint=f"mend {fitting[0]} first")
    there = [
        f"{name} is version {version}" if name == need.name else f"{name} provides {need.name}/{version}"
        for version, name in offers.of(need.name, asker)
    ]
    if there:
        return Problem(f"{lead} {' and '.join(there)}", ConflictError.code, expected=f"expected: {need}",
                       hint="install a version in that range")  # fmt: skip
    hint = did_you_mean(need.name, offers.known()) or f"install a module named {need.name!r} or one that provides it"
    return Problem(f"{lead} no module has that name or provides it", MissingError.code, hint=hint)


def _graph(offers: _Offers, failed: Collection[str]) -> dict[str, list[str]]:
    """Return module -> the modules that load before it, of those that can load."""
    graph: dict[str, list[str]] = {}
    for name, manifest in offers.manifests.items():
        if name not in failed:
            able = ([other for other in offers.fitting(r, name) if other not in failed] for r in manifest.requires)
            before = {others[0] for others in able if others}
            for other in manifest.after:
                before |= {found for _, found in offers.of(other, name) if found != name and found not in failed}
            graph[name] = sorted(before)
    return graph


def _circle(offers: _Offers, failed: Collection[str]) -> dict[str, ResolutionError]:
    """Return an error for each module on one circle, {} if there is none."""
    try:
        TopologicalSorter(_graph(offers, failed)).prepare()
    except graphlib.CycleError as error:
        ring = error.args[1][:0:-1]  # from each to the one it waits for, without the repeated last
        first = ring.index(min(ring))
        path = [*ring[first:], *ring[:first], ring[first]]
        message = f"modules wait for each other in a circle: {' -> '.join(path)}"
        hint = "take one of these out of 'requires' or 'after' in a module.toml"
        return {name: CycleError(message, causes=path, hint=hint) for name in sorted(ring)}
    return {}


def _sorted(offers: _Offers, failed: Collection[str]) -> list[str]:
    sorter = TopologicalSorter(_graph(offers, failed))
    sorter.prepare()
    order: list[str] = []
    while sorter.is_active():
        ready = sorted(sorter.get_ready())
        order += ready
        sorter.done(*ready)
    return order
