"""Sources: modules that are not installed.

A source is a project directory with a `pyproject.toml`, a directory made by `pip install --target`, or a wheel.
Whichever it is, what comes out is a release like that of an installed module.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

from hostcore.errors import LoadError, Problem, did_you_mean
from hostcore.packages.discovery import Discovery
from hostcore.packages.entries import Entry
from hostcore.packages.locating import Release, locate
from hostcore.packages.projects import PYPROJECT, Project
from hostcore.packages.wheels import unpack


def from_source(path: str | os.PathLike[str], name: str | None = None, *, cache: Path) -> Release:
    """Return the release of a module in `path`, which need not be installed.

    Args:
        path: A project directory, a directory made by `pip install --target`, or a wheel file.
        name: The module's name; None if there is only one in it.
        cache: The directory into which wheels are unpacked, each under its SHA-256.

    Raises:
        LoadError: There is no such thing at `path`, or it cannot be used (HC204), or its code is not where it says
            (HC203).
    """
    place = Path(path).absolute()
    if place.is_dir() and (place / PYPROJECT).exists():
        project = Project(place)
        return project.release(_choose(project.entries, name, place))
    if place.is_dir():
        return _from_directory(place, name, place)
    if place.is_file():
        return _from_directory(unpack(place, cache), name, place)
    found = "is neither a file nor a directory" if place.exists() else "does not exist"
    raise _refused(place, name, Problem(found, "HC204", hint="give a project directory or a wheel"))


def _from_directory(directory: Path, name: str | None, source: Path) -> Release:
    """Return the release of a module among the distributions in `directory`."""
    scan = Discovery([str(directory)]).scan()
    if not scan.modules:
        message = "holds no installed module" if source.is_dir() else "holds no module"
        problem = Problem(message, "HC204", expected=f"expected: a directory with a {PYPROJECT}, or a wheel, "
                          "with an entry point in the group 'hostcore.modules'")  # fmt: skip
        raise _refused(source, name, problem, *scan.problems)
    entry = scan.modules[_choose(scan.modules, name, source)]
    return msgspec.structs.replace(locate(entry), source=str(source), editable=False)


def _choose(entries: Mapping[str, Entry], name: str | None, source: Path) -> str:
    listed = ", ".join(sorted(entries))
    if name is None and len(entries) > 1:
        raise _refused(source, name, Problem(f"holds several modules: {listed}", "HC204", hint="say which one by name"))
    chosen = next(iter(entries)) if name is None else name
    if chosen not in entries:
        problem = Problem(f"holds no module named {chosen!r}", "HC204", expected=f"it holds: {listed}",
                          hint=did_you_mean(chosen, entries))  # fmt: skip
        raise _refused(source, name, problem)
    return chosen


def _refused(source: Path, name: str | None, *problems: Problem) -> LoadError:
    return LoadError(name or source.name, label=str(source), problems=problems)
