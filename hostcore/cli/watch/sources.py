"""What in the file system is a module's, and which modules a changed path concerns.

A module's sources follow from its release: the packages and modules that it owns with everything in them, or the file
of a WebAssembly guest, its `module.toml`, and what says how to find them, which is the `pyproject.toml` of a project
directory, the wheel file, or the `RECORD` of an installed distribution.  An installer writes `RECORD` last, so that its
coming is the end of an upgrade.  In a working tree a new top-level module can appear, and may be what a failed import
was missing.

What tools leave behind is nobody's source: bytecode, hidden files and directories, editors' backups and swap files.
"""
# Plain strings: thousands of files may change at once.
# ruff: noqa: PTH120

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple, TypeVar

from hostcore.packages.locating import MANIFEST, Release
from hostcore.packages.metadata import is_metadata, name_and_version, normalised
from hostcore.packages.owned import module_name
from hostcore.packages.projects import PYPROJECT

RECORD = "RECORD"
K = TypeVar("K")
_BESIDE = frozenset({"benchmarks", "build", "conftest", "docs", "examples", "noxfile", "setup", "test", "tests"})
_LEFTOVER = re.compile(
    r"\..*|.*~|#.*#|4913|.*\.(?:py[co]|sw[a-p]|tmp|temp|bak|orig|rej|part|kate-swp)|.*___jb_(?:tmp|old|bak)___"
)


class Sources(NamedTuple):
    """What in the file system is a module's; all paths are absolute.

    Attributes:
        stems: Its packages and modules, as paths without a suffix: of "a.b", found in /src, /src/a/b.
        files: Single files beside them.
        roots: The directories of a working tree in which further top-level modules may appear.
        installs: Site directories and normalised names of the distributions whose `RECORD` counts.
        bases: The directories that paths are shown relative to.
    """

    stems: frozenset[str] = frozenset()
    files: frozenset[str] = frozenset()
    roots: frozenset[str] = frozenset()
    installs: frozenset[tuple[str, str]] = frozenset()
    bases: frozenset[str] = frozenset()

    def joined(self, other: Sources) -> Sources:
        """Return what is in either."""
        return Sources(
            self.stems | other.stems,
            self.files | other.files,
            self.roots | other.roots,
            self.installs | other.installs,
            self.bases | other.bases,
        )

    def shown(self, path: str) -> str:
        """Return `path` as people read it: relative to where the module is imported from, fit for any terminal."""
        below = [os.path.relpath(path, base) for base in self.bases if path.startswith(f"{base}/")]
        return os.fsencode(min(below, key=len, default=path)).decode("utf-8", "backslashreplace")


def sources_of(release: Release, metadata: str = "") -> Sources:
    """Return the sources of a release.

    Args:
        release: The release.
        metadata: The `.dist-info` directory with the `RECORD` of its install, or "".
    """
    if release.source and release.source == release.wasm:
        files = {release.wasm, *_manifests(release)}
        return Sources(files=frozenset(files), bases=frozenset(release.paths))
    if release.source and not release.editable and release.source not in release.paths:  # a wheel
        return Sources(files=frozenset({release.source}), bases=frozenset({os.path.dirname(release.source)}))
    names = set(release.owned)
    if release.editable and not release.is_guest:
        own = _top(release.package)  # with all of it, if it is a namespace package or has lost its __init__.py
        names = {own} | {name for name in names if _top(name) not in _BESIDE}
    files = {*_manifests(release), *([release.wasm] if release.wasm else ())}
    if release.source and release.editable:
        files.add(str(Path(release.source, PYPROJECT)))
    site, name = os.path.split(metadata)
    return Sources(
        stems=frozenset(str(Path(path, *name.split("."))) for path in release.paths for name in names),
        files=frozenset(files),
        roots=frozenset(release.paths if release.editable and not release.is_guest else ()),
        installs=frozenset({(site, normalised(name_and_version(name)[0]))} if metadata else ()),
        bases=frozenset({*release.paths, *filter(None, (release.source, site))}),
    )


def _top(name: str) -> str:
    return name.partition(".")[0]


def _manifests(release: Release) -> Iterator[str]:
    """Yield where its `module.toml` is or may come to be."""
    parts = release.package.split(".")  # of a guest that is a file of its own: [""], its own folder
    for path in release.paths:
        yield from (str(Path(path, *parts[:depth], MANIFEST)) for depth in range(1, len(parts) + 1))


def is_leftover(name: str) -> bool:
    """Tell whether a file or directory called `name` is one that a tool leaves behind."""
    return name == "__pycache__" or _LEFTOVER.fullmatch(name) is not None


def may_be_top_level(name: str) -> bool:
    """Tell whether a file called `name` in a working tree is a module that others may import."""
    return module_name(name) not in {"", *_BESIDE}


def install_of(directory: str) -> tuple[str, str] | None:
    """Return the site directory and distribution that a metadata directory belongs to, None for any other."""
    site, name = os.path.split(directory)
    return (site, normalised(name_and_version(name)[0])) if is_metadata(name, site) else None


def concerned(changes: Iterable[str], modules: Mapping[str, Sources]) -> dict[str, list[str]]:
    """Return the modules that changed paths concern, each with its paths in order.

    Args:
        changes: The paths of files that came, went, or changed.
        modules: Module name -> its sources.
    """
    owners = _Owners(modules)
    found: dict[str, list[str]] = {}
    for path in sorted(changes):
        for module in sorted(owners.of(path)):
            found.setdefault(module, []).append(path)
    return found


class _Owners:
    """Whose a path is: one look per directory above it, however many modules there are."""

    def __init__(self, modules: Mapping[str, Sources]) -> None:
        self._stems = _inverted((stem, module) for module, its in modules.items() for stem in its.stems)
        self._files = _inverted((file, module) for module, its in modules.items() for file in its.files)
        self._roots = _inverted((root, module) for module, its in modules.items() for root in its.roots)
        self._installs = _inverted((where, module) for module, its in modules.items() for where in its.installs)

    def of(self, path: str) -> set[str]:
        found = set(self._files.get(path, ()))
        directory, name = os.path.split(path)
        if name == RECORD and (install := install_of(directory)) is not None:
            found |= self._installs.get(install, set())
        if is_leftover(name):
            return found
        if may_be_top_level(name):
            found |= self._roots.get(directory, set())
        if module := module_name(name):
            found |= self._stems.get(f"{directory}/{module}", set())
        while directory != os.path.dirname(directory):
            found |= self._stems.get(directory, set())
            directory, name = os.path.split(directory)
            if is_leftover(name):
                break  # hidden, or __pycache__: nothing in it counts
        return found


def _inverted(pairs: Iterable[tuple[K, str]]) -> dict[K, set[str]]:
    found: dict[K, set[str]] = {}
    for key, module in pairs:
        found.setdefault(key, set()).add(module)
    return found
