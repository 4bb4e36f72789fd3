"""The addresses of one system: names and capabilities, and the modules that load with the first message to them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from contextvars import Context
from math import inf
from typing import Any

from packaging.version import Version

from hostcore.contract.versions import Capability
from hostcore.errors import StoppedError, UnknownModuleError, did_you_mean
from hostcore.messaging.cell import Cell
from hostcore.messaging.current import Delivery
from hostcore.messaging.pending import deadline_error
from hostcore.messaging.topics import Subscriptions

_now = time.monotonic


class Addresses:
    """Who can be reached, under which names.

    Attributes:
        cells: Name -> cell.
        gone: Name -> why there is no cell of that name any more, or not yet.
        subscriptions: Who listens to which topics.
        activate: Loads a module that waits for its first message.
    """

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.cells: dict[str, Cell] = {}
        self.gone: dict[str, str] = {}
        self.subscriptions = Subscriptions()
        self.activate: Callable[[str], Coroutine[Any, Any, None]] | None = None
        self._activating: dict[str, asyncio.Task[None]] = {}
        self._expected: dict[str, tuple[str, ...]] = {}  # modules that load with their first message -> capabilities
        self._providers: dict[str, list[tuple[Version, str]]] = {}

    def add(self, cell: Cell) -> None:
        """Make `cell` reachable under its name."""
        self.cells[cell.name] = cell
        self.gone.pop(cell.name, None)
        self._expected.pop(cell.name, None)

    def expect(self, name: str, provides: tuple[Capability, ...]) -> None:
        """Have module `name` activated by the first message to it, or to something it provides."""
        self._expected[name] = tuple(capability.name for capability in provides)
        self.gone.pop(name, None)

    def remove(self, name: str, reason: str) -> None:
        """Make `name` unreachable; later messages get `reason`."""
        cell = self.cells.pop(name, None)
        self.gone[name] = reason
        self._expected.pop(name, None)
        if cell is not None:
            self.subscriptions.remove_all(cell)
            cell.stop(reason)
        self.provide(name, ())

    def provide(self, name: str, capabilities: tuple[Capability, ...]) -> None:
        """Say what module `name` provides, in place of what it provided before."""
        for entries in self._providers.values():
            entries[:] = [entry for entry in entries if entry[1] != name]
        for capability in capabilities:
            entries = self._providers.setdefault(capability.name, [])
            entries.append((capability.version, name))
            entries.sort(key=lambda entry: (_Descending(entry[0]), entry[1]))
        self._providers = {key: entries for key, entries in self._providers.items() if entries}

    def providers(self, capability: str) -> list[str]:
        """Return the modules that provide `capability`: the highest version first, then by name."""
        return [name for _, name in self._providers.get(capability, ())]

    def find(self, target: str) -> Cell:
        """Return the cell for a module's name or a capability.

        Raises:
            StoppedError: A module of that name was there and has stopped or failed.
            UnknownModuleError: Nobody has that name, and nobody provides that capability.
        """
        cell = self.cells.get(target)
        if cell is not None:
            return cell
        for name in self.providers(target):
            if name in self.cells:
                return self.cells[name]
        if target in self.gone:
            raise StoppedError(self.gone[target], hint=f"hostcore modules why {target}")
        known = [*self.cells, *self._providers]
        raise UnknownModuleError(
            f"no module is named {target!r} and none provides it",
            hint=did_you_mean(target, known) or "hostcore modules list shows what there is",
        )

    async def _locate(self, target: str, timeout: float, delivery: Delivery | None) -> Cell:
        """Return the cell for `target`, loading a module that waits for its first message, in the asker's time."""
        if not isinstance(target, str):
            raise TypeError(f"a module's name or a capability is text, not {type(target).__name__}")
        if self._expected and self.activate is not None and not self.providers(target):
            for name, capabilities in list(self._expected.items()):
                if target == name or target in capabilities:
                    await self._activate(name, timeout, delivery)
                    break
        return self.find(target)

    async def _activate(self, name: str, timeout: float, delivery: Delivery | None) -> None:
        assert self.activate is not None
        task = self._activating.get(name)
        if task is None:
            # Nobody's in particular: an asker that gives up, or is unloaded, must not undo it for the others.
            work = self.activate(name)
            task = asyncio.Task(work, loop=self.loop, name=f"hostcore:activate {name}", context=Context())
            self._activating[name] = task
            task.add_done_callback(self._activated)
        if delivery is not None and delivery.active:
            timeout = min(timeout, delivery.envelope.deadline - _now())
        done, _ = await asyncio.wait({task}, timeout=None if timeout == inf else max(0.0, timeout))
        if not done:
            raise deadline_error(name, "", timeout)
        if not task.cancelled() and task.exception() is not None:
            self.find(name)  # it has failed: this says so

    def _activated(self, task: asyncio.Task[None]) -> None:
        self._activating = {name: other for name, other in self._activating.items() if other is not task}
        if not task.cancelled():
            task.exception()  # looked at: the module's record tells it to whoever asks


class _Descending:
    """Sorts versions from the highest down."""

    __slots__ = ("version",)

    def __init__(self, version: Version) -> None:
        self.version = version

    def __lt__(self, other: _Descending) -> bool:
        return other.version < self.version

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Descending) and self.version == other.version

    __hash__ = None  # type: ignore[assignment]
