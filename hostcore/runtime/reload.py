"""The reload transaction: one module, or several that depend on each other, all or none.

    prepare   find the release anew, import it beside the old generation, initialise it     the old one serves
    drain     finish the message in hand; later ones wait in the mailbox                    downtime begins
    snapshot  get_state of the old generation, encoded: no object is shared
    migrate   migrate_state, if the version of the state differs
    restore   restore_state of the new generation
    verify    check_health, and the probe that the manifest names
    swap      the new generation behind the address; the mailbox goes on                    downtime ends
    retire    shut the old generation down, drop and collect it, name what is left          the new one serves

Whatever happens before the swap, a failure, a passed deadline or a cancellation, is undone: the old generations serve
on as if nothing had been tried.  After the swap nothing can fail any more; a cancellation then waits for the end.

A module drains after those that require it, so that none of them waits for it with a message in hand.
"""

from __future__ import annotations

import asyncio
import enum
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import msgspec

from hostcore.contract.lifecycle import Signal, State
from hostcore.contract.versions import parse_version
from hostcore.errors import HostcoreError, LimitError, ModuleError, StateError
from hostcore.hosts import faults
from hostcore.hosts.ending import to_its_end
from hostcore.runtime import events
from hostcore.runtime.history import Remains
from hostcore.runtime.loading import Described, Loader, drain
from hostcore.runtime.parts import Parts
from hostcore.runtime.phases import Phase, time_limit
from hostcore.runtime.probing import check_health, send_probe
from hostcore.runtime.registry import Copy, Kept, Record, Wish
from hostcore.runtime.reports import ReloadReport
from hostcore.runtime.snapshots import Snapshot, complete, encode_state, unknown_fields


class StateFrom(enum.Enum):
    """Which state the new generation gets."""

    CURRENT = "current"
    """What the old generation gives now."""
    LAST = "last"
    """The last good snapshot; the old generation is not asked, and a message that it is stuck in is given up on."""
    FRESH = "fresh"
    """None; otherwise as LAST."""


class Orders(NamedTuple):
    """How a reload is to be done, and why; `isolation` is the host that the module moves to, None: as before."""

    state: StateFrom = StateFrom.CURRENT
    why: str = "asked"
    kind: str = "reload"
    isolation: str | None = None


class Member:
    """One module's part in a transaction; `find` tells the release to load, `kept` is what to go back to."""

    def __init__(self, record: Record, wish: Wish, find: Callable[[], Described], kept: Kept | None = None) -> None:
        assert record.copy is not None
        assert record.cell is not None
        self.record, self.wish, self.find, self.kept = record, wish, find, kept
        self.cell = record.cell
        self.old: Copy = record.copy
        self.new: Copy | None = None
        self.dropped = Remains(0, "")  # of a new copy that did not come up
        self.described: Described | None = None
        self.snapshot: Snapshot | None = None
        self.state: Any = None
        self.trusted = False  # what was trusted in the host's process is moved out of it by the host
        self.draining = self.paused = self.stuck = False
        self.held_since = 0.0
        self.facts: dict[str, Any] = {
            "module": record.name, "old_generation": self.old.number, "new_generation": record.generations + 1,
            "old_version": self.old.release.version,
        }  # fmt: skip
        self.phases: dict[str, float] = {}

    @property
    def made(self) -> Copy:
        """The new copy, once it is there."""
        assert self.new is not None
        assert self.new.instance is not None
        return self.new

    def goes_back(self) -> bool:
        """Tell whether the new release is an older one, or the old copy came from a newer one."""
        assert self.snapshot is not None
        new, old = self.made, self.old
        older = parse_version(new.release.version) < parse_version(old.release.version)
        return older or self.snapshot.version > new.manifest.state_version or bool(old.set_aside)

    def resume(self) -> None:
        """Let messages through again."""
        if self.draining and self.record.state is State.DRAINING:  # else it has crashed meanwhile
            self.record.signal(Signal.RESUME)
        if self.paused:
            self.cell.resume()
        self.draining = self.paused = False
        if self.held_since:
            self.facts["downtime_ms"] = _ms(self.held_since)
            self.held_since = 0.0


