"""Find the files of a generation, by finders of its own, and compile them from source.

Own finders share no directory cache with the process and leave none behind.  Code is compiled from source each
time: a `.pyc` is trusted by time and size only, and an edit of the same size within the same second, or an install
that keeps times, would load the old code.  Nothing is written to `__pycache__`.
"""

from __future__ import annotations

import importlib.machinery as machinery
import os
import sys
import types
from _frozen_importlib_external import _NamespacePath  # type: ignore[attr-defined]
from collections.abc import Callable, Iterable, Sequence
from importlib.util import spec_from_file_location
from typing import Any

SUFFIXES = tuple(machinery.all_suffixes())
_NOT_PACKAGES = (".dist-info", ".egg-info", ".data")


class PrivateExtensionError(ImportError):
    """A private dependency is an extension module, which a process can load only once."""


class SourceLoader(machinery.SourceFileLoader):
    """Loads from source, never from a `.pyc`."""

    def get_code(self, fullname: str) -> types.CodeType:
        """Return the code compiled from the file as it is now."""
        path = self.get_filename(fullname)
        linecache = sys.modules.get("linecache")
        if linecache is not None:
            linecache.cache.pop(path, None)  # it trusts size and time, as .pyc files do: tracebacks would show old code
        return self.source_to_code(self.get_data(path), path)


_SOURCES: list[tuple[str, Any]] = [(suffix, SourceLoader) for suffix in machinery.SOURCE_SUFFIXES]
_EXTENSIONS: list[tuple[str, Any]] = [(s, machinery.ExtensionFileLoader) for s in machinery.EXTENSION_SUFFIXES]
_BYTECODE: list[tuple[str, Any]] = [(s, machinery.SourcelessFileLoader) for s in machinery.BYTECODE_SUFFIXES]


class DirectoryFinder:
    """Finds a module in a directory by asking for its files.

    The interpreter's own finder reads the whole directory and remembers it: for a thousand modules in one
    site-packages of two thousand entries, that is 60 MB and a listing that can be out of date.
    """

    def __init__(self, directory: str, *, pure: bool) -> None:
        self._directory = directory
        self._kinds = [*_SOURCES, *([] if pure else _EXTENSIONS), *_BYTECODE]

    def find_spec(self, name: str) -> machinery.ModuleSpec | None:
        """Return the spec of `name`: a package, a module, a namespace package's portion, or None."""
        base = f"{self._directory}/{name.rpartition('.')[2]}"
        is_directory = os.path.isdir(base)  # noqa: PTH112 - on the path of every load
        if is_directory:
            for suffix, loader in self._kinds:
                if os.path.isfile(f"{base}/__init__{suffix}"):  # noqa: PTH113
                    return _spec(name, f"{base}/__init__{suffix}", loader, [base])
        for suffix, loader in self._kinds:
            if os.path.isfile(base + suffix):  # noqa: PTH113
                return _spec(name, base + suffix, loader, None)
        if not is_directory:
            return None
        portion = machinery.ModuleSpec(name, None, is_package=True)
        portion.submodule_search_locations = [base]
        return portion


def _spec(name: str, path: str, loader: Any, locations: list[str] | None) -> machinery.ModuleSpec | None:
    return spec_from_file_location(name, path, loader=loader(name, path), submodule_search_locations=locations)


def make_finder(entry: str, *, pure: bool = False) -> Any:
    """Return a path entry finder for `entry`, or None where nothing can search it.

    Args:
        entry: A directory, or something that one of `sys.path_hooks` knows (a zip file).
        pure: Do not look at extension modules.
    """
    if os.path.isdir(entry):  # noqa: PTH112
        return DirectoryFinder(entry, pure=pure)
    for hook in sys.path_hooks:
        try:
            return hook(entry)
        except ImportError:
            continue
    return None


def search(
    name: str, path: Iterable[Any], finder_for: Callable[[str], Any], *, pure: bool
) -> machinery.ModuleSpec | list[str]:
    """Search the entries of `path` for module `name`.

    Returns:
        Its spec, or the directories that make up a namespace package of that name (perhaps none).

    Raises:
        PrivateExtensionError: `pure` was asked for and only an extension module is there.
    """
    portions: list[str] = []
    for entry in path:
        finder = finder_for(entry) if isinstance(entry, str) else None
        spec: machinery.ModuleSpec | None = finder.find_spec(name) if finder is not None else None
        if spec is None:
            continue
        if pure and isinstance(spec.loader, machinery.ExtensionFileLoader):
            spec = make_finder(entry, pure=True).find_spec(name)  # x.py beside x.so: Cython's pure mode
            if spec is None or spec.loader is None:
                raise PrivateExtensionError(
                    f"{name!r} is an extension module: install its distribution into the host's environment",
                    name=name,
                    path=entry,
                )
        if spec.loader is not None:
            return spec
        portions.extend(spec.submodule_search_locations or ())
    return portions


def namespace_spec(name: str, portions: Sequence[str]) -> machinery.ModuleSpec:
    """Return the spec of a namespace package made of `portions`, joined with the host's of that name."""
    everything = list(portions)
    if "." not in name:
        host = machinery.PathFinder.find_spec(name, sys.path)
        if host is not None and (host.loader is None or type(host.loader) is machinery.NamespaceLoader):
            everything += [p for p in host.submodule_search_locations or () if p not in everything]
    spec = machinery.ModuleSpec(name, None, is_package=True)
    spec.submodule_search_locations = _NamespacePath(name, everything, lambda *_: None)
    return spec


def scan_names(directory: str, prefix: str = "") -> set[str]:
    """Return the dotted names that `directory` provides.

    A directory without `__init__` is a namespace, of which only the portions inside are named.
    """
    names: set[str] = set()
    for entry in os.scandir(directory):
        if entry.is_dir():
            if entry.name.endswith(_NOT_PACKAGES) or entry.name in ("__pycache__", "bin"):
                continue
            if not entry.name.isidentifier():
                continue
            if any(file.startswith("__init__.") for file in os.listdir(entry.path)):  # noqa: PTH208
                names.add(prefix + entry.name)
            else:
                names |= scan_names(entry.path, f"{prefix}{entry.name}.")
        else:
            base, dot, _ = entry.name.partition(".")
            if dot and base.isidentifier() and entry.name.endswith(SUFFIXES):
                names.add(prefix + base)
    return names
