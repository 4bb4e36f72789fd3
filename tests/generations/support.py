"""Build the sample releases, and look at the process around them.

The sources of the samples are real files under `sample/`; a release is a copy in which `@V@` is the version.  Two
releases, the host's own libraries and the host's own copy of the package lie side by side, as `pip install --target`
would leave them.
"""

from __future__ import annotations

import ast
import atexit
import builtins
import codecs
import gc
import importlib
import logging
import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
import types
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from hostcore.generations import Generation, installed

HERE = Path(__file__).parent / "sample"
PRIVATE = ("privdep", "onlyprivate")
TOPS = ("mypkg", "nsp", "pins", "stress", "hostlib", "tiny", *PRIVATE)
LAZY_MODULES = 16
SETTINGS = ("plain", "alone", "older", "newer", "beside_host")
"""What can live beside a generation; the fixture `setting` says what each means."""


@dataclass(frozen=True)
class Sample:
    """Where the built samples lie.

    Attributes:
        v1: A release of mypkg with its private dependencies.
        v2: The same of another version.
        host: What the host has installed.
        host_copy: A copy of mypkg of the host's own, version "v9".
        without_extensions: Why the extension modules could not be built; empty if they were.
    """

    v1: str
    v2: str
    host: str
    host_copy: str
    without_extensions: str


@dataclass(frozen=True)
class Setting:
    """A loaded generation and what lives beside it."""

    name: str
    generation: Generation
    version: str


def build(root: Path) -> Sample:
    """Build all samples under `root`."""
    release = HERE / "release"
    for version in ("v1", "v2"):
        copy_release(release, root / version, version)
        _metadata(root / version, "mypkg-dist", f"{version[1]}.0")
        _metadata(root / version, "privdep", f"{version[1]}.0")
    copy_release(release / "mypkg", root / "host_copy" / "mypkg", "v9")
    copy_release(HERE / "host", root / "host", "host")
    _metadata(root / "host", "privdep", "9.0")
    missing = compile_extensions(root, [root / "v1" / "mypkg", root / "v2" / "mypkg"])
    v1, v2, host, host_copy = (str(root / name) for name in ("v1", "v2", "host", "host_copy"))
    return Sample(v1, v2, host, host_copy, missing)


def tiny(root: Path, version: str) -> str:
    """Build the package `tiny` of `version` in a directory of its own under `root`; return the directory."""
    target = root / f"tiny-{version}"
    copy_release(HERE / "tiny", target / "tiny", version)
    return str(target)


def copy_release(source: Path, target: Path, version: str) -> None:
    """Copy the package sources in `source` to `target` as a release of `version`."""
    for file in source.rglob("*"):
        if file.suffix not in (".py", ".txt"):
            continue
        to = target / file.relative_to(source)
        to.parent.mkdir(parents=True, exist_ok=True)
        text = file.read_text().replace("@V@", version)
        to.write_text(text)
        if file.name == "lazy.py":
            for number in range(LAZY_MODULES):
                to.with_name(f"lazy{number}.py").write_text(text)


def _metadata(root: Path, name: str, version: str) -> None:
    directory = root / f"{name.replace('-', '_')}-{version}.dist-info"
    directory.mkdir()
    (directory / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")


def compile_extensions(root: Path, packages: list[Path]) -> str:
    """Compile the extension modules into `packages`; return why that can't be done, or nothing."""
    command = shlex.split(sysconfig.get_config_var("LDSHARED") or "")
    if not command or not shutil.which(command[0]):
        return f"no C compiler: {command[:1]}"
    flags = [*shlex.split(sysconfig.get_config_var("CCSHARED") or ""), f"-I{sysconfig.get_path('include')}"]
    for name, kind in (("_multi", ["-DMULTI"]), ("_single", [])):
        built = root / f"{name}{sysconfig.get_config_var('EXT_SUFFIX')}"
        defines = [f'-DNAME="mypkg.{name}"', f"-DINIT=PyInit_{name}", *kind]
        run = subprocess.run(
            [*command, *flags, *defines, str(HERE / "ext.c"), "-o", str(built)], capture_output=True, text=True
        )
        if run.returncode:
            return f"the C compiler failed: {run.stderr[-300:]}"
        for package in packages:
            shutil.copy(built, package)
    return ""


def declared(*patterns: str) -> dict[str, str]:
    """Return the public functions of the sample sources that match, as "module.function" -> first docstring line.

    They are read, not imported: importing them is what the tests are about.
    """
    found: dict[str, str] = {}
    for path in sorted(path for pattern in patterns for path in (HERE / "release").glob(pattern)):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
                found[f"{path.stem}.{node.name}"] = (ast.get_docstring(node) or "").partition("\n")[0]
    return found


@dataclass(frozen=True)
class Surroundings:
    """All that generations may put into a process; equal before the first and after the last."""

    modules: int
    modules_type: type
    meta_path: tuple[int, ...]
    path_hooks: tuple[int, ...]
    path: tuple[str, ...]
    builtin_names: frozenset[str]
    functions: tuple[Callable[..., Any] | None, ...]

    @classmethod
    def now(cls) -> Surroundings:
        """Take them down."""
        return cls(
            modules=id(sys.modules),
            modules_type=type(sys.modules),
            meta_path=tuple(map(id, sys.meta_path)),
            path_hooks=tuple(map(id, sys.path_hooks)),
            path=tuple(sys.path),
            builtin_names=frozenset(vars(builtins)) - {"_"},
            functions=(
                importlib.import_module,
                importlib.reload,
                builtins.__import__,
                atexit.register,
                atexit.unregister,
                codecs.register,
                codecs.register_error,
                warnings.filterwarnings,
                warnings.simplefilter,
                logging.Logger.addHandler,
                sys.addaudithook,
                getattr(os, "register_at_fork", None),
            ),
        )

    def changes(self, later: Surroundings) -> list[str]:
        """Return the names of what differs."""
        return [f.name for f in fields(self) if getattr(self, f.name) != getattr(later, f.name)]


@contextmanager
def untouched() -> Iterator[None]:
    """Fail unless the process is left as it was found, with nothing of generations in it."""
    forget()
    assert installed() == []
    before = Surroundings.now()
    try:
        yield
        assert installed() == []
        assert before.changes(Surroundings.now()) == []
        left = sorted(name for name in sys.modules if name.partition(".")[0] in TOPS and hosted(sys.modules[name]))
        assert left == []
    finally:
        forget()


def hosted(module: Any) -> bool:
    """Tell whether `module` is a generation's, or stands in for one."""
    own = object.__getattribute__(module, "__dict__")
    return type(module) is not types.ModuleType or own.get("__builtins__") is not vars(builtins)


def forget() -> None:
    """Let the host forget all sample packages that it has imported itself."""
    for name in [name for name in sys.modules if name.partition(".")[0] in TOPS]:
        del sys.modules[name]
    importlib.invalidate_caches()


@contextmanager
def on_path(*entries: str) -> Iterator[None]:
    """Let the host import from `entries`, which come last."""
    sys.path.extend(entries)
    importlib.invalidate_caches()
    try:
        yield
    finally:
        for entry in entries:
            sys.path.remove(entry)
            sys.path_importer_cache.pop(entry, None)


@contextmanager
def living(generation: Generation) -> Iterator[Generation]:
    """Unload `generation` in the end, whatever happens."""
    try:
        yield generation
    finally:
        generation.unload()


def survivors(watched: list[tuple[str, str, Any]]) -> list[str]:
    """Collect garbage and return the names of what is still alive."""
    for _ in range(3):
        gc.collect()
    return [f"{kind} {name}" for kind, name, ref in watched if ref() is not None]