class Transaction:
    """One reload.  Call `run` once, with every member's `busy` held; members come in the order of their loads."""

    def __init__(
        self, parts: Parts, loader: Loader, members: Sequence[Member], orders: Orders,
        check: Callable[[dict[str, Described]], None], served: Callable[[Record], None],
    ) -> None:  # fmt: skip
        self._parts, self._loader, self._members, self._orders = parts, loader, members, orders
        self._check, self._served = check, served
        self._began = time.perf_counter()
        self._phase = Phase.PREPARE
        self._at = members[0]

    async def run(self) -> list[ReloadReport]:
        """Reload all members, or none; return their reports.

        Raises:
            asyncio.CancelledError: It was cancelled; before the swap all is as it was, after it all is done.
        """
        with self._loader.collector.expecting():
            try:
                await self._to_the_swap()
            except BaseException as exc:
                reports = await to_its_end(self._undo(exc))
                if not isinstance(exc, Exception):
                    raise
                return reports
            return await to_its_end(self._retire())

    # --- the phases --------------------------------------------------------------------------------------------

    async def _to_the_swap(self) -> None:
        forward, backward = self._members, self._members[::-1]
        self._find()
        await self._try_out()
        for phase, members, work in (
            (Phase.PREPARE, forward, self._prepare),
            (Phase.DRAIN, backward, self._drain),
            (Phase.SNAPSHOT, forward, self._snapshot),
            (Phase.MIGRATE, forward, self._migrate),
            (Phase.RESTORE, forward, self._restore),
            (Phase.VERIFY, forward, self._verify),
        ):
            for member in members:
                async with self._timed(phase, member) as seconds:
                    await work(member, seconds)
        self._recheck()
        for member in self._members:
            self._at = member
            self._loader.recheck(member.made)
        self._swap()

    @asynccontextmanager
    async def _timed(self, phase: Phase, member: Member) -> AsyncIterator[float]:
        """Do one phase for one member, within its deadline; that of the drain is the drain's own affair."""
        self._phase, self._at = phase, member
        limit = time_limit(phase, self._parts.config)
        began = time.perf_counter()
        try:
            async with asyncio.timeout(limit if phase is not Phase.DRAIN else None) as scope:
                yield limit
        except TimeoutError:
            if not scope.expired():
                raise
            raise LimitError(
                f"phase {phase.value!r} of {member.record.name!r} did not end within {limit:.3g} s", code="HC802",
                hint=f"raise reload.{phase.value} in the host's configuration, or look at what the module does in it",
            ) from None  # fmt: skip
        finally:
            member.phases[phase.value] = _ms(began)

    def _find(self) -> None:
        for member in self._members:
            self._at = member
            member.described = member.find()
            member.facts["new_version"] = member.described[0].version
        self._recheck()

    async def _try_out(self) -> None:
        """Have new releases tried, which has a time limit of its own; what served before is not tried again."""
        for member in self._members if self._orders.kind == "reload" else ():
            self._at = member
            if member.kept is None and member.described is not None:
                await self._loader.try_out(member.wish, member.described)

    def _recheck(self) -> None:
        """Make sure of what is required: other modules may have come, gone or changed meanwhile."""
        self._check({member.record.name: member.described for member in self._members if member.described})

    async def _prepare(self, member: Member, _: float) -> None:
        assert member.described is not None
        kept = member.kept
        code, digest = (kept.code, kept.digest) if kept is not None else (None, "")

        def drop(remains: Remains) -> None:
            member.dropped = remains

        member.new = await self._loader.prepare(
            member.record, member.wish, member.described, code, digest=digest, trusted=member.trusted, dropped=drop
        )

    async def _drain(self, member: Member, seconds: float) -> None:
        record, cell = member.record, member.cell
        if not record.down:
            record.signal(Signal.DRAIN)
            member.draining = True
        member.held_since = time.perf_counter()
        drained = await drain(cell, seconds)
        member.paused = True
        if drained:
            return
        if self._orders.state is StateFrom.CURRENT and not record.down:
            raise StateError(
                record.name, f"the message in hand did not end within {seconds:.3g} s", label=member.old.release.label,
                hint="replace it all the same, with its last good snapshot or afresh: --state last, --state fresh",
            )  # fmt: skip
        member.stuck = True  # given up on when the new one takes over, not before: this may still be undone

    async def _snapshot(self, member: Member, seconds: float) -> None:
        record, old = member.record, member.old
        if self._orders.state is StateFrom.FRESH:
            return
        if record.down:  # it cannot be asked, but must come back: the last good snapshot, if there is one
            kept = member.kept.snapshot if member.kept is not None else None
            current = self._orders.state is StateFrom.CURRENT
            member.snapshot = (record.snapshot or kept) if current else (kept or record.snapshot)
        elif self._orders.state is StateFrom.LAST:
            member.snapshot = member.kept.snapshot if member.kept is not None else record.snapshot
            needed = "get_state" in old.hooks and "restore_state" in member.made.hooks
            if member.snapshot is None and needed:
                raise StateError(record.name, "there is no snapshot yet", label=old.release.label,
                                 hint="start afresh: --state fresh")  # fmt: skip
        elif "get_state" in old.hooks:
            assert old.instance is not None
            state = complete(await old.instance.call("get_state", seconds), old.set_aside)
            data = encode_state(state, module=record.name, label=old.release.label, limit=self._state_limit(member))
            member.snapshot = record.snapshot = Snapshot(
                data, old.manifest.state_version, old.number, old.release.version
            )

    def _state_limit(self, member: Member) -> int:
        limits = (member.old.limits.state, member.made.limits.state, self._parts.config.state_limit)
        return min(limit for limit in limits if limit is not None)

    async def _migrate(self, member: Member, seconds: float) -> None:
        snapshot, new = member.snapshot, member.made
        if snapshot is None or "restore_state" not in new.hooks:
            return
        member.state = snapshot.value()
        reads = new.manifest.state_version
        assert new.instance is not None
        if snapshot.version == reads:
            return
        if "migrate_state" in new.hooks:
            state = await new.instance.call("migrate_state", seconds, state=member.state, from_version=snapshot.version)
            member.state = state
        elif snapshot.version > reads and not new.instance.accepts("restore_state", "from_version"):
            # Newer code may know older shapes; older code cannot know newer ones, unless it says so.
            raise StateError(
                member.record.name,
                f"its state is of version {snapshot.version} ({snapshot.release}); this release reads version {reads}",
                code="HC322", label=new.release.label,
                hint="implement migrate_state, or have restore_state take from_version; or start afresh: --state fresh",
            )  # fmt: skip

    async def _restore(self, member: Member, seconds: float) -> None:
        snapshot, new = member.snapshot, member.made
        if snapshot is None or "restore_state" not in new.hooks:
            return
        assert new.instance is not None
        state, member.state = member.state, None
        await new.instance.call("restore_state", seconds, state=state, from_version=snapshot.version)
        if "get_state" in new.hooks and member.goes_back():
            returned = await new.instance.call("get_state", seconds)
            new.set_aside = unknown_fields(snapshot.value(), returned)

    async def _verify(self, member: Member, seconds: float) -> None:
        await check_health(member.made, seconds)
        await send_probe(self._parts, member.made, seconds)

    def _swap(self) -> None:
        self._phase = Phase.SWAP
        began = time.perf_counter()
        switched: list[Member] = []
        try:
            for member in self._members:
                self._at = member
                switched.append(member)
                if member.stuck:
                    member.cell.evict(f"{member.record.name!r} was replaced while it handled this message")
                self._loader.activate(member.record, member.made)
        except BaseException:
            for member in switched:
                self._loader.activate(member.record, member.old)
            raise
        for member in self._members:  # nothing below can fail
            member.phases[Phase.SWAP.value] = _ms(began)
            member.facts["held_messages"] = member.cell.depth
            member.record.wish = member.wish
            self._keep(member)
            if self._orders.state is StateFrom.FRESH:
                member.record.snapshot = None  # it is not to come back after a crash
            self._served(member.record)
            member.resume()

    def _keep(self, member: Member) -> None:
        record, old = member.record, member.old
        if member.kept is not None:  # gone back to: what came after it is no more
            record.kept = [kept for kept in record.kept if kept.number < member.kept.number]
            return
        if record.down:  # nobody wants to go back to what crashed
            return
        assert old.instance is not None
        snapshot = member.snapshot or record.snapshot
        together = {other.record.name: other.old.number for other in self._members if other is not member}
        kept = Kept(old.number, old.wish, old.release, old.manifest, old.instance.keep(), snapshot, together,
                    old.permit.digest)  # fmt: skip
        count = self._parts.config.reload.keep
        record.kept = [*record.kept, kept][-count:] if count else []

    # --- the end -----------------------------------------------------------------------------------------------

    async def _retire(self) -> list[ReloadReport]:
        self._phase = Phase.RETIRE
        seconds = time_limit(Phase.RETIRE, self._parts.config)
        gone = []
        for member in self._members:
            began = time.perf_counter()
            gone.append(await self._loader.dispose(member.old, seconds))
            member.phases[Phase.RETIRE.value] = _ms(began)
        return await self._tell(gone)

    async def _undo(self, exc: BaseException) -> list[ReloadReport]:
        for member in self._members:  # first of all, the old ones serve
            member.resume()
        seconds = time_limit(Phase.RETIRE, self._parts.config)
        facts = {"rolled_back": True, "phase": self._phase.value, **_told(exc)}
        faults.let_go_of_frames(exc)  # they hold the new copies
        gone: list[Remains] = []
        for member in reversed(self._members):
            new, member.new = member.new, None
            gone.insert(0, await self._loader.dispose(new, seconds) if new is not None else member.dropped)
        if len(self._members) > 1:
            facts["reason"] = f"{self._at.record.name}: {facts['reason']}"
        return await self._tell(gone, **facts)

    async def _tell(self, gone: list[Remains], **facts: Any) -> list[ReloadReport]:
        leaks = await self._loader.leaks(gone)
        reports = []
        for member, remains, found in zip(self._members, gone, leaks, strict=True):
            report = ReloadReport(**{
                **member.facts, "duration_ms": _ms(self._began), "phases_ms": member.phases, "leaks": found,
                "kind": self._orders.kind, "why": self._orders.why,
                "undone": remains.instance.undone if remains.instance is not None else (), **facts,
            })  # fmt: skip
            history = self._parts.histories[member.record.name]
            history.note_reload(report)
            if found:
                history.note_remains(remains)
            reports.append(report)
        for report in reports:
            self._parts.events.tell(events.RELOADED, **msgspec.to_builtins(report))
        return reports


def _ms(began: float) -> float:
    return round((time.perf_counter() - began) * 1000, 3)


def _told(exc: BaseException) -> dict[str, str]:
    """Return an error as a report tells it."""
    if isinstance(exc, HostcoreError):
        return {
            "reason": str(exc),
            "code": exc.problems[0].code or exc.code,
            "traceback": exc.traceback if isinstance(exc, ModuleError) else "",
        }
    if isinstance(exc, Exception):
        return {"reason": faults.summary_of(exc), "traceback": faults.traceback_of(exc)}
    return {"reason": "it was cancelled"}
