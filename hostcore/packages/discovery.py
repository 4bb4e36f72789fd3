"""Discovery: which modules are installed, as of now.

Every scan answers for the present: what pip did a moment ago in another process is seen, and what is gone is gone.
The work of earlier scans is reused only where the kernel's stamps prove that nothing changed (see `folders`), from
memory or from the index on disk.

Of distributions with one name the first on `sys.path` counts, as for `import`; the others are shadowed, as in a
virtual environment over a system's packages.  Two *different* distributions that give a module the same name are a
duplicate: the first on `sys.path` wins, in one folder the first by distribution name, and the scan lists them all.
"""
# Plain strings: `Path` objects would double the time of a scan.
# ruff: noqa: PTH100, PTH116

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from threading import Lock

import msgspec

from hostcore.errors import LoadError, Problem, did_you_mean
from hostcore.packages import elsewhere
from hostcore.packages.entries import MODULES, Entry
from hostcore.packages.folders import Folder, Stamp, read_folder, stamp_in
from hostcore.packages.index import read_index, write_index
from hostcore.packages.metadata import normalised


class Scan(msgspec.Struct, frozen=True):
    """What one scan found.

    Attributes:
        modules: Module name -> its entry point, sorted by name.
        hookspecs: The entry points that declare hooks of third parties.
        duplicates: Module name -> all its entry points, the winner first; only names that have several.
        problems: What is wrong with installed distributions; none of it is fatal.
    """

    modules: dict[str, Entry]
    hookspecs: list[Entry]
    duplicates: dict[str, list[Entry]]
    problems: list[Problem]


class Discovery:
    """Finds installed modules; any thread may ask.

    Args:
        paths: The folders to look in; None for `sys.path` as it is at each scan.
        index: The file of the on-disk index; None to keep none.
    """

    def __init__(self, paths: Sequence[str] | None = None, index: Path | None = None) -> None:
        self._paths = None if paths is None else tuple(paths)
        self._index = index
        self._lock = Lock()
        self._known: dict[str, Folder] = {}
        self._saved: dict[str, Folder] | None = None  # None: the index has not been read yet

    def __repr__(self) -> str:
        where = "sys.path" if self._paths is None else list(self._paths)
        return f"<Discovery of {where}, index {str(self._index) if self._index else 'none'}>"

    def scan(self) -> Scan:
        """Return what is installed now."""
        with self._lock:
            if self._saved is None:
                self._saved = read_index(self._index) if self._index else {}
            scan = _merged(self._places())
            self._save()
            return scan

    def find(self, name: str, scan: Scan | None = None) -> Entry:
        """Return the entry point of the module called `name`.

        Args:
            name: The module's name.
            scan: Where to look; None: in a new scan.

        Raises:
            LoadError: No such module is installed (HC202).
        """
        scan = self.scan() if scan is None else scan
        entry = scan.modules.get(name)
        if entry is None:
            raise LoadError(name, problems=[_not_installed(name, scan)])
        return entry

    def _places(self) -> Iterator[Folder]:
        """Yield what each place on the path holds, in order of precedence, each place once."""
        seen: set[tuple[int, int]] = set()
        for path in sys.path if self._paths is None else self._paths:
            try:
                folder = os.path.abspath(path)
                found = os.stat(folder)
            except (OSError, ValueError, TypeError):
                continue  # as for `import`, what is not there or not a path is passed over
            if (found.st_dev, found.st_ino) in seen:
                continue
            seen.add((found.st_dev, found.st_ino))
            if stat.S_ISDIR(found.st_mode):
                yield self._folder(folder, stamp_in(found))
            elif stat.S_ISREG(found.st_mode):
                yield elsewhere.read_archive(folder)
        finders = elsewhere.foreign_finders() if self._paths is None else []
        if finders:
            yield elsewhere.read_finders(finders)

    def _folder(self, path: str, stamp: Stamp) -> Folder:
        known = self._known.get(path) or (self._saved or {}).get(path)
        if known is None or not known.holds(path, stamp):
            known = read_folder(path, stamp)
        self._known[path] = known
        return known

    def _save(self) -> None:
        """Write the index if it lacks something; after a failure not again until something changes."""
        saved = self._saved or {}
        new = {p: folder for p, folder in self._known.items() if folder.lasting and saved.get(p) is not folder}
        if self._index and new:
            write_index(self._index, self._known)
            self._saved = saved | new


def _merged(places: Iterable[Folder]) -> Scan:
    """Return the scan over `places`, which are in order of precedence."""
    seen: set[str] = set()
    candidates: dict[str, list[Entry]] = {}
    hookspecs: list[Entry] = []
    problems: list[Problem] = []
    for place in places:
        entries = [entry for entry in place.entries if normalised(entry.distribution) not in seen]
        seen.update(place.keys)
        problems += place.problems
        for entry in entries:
            (candidates.setdefault(entry.name, []) if entry.group == MODULES else hookspecs).append(entry)
    return Scan(
        modules={name: candidates[name][0] for name in sorted(candidates)},
        hookspecs=hookspecs,
        duplicates={name: candidates[name] for name in sorted(candidates) if len(candidates[name]) > 1},
        problems=problems,
    )


def _not_installed(name: str, scan: Scan) -> Problem:
    known = list(scan.modules)
    listed = ", ".join(known[:10]) + (", ..." if len(known) > 10 else "")
    hint = did_you_mean(name, known) or (
        f'install a distribution that declares {name!r} under [project.entry-points."{MODULES}"], '
        "or give the directory or wheel it is in as source"
    )
    if scan.problems:
        hint += f"; {len(scan.problems)} problems with installed distributions may hide it"
    return Problem(
        f"no module named {name!r} is installed", "HC202", expected=f"installed: {listed or 'none'}", hint=hint
    )
