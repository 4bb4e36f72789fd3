"""Who requires what is down: they wait, each with its mailbox, until everything that they require is back."""

from __future__ import annotations

from hostcore.messaging.cell import Cell
from hostcore.runtime.planning import Planner
from hostcore.runtime.registry import Registry


class Dependents:
    """Holds the cells of modules that require others which are down; a message in hand goes on."""

    def __init__(self, registry: Registry, planner: Planner) -> None:
        self._registry, self._planner = registry, planner
        self._held: dict[Cell, set[str]] = {}  # -> what it waits for

    def hold(self, name: str) -> list[str]:
        """Hold all that could not do without module `name`; return their names."""
        names = self._planner.all_dependents(name)
        for other in names:
            cell = self._registry.record(other).cell
            if cell is not None:
                self._hold(cell, name)
        return names

    def _hold(self, cell: Cell, name: str) -> None:
        if cell not in self._held:
            self._held[cell] = set()
            cell.hold()
        self._held[cell].add(name)

    def release(self, name: str) -> None:
        """Let those go on that waited for nothing but module `name`."""
        for cell, waits in list(self._held.items()):
            waits.discard(name)
            if not waits:
                del self._held[cell]
                cell.resume()

    def followers(self, name: str) -> list[str]:
        """Return the running modules that ask to be restarted with module `name`, or with what it provides."""
        running = self._planner.running()
        if name not in running:
            return []
        record = self._registry.record(name)
        offers = {name, *(capability.partition("/")[0] for capability in (record.copy.provides if record.copy else ()))}
        return sorted(
            other
            for other, (_, manifest) in running.items()
            if offers & set(manifest.restart.follows) and not self._registry.record(other).down
        )
