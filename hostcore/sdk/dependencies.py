"""Fetch what a guest's module depends on: wheels of pure Python, for the Python that is inside.

pip does it, for a machine that has none of the usual binaries.  Markers are evaluated for a guest, so that a project
can leave a dependency out there: `uvloop; sys_platform != "wasi"`.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from hostcore.errors import BuildError, Problem

PYTHON = "3.14"
"""The Python inside a guest."""

GUEST = {
    "python_version": PYTHON, "python_full_version": f"{PYTHON}.0", "sys_platform": "wasi", "platform_system": "WASI",
    "os_name": "posix", "platform_machine": "wasm32", "platform_release": "", "platform_version": "", "extra": "",
}  # fmt: skip
"""What environment markers mean inside."""

_INSIDE_ALREADY = frozenset({"hostcore"})
_UNFIT = re.compile(r"No matching distribution found for ([^\s(]+)")


def wanted(module: str, requirements: Sequence[str]) -> list[str]:
    """Return those of a project's requirements that are to be fetched for a guest, without their markers.

    Raises:
        BuildError: Some cannot be read; all are listed.
    """
    found, problems = [], []
    for text in requirements:
        try:
            requirement = Requirement(text)
        except InvalidRequirement as exc:
            problems.append(Problem(f"the dependency {text!r} cannot be read: {exc}", "HC221"))
            continue
        applies = requirement.marker is None or requirement.marker.evaluate({**GUEST})
        if applies and canonicalize_name(requirement.name) not in _INSIDE_ALREADY:
            requirement.marker = None
            found.append(str(requirement))
    if problems:
        raise BuildError(module, code="HC221", problems=problems)
    return found


def fetch(module: str, requirements: Sequence[str], target: Path) -> None:
    """Install `requirements`, and what they require, into the directory `target`.

    Raises:
        BuildError: One of them has no wheel of pure Python, or pip cannot do it.
    """
    if not requirements:
        return
    command = [
        sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input", "--no-compile",
        "--platform", "any", "--abi", "none", "--implementation", "py", "--python-version", PYTHON,
        "--only-binary=:all:", "--target", str(target), *requirements,
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode != 0:
        raise _refused(module, done.stderr)


def _refused(module: str, text: str) -> BuildError:
    """Return the error for what pip said."""
    if "No module named pip" in text:
        return BuildError(module, "its dependencies cannot be fetched: this Python has no pip", code="HC221",
                          hint="python -m ensurepip")  # fmt: skip
    unfit = _UNFIT.search(text)
    if unfit:
        return BuildError(
            module, f"the dependency {unfit[1]!r} has no wheel of pure Python for Python {PYTHON}", code="HC221",
            hint="a guest runs pure Python only: do without it there, by a marker such as "
                 "'NAME; sys_platform != \"wasi\"', and import it only where hostcore.guest.is_inside() is false",
        )  # fmt: skip
    lines = [line.removeprefix("ERROR: ") for line in text.splitlines() if line.strip()]
    return BuildError(module, f"pip cannot fetch its dependencies: {lines[-1] if lines else 'it said nothing'}",
                      code="HC221", traceback="\n".join(lines))  # fmt: skip
