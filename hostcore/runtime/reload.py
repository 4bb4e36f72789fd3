"""Reload: a new copy beside the old one, the state moved over, one switch.

    prepare   find the release anew, import it as a new generation, initialise it     the old one serves
    drain     finish the message in hand; later ones wait in the mailbox              downtime begins
    snapshot  get_state of the old copy, encoded and decoded: no object is shared
    restore   migrate_state if the version of the state differs, then restore_state
    swap      the new copy behind the address; the mailbox goes on                    downtime ends
    retire    shutdown and drop the old copy, collect it, name what is left

Anything that fails before the swap leaves the old copy serving; the report says what and why.
"""

from __future__ import annotations

import time
from typing import Any

from hostcore.contract.lifecycle import Signal
from hostcore.errors import HostcoreError, LimitError, StateError
from hostcore.messaging import wire
from hostcore.packages.discovery import Scan
from hostcore.runtime import events
from hostcore.runtime.loading import Loader, drain
from hostcore.runtime.parts import Parts
from hostcore.runtime.registry import Copy, Record, Wish
from hostcore.runtime.reports import ReloadReport


class _Story:
    """What is known of a reload so far."""

    def __init__(self, record: Record, old: Copy) -> None:
        self.began = time.perf_counter()
        self.held_since = 0.0
        self.facts: dict[str, Any] = {
            "module": record.name,
            "old_generation": old.number,
            "new_generation": record.generations + 1,
            "old_version": old.release.version,
        }

    def serving(self) -> None:
        """Note the end of the downtime."""
        if self.held_since:
            self.facts["downtime_ms"] = round((time.perf_counter() - self.held_since) * 1000, 3)
            self.held_since = 0.0

    def report(self, **facts: Any) -> ReloadReport:
        """Return the report."""
        duration = round((time.perf_counter() - self.began) * 1000, 3)
        return ReloadReport(**{**self.facts, "duration_ms": duration, **facts})


async def reload(parts: Parts, loader: Loader, record: Record, wish: Wish, scan: Scan) -> ReloadReport:
    """Replace the copy of a running module; call with `record.busy` held.

    Returns:
        The report; if `rolled_back`, the old copy serves on and `reason` says why.
    """
    old = record.copy
    assert old is not None
    story = _Story(record, old)
    new: Copy | None = None
    try:
        new = await loader.prepare(record, wish, loader.describe(record.name, wish, scan))
        story.facts["new_version"] = new.release.version
        await _switch(parts, loader, record, old, new, story)
    except BaseException as exc:
        if record.copy is old:
            if new is not None:
                await loader.dispose(new)
            story.serving()
            if isinstance(exc, Exception):
                reason = str(exc) if isinstance(exc, HostcoreError) else f"{type(exc).__name__}: {exc}"
                return _told(parts, story.report(rolled_back=True, reason=reason))
        raise
    record.wish = wish
    left: tuple[str, ...] = ()
    try:
        left = await loader.dispose(old, collect=True)
    finally:  # even if it was cancelled by now, it has been made
        report = _told(parts, story.report(leaks=left))
    return report


def _told(parts: Parts, report: ReloadReport) -> ReloadReport:
    parts.events.tell(events.RELOADED, **wire.decode_raw(wire.encode_raw(report)))
    return report


async def _switch(parts: Parts, loader: Loader, record: Record, old: Copy, new: Copy, story: _Story) -> None:
    cell = record.cell
    assert cell is not None
    record.signal(Signal.DRAIN)
    story.held_since = time.perf_counter()
    paused = False
    try:
        limit = parts.config.handler_timeout
        paused = await drain(cell, limit)
        if not paused:
            cell.resume()
            raise StateError(record.name, f"the message in hand did not end within {limit:.3g} s",
                             label=old.release.label)  # fmt: skip
        await _move_state(parts, record, old, new)
        story.facts["held_messages"] = cell.depth
        loader.activate(record, new)
    finally:
        record.signal(Signal.RESUME)
        if paused:
            cell.resume()
            story.serving()


async def _move_state(parts: Parts, record: Record, old: Copy, new: Copy) -> None:
    assert old.instance is not None
    assert new.instance is not None
    if "get_state" not in old.instance.hooks or "restore_state" not in new.instance.hooks:
        return
    state = _copied(record, old, new, await old.instance.call("get_state"), parts.config.state_limit)
    version = old.manifest.state_version
    if version != new.manifest.state_version and "migrate_state" in new.instance.hooks:
        state = await new.instance.call("migrate_state", state=state, from_version=version)
    await new.instance.call("restore_state", state=state, from_version=version)


def _copied(record: Record, old: Copy, new: Copy, state: Any, ceiling: int) -> Any:
    """Return `state` encoded and decoded: the two copies share no object."""
    limit = min(x for x in (old.limits.state, new.limits.state, ceiling) if x is not None)
    try:
        data = wire.encode(state, module=record.name, what="its state", limit=limit)
    except LimitError as error:
        raise StateError(record.name, error.message, label=old.release.label, hint="raise limits.state") from None
    except HostcoreError as error:
        raise StateError(record.name, error.message, label=old.release.label, hint=error.hint) from None
    return wire.decode_raw(data)
