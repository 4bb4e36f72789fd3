"""Habits: files that a module writes itself whenever it is loaded.

A module that keeps a cache in its own package changes its sources by being loaded, and each reload would lead to the
next.  A file that changed while its module was being loaded, `TIMES` times in a row, is taken for one of those and does
not count any more when that happens again.  Changed at any other time, by whoever edits it, it does.
"""

from __future__ import annotations

import logging
from collections import Counter
from math import inf
from pathlib import Path

TIMES = 3
_TICK = 20_000_000
"""Nanoseconds by which the clock of a file system may lag behind."""
log = logging.getLogger("hostcore")


class Habits:
    """What is known of the modules' own writing."""

    def __init__(self) -> None:
        self._loads: dict[str, tuple[int, float]] = {}
        self._streaks: Counter[tuple[str, str]] = Counter()

    def loads(self, module: str, began: int, ended: float = inf) -> None:
        """Take note of when the latest load of a module began, and ended if it has: `time.time_ns()`."""
        self._loads[module] = began - _TICK, ended

    def without(self, module: str, paths: list[str]) -> list[str]:
        """Return those of a module's changed `paths` that somebody else may have written."""
        return [path for path in paths if not self._is_habit(module, path)]

    def _is_habit(self, module: str, path: str) -> bool:
        began, ended = self._loads.get(module, (0, 0))
        try:
            written = began <= Path(path).stat().st_mtime_ns <= ended
        except OSError:
            written = False
        if not written:
            self._streaks.pop((module, path), None)
            return False
        self._streaks[module, path] += 1
        if self._streaks[module, path] == TIMES:
            log.warning("%s writes %s whenever it is loaded: that does not reload it any more", module, path)
        return self._streaks[module, path] >= TIMES
