"""`benchmarks/run.py`: subjects run, and what they give is written."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
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


def test_soak(tmp_path: Path) -> None:
    """No message to a module that is reloaded all the while is lost, comes twice, or out of order."""
    done = benchmarks("--quick", "--out", tmp_path, "soak")
    assert done.returncode == 0, done.stderr
    calm, soaked = json.loads((tmp_path / "results" / "soak.json").read_text())["rows"]
    assert "reloads" not in calm
    assert (soaked["messages"], soaked["requests"]) == (20_000, 5_000)
    assert [soaked[what] for what in ("lost", "duplicated", "reordered", "rolled back", "leaks")] == [0] * 5
    assert soaked["reloads"] > 0


def test_memory() -> None:
    """Resident memory is read after each ten reloads, for the picture."""
    result = subprocess.run(
        [sys.executable, RUN.with_name("memory.py"), "--quick"], capture_output=True, text=True, timeout=120, check=True
    )
    readings = json.loads(result.stdout)["curves"]["reload-rss"]
    assert [done for done, _ in readings] == [10.0 * number for number in range(21)]
    assert all(mb > 0 for _, mb in readings)


def test_a_picture(tmp_path: Path) -> None:
    """The same readings are drawn as the same picture, byte for byte."""
    pytest.importorskip("matplotlib", reason="the test group does without it", exc_type=ImportError)
    program = "import sys, pathlib, drawing; drawing.draw('reload-rss', [(0, 30), (10, 31)], pathlib.Path(sys.argv[1]))"
    pictures = [tmp_path / "one.svg", tmp_path / "two.svg"]
    for path in pictures:
        subprocess.run([sys.executable, "-c", program, path], cwd=RUN.parent, timeout=120, check=True)
    first, second = (path.read_bytes() for path in pictures)
    assert first == second
    assert b"RSS in MB" in first
