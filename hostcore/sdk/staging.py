"""Lay out what goes into a Python guest: the module's packages, the inside of hostcore, the entry, the interface.

STAGE/app/      the project's own packages, and the generated entry
STAGE/deps/     what it depends on (see `dependencies`)
STAGE/sdk/      `hostcore` as a guest has it, and `packaging`, which its contract needs
STAGE/wit/      the interface
STAGE/empty/    a virtual environment with nothing in it
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import packaging

import hostcore
from hostcore import guest
from hostcore.packages.locating import Release

ENTRY = "hostcore_guest_entry"
"""The name of the generated module."""

SHARED = (
    "errors/__init__.py",
    "errors/base.py",
    "errors/delivery.py",
    "errors/denied.py",
    "errors/hosts.py",
    "errors/modules.py",
    "errors/operating.py",
    "contract/__init__.py",
    "contract/context.py",
    "contract/permissions.py",
    "contract/topics.py",
    "contract/validation.py",
    "contract/versions.py",
    "hosts/__init__.py",
    "hosts/adapters.py",
    "hosts/faults.py",
    "guest/__init__.py",
)
"""Files of hostcore that are the same inside; they import only each other, the standard library and `packaging`."""

STAND_INS = {"package.py": "__init__.py", "spec.py": "contract/spec.py", "plain_messages.py": "contract/messages.py"}
"""Files of `hostcore.guest.inside` that take another's place there."""

_NOT_CODE = shutil.ignore_patterns("__pycache__", "*.pyc", "*.wasm", "*.so", "*.pyd", ".*")


class Stage(NamedTuple):
    """The directories that a component is made from; `path` is what its code is imported from, in order."""

    root: Path

    @property
    def app(self) -> Path:
        """The project's own code."""
        return self.root / "app"

    @property
    def deps(self) -> Path:
        """What it depends on."""
        return self.root / "deps"

    @property
    def sdk(self) -> Path:
        """The inside of hostcore."""
        return self.root / "sdk"

    @property
    def wit(self) -> Path:
        """The interface."""
        return self.root / "wit"

    @property
    def empty(self) -> Path:
        """A virtual environment with nothing in it."""
        return self.root / "empty"

    @property
    def path(self) -> tuple[Path, ...]:
        """Where a guest's code is imported from, in order."""
        return self.app, self.deps, self.sdk


def lay_out(root: Path, release: Release, include: Iterable[str] = ()) -> Stage:
    """Lay out all but the dependencies in the empty directory `root`.

    Args:
        root: The directory.
        release: The module's release, a project directory.
        include: Modules to import beside the release's own.
    """
    stage = Stage(root)
    for directory in (stage.app, stage.deps, stage.sdk, stage.wit, stage.empty):
        directory.mkdir()
    for name in release.owned:
        _copy_code(name, release.paths, stage.app)
    (stage.app / f"{ENTRY}.py").write_text(entry_of(release, include), encoding="utf-8")
    _lay_out_inside(stage.sdk)
    shutil.copy(guest.interface_dir() / "hostcore-module.wit", stage.wit)
    return stage


def entry_of(release: Release, include: Iterable[str]) -> str:
    """Return the source of the module that the component is made from."""
    arguments = (release.name, release.value, tuple(release.owned), tuple(include))
    return (
        f'"""The entry of the module {release.name!r} in a WebAssembly guest; made by `hostcore build`."""\n\n'
        "from hostcore.guest.inside.warming import prepare\n\n"
        f"Lifecycle, Hooks = prepare(*{arguments!r})\n"
    )


def sources_of_inside() -> dict[str, Path]:
    """Return what lies in a guest's `hostcore`, as relative path -> the file that it is a copy of."""
    home = Path(hostcore.__file__).parent
    inside = home / "guest" / "inside"
    files = {name: home / name for name in SHARED}
    files |= {f"guest/inside/{file.name}": file for file in inside.glob("*.py") if file.name not in STAND_INS}
    return files | {place: inside / name for name, place in STAND_INS.items()}


def _lay_out_inside(directory: Path) -> None:
    for name, source in sources_of_inside().items():
        target = directory / "hostcore" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target)
    shutil.copytree(Path(packaging.__file__).parent, directory / "packaging", ignore=_NOT_CODE)


def _copy_code(name: str, paths: Iterable[str], target: Path) -> None:
    """Copy the package or module with that dotted name from the first of `paths` that has it."""
    relative = Path(*name.split("."))
    for path in map(Path, paths):
        if (path / relative).is_dir():
            shutil.copytree(path / relative, target / relative, ignore=_NOT_CODE, dirs_exist_ok=True)
            return
        file = (path / relative).with_suffix(".py")
        if file.is_file():
            (target / relative).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, (target / relative).with_suffix(".py"))
            return
