"""Upgrades in a running host, with what pip really does: reload, rollback, history and leaks on the command line."""

from __future__ import annotations

import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.distributions import Project, Venv
from support.hosting import Cli, HostProcess, until
from support.modules import COUNTER, ModuleWriter, install


@pytest.fixture
def venv(tmp_path: Path, cli: Cli) -> Venv:
    """An environment that the host and the command line see."""
    venv = Venv(tmp_path / "venv")
    cli.site = venv.site
    return venv


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "project", version="1.0")


def upgrade(venv: Venv, project: Project, version: str, out: Path) -> None:
    """Have pip install another version over the one that is there."""
    project.version = version
    project.write()
    venv.install(project.wheel(out))


@pytest.fixture
def host(cli: Cli, venv: Venv, project: Project, tmp_path: Path) -> Iterator[HostProcess]:
    """A host that runs version 1.0 of "counter", installed by pip."""
    venv.install(project.wheel(tmp_path / "dist"))
    with cli.host() as host:
        assert host.ready["loaded"] == ["counter"]
        yield host


def test_upgrade_downgrade_and_back(cli: Cli, host: HostProcess, venv: Venv, project: Project, tmp_path: Path) -> None:
    """A reload after `pip install -U` runs the new code, a rollback the old one without its files, a downgrade too."""
    call = ("modules", "call", "counter")
    assert cli(*call).json == {"count": 1, "version": "1.0"}
    upgrade(venv, project, "2.0", tmp_path / "dist")
    assert cli(*call).json == {"count": 2, "version": "1.0"}  # nothing happens by itself
    done = cli("modules", "reload", "counter")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("reloaded counter: 1.0 (generation 1) -> 2.0 (generation 2) in ")
    assert cli(*call).json == {"count": 3, "version": "2.0"}
    done = cli("modules", "rollback", "counter")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("rolled back counter: 2.0 (generation 2) -> 1.0 (generation 3) in ")
    assert cli(*call).json == {"count": 4, "version": "1.0"}
    again = cli("modules", "rollback", "counter")
    assert again.code == 1
    assert "none is kept" in again.err
    assert "reload.keep" in again.err
    assert cli("modules", "reload", "counter", "--json").json["report"]["new_version"] == "2.0"
    moved = cli("modules", "reload", "counter", "--isolation", "wasm")
    assert moved.code == 10
    assert "hostcore build --wasm" in moved.err
    upgrade(venv, project, "0.9", tmp_path / "dist")
    report = cli("modules", "reload", "counter", "--json").json["report"]
    assert (report["old_version"], report["new_version"], report["leaks"]) == ("2.0", "0.9", [])
    assert cli(*call).json == {"count": 5, "version": "0.9"}


def test_an_editable_upgrade(cli: Cli, venv: Venv, project: Project, tmp_path: Path) -> None:
    """An editable install is reloaded from the working tree as it is now; another tree takes over after pip."""
    venv.install(project.editable(tmp_path / "dist"))
    with cli.host():
        code = project.code / "acme_counter" / "__init__.py"
        code.write_text(code.read_text().replace("self.count += 1", "self.count += 10"))
        assert cli("modules", "reload", "counter").code == 0
        assert cli("modules", "call", "counter").json == {"count": 10, "version": "1.0"}
        other = Project(tmp_path / "other", version="3.0")
        venv.install(other.editable(tmp_path / "dist3"))
        assert cli("modules", "reload", "counter").code == 0
        assert cli("modules", "call", "counter").json == {"count": 11, "version": "3.0"}


@pytest.mark.parametrize("lacks", ["all", "RECORD", "METADATA", "entry_points.txt", "__init__.py"])
def test_a_distribution_that_is_half_there(cli: Cli, host: HostProcess, venv: Venv, lacks: str) -> None:
    """Uninstalled, or in the middle of an install, the reload is refused with a reason and the old code serves on."""
    if lacks == "all":
        venv.uninstall("acme-counter")
    else:
        (file,) = (path for path in venv.site.rglob(lacks) if "acme_counter" in str(path))
        file.unlink()
        shutil.rmtree(venv.site / "acme_counter" / "__pycache__", ignore_errors=True)
    done = cli("modules", "reload", "counter")
    if done.code == 0:
        assert lacks in ("RECORD", "METADATA")  # what is left suffices
    else:
        assert done.code == 10
        assert done.out.startswith("counter was rolled back (phase prepare): 1.0 (generation 1) serves on")
        assert "counter" in done.err.splitlines()[0]
        assert "Traceback" not in done.err or lacks == "__init__.py"
    assert cli("modules", "call", "counter").json == {"count": 1, "version": "1.0"}


