"""Probation: for a while after a switch, count the new copy's failures; too many, and the kept generation comes back.

It listens in place of the cell's observer, so it costs nothing when it is over, and nothing while messages succeed.
Failing is no news for a module that has always failed at some messages: the share of failures must also have grown.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import Context

from hostcore.config import ReloadConfig
from hostcore.contract.messages import Envelope
from hostcore.messaging.cell import Cell


class Probation:
    """Watches the copy behind `cell` from now on; calls `give_up(reason)` once, if it fails too often."""

    def __init__(self, cell: Cell, rule: ReloadConfig, give_up: Callable[[str], None]) -> None:
        self._cell, self._rule, self._give_up = cell, rule, give_up
        self._inner = cell.observer
        tally = cell.tally
        self._handled, self._failed = tally.handled, tally.failed
        self._usual = tally.failed / tally.handled if tally.handled else 0.0
        cell.observer = self
        self._timer = cell.loop.call_later(rule.probation, self.end, context=Context())

    def end(self) -> None:
        """Stop watching.  A second call does nothing."""
        self._timer.cancel()
        if self._cell.observer is self:
            self._cell.observer = self._inner

    def failed(self, cell: Cell, envelope: Envelope, error: Exception) -> None:
        """Hear of a handler that raised."""
        self._inner.failed(cell, envelope, error)
        failed = cell.tally.failed - self._failed
        handled = max(failed, cell.tally.handled - self._handled + 1)  # the one that failed just now is counted later
        share = failed / handled
        if failed >= self._rule.failures and share >= self._rule.failure_share and share > self._usual:
            self.end()
            self._give_up(f"{failed} of its first {handled} messages failed, the last with: {error}".partition("\n")[0])

    def dead(self, envelope: Envelope, reason: str) -> None:
        """Hear of a message that will not be handled."""
        self._inner.dead(envelope, reason)

    def blocked(self, cell: Cell, envelope: Envelope, seconds: float) -> None:
        """Hear of a handler that held the event loop."""
        self._inner.blocked(cell, envelope, seconds)

    def overran(self, cell: Cell, envelope: Envelope, seconds: float) -> None:
        """Hear of a handler that ignores its cancellation."""
        self._inner.overran(cell, envelope, seconds)
