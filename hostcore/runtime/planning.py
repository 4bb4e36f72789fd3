"""What to load for what: requirements, who supplies them, and in which order.  Decides and touches nothing."""

from __future__ import annotations

from hostcore.contract.lifecycle import DOWN, State
from hostcore.contract.manifest import Manifest
from hostcore.contract.versions import Requirement
from hostcore.errors import HostcoreError, ResolutionError
from hostcore.packages import order
from hostcore.packages.discovery import Scan
from hostcore.runtime.loading import Described, Loader
from hostcore.runtime.parts import Parts
from hostcore.runtime.registry import Wish

Plannable = dict[str, tuple[str, Manifest]]
_THERE = frozenset({State.RUNNING, State.DRAINING, *DOWN})


class Planner:
    """Plans loads for one system."""

    def __init__(self, parts: Parts, loader: Loader) -> None:
        self._parts = parts
        self._loader = loader

    def plan(self, described: dict[str, Described]) -> order.Plan:
        """Return in which order `described` and what runs load, and what of it cannot."""
        return order.plan({**self.running(), **_plannable(described)})

    def running(self) -> Plannable:
        """Return what runs, by name: version and manifest; what is down after a crash counts, it is to come back."""
        found: Plannable = {}
        for record in self._parts.registry.records():
            if record.copy is not None and record.state in _THERE:
                found[record.name] = (record.copy.release.version, record.copy.manifest)
        return found

    def describe_all(self, names: list[str], scan: Scan) -> tuple[dict[str, Described], dict[str, HostcoreError]]:
        """Return `names` and what must be loaded for them, described, and what cannot be described."""
        described: dict[str, Described] = {}
        failed: dict[str, HostcoreError] = {}
        while names:
            for name in names:
                try:
                    described[name] = self._loader.describe(name, Wish(), scan)
                except HostcoreError as error:
                    failed[name] = error
            known = {**self.running(), **_plannable(described)}
            needs = [need for _, manifest in described.values() for need in manifest.requires]
            found = {self._supplier(need, known, scan) for need in needs}
            names = sorted(name for name in found if name is not None and name not in failed)
        return described, failed

    def needed_now(self, order: list[str], described: dict[str, Described], asked: set[str]) -> set[str]:
        """Return what of `order` loads now: what was asked for and does not wait for demand, and what that requires."""
        now: set[str] = set()
        needs: set[str] = set()
        for name in reversed(order):
            manifest = described[name][1]
            names = {name, *(capability.name for capability in manifest.provides)}
            at_once = (self._loader.settings(name).activate or manifest.activate) != "on-demand"
            if (at_once and name in asked) or names & needs:
                now.add(name)
                needs |= {need.name for need in manifest.requires if not need.optional}
        return now

    def with_requirements(self, name: str, wish: Wish, scan: Scan) -> dict[str, Described]:
        """Return the module, and what must be loaded for it, described but not loaded."""
        described: dict[str, Described] = {}
        running = self.running()
        todo = [(name, wish)]
        while todo:
            current, current_wish = todo.pop()
            if current in described or current in running:
                continue
            described[current] = self._loader.describe(current, current_wish, scan)
            for need in described[current][1].requires:
                found = self._supplier(need, {**running, **_plannable(described)}, scan)
                if found is not None:
                    todo.append((found, Wish()))
        return described

    def _supplier(self, need: Requirement, there: Plannable, scan: Scan) -> str | None:
        """Return the installed module to load for a requirement, if one must and can be loaded."""
        if need.optional or need.name in there:
            return None
        if any(c.name == need.name for _, manifest in there.values() for c in manifest.provides):
            return None
        if need.name in scan.modules or need.name in self._parts.config.modules:
            return need.name
        return next((n for n in sorted(scan.modules) if self._provides(n, need, scan)), None)

    def _provides(self, name: str, need: Requirement, scan: Scan) -> bool:
        try:
            _, manifest = self._loader.describe(name, Wish(), scan)
        except HostcoreError:
            return False  # it is reported when somebody loads it
        return any(c.name == need.name and need.admits(c.version) for c in manifest.provides)

    def check_requirements(self, name: str, manifest: Manifest) -> None:
        """Make sure that what a module requires really runs: its load may have failed since the plan was made."""
        for need in manifest.requires:
            if not need.optional and not self._satisfied(need):
                raise ResolutionError(f"{name!r} requires '{need}', which could not be loaded", causes=[str(need)])

    def _satisfied(self, need: Requirement) -> bool:
        return any(
            (n == need.name and need.admits(version)) or any(c.name == need.name for c in manifest.provides)
            for n, (version, manifest) in self.running().items()
        )

    def check_change(self, described: dict[str, Described]) -> None:
        """Make sure that all that runs can go on with these releases in place of those that run.

        Raises:
            ResolutionError: What one of them, or a running module, requires is not there then.
        """
        running = self.running()
        before = order.plan(running).problems
        after = order.plan({**running, **_plannable(described)}).problems
        for name, problem in after.items():
            if name not in before:
                raise problem

    def missing(self, name: str, wish: Wish, scan: Scan) -> list[str]:
        """Return the installed modules that the release of `name` requires and that do not run yet."""
        described = {name: self._loader.describe(name, wish, scan)}
        there = {**self.running(), **_plannable(described)}
        found = (self._supplier(need, there, scan) for need in described[name][1].requires)
        return sorted({other for other in found if other is not None})

    def all_dependents(self, name: str) -> list[str]:
        """Return the running modules that could not do without module `name`, and those that need them, sorted."""
        found: set[str] = set()
        todo = [name]
        while todo:
            new = set(self.dependents(todo.pop())) - found - {name}
            found |= new
            todo += new
        return sorted(found)

    def dependents(self, name: str) -> list[str]:
        """Return the running modules that could not do without module `name`."""
        running = self.running()
        if name not in running:
            return []
        provided = {c.name for c in running[name][1].provides}
        alone = {c for c in provided if len(self._parts.bus.providers(c)) == 1}
        return sorted(
            other
            for other, (_, manifest) in running.items()
            if other != name and any(not r.optional and r.name in {name, *alone} for r in manifest.requires)
        )


def _plannable(described: dict[str, Described]) -> Plannable:
    return {name: (release.version, manifest) for name, (release, manifest) in described.items()}
