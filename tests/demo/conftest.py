"""The demo as a user runs it: the three modules installed, a process of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path

import pytest
from support.distributions import install_target, libraries, run

ROOT = Path(__file__).parents[2]
PLUGINS = ("hostcore-parser-python", "hostcore-synthesis", "hostcore-stats")
Hostcore = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def plugins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory into which the three modules are installed from wheels."""
    out = tmp_path_factory.mktemp("wheels")
    for name in PLUGINS:
        project = out / name
        shutil.copytree(ROOT / "plugins" / name, project)
        build = "import sys; from hatchling.build import build_wheel; build_wheel(sys.argv[1])"
        run(sys.executable, "-W", "ignore", "-c", build, out, cwd=project)
    target = tmp_path_factory.mktemp("installed")
    install_target(target, *out.glob("*.whl"))
    return target


@pytest.fixture
def own_plugins(plugins: Path, tmp_path: Path) -> Path:
    """A copy of the installed modules, to be changed."""
    return Path(shutil.copytree(plugins, tmp_path / "own"))


@pytest.fixture
def environment(plugins: Path, tmp_path: Path) -> dict[str, str]:
    """The environment of a process that finds the modules, and has directories of its own for all that it writes."""
    places = {}
    for name in ("HOSTCORE_STATE_DIR", "HOSTCORE_CACHE_DIR", "HOSTCORE_RUNTIME_DIR", "TMPDIR"):
        places[name] = str(tmp_path / name.lower())
        Path(places[name]).mkdir()
    path = os.pathsep.join([str(plugins), *libraries()])
    return {**os.environ, **places, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1", "NO_COLOR": "1"}


@pytest.fixture
def hostcore(environment: dict[str, str], tmp_path: Path) -> Hostcore:
    """Run `hostcore` with the arguments given, as a user would; `plugins` stands in for what is installed."""

    def call(*arguments: str | Path, plugins: Path | None = None) -> subprocess.CompletedProcess[str]:
        first = {"PYTHONPATH": os.pathsep.join([str(plugins), *libraries()])} if plugins else {}
        command = [sys.executable, "-m", "hostcore", *map(str, arguments)]
        return subprocess.run(
            command, env=environment | first, cwd=tmp_path, capture_output=True, text=True, timeout=120
        )

    return call


@pytest.fixture
def without_plugins(environment: dict[str, str], tmp_path: Path) -> Hostcore:
    """Run `hostcore` where everything but the three modules is installed."""
    site = tmp_path / "site"
    site.mkdir()
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        if not entry.name.replace("_", "-").startswith(PLUGINS) and entry.suffix != ".pth":
            (site / entry.name).symlink_to(entry)
    places = [str(site), *(path for path in libraries() if path != sysconfig.get_path("purelib"))]

    def call(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-S", "-m", "hostcore", *arguments]
        variables = environment | {"PYTHONPATH": os.pathsep.join(places)}
        return subprocess.run(command, env=variables, cwd=tmp_path, capture_output=True, text=True, timeout=120)

    return call
