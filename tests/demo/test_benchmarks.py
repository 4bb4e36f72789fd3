"""`benchmarks/run.py`: subjects run, and what they give is written."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from support.distributions import libraries

RUN = Path(__file__).parents[2] / "benchmarks" / "run.py"


def benchmarks(*arguments: str | Path, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, RUN, *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)


def test_one_subject(tmp_path: Path) -> None:
    """A subject's result is written as JSON, and with the machine's description as a table."""
    done = benchmarks("--quick", "--out", tmp_path, "guard")
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "results" / "guard.json").read_text())
    assert (result["subject"], result["quick"], len(result["rows"])) == ("guard", True, 6)
    machine = json.loads((tmp_path / "results" / "machine.json").read_text())
    assert {"CPU", "cores", "Python", "date"} <= set(machine)
    text = (tmp_path / "RESULTS.md").read_text()
    assert "A quick run" in text
    assert "def handler, guard signal" in text


def test_unknown_subject() -> None:
    """A subject that there is not is wrong usage; those that there are get listed."""
    done = benchmarks("gard")
    assert done.returncode == 2
    assert "guard" in done.stderr


def test_failing_subject(tmp_path: Path) -> None:
    """A subject that cannot run is named in the results and makes the exit code 1."""
    (tmp_path / "pykka.py").write_text("raise ImportError('broken on purpose')\n")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *libraries()])}
    done = benchmarks("--quick", "--out", tmp_path, "request", environment=environment)
    assert done.returncode == 1
    assert "broken on purpose" in done.stderr
    assert "**Failed:** ended with exit code 1." in (tmp_path / "RESULTS.md").read_text()
