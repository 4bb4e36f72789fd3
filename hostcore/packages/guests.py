"""Guests: the `.wasm` files that modules run in a sandbox, found without looking into them.

An entry point "acme_shout:shout.wasm" names a file in the folder of a package, which needs no Python code at all.
Beside a module's Python code may lie the guest that was built from it, called as the module: `counter.wasm`.  A guest
never lies outside of its package's folder, whatever an entry point or a link says: what a distribution brings is what
was installed of it, and nothing else on the machine.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from hostcore.errors import did_you_mean
from hostcore.packages.entries import Entry, lost
from hostcore.packages.owned import children

SUFFIX = ".wasm"
MAGIC = b"\0asm"
_LISTED = 10


def names_guest(value: str) -> bool:
    """Tell whether an entry point's value names a file with a guest, and not Python code."""
    return ":" in value and value.endswith(SUFFIX)


def is_guest_file(path: Path) -> bool:
    """Tell whether the file at `path` is a guest, or is called as one: what is wrong with it is its host's to say.

    Raises:
        OSError: It cannot be read.
    """
    if path.suffix == SUFFIX:
        return True
    with path.open("rb") as file:
        return file.read(len(MAGIC)) == MAGIC


def find_guest(entry: Entry, directories: Iterable[Path]) -> tuple[Path, Path]:
    """Return the file that `entry` names, and the one of `directories` that its package's folder is in.

    Raises:
        LoadError: It is not there, or lies outside of the folder (HC203).
    """
    package, _, file = entry.value.partition(":")
    if not _stays(file):
        raise lost(entry, f"names {file!r}, which leads out of its package", "name a file in the package's folder")
    places = list(dict.fromkeys(directories))
    folders = [place.joinpath(*package.split(".")) for place in places]
    for place, folder in zip(places, folders, strict=True):
        guest = folder / file
        if os.path.isfile(guest):  # noqa: PTH113 - unlike Path.is_file, false where access is denied
            if not _within(guest, folder):
                raise lost(entry, f"names {file!r}, which is a link out of its package",
                           "put the file itself there; have an installer that links copy", str(guest))  # fmt: skip
            return guest, place
    raise _missing(entry, package, file, folders)


def built_guest(paths: Iterable[str], package: str, name: str) -> str:
    """Return the path of the guest that was built from module `name` of a Python package, or "".

    Args:
        paths: The directories that the package is imported from.
        package: The dotted name of the package or module that the entry point names.
        name: The module's name.
    """
    for path in paths:
        folder = Path(path, *package.split("."))
        if not folder.is_dir():  # a module in a single file
            folder = folder.parent
        guest = folder / f"{name}{SUFFIX}"
        if os.path.isfile(guest) and _within(guest, folder):  # noqa: PTH113
            return str(guest)
    return ""


def _stays(file: str) -> bool:
    path = PurePosixPath(file)
    return not path.is_absolute() and ".." not in path.parts and "\\" not in file and "\0" not in file


def _within(file: Path, folder: Path) -> bool:
    return file.resolve().is_relative_to(folder.resolve())


def _missing(entry: Entry, package: str, file: str, folders: list[Path]) -> Exception:
    """Return the error for a guest that is not there; it names what is."""
    there = [folder for folder in folders if folder.is_dir()]
    if not there:
        parents = ", ".join(str(folder.parent) for folder in folders)
        return lost(entry, f"names the package {package!r}, which is not there",
                    f"have the build take in the folder {package!r} with {file}", f"looked in: {parents}")  # fmt: skip
    found = sorted({child.name for folder in there for child in children(folder) if not child.name.startswith("__")})
    listed = ", ".join(found[:_LISTED]) + (", ..." if len(found) > _LISTED else "")
    hint = did_you_mean(file, [name for name in found if name.endswith(SUFFIX)])
    hint = hint or "build it, and have the distribution's build take in *.wasm and module.toml"
    return lost(entry, f"names {file!r}, which is not in its package", hint,
                f"{', '.join(map(str, there))} holds: {listed or 'nothing'}")  # fmt: skip