def test_history(cli: Cli, site: Path, write: ModuleWriter) -> None:
    """history tells each generation's story, of failed reloads too, and what can be gone back to."""
    install(site, "counter", COUNTER, version="1.1")
    with cli.host():
        assert "no earlier generation is kept" in cli("modules", "history", "counter").out
        cli("modules", "reload", "counter", "--source", write(COUNTER, "counter", version="2.0"))
        bad = write(COUNTER, "counter", version="3.0", top="raise ValueError('no luck')")
        assert cli("modules", "reload", "counter", "--source", bad).code == 10
        found = cli("modules", "history", "counter", "--json").json
        assert (found["name"], found["kept"]) == ("counter", [1])
        assert [entry["what"] for entry in found["history"]] == ["loaded", "reloaded", "kept"]
        assert found["history"][2]["phase"] == "prepare"
        assert "no luck" in found["history"][2]["reason"]
        lines = cli("modules", "history", "counter").out.splitlines()
        assert lines[0].split()[:3] == ["WHEN", "GEN", "VERSION"]
        assert "1 -> 2" in lines[2]
        assert "prepare: " in lines[3]
        assert lines[4] == "can be rolled back to: 1"
        cli("modules", "unload", "counter")
        assert cli("modules", "history", "counter", "--json").json["history"][-1]["what"] == "unloaded"


def test_leaks(cli: Cli, site: Path) -> None:
    """leaks ends with 0 if nothing is left of the old generations, and else with 1 and what lives."""
    install(site, "counter", COUNTER)
    install(
        site,
        "sticky",
        COUNTER + "\nhostcore.stuck = getattr(hostcore, 'stuck', [])\nhostcore.stuck.append(lambda: 0)\n",
    )
    with cli.host():
        cli("modules", "reload", "counter")
        done = cli("modules", "leaks", "counter")
        assert (done.code, done.out) == (0, "nothing is left of counter's old generations\n")
        assert cli("modules", "leaks", "counter", "--json").json == {"name": "counter", "generations": []}
        reloaded = cli("modules", "reload", "sticky")
        assert reloaded.code == 0
        assert "still alive of the old copy: " in reloaded.err
        done = cli("modules", "leaks", "sticky")
        assert done.code == 1
        assert done.out.startswith("generation 1 (sticky 1.0): ")
        found = cli("modules", "leaks", "sticky", "--json")
        (generation,) = found.json["generations"]
        assert (found.code, generation["generation"], generation["version"]) == (1, 1, "1.0")
        assert any("acme_sticky" in what for what in generation["alive"])


@pytest.mark.parametrize("command", ["reload", "rollback", "history", "leaks"])
def test_names_that_nobody_has(cli: Cli, site: Path, command: str) -> None:
    """A name that nobody has ends with 1 and the nearest one; without a host each command ends with 13."""
    install(site, "counter", COUNTER)
    done = cli("modules", command, "counter")
    assert (done.code, done.out) == (13, "")
    assert done.err.splitlines()[-1] == "  hint: start one: hostcore run"
    with cli.host():
        done = cli("modules", command, "countr")
        assert (done.code, done.out) == (1, "")
        assert "did you mean 'counter'?" in done.err
        assert cli("modules", command, "countr", "--json").json["error"]["type"] == "UnknownModuleError"


HANGS = {
    "prepare": "@hookimpl\nasync def initialize(self, context):\n    HANG\n",
    "restore": "@hookimpl\nasync def restore_state(self, state):\n    HANG\n",
    "retire": "@hookimpl\nasync def shutdown(self):\n    HANG\n",
}


@pytest.mark.parametrize("how", ["await asyncio.Event().wait()", "while True: pass"])
@pytest.mark.parametrize("phase", HANGS)
def test_a_signal_in_the_middle_of_a_reload(
    cli: Cli, site: Path, write: ModuleWriter, tmp_path: Path, phase: str, how: str
) -> None:
    """A host that is told to end in any phase of a reload stops in order: exit code 0, the old code shut down."""
    arrived, closed = tmp_path / "arrived", tmp_path / "closed"
    hang = f"open({str(arrived)!r}, 'w').close()\n    {how}"
    plain = COUNTER + f"\n@hookimpl\ndef shutdown(self):\n    open({str(closed)!r}, 'w').close()\n"
    body = HANGS[phase].replace("HANG", hang)
    (cli.directory / "hostcore.toml").write_text("handler_timeout = '1s'\n")
    install(site, "counter", COUNTER + "\n" + body if phase == "retire" else plain)
    new = write(plain if phase == "retire" else body, "counter", version="2.0")
    with cli.host() as host:
        assert cli("modules", "call", "counter").json["count"] == 1
        with subprocess.Popen(
            cli.command("modules", "reload", "counter", "--source", new), cwd=cli.directory, env=cli.env(),
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        ) as asking:  # fmt: skip
            until(arrived.exists, "the phase")
            host.signal(signal.SIGTERM)
            assert host.wait() == 0, host.errors()
            asking.wait(30)
        assert closed.exists()
        assert "Traceback" not in host.errors()
