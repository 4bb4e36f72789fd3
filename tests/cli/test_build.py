"""`hostcore build`: the command line; what is built is tested under tests/guest and tests/sdk."""

from __future__ import annotations

import json
import sys

import pytest
from support.distributions import write_files

from hostcore.cli import app

PYPROJECT = """
[project]
name = "acme-counter"
version = "1.0"

[project.entry-points."hostcore.modules"]
counter = "acme_counter:Counter"
"""


@pytest.fixture
def project(tmp_path):
    write_files(tmp_path, {"pyproject.toml": PYPROJECT, "acme_counter.py": "class Counter: ..."})
    return tmp_path


def test_what_to_build_must_be_said(project, capsys):
    """Without --wasm it is told what there is."""
    assert app.run(["build", str(project)]) == 2
    assert "--wasm" in capsys.readouterr().err


def test_no_project(tmp_path, capsys):
    """A directory without a project is wrong usage."""
    assert app.run(["build", "--wasm", str(tmp_path)]) == 2
    assert "there is no pyproject.toml" in capsys.readouterr().err


def test_without_the_tool(project, capsys, monkeypatch):
    """Where the tool is missing the error says how to get it, as JSON too."""
    monkeypatch.setitem(sys.modules, "componentize_py", None)
    assert app.run(["build", "--wasm", str(project)]) == 1
    assert "pip install componentize-py" in capsys.readouterr().err
    assert app.run(["build", "--wasm", "--json", str(project)]) == 1
    error = json.loads(capsys.readouterr().out)["error"]
    assert (error["type"], error["code"], error["module"]) == ("BuildError", "HC223", "counter")


def test_a_module_that_is_not_there(project, capsys):
    """A wrong name is an error that knows the right one."""
    assert app.run(["build", "--wasm", "--module", "countr", str(project)]) == 1
    assert "did you mean 'counter'?" in capsys.readouterr().err
