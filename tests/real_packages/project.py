"""Write a project whose code is a module around a package, with the package's own files beside it.

    DIRECTORY/pyproject.toml                two modules, "left" and "right", of one class
    DIRECTORY/src/wrapped/__init__.py       that class: it answers a message with what the exercise returns
    DIRECTORY/src/wrapped/exercise.py       a copy of exercises/NAME.py
    DIRECTORY/src/jinja2/, jinja2-3.1.6.dist-info/, ...

The files are those that the running Python's environment has.  What is private to a generation are the package and
its pure dependencies; compiled ones are shared by the process, as are `typing_extensions` and `six`, which others
compare their objects with.
"""

from __future__ import annotations

import ast
import re
import shutil
from collections.abc import Iterable, Iterator
from importlib.machinery import EXTENSION_SUFFIXES
from importlib.metadata import Distribution, PackageNotFoundError, PackagePath, distribution
from pathlib import Path
from typing import NamedTuple

from packaging.requirements import Requirement

EXERCISES = Path(__file__).parent / "exercises"
SHARED = frozenset({"typing-extensions", "six"})
ALSO = {"fastapi": ["email-validator"]}
"""Optional dependencies that are imported if they are there, and need a private one themselves."""
MODULES = ("left", "right")
WRAPPER = '''\
"""A module around a package: it does the exercise for every message, and counts."""

import inspect

import hostcore
from wrapped import exercise as work
from wrapped.exercise import exercise


class Wrapped:
    @hostcore.hookimpl
    def initialize(self, context):
        self.count = 0

    @hostcore.hookimpl
    async def handle_message(self, message):
        self.count += 1
        result = exercise()
        return {"count": self.count, "result": await result if inspect.isawaitable(result) else result}

    @hostcore.hookimpl
    def shutdown(self):
        getattr(work, "close", int)()

    @hostcore.hookimpl
    def get_state(self):
        return {"count": self.count}

    @hostcore.hookimpl
    def restore_state(self, state):
        self.count = state["count"]
'''


class Written(NamedTuple):
    """What was written: the private distributions, and the top-level files and directories in `src`."""

    private: list[Distribution]
    tops: list[str]
    files: int


def names() -> list[str]:
    """Return the distributions that there is an exercise for, sorted."""
    return sorted(path.stem.replace("_", "-") for path in EXERCISES.glob("*.py"))


def about(name: str) -> tuple[str, str]:
    """Return what the exercise for `name` does, and what its `close` does at the module's shutdown, or ""."""
    tree = ast.parse((EXERCISES / f"{name.replace('-', '_')}.py").read_text("utf-8"))
    close = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "close"]
    return ast.get_docstring(tree) or "", (ast.get_docstring(close[0]) or "") if close else ""


def normalised(name: str) -> str:
    """Return a distribution's name as package indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def write(name: str, directory: Path) -> Written:
    """Write the project for the distribution `name`, which must be installed, into `directory`.

    Raises:
        PackageNotFoundError: It, or one of its dependencies, is not installed.
    """
    source = directory / "src"
    private = list(_private([distribution(wanted) for wanted in (name, *ALSO.get(name, ()))]))
    copied = [file for dist in private for file in _files(dist) if _copy(file, source)]
    package = source / "wrapped"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(WRAPPER, "utf-8")
    shutil.copyfile(EXERCISES / f"{name.replace('-', '_')}.py", package / "exercise.py")
    tops = sorted({file.parts[0] for file in copied if _importable(file.parts[0])})
    (directory / "pyproject.toml").write_text(_pyproject(["wrapped", *tops]), "utf-8")
    return Written(private, tops, sum(file.suffix == ".py" for file in copied))


def _pyproject(places: Iterable[str]) -> str:
    points = "".join(f'{name} = "wrapped:Wrapped"\n' for name in MODULES)
    packages = ", ".join(f'"src/{place}"' for place in places)
    return (
        f'[project]\nname = "wrapped"\nversion = "1.0"\n\n[project.entry-points."hostcore.modules"]\n{points}\n'
        f"[tool.hatch.build.targets.wheel]\npackages = [{packages}]\n"
    )


def _private(wanted: list[Distribution]) -> Iterator[Distribution]:
    """Yield those `wanted` and the pure distributions that they need, directly or by others."""
    seen, waiting = set(), wanted[::-1]
    while waiting:
        dist = waiting.pop()
        name = normalised(dist.name)
        if name in seen or (dist not in wanted and (name in SHARED or _compiled(dist))):
            continue
        seen.add(name)
        yield dist
        waiting += _needed(dist)


def _needed(dist: Distribution) -> Iterator[Distribution]:
    for text in dist.requires or ():
        requirement = Requirement(text)
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            try:
                yield distribution(requirement.name)
            except PackageNotFoundError:
                raise PackageNotFoundError(f"{requirement.name}, which {dist.name} needs") from None


def _compiled(dist: Distribution) -> bool:
    """Tell whether it has an extension module without a Python file of the same name."""
    files = set(map(str, dist.files or ()))
    found = [(name, s) for name in files for s in EXTENSION_SUFFIXES if name.endswith(s)]
    return any(f"{name.partition('.')[0]}.py" not in files and "__mypyc" not in name for name, _ in found)


def _files(dist: Distribution) -> Iterator[PackagePath]:
    for file in dist.files or ():
        if ".." not in file.parts and "__pycache__" not in file.parts and file.suffix != ".pth":
            yield file


def _copy(file: PackagePath, source: Path) -> bool:
    target = source / file
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(file.locate(), target)
    return True


def _importable(top: str) -> bool:
    return top.removesuffix(".py").isidentifier()
