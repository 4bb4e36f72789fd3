"""Reloads and rollbacks of a system's modules: who takes part, who waits for whom, and what follows.

The transaction itself is in `reload`.  Here it is decided which modules it is about, that none of them is in the middle
of something else (each record's `busy`, taken in the order of names), and what becomes of it afterwards: the new copy
is put on probation, and a rollback follows if it fails there.

Each transaction is a task of its own: whoever asked may go away, which cancels it, and so does the end of the system.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from contextvars import Context
from functools import partial
from typing import Any, TypeVar

import msgspec

from hostcore.errors import HostcoreError, LifecycleError, StoppedError
from hostcore.generations import table
from hostcore.hosts.ending import wait_out
from hostcore.messaging.current import current
from hostcore.packages.discovery import Scan
from hostcore.runtime.loading import Described, Loader
from hostcore.runtime.parts import Parts
from hostcore.runtime.phases import Phase
from hostcore.runtime.planning import Planner
from hostcore.runtime.probation import Probation
from hostcore.runtime.registry import Copy, Kept, Record, Wish
from hostcore.runtime.reload import Member, Orders, StateFrom, Transaction
from hostcore.runtime.reports import ReloadReport

T = TypeVar("T")
Load = Callable[[str, Wish, Scan], Awaitable[None]]
_OLD_ONES = frozenset(phase.value for phase in (Phase.DRAIN, Phase.SNAPSHOT, Phase.MIGRATE, Phase.RESTORE))
"""Where a rollback may fail because of the copy that it is to replace, or of the state which that gives."""


class Reloads:
    """The reloads of one system; `load` loads what a new release requires and nobody has loaded yet."""

    def __init__(self, parts: Parts, loader: Loader, planner: Planner, load: Load) -> None:
        self._parts, self._loader, self._planner, self._load = parts, loader, planner, load
        self.served: Callable[[Record], None] = lambda record: None  # the supervisor's; a new copy serves
        self._tasks: set[asyncio.Task[Any]] = set()
        self._closing = False

    # --- asked for ---------------------------------------------------------------------------------------------

    async def reload(
        self, name: str, source: str | None, scan: Scan, orders: Orders, *, cascade: bool = False
    ) -> ReloadReport:
        """Replace the copy of a running module, and with `cascade` those of the modules that require it.

        `source` and the orders' isolation are those of the module itself; the others stay as they are.

        Raises:
            LifecycleError: It is in the middle of handling what asks for this, was unloaded meanwhile, or too many
                reloads of it wait already.
        """
        names = [name, *(self._planner.all_dependents(name) if cascade else ())]
        self._refuse_from_within(names)
        for each in names:
            wish = self._parts.registry.record(each).wish
            wanted = wish.taken_from(source, orders.isolation) if each == name else wish
            await self._load_requirements(each, wanted, scan)
        return await self._in_a_task(name, self._reload(names, source, orders))

    async def rollback(self, name: str, to: int | None, state: StateFrom | None, why: str = "asked") -> ReloadReport:
        """Go back to a kept generation.

        Args:
            name: The module.
            to: The number of the generation; None: the latest that is kept.
            state: Which state it gets; None: what the present one gives, or, where that cannot be had or read, what it
                had when it was replaced.
            why: What caused it.

        Raises:
            LifecycleError: No such generation is kept; or as for `reload`.
        """
        self._refuse_from_within([name])
        choices = (StateFrom.CURRENT, StateFrom.LAST) if state is None else (state,)
        return await self._in_a_task(name, self._rollback(name, to, choices, why))

    async def restart(self, name: str, failed: Copy, orders: Orders) -> ReloadReport:
        """Replace the copy that has crashed by a new one of the same release; in the orders' isolation, if they say so.

        Raises:
            LifecycleError: It was replaced or unloaded meanwhile; or as for `reload`.
        """
        return await self._in_a_task(name, self._restart(name, failed, orders))

    async def retreat(self, name: str, failed: Copy, why: str) -> ReloadReport:
        """Go back from the copy that has crashed to the latest kept generation.

        Raises:
            LifecycleError: None is kept; or as for `restart`.
        """
        choices = (StateFrom.CURRENT, StateFrom.LAST)
        return await self._in_a_task(name, self._rollback(name, None, choices, why, failed=failed))

    async def close(self) -> None:
        """Cancel what is in hand: the old generations serve on until they are unloaded."""
        self._closing = True
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(list(self._tasks))

    # --- done --------------------------------------------------------------------------------------------------

    async def _reload(self, names: list[str], source: str | None, orders: Orders) -> ReloadReport:
        first = names[0]
        async with self._hold(first, names) as records:
            order = [name for name in self._planner.plan({}).order if name in records]
            members = []
            for name in [*order, *(name for name in records if name not in order)]:
                wish = records[name].wish
                wanted = wish.taken_from(source, orders.isolation) if name == first else wish
                members.append(Member(records[name], wanted, partial(self._loader.describe, name, wanted)))
            reports = await self._run(members, orders)
            if not reports[0].rolled_back:
                for member in members:
                    self._put_on_probation(member.record)
            own = next(report for report in reports if report.module == first)
            others = tuple(report for report in reports if report is not own)
            return _with_others(own, others) if others else own

    async def _rollback(
        self, name: str, to: int | None, choices: Iterable[StateFrom], why: str, *, failed: Copy | None = None
    ) -> ReloadReport:
        together = _choose(self._parts.registry.record(name), to).together
        async with self._hold(name, together) as records:
            record = records[name]
            if failed is not None and record.copy is not failed:
                raise _replaced(name)
            kept = _choose(record, to)
            back = {name: kept} | {
                other: found for other, number in kept.together.items() if (found := _kept(records.get(other), number))
            }
            order = [other for other in self._planner.plan({}).order if other in back]
            for state in choices:
                members = [
                    Member(records[other], back[other].wish, partial(_described, back[other]), back[other])
                    for other in [*order, *(other for other in back if other not in order)]
                ]
                reports = await self._run(members, Orders(state, why, "rollback"))
                report = next(report for report in reports if report.module == name)
                if not report.rolled_back or report.phase not in _OLD_ONES:
                    break
            others = tuple(other for other in reports if other is not report)
            return _with_others(report, others) if others else report

    async def _restart(self, name: str, failed: Copy, orders: Orders) -> ReloadReport:
        async with self._hold(name) as records:
            record = records[name]
            if record.copy is not failed:
                raise _replaced(name)
            wish = failed.wish.taken_from(None, orders.isolation)
            if orders.isolation is None:  # as if gone back to itself
                again = Kept(failed.number, wish, failed.release, failed.manifest, failed.keep(), record.snapshot, {},
                             failed.permit.digest)  # fmt: skip
                member = Member(record, wish, partial(_described, again), again)
            else:  # what one host keeps is of no use to another
                member = Member(record, wish, lambda: (failed.release, failed.manifest))
            member.trusted = failed.permit.trusted
            (report,) = await self._run([member], orders)
            return report

    async def _run(self, members: list[Member], orders: Orders) -> list[ReloadReport]:
        transaction = Transaction(self._parts, self._loader, members, orders, self._planner.check_change, self.served)
        try:
            return await transaction.run()
        finally:
            for member in members:
                record = member.record
                if record.copy is not member.old and record.end_probation is not None:
                    record.end_probation()  # whoever serves on is watched on

    @asynccontextmanager
    async def _hold(self, first: str, others: Iterable[str] = ()) -> AsyncIterator[dict[str, Record]]:
        """Wait until nothing else is done with any of the modules, and keep it so; `others` that go meanwhile do."""
        registry, limit = self._parts.registry, self._parts.config.reload.waiting
        there = {first, *(name for name in others if name in registry)}
        records = {name: registry.record(name) for name in sorted(there)}
        async with AsyncExitStack() as stack:
            for name, record in records.items():
                if record.busy.locked() and record.waiting >= limit:
                    raise LifecycleError(
                        f"{name!r} is being reloaded and {record.waiting} more reloads of it wait; this one is refused",
                        hint="ask less often, or raise reload.waiting in the host's configuration",
                    )
                record.waiting += 1
                try:
                    await stack.enter_async_context(record.busy)
                finally:
                    record.waiting -= 1
            if records[first].copy is None:
                raise LifecycleError(f"{first!r} was unloaded meanwhile")
            yield {name: record for name, record in records.items() if record.copy is not None}

    async def _in_a_task(self, name: str, work: Coroutine[Any, Any, T]) -> T:
        if self._closing:
            work.close()
            raise _stopping(name)
        task = asyncio.Task(work, loop=self._parts.bus.loop, name=f"hostcore:reload {name}", context=Context())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if task.cancelled() and self._closing:
                raise _stopping(name) from None
            task.cancel()
            if not table.current.get():  # else what is taken down may be who asked: each would wait for the other
                await wait_out(task)
            raise

    def _refuse_from_within(self, names: Iterable[str]) -> None:
        """Refuse a reload that a module asks for while it handles a message: each would wait for the other."""
        delivery = current.get()
        if delivery is None or not delivery.active:
            return
        handling = {delivery.cell.name, *delivery.envelope.trail}
        for name in names:
            if name in handling:
                raise LifecycleError(
                    f"{name!r} cannot be reloaded from within its own handler, which the reload would wait for",
                    hint="ask for it when the handler has returned, or from outside",
                )

    async def _load_requirements(self, name: str, wish: Wish, scan: Scan) -> None:
        """Load what the new release requires and is not loaded yet; what cannot be is the transaction's to report."""
        try:
            for other in self._planner.missing(name, wish, scan):
                await self._load_or_wait(other, scan)
        except HostcoreError:
            return

    async def _load_or_wait(self, name: str, scan: Scan) -> None:
        try:
            await self._load(name, Wish(), scan)
        except LifecycleError:  # somebody else is loading it
            async with self._parts.registry.record(name).busy:
                return

    # --- afterwards --------------------------------------------------------------------------------------------

    def _put_on_probation(self, record: Record) -> None:
        rule, cell = self._parts.config.reload, record.cell
        if not record.kept or not rule.failures or cell is None:
            return
        probation = Probation(cell, rule, partial(self._failed_probation, record, record.copy))
        record.end_probation = probation.end

    def _failed_probation(self, record: Record, failed: Copy | None, reason: str) -> None:
        if self._closing or not record.kept:
            return
        choices = (StateFrom.CURRENT, StateFrom.LAST)
        work = partial(self._rollback, record.name, None, choices, f"probation: {reason}", failed=failed)
        task = asyncio.Task(
            _quietly(work), loop=self._parts.bus.loop, name=f"hostcore:rollback {record.name}", context=Context()
        )
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _quietly(work: Callable[[], Awaitable[ReloadReport]]) -> None:
    """Do a rollback that nobody asked for: its report is an event; that it came too late is no error."""
    try:
        await work()
    except HostcoreError:
        return


def _kept(record: Record | None, number: int) -> Kept | None:
    return next((kept for kept in record.kept if kept.number == number), None) if record is not None else None


def _choose(record: Record, to: int | None) -> Kept:
    numbers = [kept.number for kept in record.kept]
    if to is None and record.kept:
        return record.kept[-1]
    for kept in record.kept:
        if kept.number == to:
            return kept
    wanted = "no earlier generation" if to is None else f"generation {to}"
    listed = f"kept: {', '.join(map(str, numbers))}" if numbers else "none is kept"
    raise LifecycleError(
        f"{record.name!r} cannot be rolled back: {wanted} of it is kept", expected=listed,
        hint="a reload keeps the generation that it replaces; raise reload.keep to have more of them",
    )  # fmt: skip


def _described(kept: Kept) -> Described:
    return kept.release, kept.manifest


def _with_others(report: ReloadReport, others: tuple[ReloadReport, ...]) -> ReloadReport:
    return msgspec.structs.replace(report, others=others)


def _replaced(name: str) -> LifecycleError:
    return LifecycleError(f"{name!r} was replaced meanwhile: what failed serves no more")


def _stopping(name: str) -> StoppedError:
    return StoppedError(f"{name!r} is not reloaded: the system is being stopped")
