"""Real packages, side by side: the runner on those that are at hand, and the page that it writes."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import msgspec
import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The script that writes the page; its neighbours are importable as when it is run."""
    before = set(sys.modules)
    monkeypatch.syspath_prepend(str(HERE))
    import page

    yield page
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(HERE)):
            del sys.modules[name]


@pytest.mark.parametrize("package", ["attrs", "jinja2", "werkzeug"])
def test_a_real_package(package: str, tmp_path: Path) -> None:
    """A real package works twice side by side and beside the host's copy, survives reloads, and is collected."""
    command = [sys.executable, str(HERE / "run.py"), "--keep", str(tmp_path), package]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    outcome = msgspec.json.decode(done.stdout)
    assert (outcome["package"], outcome["faults"], outcome["leaks"]) == (package, [], [])
    assert outcome["files"] > 5
    assert min(outcome[figure] for figure in ("plain_ms", "load_ms", "second_ms")) > 0


def test_what_does_not_work_is_an_outcome(page: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong result, a leak and a crash each become an outcome with the reason, and spoil nothing else."""
    import project
    import run

    exercises = tmp_path / "exercises"
    exercises.mkdir()
    for name, body in {
        "attrs": "import hostcore\nhostcore.kept = lambda: 0\ndef exercise():\n    return 1\n",
        "jinja2": "def exercise():\n    return 1\n",
        "markupsafe": "def exercise():\n    return '__hostcore_generation__' in __builtins__\n",
        "werkzeug": "import os\ndef exercise():\n    os._exit(7)\n",
    }.items():
        (exercises / f"{name}.py").write_text(body)
    monkeypatch.setattr(project, "EXERCISES", exercises)
    told: list[str] = []
    leaking, fine, wrong, crashed = run.run(["attrs", "jinja2", "markupsafe", "werkzeug"], tell=told.append)
    assert (leaking.good, leaking.faults) == (False, [])
    assert any("wrapped.exercise" in leak for leak in leaking.leaks)
    assert any("hostcore.kept" in line for line in leaking.held), leaking.held
    assert fine.good
    assert (len(wrong.faults), wrong.leaks) == (2, [])
    assert "left gave True for False" in wrong.faults
    assert crashed.faults == ["plain: exit code 7: "]
    assert [msgspec.json.decode(line)["package"] for line in told] == ["attrs", "jinja2", "markupsafe", "werkzeug"]


def test_a_package_that_is_missing(page: ModuleType, tmp_path: Path) -> None:
    """A package that is not installed is an outcome that says so."""
    import run

    outcome = run.attempt("acme-not-installed", tmp_path)
    assert outcome.reason.startswith("not installed: ")


def test_the_page_is_made_from_the_results(page: ModuleType) -> None:
    """The page is what its script makes of the results beside it; running `page.py` makes it anew."""
    runs = page.read()
    assert page.PAGE.read_text("utf-8") == page.document(runs)
    assert runs[0].short == "3.13"


def test_the_page_names_every_reason(page: ModuleType) -> None:
    """A package that does not work or is not collected has its reason in its row, and the others' Pythons too."""
    bad = page.Outcome(
        "acme", "1.0", faults=["no <a|b>"], leaks=["class x.Y", "class x.Z"], leaked=5, held=["list in z"]
    )
    good = page.Outcome("acme", "1.0", 3, plain_ms=10.0, load_ms=12.0, close="Stop it.")
    text = page.document([page.Run("3.13.0", "d", "m", [bad]), page.Run("3.11.2", "d", "m", [good])])
    row = next(line for line in text.splitlines() if line.startswith("| acme"))
    assert r"no \<a\|b\>; alive: class x.Y, class x.Z and 3 more; held: list in z" in row
    assert "Python 3.11: works and is collected" in row
    assert row.count("**no**") == 2
    assert "| 3.11.2 | 1 | 1 | 1 | 1 |" in text
    assert "in its shutdown: Stop it." in page.document([page.Run("3.13.0", "d", "m", [good])])


def test_every_exercise_has_its_package(page: ModuleType) -> None:
    """The dependency group names exactly the packages that there is an exercise for, and each says what it does."""
    import project

    groups = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]
    assert [project.normalised(re.split("[<>=;~ ]", line)[0]) for line in groups["packages"]] == project.names()
    assert len(project.names()) >= 45
    assert all(does.endswith(".") for does, _ in map(project.about, project.names()))


def test_enough_packages_work(page: ModuleType) -> None:
    """At least 40 packages load twice, work and are collected; each that does not has its reason."""
    for run in page.read():
        assert sum(outcome.good for outcome in run.packages) >= 40
        assert all(outcome.reason for outcome in run.packages if not outcome.good)
