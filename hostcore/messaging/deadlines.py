"""One timer for everything that can expire: adding and removing cost O(1), the resolution is one tick (5 ms).

A timing wheel (Varghese and Lauck, 1987) with a dict for its slots: items wait in the slot of their tick, and the
loop's timer runs only while there are slots.
"""

from __future__ import annotations

import asyncio
import logging
import time
from contextvars import Context
from typing import Protocol

TICK = 0.005
_NEVER = 1e12
"""Seconds that no process lives for; what is due later still has a slot, and so may be any finite number."""
log = logging.getLogger("hostcore")


class Expiring(Protocol):
    """Something with a deadline."""

    def expire(self) -> None:
        """Be told that the deadline has passed."""


class Deadlines:
    """The wheel of one event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._slots: dict[int, set[Expiring]] = {}
        self._timer: asyncio.TimerHandle | None = None

    def add(self, item: Expiring, deadline: float) -> set[Expiring]:
        """Have `item` expire at `deadline` (seconds of `time.monotonic()`).

        Returns:
            The slot; whoever is done earlier discards the item from it.
        """
        key = int(min(deadline, _NEVER) / TICK) + 1
        slot = self._slots.get(key)
        if slot is None:
            slot = self._slots[key] = set()
            if self._timer is None:
                self._arm()
        slot.add(item)
        return slot

    def _turn(self) -> None:
        now = int(time.monotonic() / TICK)
        self._timer = None
        for key in [key for key in self._slots if key <= now]:
            for item in self._slots.pop(key):
                try:
                    item.expire()
                except Exception:
                    log.exception("a deadline could not be dealt with")
        if self._slots and self._timer is None:
            self._arm()

    def _arm(self) -> None:
        # In a context of its own: the asker's would be kept alive, with its module, from turn to turn.
        self._timer = self._loop.call_later(TICK, self._turn, context=Context())

    def close(self) -> None:
        """Stop the timer; nothing expires any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._slots.clear()
