"""A project directory as a release: what its `pyproject.toml` says, read without a build.

Name, version and entry points come from the `[project]` table.  The code is in the packages that hatch is told to
take in, or in setuptools' `where`, or in `src`, or beside `pyproject.toml`; the first that has the package that the
entry point names.  What only a build can compute (a dynamic version) is not computed: the version counts as "0".
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hostcore.errors import LoadError, Problem
from hostcore.packages.entries import MODULES, Entry, parse_line
from hostcore.packages.guests import names_guest
from hostcore.packages.locating import Release, guest_release, release_of
from hostcore.packages.owned import is_package, owned_in, portions

PYPROJECT = "pyproject.toml"
_ENTRY_HINT = f'add a table [project.entry-points."{MODULES}"] with a line such as: counter = "acme_counter:Counter"'


class Project:
    """A project directory.

    Attributes:
        directory: Where it is.
        entries: The modules it declares, by name.

    Raises:
        LoadError: Its `pyproject.toml` cannot be used (HC204); all that is wrong is listed.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._data = _read(directory / PYPROJECT)
        self.entries = {entry.name: entry for entry in _entries(directory / PYPROJECT, self._data)}

    def release(self, name: str) -> Release:
        """Return the release of the module called `name`, one of `entries`.

        Raises:
            LoadError: The code it names is not in the project (HC203).
        """
        entry = self.entries[name]
        package = entry.value.partition(":")[0].partition(".")[0]
        layouts = list(self._layouts(package))
        if names_guest(entry.value):
            directories = [directory for paths, _ in layouts for directory in paths]
            return guest_release(entry, directories, editable=True, source=str(self.directory))
        paths, owned = next((it for it in layouts if _has(package, it[1])), layouts[-1])
        return release_of(entry, paths, owned, editable=True, source=str(self.directory))

    def _layouts(self, package: str) -> Iterator[tuple[list[Path], set[str]]]:
        """Yield where code may lie, most telling first: directories and the names owned in them."""
        tool = self._data.get("tool", {})
        chosen = _strings(_dig(tool, "hatch", "build", "targets", "wheel", "packages"))
        if chosen:
            places = [self.directory / place for place in chosen]
            yield [place.parent for place in places], set().union(*map(_names, places))
        for root in (*_strings(_dig(tool, "setuptools", "packages", "find", "where")), "src", "."):
            directory = self.directory / root
            yield [directory], owned_in(directory, package)


def _has(package: str, owned: set[str]) -> bool:
    return any(name.partition(".")[0] == package for name in owned)


def _names(place: Path) -> set[str]:
    return portions(place, place.name) if place.is_dir() and not is_package(place) else {place.stem}


def _dig(data: Any, *keys: str) -> Any:
    for key in keys:
        data = data.get(key) if isinstance(data, dict) else None
    return data


def _strings(value: Any) -> list[str]:
    return value if isinstance(value, list) and all(isinstance(item, str) for item in value) else []


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text("utf-8"))
    except OSError as error:
        raise _refused(file, Problem(f"cannot be read: {error.strerror}", "HC204", str(file))) from None
    except UnicodeDecodeError:
        raise _refused(file, Problem("is not UTF-8", "HC204", str(file))) from None
    except tomllib.TOMLDecodeError as error:
        raise _refused(file, Problem(f"is not TOML: {error}", "HC204", str(file))) from None


def _entries(file: Path, data: dict[str, Any]) -> list[Entry]:
    project = data.get("project")
    if not isinstance(project, dict) or not isinstance(project.get("name"), str):
        raise _refused(file, Problem("has no [project] table with a name", "HC204", str(file),
                                     hint="give a wheel of it, or install it"))  # fmt: skip
    table = _dig(project, "entry-points", MODULES)
    if not isinstance(table, dict) or not table:
        dynamic = "entry-points" in (project.get("dynamic") or ())
        hint = "its entry points are computed by the build: give a wheel of it, or install it"
        raise _refused(file, Problem("declares no module", "HC204", str(file), hint=hint if dynamic else _ENTRY_HINT))
    version = project.get("version")
    parsed = [parse_line(MODULES, f"{name} = {value}", str(file)) for name, value in table.items()]
    problems = [line for line in parsed if isinstance(line, Problem)]
    if problems:
        raise _refused(file, *problems)
    return [
        Entry(line.name, line.value, project["name"], version if isinstance(version, str) else "0", str(file))
        for line in parsed
        if not isinstance(line, Problem)
    ]


def _refused(file: Path, *problems: Problem) -> LoadError:
    return LoadError(file.parent.name, label=str(file), problems=problems)
