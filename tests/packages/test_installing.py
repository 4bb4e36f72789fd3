"""A running program sees what pip does, at once: install, upgrade, reinstall, editable install, uninstall."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support.distributions import Project, Venv

from .conftest import Lookout


def test_install_upgrade_and_uninstall_are_seen(venv: Venv, lookout: Lookout, tmp_path: Path) -> None:
    """A module is not there before pip installs it, there in each version while installed, and gone afterwards."""
    project = Project(tmp_path / "project", version="1.0", manifest="[counter]\n")
    assert "HC202" in lookout.sees("counter")["error"]

    venv.install(project.wheel(tmp_path / "dist"))
    release = lookout.sees("counter")
    assert release["version"] == "1.0"
    assert release["paths"] == [str(venv.site)]
    assert release["owned"] == ["acme_counter"]
    assert release["manifest"] == str(venv.site / "acme_counter" / "module.toml")
    assert not release["editable"]

    project.version = "2.0"
    project.write()
    venv.install(project.wheel(tmp_path / "dist"))
    assert lookout.sees("counter")["version"] == "2.0"

    venv.uninstall("acme-counter")
    assert "HC202" in lookout.sees("counter")["error"]


def test_reinstall_that_restores_every_mtime_is_seen(venv: Venv, lookout: Lookout, tmp_path: Path) -> None:
    """A release of the same version is seen although all its files and folders have the old modification times."""
    project = Project(tmp_path / "project", modules={"counter": "acme_counter:Counter"})
    venv.install(project.wheel(tmp_path / "dist"))
    assert lookout.sees("counter")["value"] == "acme_counter:Counter"
    times = {path: path.stat() for path in [venv.site, *venv.site.rglob("*")]}

    project.modules = {"counter": "acme_counter:Second_"}
    project.write()
    venv.install(project.wheel(tmp_path / "dist"))
    for path, stat in times.items():
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert lookout.sees("counter")["value"] == "acme_counter:Second_"


@pytest.mark.parametrize("layout", ["src", "flat"])
def test_editable_install_leads_to_the_working_tree(venv: Venv, lookout: Lookout, tmp_path: Path, layout: str) -> None:
    """hatchling's editable install, a path in a .pth file, is located in a program that started before it."""
    project = Project(tmp_path / "project", layout=layout, manifest="[counter]\n")
    if layout == "flat":
        (project.directory / "tests").mkdir()
        (project.directory / "setup.py").touch()
    venv.install(project.editable(tmp_path / "dist"))
    release = lookout.sees("counter")
    assert release["paths"] == [str(project.code)]
    assert release["owned"] == ["acme_counter"]
    assert release["manifest"] == str(project.code / "acme_counter" / "module.toml")
    assert release["editable"]

    venv.install(project.wheel(tmp_path / "dist2"))
    assert lookout.sees("counter")["paths"] == [str(venv.site)]

    venv.uninstall("acme-counter")
    assert "HC202" in lookout.sees("counter")["error"]


@pytest.mark.parametrize("layout", ["src", "flat"])
def test_editable_install_by_setuptools_is_read_without_running_its_finder(
    venv: Venv, lookout: Lookout, tmp_path: Path, layout: str
) -> None:
    """setuptools writes a .pth file with a path for src, a finder with a mapping for a flat layout; both are read."""
    pytest.importorskip("setuptools", minversion="70.1", reason="older ones need the package wheel to build")
    project = Project(tmp_path / "project", layout=layout, backend="setuptools",
                      extra="" if layout == "src" else '[tool.setuptools]\npackages = ["acme_counter"]\n')  # fmt: skip
    venv.install(project.editable(tmp_path / "dist"))
    assert bool(list(venv.site.glob("__editable___*_finder.py"))) == (layout == "flat")
    release = lookout.sees("counter")
    assert release["paths"] == [str(project.code)]
    assert release["owned"] == ["acme_counter"]
    assert release["editable"]


def test_exact_editable_install_is_read_without_running_its_finder(
    venv: Venv, lookout: Lookout, tmp_path: Path
) -> None:
    """hatchling's exact editable install, a finder of the library editables, is located by its source."""
    pytest.importorskip("editables", reason="hatchling needs it to build")
    project = Project(tmp_path / "project", layout="flat", extra="[tool.hatch.build]\ndev-mode-exact = true\n")
    venv.install(project.editable(tmp_path / "dist"))
    assert list(venv.site.glob("_editable_impl_*.py"))
    release = lookout.sees("counter")
    assert release["paths"] == [str(project.code)]
    assert release["owned"] == ["acme_counter"]
    assert release["editable"]


def test_a_working_tree_that_was_removed_is_named(venv: Venv, lookout: Lookout, tmp_path: Path) -> None:
    """An editable install whose directory is gone gives an error that names the directory and what to do."""
    project = Project(tmp_path / "project")
    venv.install(project.editable(tmp_path / "dist"))
    project.directory.rename(tmp_path / "elsewhere")
    error = lookout.sees("counter")["error"]
    assert str(project.code) in error
    assert "pip install -e" in error
