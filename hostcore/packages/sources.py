"""Sources: modules that are not installed.

A source is a project directory with a `pyproject.toml`, a directory made by `pip install --target`, a wheel, or a
WebAssembly guest in a file of its own.  Whichever it is, what comes out is a release like that of an installed module.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

from hostcore.contract.documents import Unreadable, read_document
from hostcore.errors import LoadError, Problem, did_you_mean
from hostcore.packages.digests import sha256_of
from hostcore.packages.discovery import Discovery
from hostcore.packages.entries import NAME, Entry
from hostcore.packages.guests import is_guest_file
from hostcore.packages.locating import MANIFEST, Release, locate
from hostcore.packages.projects import PYPROJECT, Project
from hostcore.packages.wheels import unpack


def from_source(path: str | os.PathLike[str], name: str | None = None, *, cache: Path) -> Release:
    """Return the release of a module in `path`, which need not be installed.

    Args:
        path: A project directory, a directory made by `pip install --target`, a wheel file, or a `.wasm` file.
        name: The module's name; None if there is only one in it; a `.wasm` file is then called as the file.
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
    if place.is_file() and _is_guest(place, name):
        return _guest(place, name)
    if place.is_file():
        return _from_directory(unpack(place, cache), name, place)
    found = "is neither a file nor a directory" if place.exists() else "does not exist"
    raise _refused(place, name, Problem(found, "HC204", hint="give a project directory, a wheel or a .wasm file"))


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


def _is_guest(file: Path, name: str | None) -> bool:
    try:
        return is_guest_file(file)
    except OSError as error:
        raise _refused(file, name, Problem(f"cannot be read: {error.strerror}", "HC204")) from None


def _guest(file: Path, asked: str | None) -> Release:
    """Return the release of a guest that is a file of its own; its content stands for its version."""
    name = asked or file.stem
    if not NAME.fullmatch(name):
        problem = Problem(
            f"{name!r} is not a module's name", "HC204", hint="give the module a name, or rename the file"
        )
        raise _refused(file, asked, problem)
    try:
        digest = sha256_of(file)
    except OSError as error:
        raise _refused(file, asked, Problem(f"cannot be read: {error.strerror}", "HC204")) from None
    return Release(name, file.name, file.name, f"0+sha.{digest[:12]}", (str(file.parent),), (),
                   _manifest_beside(file, name), source=str(file), wasm=str(file))  # fmt: skip


def _manifest_beside(file: Path, name: str) -> str:
    """Return the path of the `module.toml` beside `file` if it is about module `name`, or ""."""
    manifest = file.with_name(MANIFEST)
    if not manifest.is_file():
        return ""
    try:
        about = name in read_document(manifest).data
    except Unreadable:
        about = True  # for whoever reads it, to say what is wrong with it
    return str(manifest) if about else ""


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
