"""Bursts: when the changes to a module are over.

Saving a file, let alone a checkout or an install, is many changes in a row.  A module is due once none of its files has
changed for `QUIET` seconds, and then once, for all of them together; if they will not come to rest, after `PATIENCE`.
Files that are again what they were count for nothing.  While an installer is at work the module is held.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from hostcore.cli.watch.views import Stamp, View

QUIET = 0.1
PATIENCE = 5.0


class Burst:
    """The changes to one module that have not been told of yet.

    Attributes:
        began: When the first was noticed.
        moved: When the latest was.
    """

    def __init__(self, clock: float) -> None:
        self.began = self.moved = clock
        self._before: dict[str, Stamp | None] = {}

    def note(self, changes: Mapping[str, Stamp | None], paths: Iterable[str], clock: float) -> None:
        """Take in changed `paths`; `changes` has the stamps they had before."""
        self.moved = clock
        for path in paths:
            self._before.setdefault(path, changes[path])

    def hold(self, clock: float) -> None:
        """Do not count the time until now: an installer is at work."""
        self.began = clock

    def over(self, clock: float) -> bool:
        """Tell whether it is over, or goes on for too long."""
        return clock - self.moved >= QUIET or clock - self.began >= PATIENCE

    def changed(self, now: View) -> list[str]:
        """Return the paths that are not what they were before it."""
        return sorted(path for path, stamp in self._before.items() if now.files.get(path) != stamp)
