"""Time slices of guests: a thread that advances the epoch while guests run.

A guest that has used up its slice suspends and lets the event loop go on.  The thread sleeps while no guest runs.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import wasmtime

TICK = 0.003
"""Seconds between two epochs: the most that a guest holds the event loop for is two of these."""
_IDLE_TICKS = 60
_HURRY = 100_000
"""Epochs that end any guest of the plain path whose limit is at most five minutes."""


class Ticker:
    """Advances the epochs of its engines.

    Attributes:
        polls: Counts each time that a guest is let run; whoever does it adds one, then looks at `asleep`.
        epoch: How often the epoch was advanced.
        asleep: The thread waits for `wake`.
        left: How many threads were still inside of a guest when it was closed.
    """

    def __init__(self) -> None:
        self.polls = 0
        self.epoch = 0
        self.asleep = True
        self.left = 0
        self._engines: list[wasmtime.Engine] = []
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def add(self, engine: wasmtime.Engine) -> None:
        """Advance this engine's epoch too."""
        self._engines.append(engine)

    def wake(self) -> None:
        """Begin to tick."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._tick, name="hostcore:epochs", daemon=True)
            self._thread.start()
        self._wake.set()

    def _tick(self) -> None:
        seen, idle = self.polls, 0
        while not self._stop.is_set():
            if idle >= _IDLE_TICKS:
                # First asleep, then a last look: who adds to `polls` later sees it and wakes us.
                self.asleep = True
                if self.polls == seen:
                    self._wake.wait()
            self._wake.clear()
            self.asleep = False
            idle = idle + 1 if self.polls == seen else 0
            seen = self.polls
            self._stop.wait(TICK)
            for engine in self._engines:
                engine.increment_epoch()
            self.epoch += 1

    def close(self) -> None:
        """End the thread; no guest may run any more, and what is left of one in a thread of its own is ended."""
        self._stop.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        for engine in self._engines if self.left else ():
            for _ in range(_HURRY):
                engine.increment_epoch()
        self._engines.clear()
