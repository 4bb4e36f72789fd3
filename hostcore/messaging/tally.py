"""What one cell counts."""

from __future__ import annotations

SAMPLES = 512


class Tally:
    """Counts of one cell, and the last `SAMPLES` handling times in seconds."""

    __slots__ = ("dropped", "failed", "handled", "samples", "total")

    def __init__(self) -> None:
        self.handled = 0
        self.failed = 0
        self.dropped = 0
        self.total = 0.0
        self.samples: list[float] = []

    def record(self, seconds: float) -> None:
        """Count one handled message."""
        samples = self.samples
        if len(samples) < SAMPLES:
            samples.append(seconds)
        else:
            samples[self.handled % SAMPLES] = seconds
        self.handled += 1
        self.total += seconds
