"""Load, unload and reload modules, with what they require, in the right order."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import NamedTuple

from hostcore.contract.lifecycle import Signal, State
from hostcore.contract.manifest import Manifest
from hostcore.contract.versions import Requirement
from hostcore.errors import HostcoreError, LifecycleError, LoadError, ReloadError, ResolutionError
from hostcore.messaging.cell import Cell
from hostcore.packages.discovery import Scan
from hostcore.packages.order import plan
from hostcore.runtime import events
from hostcore.runtime.loading import Described, Loader, drain
from hostcore.runtime.parts import Parts
from hostcore.runtime.registry import Record, Wish
from hostcore.runtime.reload import reload
from hostcore.runtime.reports import ReloadReport

Plannable = dict[str, tuple[str, Manifest]]


class LoadOutcome(NamedTuple):
    """What became of loading several modules."""

    loaded: list[str]
    waiting: list[str]
    failed: dict[str, HostcoreError]


class Modules:
    """The modules of one system."""

    def __init__(self, parts: Parts, loader: Loader) -> None:
        self._parts = parts
        self._loader = loader

    # --- load --------------------------------------------------------------------------------------------------

    async def load(self, name: str, wish: Wish, scan: Scan) -> None:
        """Load a module, after everything it requires.

        Raises:
            LifecycleError: It is loaded already.
            LoadError, HookError, ManifestError, ConfigError: It cannot be loaded.
            ResolutionError: What it requires cannot be had.
        """
        record = self._parts.registry.obtain(name)
        if record.state not in (State.WAITING, State.FAILED):
            raise LifecycleError(f"{name!r} is loaded already", hint=f"hostcore modules reload {name}")
        try:
            described = self._with_requirements(name, wish, scan)
            order, problems = plan({**self._running(), **_plannable(described)})
            if name in problems:
                raise problems[name]
        except HostcoreError as error:
            self._note_failure(record, error)
            raise
        for other in order:
            if other == name:
                await self._load_one(record, wish, described[name])
            elif not self._is_running(other):
                await self._load_requirement(record, other, described[other])

    async def _load_requirement(self, asker: Record, name: str, described: Described) -> None:
        try:
            await self._load_one(self._parts.registry.obtain(name), Wish(), described)
        except HostcoreError as error:
            message = f"{asker.name!r} requires {name!r}, which could not be loaded: {error.message}"
            failure = ResolutionError(message, causes=[str(error)], hint=f"hostcore modules why {name}")
        else:
            return
        self._note_failure(asker, failure)
        raise failure

    async def load_all(self, names: Iterable[str], scan: Scan) -> LoadOutcome:
        """Load several modules; one that fails never stops the others."""
        asked = {name for name in names if not self._in_use(name)}
        described, failed = self._describe_all(sorted(asked), scan)
        order, problems = plan({**self._running(), **_plannable(described)})
        failed |= {name: problem for name, problem in problems.items() if name in described}
        order = [name for name in order if name in described]
        now = self._needed_now(order, described, asked)
        loaded: list[str] = []
        waiting: list[str] = []
        for name in order:
            manifest = described[name][1]
            if self._in_use(name):  # somebody else was faster
                continue
            if name not in now:
                if name in asked:
                    self._wait_for_demand(name, manifest)
                    waiting.append(name)
                continue
            try:
                self._check_requirements(name, manifest)
                await self._load_one(self._parts.registry.obtain(name), Wish(), described[name])
                loaded.append(name)
            except HostcoreError as error:
                failed[name] = error
        for name, problem in failed.items():
            record = self._parts.registry.obtain(name)
            if record.error is not problem:
                self._note_failure(record, problem)
        return LoadOutcome(loaded, waiting, failed)

    def _describe_all(self, names: list[str], scan: Scan) -> tuple[dict[str, Described], dict[str, HostcoreError]]:
        """Return `names` and what must be loaded for them, described, and what cannot be described."""
        described: dict[str, Described] = {}
        failed: dict[str, HostcoreError] = {}
        while names:
            for name in names:
                try:
                    described[name] = self._loader.describe(name, Wish(), scan)
                except HostcoreError as error:
                    failed[name] = error
            known = {**self._running(), **_plannable(described)}
            needs = [need for _, manifest in described.values() for need in manifest.requires]
            found = {self._supplier(need, known, scan) for need in needs}
            names = sorted(name for name in found if name is not None and name not in failed)
        return described, failed

    def _needed_now(self, order: list[str], described: dict[str, Described], asked: set[str]) -> set[str]:
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

    async def activate(self, name: str) -> None:
        """Load a module that waited for its first message."""
        record = self._parts.registry.record(name)
        if record.state in (State.WAITING, State.FAILED):
            await self.load(name, record.wish, self._parts.discovery.scan())
        async with record.busy:  # somebody else may be loading it
            return

    def _wait_for_demand(self, name: str, manifest: Manifest) -> None:
        record = self._parts.registry.obtain(name)
        record.on_demand = True
        self._parts.bus.expect(name, manifest.provides)

    def _with_requirements(self, name: str, wish: Wish, scan: Scan) -> dict[str, Described]:
        """Return the module, and what must be loaded for it, described but not loaded."""
        described: dict[str, Described] = {}
        running = self._running()
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

    async def _load_one(self, record: Record, wish: Wish, described: Described) -> None:
        parts, manifest = self._parts, described[1]
        async with record.busy:
            if record.state is State.RUNNING:
                return
            record.signal(Signal.LOAD)
            record.wish, record.error = wish, None
            record.ordered_after = (*map(str, manifest.requires), *manifest.after)
            parts.events.tell(events.LOADING, module=record.name)
            record.cell = self._new_cell(record.name)
            parts.bus.add(record.cell)
            try:
                copy = await self._loader.prepare(record, wish, described)
            except BaseException as exc:
                record.cell = None
                error = exc if isinstance(exc, HostcoreError) else LoadError(record.name, "loading was interrupted")
                self._note_failure(record, error)
                raise
            self._loader.activate(record, copy)
            record.on_demand = False
            record.signal(Signal.READY)
            record.cell.resume()
            parts.events.tell(
                events.LOADED, module=record.name, version=copy.release.version, generation=copy.number, host=copy.host
            )

    def _new_cell(self, name: str) -> Cell:
        parts = self._parts
        return Cell(
            name, parts.bus.loop, parts.bus.deadlines, events.CellEvents(parts.events, parts.bus.dead),
            capacity=parts.config.mailbox, blocked_after=parts.config.blocked_after,
        )  # fmt: skip

    def _note_failure(self, record: Record, error: HostcoreError) -> None:
        if record.state in (State.WAITING, State.LOADING):
            record.signal(Signal.FAIL)
        # Kept for as long as the module is not loaded again: it must not hold frames and exceptions of the module.
        error.__traceback__ = error.__context__ = error.__cause__ = None
        record.error = error
        self._parts.bus.remove(record.name, f"{record.name!r} could not be loaded: {error.message}")
        self._parts.events.tell(events.FAILED, module=record.name, error=error.as_data())

    def _check_requirements(self, name: str, manifest: Manifest) -> None:
        """Make sure that what a module requires really runs: its load may have failed since the plan was made."""
        for need in manifest.requires:
            if not need.optional and not self._satisfied(need):
                raise ResolutionError(f"{name!r} requires '{need}', which could not be loaded", causes=[str(need)])

    def _satisfied(self, need: Requirement) -> bool:
        return any(
            (n == need.name and need.admits(version)) or any(c.name == need.name for c in manifest.provides)
            for n, (version, manifest) in self._running().items()
        )

    def _in_use(self, name: str) -> bool:
        registry = self._parts.registry
        return name in registry and registry.record(name).state not in (State.WAITING, State.FAILED)

    def _is_running(self, name: str) -> bool:
        return name in self._parts.registry and self._parts.registry.record(name).state is State.RUNNING

    def _running(self) -> Plannable:
        found: Plannable = {}
        for record in self._parts.registry.records():
            if record.copy is not None and record.state in (State.RUNNING, State.DRAINING):
                found[record.name] = (record.copy.release.version, record.copy.manifest)
        return found

    # --- reload ------------------------------------------------------------------------------------------------

    async def reload(self, name: str, wish: Wish, scan: Scan, *, strict: bool) -> ReloadReport:
        """Replace a module's copy by a new one; one that failed to load is loaded anew.

        Raises:
            UnknownModuleError: It was never loaded.
            ReloadError: `strict`, and the old copy had to serve on.
        """
        record = self._parts.registry.record(name)
        if record.copy is None:
            await self.load(name, wish, scan)
            info = record.info()
            return ReloadReport(module=name, old_generation=0, new_generation=info.generation, new_version=info.version)
        async with record.busy:
            if record.copy is None:
                raise LifecycleError(f"{name!r} was unloaded meanwhile")
            report = await reload(self._parts, self._loader, record, wish, scan)
        if report.rolled_back and strict:
            raise ReloadError(report)
        return report

    # --- unload ------------------------------------------------------------------------------------------------

    async def unload(self, name: str, *, force: bool = False, collect: bool = True) -> tuple[str, ...]:
        """Stop a module and drop everything of it.

        The message in hand is finished (at most the handler timeout), those that wait are refused.

        Returns:
            What is still alive of it, by name; empty as it should be.

        Raises:
            UnknownModuleError: It is not loaded.
            LifecycleError: Others that run require it, and not `force`.
        """
        record = self._parts.registry.record(name)
        needed_by = [] if force else self._dependents(name)
        if needed_by:
            raise LifecycleError(
                f"{name!r} is required by {', '.join(needed_by)}", hint="unload those first, or force it"
            )
        async with record.busy:
            if record.state is State.STOPPED:
                raise LifecycleError(f"{name!r} was unloaded meanwhile")
            return await self._unload(record, collect=collect)

    async def _unload(self, record: Record, *, collect: bool) -> tuple[str, ...]:
        parts, cell, copy = self._parts, record.cell, record.copy
        reason = f"{record.name!r} was unloaded"
        if cell is not None and record.state is State.RUNNING:
            record.signal(Signal.DRAIN)
            parts.events.tell(events.DRAINING, module=record.name)
            cell.refuse_waiting(reason)
            try:
                drained = await drain(cell, parts.config.handler_timeout)
            except asyncio.CancelledError:
                record.signal(Signal.RESUME)  # it goes on, as if nobody had asked
                raise
            if not drained:
                cell.abandon(reason)
        parts.bus.remove(record.name, reason)
        record.cell = None
        left: tuple[str, ...] = ()
        try:
            if copy is not None:
                left = await self._loader.dispose(copy, collect=collect)
        finally:
            record.copy = None
            record.signal(Signal.STOP)
            parts.registry.forget(record.name)
            parts.events.tell(events.UNLOADED, module=record.name, leaks=list(left))
        return left

    async def unload_all(self) -> None:
        """Stop every module, dependents before what they require."""
        order = plan(self._running()).order
        others = [record.name for record in self._parts.registry.records() if record.name not in order]
        for name in (*others, *reversed(order)):
            if name not in self._parts.registry:
                continue
            try:
                await self.unload(name, force=True, collect=False)
            except LifecycleError:
                continue  # somebody else has unloaded it meanwhile

    def _dependents(self, name: str) -> list[str]:
        running = self._running()
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
