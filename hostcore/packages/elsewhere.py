"""Distributions that are in no plain folder: in archives on `sys.path`, or offered by finders on `sys.meta_path`.

They are rare, so they cost nothing where there are none: `importlib_metadata` (30 ms) is imported only for them.
The finders of the standard library, of `importlib_metadata` and of hostcore itself are left out: what they know is
in the folders, or is a generation, which is not an installation.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

from hostcore.errors import Problem
from hostcore.packages.entries import Entry, parse_entry_points
from hostcore.packages.folders import GONE, Folder
from hostcore.packages.metadata import Distribution, normalised

if TYPE_CHECKING:
    import importlib_metadata

_STANDARD = frozenset({"PathFinder", "MetadataPathFinder"})


def foreign_finders() -> list[Any]:
    """Return the finders on `sys.meta_path` that offer distributions of their own."""
    return [
        finder
        for finder in sys.meta_path
        if hasattr(finder, "find_distributions")
        and _type(finder).__name__ not in _STANDARD
        and _type(finder).__module__.partition(".")[0] != "hostcore"
    ]


def _type(finder: Any) -> type:
    return finder if isinstance(finder, type) else type(finder)


def read_archive(path: str) -> Folder:
    """Return the distributions in the archive at `path`; a damaged one becomes a problem."""
    from importlib_metadata import MetadataPathFinder

    MetadataPathFinder.invalidate_caches()
    return _snapshot(_read(path, partial(MetadataPathFinder.find_distributions, _context(path=[path]))))


def read_finders(finders: Iterable[Any]) -> Folder:
    """Return the distributions that `finders` offer; one that raises becomes a problem."""
    found = []
    for finder in finders:
        found += _read(_type(finder).__qualname__, partial(finder.find_distributions, _context()))
    return _snapshot(found)


def _context(**search: list[str]) -> Any:
    from importlib_metadata import DistributionFinder

    return DistributionFinder.Context(**search)  # type: ignore[no-untyped-call]


def _read(where: str, find: Callable[[], Iterable[Any]]) -> list[Distribution]:
    result: list[Distribution] = []
    try:
        for found in find():
            result.append(_distribution(found, where))
    except Exception as error:  # noqa: BLE001 - a foreign finder may raise anything, and must not stop discovery
        problem = Problem(f"distributions cannot be listed: {type(error).__name__}: {error}", "HC117", where)
        result.append(Distribution("", [], [], [problem]))
    return result


def _distribution(found: importlib_metadata.Distribution, where: str) -> Distribution:
    name, version = found.metadata["Name"] or "", found.version or "0"
    declared, problems = parse_entry_points(found.read_text("entry_points.txt") or "", f"{where} ({name})")
    entries = [Entry(d.name, d.value, name, version, "", d.group) for d in declared]
    return Distribution(normalised(name), [], entries, problems)


def _snapshot(found: list[Distribution]) -> Folder:
    """Return what was found in the form of a folder's snapshot, one that is never trusted later."""
    found.sort(key=lambda d: d.key)
    return Folder(
        stamp=GONE,
        watched=[],
        stamps=[],
        keys=[d.key for d in found],
        entries=[entry for d in found for entry in d.entries],
        problems=[problem for d in found for problem in d.problems],
        settled=False,
    )
