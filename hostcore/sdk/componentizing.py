"""Run componentize-py, which makes a WebAssembly component of a Python program, and say well what goes wrong.

It runs the program's imports inside WebAssembly and keeps the memory as it is then.  What is wrong with a module comes
to light there; `hostcore.guest.inside.warming` tells of it in marked lines on standard error.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from hostcore.errors import BuildError, Problem
from hostcore.guest import WORLD
from hostcore.sdk.staging import ENTRY, Stage

MARK = "hostcore-build: "
TOOL = "componentize-py"
_RUN = "import sys; from componentize_py import script; sys.argv[0] = 'componentize-py'; sys.exit(script())"


class LeftOut(NamedTuple):
    """A part of the module's package that cannot be imported inside, and why."""

    name: str
    reason: str


def check_tool(module: str) -> None:
    """See that the tool is there.

    Raises:
        BuildError: It is not.
    """
    if find_spec("componentize_py") is None:
        raise BuildError(module, f"it takes {TOOL} to build a Python guest, which is not installed", code="HC223",
                         hint=f"pip install {TOOL}")  # fmt: skip


def componentize(module: str, stage: Stage, output: Path) -> list[LeftOut]:
    """Write the component of what is staged to `output`; return what of the module's package is not in it.

    Raises:
        BuildError: The module cannot be imported inside a guest, its hooks are wrong, or the tool fails.
    """
    paths = [option for path in stage.path for option in ("-p", str(path))]
    command = [sys.executable, "-c", _RUN, "--quiet", "-d", str(stage.wit), "-w", WORLD, "componentize", *paths, ENTRY,
               "-o", str(output)]  # fmt: skip
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    # An environment must be named, or the packages of the one that this runs in are taken too.
    environment |= {"VIRTUAL_ENV": str(stage.empty)}
    if "PYTHONPATH" in os.environ:
        environment["PYTHONPATH"] = os.environ["PYTHONPATH"]
    done = subprocess.run(
        command, cwd=stage.root, env=environment, capture_output=True, text=True, errors="replace", check=False
    )
    told, rest = _split(done.stderr)
    if done.returncode != 0:
        raise _refused(module, next((it["error"] for it in told if "error" in it), None), rest or done.stdout)
    return [LeftOut(it["left_out"], it["reason"]) for it in told if "left_out" in it]


def _split(text: str) -> tuple[list[dict[str, Any]], str]:
    """Return what the marked lines tell, and the other lines."""
    lines = text.splitlines()
    told = [json.loads(line.partition(MARK)[2]) for line in lines if MARK in line]
    return told, "\n".join(line for line in lines if MARK not in line)


def _refused(module: str, told: dict[str, Any] | None, rest: str) -> BuildError:
    if told is None:
        return BuildError(module, f"{TOOL} failed: {_last(rest)}", traceback=rest)
    if "problems" in told:
        problems = [Problem(**{"message": "", **problem}) for problem in told["problems"]]
        return BuildError(module, code=problems[0].code, problems=problems)
    hint = ""
    if told.get("missing"):
        hint = f"name {told['missing']!r} in the project's dependencies; a guest lacks ssl, ctypes, bz2, lzma and mmap"
    return BuildError(module, f"importing it inside a guest raised {told['text']}", code="HC222", where=told["where"],
                      hint=hint, traceback=told["traceback"])  # fmt: skip


def _last(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "it said nothing"
