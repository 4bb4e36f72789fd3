"""Editable installs: where the working tree is that an installed distribution points to.

An editable install puts a `.pth` file into `site-packages`.  Most build backends write the path of a directory into
it.  Others write `import ...`, which runs a finder that maps names to paths: setuptools for a flat layout, and the
`editables` library.  Python reads `.pth` files only when it starts, so a running program does not notice such an
install; hostcore reads the files itself.  The finders are parsed, never run.
"""

from __future__ import annotations

import ast
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from hostcore.packages.owned import is_package, owned_in, portions

_FINDERS = ("__editable___", "_editable_impl_")


class WorkingTree(NamedTuple):
    """One directory that an editable install points to, and the names that are the distribution's in it."""

    directory: Path
    owned: set[str]


def is_finder(file: str) -> bool:
    """Tell whether `file`, a path from a RECORD, is a finder that a build backend wrote."""
    return file.startswith(_FINDERS) and file.endswith(".py")


def working_trees(site: Path, files: Iterable[str], namespace: str) -> Iterator[WorkingTree]:
    """Yield the working trees that an install's own files point to.

    Args:
        site: The `site-packages` directory.
        files: The install's files, relative to it.
        namespace: The top-level name of the entry point, which may be a namespace package.
    """
    for file in files:
        if "/" not in file and file.endswith(".pth"):
            for directory in _path_lines(site, _text(site / file)):
                yield WorkingTree(directory, owned_in(directory, namespace))
        elif is_finder(file):
            for name, target in sorted(finder_mapping(_text(site / file)).items()):
                yield from _mapped(name, target)


def _text(file: Path) -> str:
    try:
        return file.read_text("utf-8", "replace")
    except OSError:
        return ""


def _path_lines(site: Path, text: str) -> Iterator[Path]:
    """Yield the directories outside `site` that the lines of a `.pth` file name."""
    for line in text.splitlines():
        if line.strip() and not line.startswith(("#", "import ", "import\t")):
            directory = Path(os.path.normpath(site / line.rstrip()))
            if not directory.is_relative_to(site):
                yield directory


def finder_mapping(text: str) -> dict[str, str]:
    """Return what a finder maps names to, read from its source without running it; {} if it is of no known style."""
    try:
        body = ast.parse(text).body
    except (SyntaxError, ValueError):
        return {}
    mapping: dict[str, str] = {}
    for node in body:
        match node:
            case ast.Assign(targets=[ast.Name("MAPPING")], value=ast.Dict() as value):
                mapping |= _strings(value.keys, value.values)
            case ast.AnnAssign(target=ast.Name("MAPPING"), value=ast.Dict() as value):
                mapping |= _strings(value.keys, value.values)
            case ast.Expr(ast.Call(func=ast.Attribute(attr="map_module"), args=[name, target])):
                mapping |= _strings([name], [target])
    return mapping


def _strings(keys: Iterable[ast.expr | None], values: Iterable[ast.expr]) -> dict[str, str]:
    return {
        key.value: value.value
        for key, value in zip(keys, values, strict=True)
        if isinstance(key, ast.Constant) and isinstance(value, ast.Constant)
        if isinstance(key.value, str) and isinstance(value.value, str)
    }


def _mapped(name: str, target: str) -> Iterator[WorkingTree]:
    """Yield the tree for one line of a mapping; a target that is not called as its name cannot be imported from one."""
    path = Path(target)
    path = path.parent if path.name == "__init__.py" else path.with_suffix("") if path.suffix == ".py" else path
    parts = tuple(name.split("."))
    if path.parts[-len(parts) :] == parts:
        directory = path.parents[len(parts) - 1]
        if is_package(path) or path.with_suffix(".py").is_file():
            yield WorkingTree(directory, {name})
        elif path.is_dir():
            yield WorkingTree(directory, portions(path, name))
