"""Build a project's modules as WebAssembly components.

    project -> stage in a temporary directory -> fetch dependencies -> componentize -> MODULE.wasm beside the package

The file appears in its place only when it is whole, so a build that fails or is interrupted leaves the old one.
"""

from __future__ import annotations

import contextlib
import functools
import os
import tempfile
import time
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from hostcore.errors import BuildError, did_you_mean
from hostcore.packages.locating import Release
from hostcore.packages.projects import PYPROJECT, Project
from hostcore.sdk import componentizing, dependencies, staging
from hostcore.sdk.componentizing import LeftOut

Progress = Callable[[str, str], None]
"""Is called with a module's name and what is being done for it."""


class Built(NamedTuple):
    """A component that was built.

    Attributes:
        module: The module's name.
        path: The file.
        size: Its bytes.
        seconds: How long it took.
        left_out: What of the module's package cannot be imported inside a guest, and is not in it.
    """

    module: str
    path: Path
    size: int
    seconds: float
    left_out: tuple[LeftOut, ...] = ()


def build_wasm(
    project: Path, *, module: str | None = None, output: Path | None = None, progress: Progress = lambda *_: None
) -> list[Built]:
    """Build the modules of the project directory `project` as WebAssembly components.

    Args:
        project: A directory with a `pyproject.toml`.
        module: The one module to build; None: all.
        output: Where to write it; None: `MODULE.wasm` in the module's package.
        progress: Is told what is being done.

    Raises:
        LoadError: The project cannot be used.
        BuildError: A module cannot be built.
    """
    found = Project(project.absolute())
    names = _chosen(found, module)
    if output is not None and len(names) > 1:
        raise BuildError(project.name, "one file cannot hold several modules", hint=f"name one: {', '.join(names)}")
    table = _table(found.directory / PYPROJECT)
    return [_build(found.release(name), table, output, progress) for name in names]


def default_output(release: Release) -> Path:
    """Return where a module's component goes unless told otherwise: beside the package's `__init__.py`."""
    folder = Path(*release.package.split("."))
    for path in map(Path, release.paths):
        if (path / folder).is_dir():
            return path / folder / f"{release.name}.wasm"
    return Path(release.paths[0]) / folder.parent / f"{release.name}.wasm"


def _chosen(project: Project, module: str | None) -> list[str]:
    if module is None:
        return sorted(project.entries)
    if module not in project.entries:
        hint = did_you_mean(module, project.entries) or f"there are: {', '.join(sorted(project.entries))}"
        raise BuildError(module, f"the project {str(project.directory)!r} declares no such module", hint=hint)
    return [module]


def _build(release: Release, table: dict[str, Any], output: Path | None, progress: Progress) -> Built:
    began = time.monotonic()
    componentizing.check_tool(release.name)
    include = _texts(release.name, table, "tool", "hostcore", "build", "include")
    requirements = dependencies.wanted(release.name, _texts(release.name, table, "project", "dependencies"))
    target = (output or default_output(release)).absolute()
    with tempfile.TemporaryDirectory(prefix="hostcore-build-") as folder, _replacing(release.name, target) as file:
        stage = staging.lay_out(Path(folder), release, include)
        if requirements:
            progress(release.name, f"fetching {', '.join(requirements)}")
            dependencies.fetch(release.name, requirements, stage.deps, functools.partial(progress, release.name))
        progress(release.name, "making the component; this takes some 15 s")
        left_out = componentizing.componentize(release.name, stage, file)
        size = file.stat().st_size
    return Built(release.name, target, size, time.monotonic() - began, tuple(left_out))


@contextlib.contextmanager
def _replacing(module: str, target: Path) -> Iterator[Path]:
    """Give a file to write beside `target`, which takes its place in the end; nothing is left if that fails."""
    file = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    except OSError as exc:
        raise _unwritable(module, target, exc) from None
    try:
        yield file
        file.replace(target)
    except IsADirectoryError as exc:
        raise _unwritable(module, target, exc) from None
    finally:
        file.unlink(missing_ok=True)


def _unwritable(module: str, target: Path, error: OSError) -> BuildError:
    return BuildError(module, f"{str(target)!r} cannot be written: {error.strerror or error}")


def _table(file: Path) -> dict[str, Any]:
    return tomllib.loads(file.read_text("utf-8"))  # `Project` has read it already


def _texts(module: str, table: dict[str, Any], *keys: str) -> list[str]:
    """Return the list of texts at `keys` of a `pyproject.toml`, [] where there is none; raises BuildError."""
    found: Any = table
    for key in keys:
        found = found.get(key) if isinstance(found, dict) else None
    if found is None:
        return []
    if isinstance(found, list) and all(isinstance(item, str) for item in found):
        return found
    raise BuildError(module, f"{'.'.join(keys)!r} in {PYPROJECT} is not a list of texts")
