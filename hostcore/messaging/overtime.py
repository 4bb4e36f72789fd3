"""A handler that takes longer than its module's limit."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from hostcore.messaging.current import Delivery

if TYPE_CHECKING:
    from hostcore.messaging.cell import Cell

_now = time.monotonic


class Overtime:
    """Cancels a suspended handler that takes longer than its module's limit, again and again until it ends."""

    __slots__ = ("cell", "delivery", "limit", "slot", "times")

    def __init__(self, cell: Cell, delivery: Delivery, limit: float, deadline: float) -> None:
        self.cell, self.delivery, self.limit, self.times = cell, delivery, limit, 0
        self.slot = cell.deadlines.add(self, deadline)

    def expire(self) -> None:
        """Cancel the handler, if it still runs."""
        cell = self.cell
        if cell.delivery is not self.delivery or cell.runner is None:
            return
        self.times += 1
        cell.runner.cancel()
        self.slot = cell.deadlines.add(self, _now() + max(self.limit, 0.1))
        if self.times > 1:  # last: whoever hears of it may give up on the handler
            cell.observer.overran(cell, self.delivery.envelope, self.limit * self.times)
