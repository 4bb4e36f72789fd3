"""Locating: from an entry point to the code behind it, without importing anything.

A loader needs to know from which directories a release is imported and which names are its own.  An installed
distribution lists its files in `RECORD`; from them follow the names (see `owned`), and an editable install's
working tree (see `editable`).  Where there is no `RECORD`, `top_level.txt` tells, or else the entry point itself.
A module that is a WebAssembly guest is a file in its package's folder (see `guests`) and owns no names.
"""

from __future__ import annotations

import csv
from pathlib import Path

import msgspec

from hostcore.errors import LoadError, did_you_mean
from hostcore.packages.editable import WorkingTree, is_finder, working_trees
from hostcore.packages.entries import Entry, lost
from hostcore.packages.guests import built_guest, find_guest, names_guest
from hostcore.packages.owned import children, is_package, module_name, owned_by_files, portions

MANIFEST = "module.toml"
_INSTALLED = frozenset({"site-packages", "dist-packages"})


class Release(msgspec.Struct, frozen=True):
    """One release of a module, ready to be loaded.

    Attributes:
        name: The module's name.
        value: Where the module is, as in "acme_counter:Counter".
        distribution: The distribution's name.
        version: The distribution's version.
        paths: The directories to import from, in order.
        owned: The dotted names that a generation loads for itself, sorted.
        manifest: The path of the `module.toml`, or "".
        editable: The code is a working tree, which may change by itself.
        source: What was given instead of an installed distribution, or "".
        wasm: The path of its WebAssembly guest, or "": of a module that is one, or what was built from its code.
    """

    name: str
    value: str
    distribution: str
    version: str
    paths: tuple[str, ...]
    owned: tuple[str, ...]
    manifest: str = ""
    editable: bool = False
    source: str = ""
    wasm: str = ""

    @property
    def is_guest(self) -> bool:
        """Whether it is a WebAssembly guest and nothing else: there is no Python code to import."""
        return bool(self.wasm) and not self.owned

    @property
    def label(self) -> str:
        """The release as people read it: "counter 1.4.0 (acme-counter)"."""
        return f"{self.name} {self.version} ({self.distribution})"

    @property
    def package(self) -> str:
        """The dotted name of the package or module that the entry point names; "" for a guest given as a file."""
        package, colon, _ = self.value.partition(":")
        return package if colon or not self.is_guest else ""


def locate(entry: Entry) -> Release:
    """Return the release behind `entry`.

    Raises:
        LoadError: Its code cannot be found (HC203).
    """
    if not entry.metadata:
        raise lost(entry, "is in an archive or behind an import hook, not in a directory",
                   "install it with pip, or give the wheel as source")  # fmt: skip
    metadata = Path(entry.metadata)
    if not metadata.is_dir():
        raise lost(entry, "was uninstalled after it was found", f"install {entry.distribution} again")
    site = metadata.parent
    files = read_record(metadata)
    if files is None:
        develop = metadata.suffix == ".egg-info" and site.name not in _INSTALLED
        if names_guest(entry.value):
            return guest_release(entry, [site], editable=develop)
        return release_of(entry, [site], _owned_without_record(entry, site, metadata), editable=develop)
    top = entry.value.partition(":")[0].partition(".")[0]
    trees = list(working_trees(site, files, top))
    if names_guest(entry.value):
        _check_trees(entry, trees)
        return guest_release(entry, [*(tree.directory for tree in trees), site], editable=bool(trees))
    owned = owned_by_files(site, (file for file in files if not is_finder(file)))
    if not owned:
        _check_trees(entry, trees)
    paths = [site] if owned or not trees else []
    paths += [tree.directory for tree in trees]
    return release_of(entry, paths, owned.union(*(tree.owned for tree in trees)), editable=bool(trees))


def _check_trees(entry: Entry, trees: list[WorkingTree]) -> None:
    gone = [tree.directory for tree in trees if not tree.directory.is_dir()]
    if gone:
        raise lost(entry, f"is installed from {gone[0]}, which is not there any more",
                   f"install it again: pip install -e DIRECTORY, or pip uninstall {entry.distribution}")  # fmt: skip


