"""Fetch what a guest's module depends on: wheels of pure Python, for the Python that is inside.

pip does it, for a machine that has none of the usual binaries.  Markers are evaluated for a guest, so that a project
can leave a dependency out there: `uvloop; sys_platform != "wasi"`.  Where a project publishes wheels for machines only,
`purifying` tries to build a pure one from its source.
"""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from hostcore.errors import BuildError, Problem
from hostcore.sdk.purifying import build_pure

PYTHON = "3.14"
"""The Python inside a guest."""

GUEST = {
    "python_version": PYTHON, "python_full_version": f"{PYTHON}.0", "sys_platform": "wasi", "platform_system": "WASI",
    "os_name": "posix", "platform_machine": "wasm32", "platform_release": "", "platform_version": "", "extra": "",
}  # fmt: skip
"""What environment markers mean inside."""

_INSIDE_ALREADY = frozenset({"hostcore"})
_NO_WHEEL = re.compile(r"No matching distribution found for ([^\s(]+)")
_CONFLICT = re.compile(r"^ +\S+ \S+ depends on (.+)$", re.MULTILINE)


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


def fetch(
    module: str, requirements: Sequence[str], target: Path, progress: Callable[[str], None] = lambda _: None
) -> None:
    """Install `requirements`, and what they require, into the directory `target`.

    Args:
        module: The module that it is for.
        requirements: What is wanted.
        target: An empty directory.
        progress: Is told what is built from source.

    Raises:
        BuildError: One of them has no wheel of pure Python and none can be built, or pip cannot do it.
    """
    if not requirements:
        return
    built: set[str] = set()
    with tempfile.TemporaryDirectory(prefix="hostcore-wheels-") as wheels:
        while (said := _install(requirements, target, Path(wheels))) is not None:
            requirement = next((each for each in _unfit(said) if canonicalize_name(each.name) not in built), None)
            if requirement is None:  # nothing to build, or what was built is not what was asked for
                raise _refused(module, said)
            progress(f"building a pure wheel of {requirement.name} from its source")
            built.add(canonicalize_name(requirement.name))
            if not build_pure(requirement, Path(wheels)):
                raise _no_wheel(module, str(requirement))


def _install(requirements: Sequence[str], target: Path, wheels: Path) -> str | None:
    """Have pip install from the index and from the directory `wheels`; return what it said if it failed."""
    command = [
        sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--no-compile",
        "--progress-bar", "off", "--platform", "any", "--abi", "none", "--implementation", "py",
        "--python-version", PYTHON, "--only-binary=:all:", "--find-links", str(wheels), "--target", str(target),
        *requirements,
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    return f"{done.stdout}\n{done.stderr}" if done.returncode != 0 else None


def _unfit(said: str) -> Iterator[Requirement]:
    """Yield what pip may have found no wheel for, which it says of one release, or of each of several it tried."""
    for text in dict.fromkeys(_NO_WHEEL.findall(said) or _CONFLICT.findall(said)):
        with contextlib.suppress(InvalidRequirement):
            yield Requirement(text.replace(" and ", ","))  # "MarkupSafe<4 and >=2.0"


def _refused(module: str, text: str) -> BuildError:
    """Return the error for what pip said."""
    if "No module named pip" in text:
        return BuildError(module, "its dependencies cannot be fetched: this Python has no pip", code="HC221",
                          hint="python -m ensurepip")  # fmt: skip
    if missing := _NO_WHEEL.search(text):
        return _no_wheel(module, missing[1])
    lines = [line.removeprefix("ERROR: ") for line in text.splitlines() if line.strip()]
    return BuildError(module, f"pip cannot fetch its dependencies: {lines[-1] if lines else 'it said nothing'}",
                      code="HC221", traceback="\n".join(lines))  # fmt: skip


def _no_wheel(module: str, requirement: str) -> BuildError:
    reason = f"has no wheel of pure Python for Python {PYTHON}, and none can be built from its source"
    return BuildError(
        module, f"the dependency {requirement!r} {reason}", code="HC221",
        hint="a guest runs pure Python only: do without it there, by a marker such as "
             "'NAME; sys_platform != \"wasi\"', and import it only where hostcore.guest.is_inside() is false",
    )  # fmt: skip
