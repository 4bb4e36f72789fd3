"""Owned names: what a generation of a distribution loads for itself.

A distribution owns its top-level packages and modules.  In a namespace package, a directory without `__init__.py`
that several distributions share, it owns only its portions, as in "acme.counter".  The old kind of namespace
package, in which every distribution ships an `__init__.py` that calls `extend_path` or `declare_namespace`, counts
as one too.  Names of the standard library are never owned: two copies of `logging` would not be one.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path, PurePosixPath

_SUFFIXES = (*EXTENSION_SUFFIXES, ".py")
_STDLIB = sys.stdlib_module_names
_BUILD_FILES = frozenset({"setup", "conftest", "noxfile"})
_NAMESPACE_MARKS = (b"extend_path(", b"declare_namespace(")


def module_name(file: str) -> str:
    """Return the name under which the file called `file` is imported, or "" if it is not importable."""
    suffix = next((suffix for suffix in _SUFFIXES if file.endswith(suffix)), "")
    name = file.removesuffix(suffix) if suffix else ""
    return name if name.isidentifier() else ""


def is_package(directory: Path) -> bool:
    """Tell whether `directory` is a package of one distribution: it has an `__init__.py` that shares it with nobody."""
    try:
        text = (directory / "__init__.py").read_bytes()
    except OSError:
        return any((directory / f"__init__{suffix}").is_file() for suffix in EXTENSION_SUFFIXES)
    return not any(mark in text for mark in _NAMESPACE_MARKS)


def owned_by_files(root: Path, files: Iterable[str]) -> set[str]:
    """Return the names owned by a distribution whose files, relative to `root`, are `files`."""
    owned: set[str] = set()
    packages: dict[tuple[str, ...], bool] = {}
    for file in files:
        *folders, last = PurePosixPath(file).parts or ("",)
        name = module_name(last)
        if name and all(folder.isidentifier() for folder in folders) and (folders or [name])[0] not in _STDLIB:
            owned.add(_owner(root, folders, name, packages))
    return owned - {""}


def _owner(root: Path, folders: list[str], name: str, packages: dict[tuple[str, ...], bool]) -> str:
    """Return the outermost package that holds the file, else the file's own name; `packages` remembers answers."""
    for depth in range(1, len(folders) + 1):
        key = tuple(folders[:depth])
        if key not in packages:
            packages[key] = is_package(root.joinpath(*key))
        if packages[key]:
            return ".".join(key)
    return "" if name == "__init__" else ".".join((*folders, name))


def owned_in(directory: Path, namespace: str = "") -> set[str]:
    """Return the names owned by a project whose code lies in `directory`.

    Args:
        directory: A `src` directory, or a project's root with tests and documentation beside the code.
        namespace: The top-level name to look for portions in; other directories without `__init__.py` hold no code.
    """
    owned: set[str] = set()
    for child in children(directory):
        name = child.name if child.is_dir() else module_name(child.name)
        if not name.isidentifier() or name in _STDLIB or name in _BUILD_FILES or name.startswith("__"):
            continue
        if not child.is_dir() or is_package(child):
            owned.add(name)
        elif name == namespace:
            owned |= portions(child, name)
    return owned


def portions(directory: Path, name: str) -> set[str]:
    """Return the names of the packages and modules in `directory`, which is the namespace package `name`."""
    owned: set[str] = set()
    for child in children(directory):
        if child.is_dir() and child.name.isidentifier() and not child.name.startswith("__"):
            dotted = f"{name}.{child.name}"
            owned |= {dotted} if is_package(child) else set() if child.is_symlink() else portions(child, dotted)
        elif child.is_file() and module_name(child.name) not in ("", "__init__"):
            owned.add(f"{name}.{module_name(child.name)}")
    return owned


def children(directory: Path) -> list[Path]:
    """Return what is in `directory`, sorted; nothing if it cannot be listed."""
    try:
        return sorted(directory.iterdir())
    except OSError:
        return []