def release_of(
    entry: Entry, paths: list[Path], owned: set[str], *, editable: bool = False, source: str = ""
) -> Release:
    """Return the release of `entry` with its manifest's path, once it is sure that it owns what it names.

    Raises:
        LoadError: The entry point names a package that the release does not own (HC203).
    """
    package = entry.value.partition(":")[0]
    top = package.partition(".")[0]
    if not any(name.partition(".")[0] == top for name in owned):
        raise _not_owned(entry, top, paths, owned)
    unique = tuple(dict.fromkeys(str(path) for path in paths))
    wasm = built_guest(unique, package, entry.name)
    return Release(entry.name, entry.value, entry.distribution, entry.version, unique, tuple(sorted(owned)),
                   find_manifest(unique, package), editable, source, wasm)  # fmt: skip


def guest_release(entry: Entry, directories: list[Path], *, editable: bool = False, source: str = "") -> Release:
    """Return the release of `entry`, which names a WebAssembly guest in a package in one of `directories`.

    Raises:
        LoadError: The guest is not there, or lies outside of its package (HC203).
    """
    guest, directory = find_guest(entry, directories)
    manifest = find_manifest((str(directory),), entry.value.partition(":")[0])
    return Release(entry.name, entry.value, entry.distribution, entry.version, (str(directory),), (), manifest,
                   editable, source, str(guest))  # fmt: skip


def read_record(metadata: Path) -> list[str] | None:
    """Return the files that the `RECORD` in `metadata` lists, None if there is none that can be read."""
    try:
        with (metadata / "RECORD").open(encoding="utf-8", newline="") as file:
            return [row[0] for row in csv.reader(file) if row and row[0]]
    except (OSError, UnicodeDecodeError, csv.Error):
        return None


def find_manifest(paths: tuple[str, ...], package: str) -> str:
    """Return the path of the `module.toml` in `package`, or in its nearest parent that has one, or ""."""
    parts = package.split(".")
    for depth in range(len(parts), 0, -1):
        for path in paths:
            manifest = Path(path, *parts[:depth], MANIFEST)
            if manifest.is_file():
                return str(manifest)
    return ""


def _owned_without_record(entry: Entry, site: Path, metadata: Path) -> set[str]:
    """Return the names in `top_level.txt`, or else the entry point's own, as far as they are there."""
    parts = entry.value.partition(":")[0].split(".")
    try:
        tops = (metadata / "top_level.txt").read_text("utf-8").split()
    except (OSError, UnicodeDecodeError):
        tops = parts[:1]
    owned = owned_by_files(site, _importable(site, tops))
    if parts[0] in tops and not any(name.partition(".")[0] == parts[0] for name in owned):
        # A namespace package that others share: only what the entry point names is certainly this distribution's.
        owned |= {name for name in portions(site / parts[0], parts[0]) if _within(".".join(parts), name)}
    return owned


def _importable(site: Path, tops: list[str]) -> list[str]:
    modules = {module_name(file.name): file.name for file in children(site) if file.is_file()}
    packages = [f"{top}/__init__.py" for top in tops if is_package(site / top)]
    return packages + [modules[top] for top in tops if top in modules]


def _within(name: str, parent: str) -> bool:
    return name == parent or name.startswith(f"{parent}.")


def _not_owned(entry: Entry, top: str, paths: list[Path], owned: set[str]) -> LoadError:
    known = sorted({name.partition(".")[0] for name in owned})
    listed = f"{', '.join(map(str, paths))} holds: {', '.join(known) or 'no importable package'}"
    hint = did_you_mean(top, known) or (
        "correct the entry point, or the list of packages that the build takes in; an editable install "
        "through an import hook of its own cannot be read: install it without -e"
    )
    return lost(entry, f"names the package {top!r}, which the distribution does not have", hint, listed)
