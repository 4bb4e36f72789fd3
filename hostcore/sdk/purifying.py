"""Build a wheel of pure Python from the source of a project that publishes wheels for machines only.

Some projects speed themselves up by code in C and do without where it cannot be compiled; MarkupSafe is one.  So their
source is built with compilers that always fail.  What comes out counts if no machine code is in it.  Building runs the
project's build code, as `pip install` of its source would.
"""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import InvalidWheelFilename, parse_wheel_filename

COMPILERS = ("CC", "CXX", "CPP", "FC", "LD", "LDSHARED", "CARGO", "RUSTC")
"""Environment variables that name compilers and linkers."""
MACHINE_CODE = (".so", ".pyd", ".dll", ".dylib", ".a")


def build_pure(requirement: Requirement, wheels: Path) -> bool:
    """Put a pure wheel of what `requirement` names into the directory `wheels`; return whether there is one.

    Args:
        requirement: Which project, and which of its versions will do.
        wheels: Where the wheel goes, called as one for any Python 3.
    """
    wanted = Requirement(str(requirement))
    wanted.marker, wanted.extras = None, set()
    command = [
        sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-input", "--no-deps",
        "--no-cache-dir", "--no-binary", wanted.name, "--wheel-dir", str(wheels), str(wanted),
    ]  # fmt: skip
    environment = {**os.environ, **dict.fromkeys(COMPILERS, "false")}
    before = set(wheels.iterdir())
    done = subprocess.run(command, env=environment, capture_output=True, check=False)
    built = set(wheels.iterdir()) - before
    return done.returncode == 0 and len(built) == 1 and _made_pure(built.pop())


def _made_pure(wheel: Path) -> bool:
    """Call a wheel without machine code one for any Python 3; remove one with it."""
    try:
        name, version, build, _ = parse_wheel_filename(wheel.name)
        with zipfile.ZipFile(wheel) as archive:
            pure = not any(file.endswith(MACHINE_CODE) for file in archive.namelist())
    except (InvalidWheelFilename, zipfile.BadZipFile, OSError):
        pure = False
    if not pure:
        wheel.unlink()
        return False
    number = f"-{build[0]}{build[1]}" if build else ""
    wheel.rename(wheel.with_name(f"{name.replace('-', '_')}-{version}{number}-py3-none-any.whl"))
    return True
