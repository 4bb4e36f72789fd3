"""Try the real packages, each in processes of its own, and write what came of it into the documentation.

    python tests/real_packages/run.py [--keep DIRECTORY] [--write] [PACKAGE ...]

Without names all that have an exercise.  One line of JSON is printed for each.  `--write` replaces the results of
this Python in docs/reference/ and writes the page anew; only a run of all packages can be written.
The exit code is 1 unless every package works and is collected.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import msgspec
import page
import project
from page import Outcome

HERE = Path(__file__).parent
TIME = 300


class Failed(Exception):
    """A process did not come to its end."""


def step(script: str, directory: Path) -> dict[str, Any]:
    """Run one of the scripts beside this one on a written project and return what it wrote.

    Raises:
        Failed: It crashed, or took too long; the text says which.
    """
    environment = {
        **os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONHASHSEED": "0", "TZ": "UTC",
        "HOSTCORE_CACHE_DIR": str(directory / "cache"),
    }  # fmt: skip
    command = [sys.executable, str(HERE / f"{script}.py"), str(directory)]
    try:
        done = subprocess.run(command, env=environment, cwd=directory, capture_output=True, timeout=TIME)
    except subprocess.TimeoutExpired:
        raise Failed(f"{script}: no end within {TIME} s") from None
    if done.returncode:
        last = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
        raise Failed(f"{script}: exit code {done.returncode}: {''.join(last)}")
    return dict(msgspec.json.decode((directory / f"{script}.json").read_bytes()))


def attempt(name: str, directory: Path) -> Outcome:
    """Try one package in an empty directory."""
    try:
        written = project.write(name, directory)
    except PackageNotFoundError as error:
        return Outcome(name, faults=[f"not installed: {error}"])
    does, close = project.about(name)
    dependencies = sorted(project.normalised(d.name) for d in written.private[1:])
    outcome = Outcome(name, distribution(name).version, written.files, dependencies, does=does, close=close)
    try:
        plain = step("plain", directory)
        outcome.plain_ms = plain["ms"]
        if plain["results"][0] != plain["results"][1]:
            raise Failed("plain: the exercise gives another result each time")
        hosted = step("hosted", directory)
    except Failed as error:
        outcome.faults.append(str(error))
        return outcome
    return msgspec.structs.replace(outcome, **{name: hosted[name] for name in hosted})


def run(names: list[str], keep: Path | None = None, tell: Callable[[str], object] = print) -> list[Outcome]:
    """Try the packages called `names`, one after the other.

    Args:
        names: Distributions that have an exercise.
        keep: Where to leave the projects; None: nowhere.
        tell: Gets a line of JSON for each package.
    """
    outcomes = []
    for name in names:
        with tempfile.TemporaryDirectory(prefix="hostcore-package-") as folder:
            directory = Path(folder) if keep is None else keep / name
            directory.mkdir(parents=True, exist_ok=True)
            outcomes.append(attempt(name, directory))
        tell(msgspec.json.encode(outcomes[-1]).decode())
    return outcomes


def main() -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description="Load real packages twice, use them, and see that they go.")
    parser.add_argument("packages", nargs="*", metavar="PACKAGE", help="which; none: all")
    parser.add_argument("--keep", type=Path, help="leave the written projects in this empty directory")
    parser.add_argument("--write", action="store_true", help="write the results and the page into docs/reference/")
    options = parser.parse_args()
    known = project.names()
    unknown = sorted(set(options.packages) - set(known))
    if unknown:
        parser.error(f"no exercise for {', '.join(unknown)}")
    if options.write and options.packages:
        parser.error("only a run of all packages can be written")
    outcomes = run(options.packages or known, options.keep, lambda line: print(line, flush=True))
    good = [outcome for outcome in outcomes if outcome.good]
    print(f"{len(good)} of {len(outcomes)} load twice side by side, work and are collected", file=sys.stderr)
    if options.write:
        page.save(outcomes)
        page.write()
    return 0 if len(good) == len(outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
