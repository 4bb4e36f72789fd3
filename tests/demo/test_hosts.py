"""`hostcore demo` with its modules where a configuration puts them."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

ALL_OUTSIDE = """
name = "mine"
mailbox = 1  # a host of this size could not hold the demo's messages; it is not the demo's
state_dir = "state"

[policy]
isolation = "worker"
"""

TWO_OUTSIDE = """
[modules.parser-python]
isolation = "worker"

[modules.synthesis]
isolation = "worker"
"""

TRUST = """
[policy.trust]
distributions = ["hostcore-*"]
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    folder = tmp_path / "tree"
    folder.mkdir()
    (folder / "a.py").write_text("import os\n\n\nclass A:\n    def f(self): ...\n")
    return folder


@pytest.fixture
def configured(tmp_path: Path) -> Path:
    """Where the configuration is that a command in the working directory takes."""
    return tmp_path / "hostcore.toml"


def hosts(done: subprocess.CompletedProcess[str]) -> dict[str, str]:
    """Return where each module ran in a demo that went well."""
    outcome: dict[str, Any] = json.loads(done.stdout)
    assert [entry for entry in outcome["expectations"] if not entry["ok"]] == []
    assert done.returncode == 0
    found: dict[str, str] = outcome["hosts"]
    return found


def test_everything_in_workers(hostcore: Any, tree: Path, configured: Path) -> None:
    """Once each module that asks was granted what it asks for, all run in processes: every expectation holds.

    Among them that the parser is reloaded under load, to a release that the consent is carried over to.
    """
    configured.write_text(ALL_OUTSIDE)
    for module in ("stats", "parser-python"):
        assert hostcore("grant", module, "--yes").returncode == 0
    found = hosts(hostcore("demo", tree, "--json"))
    assert found == dict.fromkeys(("stats", "parser-python", "synthesis", "grumpy"), "worker")


def test_one_line_moves_a_module(hostcore: Any, tree: Path, configured: Path) -> None:
    """A file that is named counts instead of the nearest; people see which, and where each module runs."""
    configured.write_text("not read")
    other = configured.with_name("other.toml")
    other.write_text(TWO_OUTSIDE + TRUST)
    done = hostcore("demo", tree, "--config", other)
    assert done.returncode == 0, done.stdout + done.stderr
    for text in (f"as configured in {other}", "stats 1.0.0 (native), parser-python 1.0.0 (worker)",
                 "native: stats, grumpy; worker: parser-python, synthesis"):  # fmt: skip
        assert text in done.stdout


def test_nobody_has_agreed(hostcore: Any, tree: Path, configured: Path) -> None:
    """A module that asks for something does not run in a process before somebody agrees; the error says how."""
    configured.write_text(TWO_OUTSIDE)
    done = hostcore("demo", tree)
    assert done.returncode == 12
    assert "'parser-python' asks for what nobody has agreed to: bus.send:parser.parsed" in done.stderr
    assert "hostcore grant parser-python" in done.stderr
    assert "Traceback" not in done.stderr


def test_no_component(hostcore: Any, tree: Path, configured: Path) -> None:
    """A module that was not built for the sandbox cannot be put there; the error says how to build it."""
    configured.write_text('[modules.synthesis]\nisolation = "wasm"\n')
    done = hostcore("demo", tree)
    assert done.returncode == 1
    assert "hostcore build --wasm" in done.stderr


def test_a_wrong_configuration(hostcore: Any, tree: Path, configured: Path) -> None:
    """A configuration with a mistake stops the demo before anything is loaded, with the line."""
    configured.write_text('[modules.synthesis]\nisolation = "wroker"\n')
    done = hostcore("demo", tree)
    assert (done.returncode, done.stdout) == (2, "")
    assert "hostcore.toml:2" in done.stderr
    assert "did you mean 'worker'" in done.stderr
