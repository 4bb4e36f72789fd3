"""The message in hand: what nested requests inherit, and who waits for whom.

While a handler runs, a context variable holds its `Delivery`; tasks that the handler starts inherit it.  A request
made under an active delivery keeps its deadline, trace and trail, and adds an edge to the graph of waiting cells,
where a circle means that nobody would ever answer.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hostcore.contract.messages import Envelope
    from hostcore.messaging.cell import Cell


class Delivery:
    """One message being handled; `active` until the handler has ended.

    `waits` maps the cells whose replies it awaits to how many requests are out; the edges of the graph go with it.
    """

    __slots__ = ("active", "cell", "envelope", "waits")

    def __init__(self, cell: Cell, envelope: Envelope) -> None:
        self.cell = cell
        self.envelope = envelope
        self.active = True
        self.waits: dict[Cell, int] | None = None  # made with the first nested request


current: ContextVar[Delivery | None] = ContextVar("hostcore_delivery", default=None)


def waiting_path(start: Cell, goal: Cell) -> list[str] | None:
    """Return the names from `start` to `goal` along "waits for" edges, or None if `start` does not wait for it."""
    if start is goal:
        return [start.name]
    if start.delivery is None or not start.delivery.waits:
        return None
    trails = [(start, [start.name])]
    seen = {start}
    while trails:
        cell, path = trails.pop()
        for following in (cell.delivery is not None and cell.delivery.waits) or ():
            if following is goal:
                return [*path, goal.name]
            if following not in seen:
                seen.add(following)
                trails.append((following, [*path, following.name]))
    return None
