"""Bringing back: what the ladder decides is done here, each a transaction of its own, as a reload is."""

from __future__ import annotations

import time
from functools import partial

from hostcore.contract.lifecycle import Signal, State
from hostcore.errors import HostError, LifecycleError, QuarantinedError
from hostcore.hosts.base import Crash
from hostcore.hosts.ending import to_its_end
from hostcore.runtime import events
from hostcore.runtime.loading import Loader, drain
from hostcore.runtime.parts import Parts
from hostcore.runtime.registry import Copy, Record
from hostcore.runtime.reload import Orders, StateFrom
from hostcore.runtime.reloads import Reloads
from hostcore.runtime.reports import ReloadReport
from hostcore.runtime.supervision.care import Care
from hostcore.runtime.supervision.crashes import CrashEntry, CrashLog
from hostcore.runtime.supervision.dependents import Dependents
from hostcore.runtime.supervision.judging import STRONGER, Judge, ended_well, said
from hostcore.runtime.supervision.ladder import Rung, Step


class Bringing:
    """Does the steps of the ladder for modules that are down."""

    def __init__(
        self, parts: Parts, loader: Loader, reloads: Reloads, judge: Judge, log: CrashLog, dependents: Dependents
    ) -> None:
        self._parts, self._loader, self._reloads = parts, loader, reloads
        self._judge, self._log, self._dependents = judge, log, dependents

    def take(self, care: Care, step: Step) -> None:
        """Do a step when its time has come."""
        care.standing = step.standing
        if step.do is Rung.QUARANTINE:
            self._quarantine(care)
            care.plan(0.0, partial(self._put_away, care, step))
            return
        self._parts.events.tell(
            events.RESTARTING, module=care.record.name, how=step.do.value, seconds=round(step.delay, 3)
        )
        care.plan(step.delay, partial(self._attempt, care, step))

    async def _attempt(self, care: Care, step: Step) -> None:
        record = care.record
        copy = record.copy
        if copy is None or not record.down:
            return
        try:
            report = await self._act(record, copy, step)
        except LifecycleError:
            # It has been replaced or unloaded meanwhile, or so many are reloading it that this has no place among them.
            if record.copy is copy and record.down:
                seconds = self._parts.config.supervision.backoff_max
                care.plan(seconds, partial(self._attempt, care, step))
            return
        if report.rolled_back and record.down:
            self._did_not_start(care, copy, report)

    async def _act(self, record: Record, copy: Copy, step: Step) -> ReloadReport:
        why = f"supervision: {step.do.value} after a crash"
        if step.do is Rung.ROLLBACK:
            return await self._reloads.retreat(record.name, copy, why)
        host = STRONGER[copy.host] if step.do is Rung.DEMOTE else None
        report = await self._reloads.restart(record.name, copy, Orders(StateFrom.LAST, why, "restart", host))
        if host is not None and not report.rolled_back:
            self._parts.events.tell(events.MOVED, module=record.name, host=host, before=copy.host, why=why)
        return report

    def _did_not_start(self, care: Care, copy: Copy, report: ReloadReport) -> None:
        """Go on after a start that failed; mostly higher up, for what does not load need not be tried again."""
        record = care.record
        record.error = HostError(f"it crashed and could not be started again: {report.reason}")
        step = self._judge.judge_start(care, copy, report.code)
        self._log.add(CrashEntry(
            module=record.name, when=time.time(), version=report.new_version, generation=report.new_generation,
            host=copy.host, kind="start", hook=report.phase, code=report.code or record.error.code, error=report.reason,
            traceback=report.traceback, done=said(step),
        ))  # fmt: skip
        self.take(care, step)

    # --- quarantine --------------------------------------------------------------------------------------------

    def _quarantine(self, care: Care) -> None:
        record, cell = care.record, care.record.cell
        error = record.error.message if record.error is not None else ""
        if record.state is not State.QUARANTINED:
            assert cell is not None
            record.signal(Signal.QUARANTINE)
            hint = f"hostcore modules revive {record.name}"
            cell.shut(f"{record.name!r} is in quarantine: {error}", partial(QuarantinedError, hint=hint))
            self._parts.bus.provide(record.name, ())  # another may provide the same
            self._dependents.release(record.name)
        self._parts.events.tell(events.QUARANTINED, module=record.name, reason=error)

    async def _put_away(self, care: Care, step: Step) -> None:
        """Let go of what is left of the copy that crashed, and plan its start on trial."""
        record, copy = care.record, care.record.copy
        async with record.busy:
            if copy is not None and record.copy is copy and record.state is State.QUARANTINED:
                await self._dispose(copy)
        if record.state is State.QUARANTINED:
            care.plan(step.delay, partial(self._attempt, care, step._replace(do=Rung.RESTART)))

    async def _dispose(self, copy: Copy) -> None:
        copy.keep()
        if copy.host != "native":
            copy.initialized = False  # nobody is there to be shut down
        await self._loader.dispose(copy, self._parts.config.handler_timeout)

    # --- the end -----------------------------------------------------------------------------------------------

    def end(self, care: Care, crash: Crash) -> None:
        """Leave a module down for good: that is what it, or the configuration, asks for."""
        care.plan(0.0, partial(self._end, care, crash))

    async def _end(self, care: Care, crash: Crash) -> None:
        record, copy, cell = care.record, care.record.copy, care.record.cell
        async with record.busy:
            if copy is None or cell is None or record.copy is not copy or not record.down:
                return
            await drain(cell, self._parts.config.handler_timeout)
            await to_its_end(self._fail(record, copy, crash))

    async def _fail(self, record: Record, copy: Copy, crash: Crash) -> None:
        what = "has ended" if ended_well(crash) else f"has crashed: {crash.error.message}"
        error = HostError(f"{record.name!r} {what}; it is not restarted", code=crash.error.code,
                          hint=f"hostcore modules reload {record.name}")  # fmt: skip
        self._parts.bus.remove(record.name, error.message)
        self._dependents.release(record.name)
        record.cell = None
        try:
            await self._dispose(copy)
        finally:
            record.copy, record.error = None, error
            record.signal(Signal.FAIL)
            self._parts.histories[record.name].note("failed", generation=record.generations, reason=error.message)
            self._parts.events.tell(events.ENDED, module=record.name, error=error.as_data())
