"""Load, unload and reload modules, with what they require, in the right order."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from hostcore.contract.lifecycle import Signal, State
from hostcore.contract.manifest import Manifest
from hostcore.contract.versions import Requirement
from hostcore.errors import HostcoreError, LifecycleError, LoadError, ReloadError, ResolutionError
from hostcore.messaging.cell import Cell
from hostcore.packages.order import plan
from hostcore.runtime import events
from hostcore.runtime.loading import Loader, drain
from hostcore.runtime.parts import Parts
from hostcore.runtime.registry import Record, Wish
from hostcore.runtime.reload import reload
from hostcore.runtime.reports import ReloadReport

Described = dict[str, tuple[str, Manifest]]


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

    async def load(self, name: str, wish: Wish) -> None:
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
            described = self._with_requirements(name, wish)
            order, problems = plan(described)
            if name in problems:
                raise problems[name]
        except HostcoreError as error:
            self._note_failure(record, error)
            raise
        for other in order:
            if other == name:
                await self._load_one(record, wish, described[name][1])
            elif not self._is_running(other):
                await self._load_one(self._parts.registry.obtain(other), Wish(), described[other][1])

    async def load_all(self, names: Iterable[str]) -> LoadOutcome:
        """Load several modules; one that fails never stops the others."""
        described: Described = {}
        failed: dict[str, HostcoreError] = {}
        for name in names:
            try:
                release, manifest = self._loader.describe(name, Wish())
                described[name] = (release.version, manifest)
            except HostcoreError as error:
                failed[name] = error
        order, problems = plan({**self._running(), **described})
        failed |= problems
        loaded: list[str] = []
        waiting: list[str] = []
        for name in order:
            if name not in described or name in failed or self._is_running(name):
                continue
            manifest = described[name][1]
            if (self._loader.settings(name).activate or manifest.activate) == "on-demand":
                self._wait_for_demand(name, manifest)
                waiting.append(name)
                continue
            try:
                self._check_requirements(name, manifest)
                await self._load_one(self._parts.registry.obtain(name), Wish(), manifest)
                loaded.append(name)
            except HostcoreError as error:
                failed[name] = error
        for name, problem in failed.items():
            self._note_failure(self._parts.registry.obtain(name), problem)
        return LoadOutcome(loaded, waiting, failed)

    async def activate(self, name: str) -> None:
        """Load a module that waited for its first message."""
        record = self._parts.registry.record(name)
        if record.state is State.WAITING:
            await self.load(name, record.wish)
        async with record.busy:  # somebody else may be loading it
            return

    def _wait_for_demand(self, name: str, manifest: Manifest) -> None:
        record = self._parts.registry.obtain(name)
        record.on_demand = True
        self._parts.bus.expect(name, manifest.provides)

    def _with_requirements(self, name: str, wish: Wish) -> Described:
        """Return the module, what runs, and what must be loaded for it, described but not loaded."""
        described = self._running()
        todo = [(name, wish)]
        while todo:
            current, current_wish = todo.pop()
            if current in described:
                continue
            release, manifest = self._loader.describe(current, current_wish)
            described[current] = (release.version, manifest)
            for need in manifest.requires:
                found = self._supplier(need, described)
                if found is not None:
                    todo.append((found, Wish()))
        return described

    def _supplier(self, need: Requirement, described: Described) -> str | None:
        """Return the installed module to load for a requirement, if one must and can be loaded."""
        if need.optional or need.name in described:
            return None
        if any(c.name == need.name for _, manifest in described.values() for c in manifest.provides):
            return None
        installed = self._parts.discovery.scan().modules
        if need.name in installed or need.name in self._parts.config.modules:
            return need.name
        return next((n for n in sorted(installed) if self._provides(n, need)), None)

    def _provides(self, name: str, need: Requirement) -> bool:
        try:
            _, manifest = self._loader.describe(name, Wish())
        except HostcoreError:
            return False  # it is reported when somebody loads it
        return any(c.name == need.name and need.admits(c.version) for c in manifest.provides)

    async def _load_one(self, record: Record, wish: Wish, manifest: Manifest) -> None:
        parts = self._parts
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
                copy = await self._loader.prepare(record, wish)
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
            name, parts.bus.loop, parts.bus.deadlines, parts.events,
            capacity=parts.config.mailbox, blocked_after=parts.config.blocked_after,
        )  # fmt: skip

    def _note_failure(self, record: Record, error: HostcoreError) -> None:
        if record.state in (State.WAITING, State.LOADING):
            record.signal(Signal.FAIL)
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

    def _is_running(self, name: str) -> bool:
        return name in self._parts.registry and self._parts.registry.record(name).state is State.RUNNING

    def _running(self) -> Described:
        found: Described = {}
        for record in self._parts.registry.records():
            if record.copy is not None and record.state in (State.RUNNING, State.DRAINING):
                found[record.name] = (record.copy.release.version, record.copy.manifest)
        return found

    # --- reload ------------------------------------------------------------------------------------------------

    async def reload(self, name: str, wish: Wish | None, *, strict: bool) -> ReloadReport:
        """Replace a module's copy by a new one; one that failed to load is loaded anew.

        Raises:
            UnknownModuleError: It was never loaded.
            ReloadError: `strict`, and the old copy had to serve on.
        """
        record = self._parts.registry.record(name)
        wish = wish or record.wish
        if record.copy is None:
            await self.load(name, wish)
            info = record.info()
            return ReloadReport(module=name, old_generation=0, new_generation=info.generation, new_version=info.version)
        async with record.busy:
            if record.copy is None:
                raise LifecycleError(f"{name!r} was unloaded meanwhile")
            report = await reload(self._parts, self._loader, record, wish)
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
        needed_by = self._dependents(name)
        if needed_by and not force:
            raise LifecycleError(
                f"{name!r} is required by {', '.join(needed_by)}", hint="unload those first, or force it"
            )
        async with record.busy:
            return await self._unload(record, collect=collect)

    async def _unload(self, record: Record, *, collect: bool) -> tuple[str, ...]:
        parts, cell, copy = self._parts, record.cell, record.copy
        reason = f"{record.name!r} was unloaded"
        if cell is not None and record.state is State.RUNNING:
            record.signal(Signal.DRAIN)
            parts.events.tell(events.DRAINING, module=record.name)
            cell.refuse_waiting(reason)
            if not await drain(cell, parts.config.handler_timeout):
                cell.abandon(reason)
        parts.bus.remove(record.name, reason)
        record.cell = None
        left: tuple[str, ...] = ()
        try:
            if copy is not None:
                left = await self._loader.dispose(copy)
        finally:
            record.copy = None
            if record.state is not State.STOPPED:
                record.signal(Signal.STOP)
            parts.registry.forget(record.name)
        del copy, cell
        if collect:
            left = (*left, *self._loader.survivors())
        parts.events.tell(events.UNLOADED, module=record.name, leaks=list(left))
        return left

    async def unload_all(self) -> None:
        """Stop every module, dependents before what they require."""
        running = self._running()
        order = plan(running).order
        names = [*reversed(order), *(r.name for r in self._parts.registry.records() if r.name not in running)]
        for name in names:
            if name in self._parts.registry:
                await self.unload(name, force=True, collect=False)

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
