"""Checkpoints: a running module's state, kept for the day when it crashes, as often as its manifest asks for.

A checkpoint is taken between two messages: the cell is paused, the state is taken and encoded, the cell goes on.  It
does not push its way in front of a reload or an unload, which take the state themselves or need none, and a state that
cannot be had leaves the one before in place.
"""

from __future__ import annotations

import asyncio
import sys
from contextvars import Context
from functools import partial

from hostcore.errors import HostcoreError
from hostcore.hosts.ending import wait_out
from hostcore.messaging.cell import Cell
from hostcore.runtime.parts import Parts
from hostcore.runtime.registry import Copy, Record
from hostcore.runtime.snapshots import Snapshot, complete, encode_state
from hostcore.runtime.supervision.timing import Timer, Timing


class Checkpoints:
    """Takes the checkpoints of one system's modules."""

    def __init__(self, parts: Parts, timing: Timing) -> None:
        self._parts, self._timing = parts, timing
        self._timers: dict[str, Timer] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._handled: dict[str, int] = {}  # at the last checkpoint

    def follow(self, record: Record) -> None:
        """Take checkpoints of the copy that serves now, in place of the one before."""
        copy, cell = record.copy, record.cell
        self.forget(record.name)
        if copy is None or cell is None or "get_state" not in copy.hooks:
            return
        rule, self._handled[record.name] = copy.manifest.snapshot, cell.tally.handled
        if rule.messages is not None:
            cell.tally.rings = partial(self._begin, record, copy)
            cell.tally.rings_at = cell.tally.handled + rule.messages
        if rule.interval is not None:
            self._set_timer(record, copy, rule.interval)

    def forget(self, name: str) -> None:
        """Take no more of a module."""
        timer = self._timers.pop(name, None)
        if timer is not None:
            timer.cancel()
        self._handled.pop(name, None)
        if name in self._parts.registry and (cell := self._parts.registry.record(name).cell) is not None:
            cell.tally.rings_at = sys.maxsize
            cell.tally.rings = int

    async def close(self) -> None:
        """Take no more at all."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        for task in list(self._tasks.values()):
            task.cancel()
            await wait_out(task)

    def _set_timer(self, record: Record, copy: Copy, seconds: float) -> None:
        self._timers[record.name] = self._timing.later(seconds, partial(self._tick, record, copy, seconds))

    def _tick(self, record: Record, copy: Copy, seconds: float) -> None:
        if record.copy is not copy or record.cell is None:
            return
        self._set_timer(record, copy, seconds)
        if record.cell.tally.handled != self._handled.get(record.name):
            self._begin(record, copy)

    def _begin(self, record: Record, copy: Copy) -> None:
        """Take a checkpoint as soon as the message in hand has ended, unless one is being taken."""
        name, cell = record.name, record.cell
        if cell is None or record.copy is not copy:
            return
        if copy.manifest.snapshot.messages is not None:
            cell.tally.rings_at = cell.tally.handled + copy.manifest.snapshot.messages
        if name in self._tasks:
            return
        task = asyncio.Task(
            self._take(record, copy, cell), loop=self._parts.bus.loop, name=f"hostcore:checkpoint {name}",
            context=Context(),
        )  # fmt: skip
        self._tasks[name] = task

    async def _take(self, record: Record, copy: Copy, cell: Cell) -> None:
        cell.hold()
        try:
            await cell.quiet()
            # Nothing is awaited between the look and the lock: whoever comes next waits for the state to be taken.
            if record.busy.locked() or record.copy is not copy or record.down:
                return
            async with record.busy:
                self._handled[record.name] = cell.tally.handled
                record.snapshot = await self._snapshot(record, copy)
        except HostcoreError as error:
            self._parts.events.tell(
                "hostcore.handler.failed", module=record.name, hook="get_state", topic="", sender="host", message="",
                error=error.as_data(),
            )  # fmt: skip
        finally:
            self._tasks.pop(record.name, None)  # before the next message can ask for the next one
            cell.resume()

    async def _snapshot(self, record: Record, copy: Copy) -> Snapshot:
        assert copy.instance is not None
        limits = (copy.limits.state, self._parts.config.state_limit)
        limit = min(limit for limit in limits if limit is not None)
        state = complete(await copy.instance.call("get_state"), copy.set_aside)
        data = encode_state(state, module=record.name, label=copy.release.label, limit=limit)
        return Snapshot(data, copy.manifest.state_version, copy.number, copy.release.version)
