"""Load, unload and reload modules, with what they require, in the right order."""

from __future__ import annotations

import asyncio
import gc
import logging
import time
from collections.abc import Iterable
from typing import Any, NamedTuple

from hostcore.contract.lifecycle import Signal, State
from hostcore.contract.manifest import Manifest
from hostcore.errors import HostcoreError, LifecycleError, LoadError, ResolutionError
from hostcore.hosts import faults
from hostcore.hosts.ending import to_its_end
from hostcore.messaging.cell import Cell
from hostcore.packages.discovery import Scan
from hostcore.runtime import events
from hostcore.runtime.loading import Described, Loader, drain
from hostcore.runtime.parts import Parts
from hostcore.runtime.planning import Planner
from hostcore.runtime.registry import Copy, Record, Wish
from hostcore.runtime.reload import Orders, StateFrom
from hostcore.runtime.reloads import Reloads
from hostcore.runtime.reports import ReloadReport
from hostcore.runtime.supervision.checkpoints import Checkpoints
from hostcore.runtime.supervision.holding import Holding
from hostcore.runtime.supervision.supervisor import Supervisor
from hostcore.runtime.supervision.timing import Timing, real_timing

NOT_INSTALLED = "HC202"
log = logging.getLogger("hostcore")


class LoadOutcome(NamedTuple):
    """What became of loading several modules."""

    loaded: list[str]
    waiting: list[str]
    failed: dict[str, HostcoreError]


