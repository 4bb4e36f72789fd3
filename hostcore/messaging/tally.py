"""What one cell counts."""

from __future__ import annotations

import sys
from collections.abc import Callable

SAMPLES = 512


class Tally:
    """Counts of one cell, and the last `SAMPLES` handling times in seconds.

    `rings` is called when `handled` reaches `rings_at`.
    """

    __slots__ = ("dropped", "failed", "handled", "rings", "rings_at", "samples", "total")

    def __init__(self) -> None:
        self.handled = 0
        self.failed = 0
        self.dropped = 0
        self.total = 0.0
        self.samples: list[float] = []
        self.rings_at = sys.maxsize
        self.rings: Callable[[], object] = int

    def record(self, seconds: float) -> None:
        """Count one handled message."""
        samples = self.samples
        if len(samples) < SAMPLES:
            samples.append(seconds)
        else:
            samples[self.handled % SAMPLES] = seconds
        self.handled += 1
        self.total += seconds
        if self.handled == self.rings_at:
            self.rings()
