"""Events: everything that happens, published under `hostcore.` for whoever subscribes, and logged.

    hostcore.module.loading | loaded | failed | draining | unloaded | reloaded | stuck
    hostcore.module.crashed | restarting | restarted | quarantined | revived | ended | moved
    hostcore.handler.failed | blocked
    hostcore.message.dead

`crashed` tells what crashed, doing what, and what is done about it; `restarting` when; `restarted` and `revived` (from
quarantine) that it serves again; `ended` that it stays down, as it wants to; `moved` that it runs in another host now.
`blocked` is the loop-lag event: it names the module whose code held the event loop, the hook, and for how long.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
import time
import types
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from hostcore.contract.messages import Envelope
from hostcore.contract.topics import RESERVED
from hostcore.errors import HostcoreError
from hostcore.generations.table import MARK

if TYPE_CHECKING:
    from hostcore.messaging.cell import Cell

log = logging.getLogger("hostcore")

LOADING = "hostcore.module.loading"
LOADED = "hostcore.module.loaded"
FAILED = "hostcore.module.failed"
DRAINING = "hostcore.module.draining"
UNLOADED = "hostcore.module.unloaded"
RELOADED = "hostcore.module.reloaded"
STUCK = "hostcore.module.stuck"
CRASHED = "hostcore.module.crashed"
RESTARTING = "hostcore.module.restarting"
RESTARTED = "hostcore.module.restarted"
QUARANTINED = "hostcore.module.quarantined"
REVIVED = "hostcore.module.revived"
ENDED = "hostcore.module.ended"
MOVED = "hostcore.module.moved"
HANDLER_FAILED = "hostcore.handler.failed"
HANDLER_BLOCKED = "hostcore.handler.blocked"
DEAD = "hostcore.message.dead"

_LEVELS = {FAILED: logging.ERROR, HANDLER_FAILED: logging.WARNING, HANDLER_BLOCKED: logging.WARNING,
           STUCK: logging.ERROR, LOADED: logging.INFO, UNLOADED: logging.INFO, RELOADED: logging.INFO,
           CRASHED: logging.ERROR, RESTARTING: logging.INFO, RESTARTED: logging.WARNING, REVIVED: logging.WARNING,
           QUARANTINED: logging.ERROR, ENDED: logging.WARNING, MOVED: logging.WARNING}  # fmt: skip

Announce = Callable[[str, Any], None]


class Events:
    """Hears of everything, as the bus's and cells' observer, and announces it."""

    def __init__(self) -> None:
        self.announce: Announce = lambda topic, payload: None  # the bus's, once there is one
        self.on_blocked: Callable[[str, float], None] = lambda module, seconds: None
        self.on_overran: Callable[[Cell, Envelope], None] = lambda cell, envelope: None

    def tell(self, event: str, /, **facts: Any) -> None:
        """Announce an event."""
        self._log(event, facts)
        self.announce(event, facts)

    def _tell_of(self, envelope: Envelope, event: str, /, **facts: Any) -> None:
        """Announce an event about a message; only log it if that is an event itself, or it might never end."""
        facts = {"topic": envelope.topic, "message": envelope.id, **facts}
        self._log(event, facts)
        if not envelope.topic.startswith(RESERVED):
            self.announce(event, facts)

    @staticmethod
    def _log(event: str, facts: Any) -> None:
        log.log(_LEVELS.get(event, logging.DEBUG), "%s %s", event, facts)

    def failed(self, cell: Cell, envelope: Envelope, error: Exception) -> None:
        """Hear of a handler that raised."""
        data = error.as_data() if isinstance(error, HostcoreError) else {"text": str(error)}
        self._tell_of(
            envelope, HANDLER_FAILED, module=cell.name, hook=envelope.hook, sender=envelope.sender, error=data
        )  # fmt: skip

    def dead(self, envelope: Envelope, reason: str) -> None:
        """Hear of a dead letter."""
        self._tell_of(envelope, DEAD, target=envelope.target, reason=reason)

    def blocked(self, cell: Cell, envelope: Envelope, seconds: float) -> None:
        """Hear of a handler that held the event loop."""
        self._tell_of(
            envelope, HANDLER_BLOCKED, module=cell.name, hook=envelope.hook, milliseconds=round(seconds * 1000, 1)
        )
        self.on_blocked(cell.name, seconds)

    def held(self, module: str, seconds: float) -> None:
        """Announce a module that held the event loop outside of its handlers."""
        self.tell(HANDLER_BLOCKED, module=module, hook="", topic="", milliseconds=round(seconds * 1000, 1))
        self.on_blocked(module, seconds)

    def overran(self, cell: Cell, envelope: Envelope, seconds: float) -> None:
        """Hear of a handler that ignores its cancellation."""
        self._tell_of(envelope, STUCK, module=cell.name, hook=envelope.hook, seconds=round(seconds, 3))
        self.on_overran(cell, envelope)


class CellEvents:
    """Hears of everything in a module's cell; what nobody handles goes to the bus, as a dead letter."""

    def __init__(self, events: Events, dead: Callable[[Envelope, str], None]) -> None:
        self.failed = events.failed
        self.blocked = events.blocked
        self.overran = events.overran
        self.dead = dead


class LagWatch:
    """Finds who holds the loop outside of handlers: a task or callback that a module's code started.

    The loop beats every `PERIOD`; a thread that misses a beat looks at the loop thread's stack and remembers the
    nearest generation on it.  The event follows when the loop is back.
    """

    PERIOD = 0.25

    def __init__(self, loop: asyncio.AbstractEventLoop, threshold: float, held: Callable[[str, float], None]) -> None:
        self._loop = loop
        self._threshold = threshold
        self._held = held
        self._beat = time.monotonic()
        self._ident = threading.get_ident()
        self._suspect = ""
        self._stop = threading.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to watch."""
        self._timer = self._loop.call_later(self.PERIOD, self._tick)
        self._thread = threading.Thread(target=self._watch, name="hostcore:lag", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop watching."""
        self._stop.set()
        if self._timer is not None:
            self._timer.cancel()

    def _tick(self) -> None:
        now = time.monotonic()
        late, self._beat = now - self._beat - self.PERIOD, now
        suspect, self._suspect = self._suspect, ""
        if suspect and late > self._threshold:
            self._held(suspect, late)
        self._timer = self._loop.call_later(self.PERIOD, self._tick)

    def _watch(self) -> None:
        while not self._stop.wait(self.PERIOD):
            if not self._suspect and time.monotonic() - self._beat > self.PERIOD + self._threshold:
                self._suspect = culprit(sys._current_frames().get(self._ident))


def culprit(frame: types.FrameType | None) -> str:
    """Return the label of the generation nearest to the top of the stack, unless a handler of it is being timed."""
    found = ""
    while frame is not None:
        generation = frame.f_builtins.get(MARK)
        if generation is not None and not found:
            found = generation.label
        if frame.f_globals.get("__name__") == "hostcore.messaging.cell":
            return ""  # within a handler: the cell reports it, with hook and topic
        frame = frame.f_back
    return found