class Modules:
    """The modules of one system."""

    def __init__(self, parts: Parts, loader: Loader, timing: Timing | None = None) -> None:
        timing = timing or real_timing(parts.bus.loop)
        self._parts = parts
        self._loader = loader
        self._planner = Planner(parts, loader)
        self.reloads = Reloads(parts, loader, self._planner, self.load)
        self.supervisor = Supervisor(parts, loader, self._planner, self.reloads, timing)
        self._checkpoints = Checkpoints(parts, timing)
        self._holding = Holding(parts, self.reloads, timing, self.supervisor.hung)
        self.reloads.served = self._served
        self._closing = False

    def _served(self, record: Record) -> None:
        """Hear that a new copy has taken over."""
        self.supervisor.served(record)
        self._checkpoints.follow(record)

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
        record.loads += 1
        try:
            await self._load(record, wish, scan)
        except asyncio.CancelledError:
            if record.loads == 1 and record.state is State.WAITING and not record.on_demand:
                self._parts.registry.forget(name)  # it had not begun, and nobody else asked for it
            raise
        finally:
            record.loads -= 1

    async def _load(self, record: Record, wish: Wish, scan: Scan) -> None:
        name = record.name
        try:
            described = self._planner.with_requirements(name, wish, scan)
            order, problems = self._planner.plan(described)
            if name in problems:
                raise problems[name]
        except HostcoreError as error:
            if error.problems[0].code == NOT_INSTALLED and not record.generations:
                self._parts.registry.forget(name)  # a name that nobody has, mistyped perhaps, is not a failed module
            else:
                if record.copy is None:
                    record.wish = wish  # a later reload asks the same way
                self._note_failure(record, error)
            raise
        for other in order:
            if other == name:
                await self._load_one(record, wish, described[name], asked=True)
            elif other in described and not self._is_running(other):  # else it ran already, and may have gone by now
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
        described, failed = self._planner.describe_all(sorted(asked), scan)
        order, problems = self._planner.plan(described)
        failed |= {name: problem for name, problem in problems.items() if name in described}
        order = [name for name in order if name in described]
        now = self._planner.needed_now(order, described, asked)
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
                self._planner.check_requirements(name, manifest)
                await self._load_one(self._parts.registry.obtain(name), Wish(), described[name])
                loaded.append(name)
            except HostcoreError as error:
                failed[name] = error
        for name, problem in failed.items():
            record = self._parts.registry.obtain(name)
            if record.error is not problem:
                self._note_failure(record, problem)
        return LoadOutcome(loaded, waiting, failed)

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

    async def _load_one(self, record: Record, wish: Wish, described: Described, *, asked: bool = False) -> None:
        """Load one module; that it runs already is an error only if somebody `asked` for it."""
        parts, manifest = self._parts, described[1]
        async with record.busy:
            if record.state in (State.RUNNING, State.STOPPED) and not asked:
                return
            if self._closing:
                raise LifecycleError(f"{record.name!r} is not loaded: the system is being stopped")
            record.signal(Signal.LOAD)
            record.wish, record.error = wish, None
            began = time.perf_counter()
            record.ordered_after = (*map(str, manifest.requires), *manifest.after)
            record.cell = self._new_cell(record.name)
            parts.bus.add(record.cell)
            copy = None
            try:
                parts.events.tell(events.LOADING, module=record.name)
                await self._loader.try_out(wish, described)
                copy = await self._loader.prepare(record, wish, described)
                self._planner.check_requirements(record.name, manifest)  # they may have gone meanwhile
                self._loader.recheck(copy)
            except BaseException as exc:
                error = _named(record.name, exc)
                if copy is not None:
                    await self._loader.dispose(copy)
                record.cell = None
                self._note_failure(record, error)
                if isinstance(exc, Exception) and error is not exc:
                    raise error from None
                raise
            self._loader.activate(record, copy)
            record.on_demand = False
            record.signal(Signal.READY)
            self.supervisor.forget(record)  # what a copy before did is not this one's
            self._checkpoints.follow(record)
            record.cell.resume()
            parts.histories[record.name].note(
                "loaded", generation=copy.number, version=copy.release.version, since=began
            )
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
        if record.state not in (State.WAITING, State.LOADING, State.FAILED):
            return  # somebody else has loaded it meanwhile: it serves
        if record.state in (State.WAITING, State.LOADING):
            record.signal(Signal.FAIL)
        # Kept for as long as the module is not loaded again: it must not hold frames and exceptions of the module.
        error.__traceback__ = error.__context__ = error.__cause__ = None
        record.error = error
        self._parts.histories[record.name].note("failed", generation=record.generations, reason=error.message)
        self._parts.bus.remove(record.name, f"{record.name!r} could not be loaded: {error.message}")
        self._parts.events.tell(events.FAILED, module=record.name, error=error.as_data())

    def _in_use(self, name: str) -> bool:
        registry = self._parts.registry
        return name in registry and registry.record(name).state not in (State.WAITING, State.FAILED)

    def _is_running(self, name: str) -> bool:
        return name in self._parts.registry and self._parts.registry.record(name).state is State.RUNNING

    # --- reload ------------------------------------------------------------------------------------------------

    async def reload(
        self, name: str, source: str | None, scan: Scan, orders: Orders, *, cascade: bool = False
    ) -> ReloadReport:
        """Replace a module's copy by a new one; one that failed to load is loaded anew.

        Raises:
            UnknownModuleError: It was never loaded.
            LifecycleError: As `Reloads.reload`.
        """
        record = self._parts.registry.record(name)
        if record.copy is not None:
            with self.supervisor.aside(record):
                return await self.reloads.reload(name, source, scan, orders, cascade=cascade)
        await self.load(name, record.wish.taken_from(source, orders.isolation), scan)
        info = record.info()
        return ReloadReport(module=name, old_generation=0, new_generation=info.generation, new_version=info.version,
                            why=orders.why)  # fmt: skip

    async def rollback(self, name: str, to: int | None, state: StateFrom | None) -> ReloadReport:
        """Go back to a kept generation; see `Reloads.rollback`."""
        with self.supervisor.aside(self._parts.registry.record(name)):
            return await self.reloads.rollback(name, to, state)

    async def leaks(self, name: str) -> list[dict[str, Any]]:
        """Return what is still alive of a module's generations that were let go of, as `ModuleSystem.leaks`."""
        gc.collect()
        found = []
        for remains in self._parts.histories[name].remains():
            assert remains.instance is not None
            holders = await asyncio.to_thread(remains.instance.holders)
            found.append({
                "generation": remains.generation, "version": remains.version,
                "alive": list(remains.instance.survivors()), "holders": [holder._asdict() for holder in holders],
            })  # fmt: skip
        return found

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
        needed_by = [] if force else self._planner.dependents(name)
        if needed_by:
            raise LifecycleError(
                f"{name!r} is required by {', '.join(needed_by)}", hint="unload those first, or force it"
            )
        with self.supervisor.aside(record):
            async with record.busy:
                if record.state is State.STOPPED:
                    raise LifecycleError(f"{name!r} was unloaded meanwhile")
                return await self._unload(record, collect=collect)

    async def _unload(self, record: Record, *, collect: bool) -> tuple[str, ...]:
        parts, cell, copy = self._parts, record.cell, record.copy
        reason = f"{record.name!r} was unloaded"
        if record.end_probation is not None:
            record.end_probation()
        if cell is not None and record.state is State.RUNNING:
            record.signal(Signal.DRAIN)
            parts.events.tell(events.DRAINING, module=record.name)
            cell.refuse_waiting(reason)
            try:
                drained = await drain(cell, parts.config.handler_timeout)
            except asyncio.CancelledError:
                if not record.down:  # else it has crashed meanwhile
                    record.signal(Signal.RESUME)  # it goes on, as if nobody had asked
                raise
            if not drained:
                cell.abandon(reason)
        parts.bus.remove(record.name, reason)
        self._checkpoints.forget(record.name)
        self._holding.forget(record.name)
        record.cell = None
        left: tuple[str, ...] = ()
        try:
            if copy is not None:
                left = await to_its_end(self._take_down(record, copy, collect=collect))
        finally:
            record.copy = None
            record.signal(Signal.STOP)
            parts.registry.forget(record.name)
            self.supervisor.forget(record)
            parts.events.tell(events.UNLOADED, module=record.name, leaks=list(left))
        return left

    async def _take_down(self, record: Record, copy: Copy, *, collect: bool) -> tuple[str, ...]:
        remains = await self._loader.dispose(copy)
        left = remains.left
        if collect:
            (left,) = await self._loader.leaks([remains])
        history = self._parts.histories[record.name]
        history.note("unloaded", generation=copy.number, version=copy.release.version, leaks=left)
        if left:
            history.note_remains(remains)
        return left

    async def unload_all(self) -> None:
        """Stop every module, dependents before what they require; nothing can be loaded any more.

        One that cannot be stopped is logged and does not keep the others from it.
        """
        self._closing = True
        for part in (self.supervisor, self._checkpoints, self._holding, self.reloads):
            await part.close()
        order = self._planner.plan({}).order
        for name in reversed(order):
            await self._stop_one(name)
        while names := [record.name for record in self._parts.registry.records()]:
            for name in names:  # what failed, waits, or was being loaded
                await self._stop_one(name)
        self._loader.close()

    async def _stop_one(self, name: str) -> None:
        if name not in self._parts.registry:
            return
        try:
            await self.unload(name, force=True, collect=False)
        except Exception:
            if name not in self._parts.registry:
                return  # somebody else was unloading it, and has done so
            log.exception("module %r could not be stopped in order", name)
            self._parts.registry.forget(name)


def _named(name: str, error: BaseException) -> HostcoreError:
    """Return `error` as one of hostcore's own."""
    if isinstance(error, HostcoreError):
        return error
    if isinstance(error, Exception):
        return LoadError(name, f"loading it raised {faults.summary_of(error)}", traceback=faults.traceback_of(error))
    return LoadError(name, "loading was interrupted")
