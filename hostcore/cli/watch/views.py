"""Views: what sources look like at a moment.

A view has a stamp for every file that counts, and the directories in which changes to them show up; of what is not
there, the nearest directory above it that is.  Only those directories are watched, so that a virtual environment beside
the code, or a `.git`, costs nothing.

Comparing two views is what tells which files changed.  Notifications alone would not: they get lost when a queue runs
over, when a directory is filled before it is watched, and when a name cannot be decoded.
"""
# Plain strings: `Path` objects would double the time of a view.
# ruff: noqa: PTH116, PTH119, PTH120, PTH208

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from importlib.machinery import EXTENSION_SUFFIXES

from hostcore.cli.watch.sources import RECORD, Sources, install_of, is_leftover, may_be_top_level

Stamp = tuple[int, int, int]
"""Modification time, size, inode.  Not the ctime: a hard link made elsewhere, as some installers do, changes it."""
Place = tuple[int, int]
"""Device and inode of a directory: a new one under an old name must be watched anew."""
_SUFFIXES = (".py", *EXTENSION_SUFFIXES)


class View:
    """What sources look like now.

    Attributes:
        files: Path -> stamp of every file that counts.
        places: Path -> identity of every directory to watch.
        installed: Of the installs asked for, those that are complete.
    """

    def __init__(self, sources: Iterable[Sources] = ()) -> None:
        self.files: dict[str, Stamp] = {}
        self.places: dict[str, Place] = {}
        self.installed: set[tuple[str, str]] = set()
        joined = Sources()
        for each in sources:
            joined = joined.joined(each)
        for stem in joined.stems:
            self._take_stem(stem)
        for file in joined.files:
            self._take_file(file)
            self._take_place(os.path.dirname(file))
        for root in joined.roots:
            self._take_place(root)
            self._take_top_level(root)
        for site in {site for site, _ in joined.installs}:
            self._take_place(site)
            self._take_installs(site, joined.installs)

    def changes(self, later: View) -> dict[str, Stamp | None]:
        """Return what came, went or changed until `later`: path -> its stamp here, None if it was not there."""
        paths = self.files.keys() | later.files.keys()
        return {path: self.files.get(path) for path in paths if self.files.get(path) != later.files.get(path)}

    def moved(self) -> bool:
        """Tell whether a directory to watch is not the one any more that it was."""
        return any(_identity(path) != place for path, place in self.places.items())

    def _take_stem(self, stem: str) -> None:
        self._take_place(os.path.dirname(stem))
        for suffix in _SUFFIXES:
            self._take_file(stem + suffix)
        todo, walked = [stem], set[Place]()
        while todo:
            directory = todo.pop()
            place = _identity(directory)
            if place is None or place in walked:
                continue  # no directory, or a link that leads in a circle
            walked.add(place)
            self.places[directory] = place
            for path in _below(directory):
                if not self._take_file(path):
                    todo.append(path)

    def _take_top_level(self, root: str) -> None:
        for path in _below(root):
            if may_be_top_level(os.path.basename(path)):
                self._take_file(path)

    def _take_installs(self, site: str, installs: Iterable[tuple[str, str]]) -> None:
        for path in _below(site):
            install = install_of(path)
            if install is not None and install in installs:
                self._take_place(path)
                if self._take_file(f"{path}/{RECORD}"):
                    self.installed.add(install)

    def _take_file(self, path: str) -> bool:
        try:
            found = os.stat(path)
        except (OSError, ValueError):
            return False
        if stat.S_ISREG(found.st_mode):
            self.files[path] = found.st_mtime_ns, found.st_size, found.st_ino
        return path in self.files

    def _take_place(self, path: str) -> None:
        """Take note of a directory, or of the nearest one above it that is there."""
        while (place := _identity(path)) is None and path != os.path.dirname(path):
            path = os.path.dirname(path)
        if place is not None:
            self.places[path] = place


def _identity(path: str) -> Place | None:
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    return (found.st_dev, found.st_ino) if stat.S_ISDIR(found.st_mode) else None


def _below(directory: str) -> list[str]:
    """Return the paths of what is in a directory, without leftovers; nothing if it cannot be listed."""
    try:
        return [f"{directory}/{name}" for name in os.listdir(directory) if not is_leftover(name)]
    except OSError:
        return []
