"""One folder of `sys.path`: what is installed in it, and how to tell later that this still holds.

A *stamp* is what the kernel says of a file: mtime, ctime, inode.  Installers can set the mtime back
(`os.utime`), nobody can set the ctime.  A folder's snapshot holds as long as its own stamp and those of all watched
files do: a distribution that comes or goes changes the folder's, one that changes in place a watched file's.

Clocks of file systems tick slowly (4 ms; on some 2 s): a change right after the snapshot could leave the stamp as
it was.  As git does with its index ("racily clean"), a snapshot of something that changed within the last two
seconds is used once and not trusted again.
"""
# Plain strings: `Path` objects would double the time of a scan.
# ruff: noqa: PTH116, PTH208

from __future__ import annotations

import os
import time

import msgspec

from hostcore.errors import Problem
from hostcore.packages.entries import Entry
from hostcore.packages.metadata import Distribution, is_metadata, read_distribution

Stamp = tuple[int, int, int]
GONE: Stamp = (0, 0, 0)
SETTLED_AFTER = 2_000_000_000
"""Nanoseconds that must have passed since the last change for a snapshot to be trusted later."""


class Folder(msgspec.Struct):
    """A snapshot of one folder of `sys.path`, or of another place that holds distributions.

    Attributes:
        stamp: The folder's stamp, taken before it was read.
        watched: The files the snapshot rests on, relative to the folder.
        stamps: Their stamps, in the same order.
        keys: The normalised names of all distributions in it, with those that have nothing for hostcore.
        entries: hostcore's entry points, ordered by distribution.
        problems: What is wrong in it.
        settled: Nothing in it changed just before it was read.
    """

    stamp: Stamp
    watched: list[str]
    stamps: list[Stamp]
    keys: list[str]
    entries: list[Entry]
    problems: list[Problem]
    settled: bool

    @property
    def lasting(self) -> bool:
        """Whether it is worth keeping on disk; a folder without distributions is read as fast as it is checked."""
        return self.settled and bool(self.watched)

    def holds(self, path: str, stamp: Stamp) -> bool:
        """Tell whether the snapshot is still true of the folder at `path`, which has `stamp` now."""
        return self.settled and self.stamp == stamp and self.stamps == stamps(path, self.watched)


def stamp_in(stat: os.stat_result) -> Stamp:
    """Return the stamp that is in what the kernel said."""
    return stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino


def stamp_of(path: str) -> Stamp:
    """Return the stamp of the file or directory at `path`, or `GONE`."""
    try:
        return stamp_in(os.stat(path))
    except OSError:
        return GONE


def stamps(path: str, names: list[str]) -> list[Stamp]:
    """Return the stamps of the files called `names` in the folder at `path`."""
    return [stamp_of(f"{path}/{name}") for name in names]


def read_folder(path: str, stamp: Stamp) -> Folder:
    """Take a snapshot of the folder at `path`, which had `stamp` before this call."""
    now = time.time_ns()
    try:
        names = sorted(name for name in os.listdir(path) if is_metadata(name, path))
    except OSError as error:
        problem = Problem(f"a folder on sys.path cannot be read: {error.strerror}", "HC111", path)
        return Folder(stamp, [], [], [], [], [problem], settled=False)
    found = [read_distribution(path, name) for name in names]
    keys = [distribution.key for distribution in found]
    problems = [problem for distribution in found for problem in distribution.problems]
    if len(set(keys)) < len(keys):
        found, twice = _without_leftovers(found)
        problems += twice
    watched = [name for distribution in found for name in distribution.watched]
    taken = stamps(path, watched)
    last = max(changed for _, changed, _ in [stamp, *taken])
    entries = [entry for d in sorted(found, key=lambda d: d.key) for entry in d.entries]
    return Folder(stamp, watched, taken, sorted(set(keys)), entries, problems, settled=last < now - SETTLED_AFTER)


def _without_leftovers(found: list[Distribution]) -> tuple[list[Distribution], list[Problem]]:
    """Keep the entries of only the newest among several metadata directories of one distribution.

    A broken upgrade leaves them behind.  All stay watched: one of them may be removed or mended.
    """
    from hostcore.contract.versions import parse_version

    problems = []
    groups: dict[str, list[Distribution]] = {}
    for distribution in found:
        if distribution.entries:
            groups.setdefault(distribution.key, []).append(distribution)
    for key, group in groups.items():
        group.sort(key=lambda d: parse_version(d.entries[0].version))
        for old in group[:-1]:
            where = old.entries[0].metadata
            version = old.entries[0].version
            newest = group[-1].entries[0].version
            problems.append(Problem(f"{key!r} is there twice: {version} beside {newest}, which counts", "HC116", where,
                                    hint=f"install {key!r} again, or remove this directory"))  # fmt: skip
            old.entries = []
    return found, problems
