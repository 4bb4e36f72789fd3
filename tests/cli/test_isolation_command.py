"""`hostcore modules test-isolation`: what is contained, what gets through where it can, and what is left: nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.hosting import Cli, Done, until
from support.modules import ECHO, ModuleWriter

from hostcore.hosts.worker.sandbox.levels import level_of
from hostcore.hosts.worker.sandbox.probing import probe
from hostcore.sdk.isolation import processes
from hostcore.sdk.isolation.attacks import ATTACKS, GROUPS

PATIENCE = 240.0
"""Seconds after which a test gives up on the command."""
FRAGILE = """
@hookimpl
def handle_message(self, message):
    if message.topic == "garbage":
        import ctypes
        ctypes.string_at(0)
    return message.payload
"""


@pytest.fixture(scope="module")
def confined() -> None:
    """A platform on which the whole sandbox holds: elsewhere something gets through, and the command says so."""
    if level_of(probe()) != "full":
        pytest.skip("the sandbox does not hold in full here")


@pytest.fixture
def temporary(cli: Cli) -> Iterator[Path]:
    """Where the command puts its temporary files; the name of a socket may not be long."""
    with tempfile.TemporaryDirectory(prefix="hostcore-", dir="/tmp") as folder:
        cli.environment["TMPDIR"] = folder
        yield Path(folder)


def tried(cli: Cli, *arguments: str | Path) -> Done:
    """Run the command."""
    command = cli.command("modules", "test-isolation", *arguments)
    done = subprocess.run(command, cwd=cli.directory, env=cli.env(), capture_output=True, timeout=PATIENCE)
    return Done(done.returncode, done.stdout.decode(), done.stderr.decode())


def rows(done: Done) -> dict[str, dict[str, Any]]:
    """Return the rows of a report by the names of the attacks."""
    return {row["attack"]: row for row in done.json["rows"]}


# --- the built-in attacks ------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("confined")
def test_every_attack_is_contained(cli: Cli, temporary: Path) -> None:
    """Each built-in attack is made and contained, the bystanders answer all the while, and nothing is left."""
    done = tried(cli, "--quick", "--json")
    found = rows(done)
    assert {name: row["how"] for name, row in found.items() if row["verdict"] != "contained"} == {}, done.err
    assert (done.code, done.json["ok"], done.json["problems"], done.json["left"]) == (0, True, [], 0)
    assert list(found) == list(ATTACKS)
    for row in found.values():
        assert all(latency["count"] >= 20 for latency in row["bystanders"].values())
        assert row["bystanders"].keys() == {"native", "worker"}
    assert list(temporary.iterdir()) == []


@pytest.mark.usefixtures("confined")
def test_what_a_weak_sandbox_lets_through_is_found(cli: Cli, temporary: Path) -> None:
    """Without some layers of the sandbox the attacks that they hold get through: each is listed, exit code 1."""
    weak = [f"--without={layer}" for layer in ("landlock", "seccomp", "namespaces", "rlimits")]
    attacks = ("file-secret", "file-write", "network", "fork-bomb", "services")
    done = tried(cli, "--quick", "--json", *weak, *[f"--only={attack}" for attack in attacks])
    found = rows(done)
    assert done.code == 1 and not done.json["ok"]
    assert {name for name, row in found.items() if row["verdict"] == "got through"} == {*attacks} - {"services"}
    assert found["services"]["verdict"] == "contained"  # that is the host's own to refuse
    assert "it has read the secret" in found["file-secret"]["how"]
    assert "planted" in found["file-write"]["how"]
    assert "a listener heard from it" in found["network"]["how"]
    assert len(done.json["problems"]) == len(attacks) - 1
    assert list(temporary.iterdir()) == []
    assert not list(Path("/tmp").glob("hostcore_planted_*"))


def test_one_attack_as_a_table(cli: Cli, tmp_path: Path) -> None:
    """For people there is a table, with what was tried, how it was contained and the bystander's p99, and a sum."""
    folder = tmp_path / ("long" * 20)  # in which no socket could be made
    folder.mkdir()
    cli.environment["TMPDIR"] = str(folder)
    done = tried(cli, "--quick", "--only", "crash-exit")
    heading, row, summary = done.out.splitlines()
    assert heading.split() == ["ATTACK", "TRIED", "IN", "VERDICT", "HOW", "BYSTANDER", "P99"]
    assert row.startswith("crash-exit  calls os._exit  worker  contained  it died alone; HC501: ")
    assert " ms" in row
    assert summary.startswith("1 contained, 0 got through, ")
    assert done.code == 0


# --- a module ------------------------------------------------------------------------------------------------------


def test_a_module_is_tried_in_its_worker(cli: Cli, write: ModuleWriter) -> None:
    """A module that dies of a message dies alone in a worker, and what cannot be tried on it is told."""
    source = write(FRAGILE, "fragile", manifest="isolation = 'worker'\n[limits]\nmemory = '64MiB'")
    only = [f"--only={trial}" for trial in ("garbage", "kill", "memory", "bad-state")]
    done = tried(cli, "fragile", "--source", source, "--quick", "--json", *only)
    found = rows(done)
    verdicts = {name: row["verdict"] for name, row in found.items()}
    assert verdicts.pop("bad-state") == "not tried"  # it keeps no state
    assert set(verdicts.values()) == {"contained"}, found
    assert (done.code, done.json["module"]) == (0, "fragile")
    assert {row["isolation"] for row in found.values()} == {"worker"}
    assert "HC501" in found["garbage"]["how"] and "alone" in found["garbage"]["how"]
    assert found["memory"]["how"].startswith("64 MB")


def test_what_takes_the_host_down_has_got_through(cli: Cli, write: ModuleWriter) -> None:
    """The same module natively takes its host with it: a row says so, and the other trials are made all the same."""
    only = [f"--only={trial}" for trial in ("garbage", "kill", "reload")]
    done = tried(cli, "fragile", "--source", write(FRAGILE, "fragile"), "--quick", "--json", *only)
    found = rows(done)
    assert (done.code, done.json["ok"]) == (1, False)
    assert (found["garbage"]["verdict"], found["garbage"]["how"]) == ("got through", "the host was ended by signal 11")
    assert done.json["problems"] == ["garbage: the host was ended by signal 11"]
    assert found["reload"]["verdict"] == "contained"
    assert found["kill"]["verdict"] == "not tried"


def test_a_module_gets_no_permissions_unless_that_is_said(cli: Cli, write: ModuleWriter) -> None:
    """Nothing that a module asks for is given to it in the test; with --grant all of it is."""
    body = """
    @hookimpl
    def initialize(self, context):
        context.kv.set("key", 1)

    @hookimpl
    def handle_message(self, message):
        return message.payload
    """
    source = write(body, "keeper", manifest="permissions = ['kv']\nisolation = 'worker'")
    arguments = ("keeper", "--source", source, "--quick", "--json", "--only", "load")
    refused = tried(cli, *arguments)
    assert (refused.code, refused.json["rows"]) == (1, [])
    assert "HC601" in refused.json["error"]
    assert tried(cli, *arguments, "--grant").code == 0


def test_a_module_that_does_not_exist(cli: Cli) -> None:
    """A name that nobody has is an error, and nothing is said to be contained."""
    done = tried(cli, "nobody", "--quick")
    assert done.code == 1
    assert "HC202" in done.err
    assert done.out.startswith("0 contained, 0 got through")


# --- bad use -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--only", "crash-exot"], "did you mean 'crash-exit'?"),
        (["--only", "zzz"], f"there are: {', '.join(GROUPS)}"),
        (["echo", "--only", "zzz"], "there are: load, garbage"),
        (["--without", "landlok"], "did you mean 'landlock'?"),
        (["--grant"], "name it"),
        (["--isolation", "worker"], "name it"),
    ],
)
def test_bad_use(cli: Cli, arguments: list[str], said: str) -> None:
    """An unknown attack or layer, or an option without its module, is a usage error that says what there is."""
    done = tried(cli, *arguments, "--json")
    assert done.code == 2
    assert said in done.json["error"]["text"]


# --- being interrupted ---------------------------------------------------------------------------------------------


@pytest.fixture
def busy(cli: Cli, temporary: Path, write: ModuleWriter) -> Iterator[subprocess.Popen[bytes]]:
    """The command, while its host and a worker run."""
    source = write(ECHO, "echo", manifest="isolation = 'worker'")
    process = subprocess.Popen(
        cli.command("modules", "test-isolation", "echo", "--source", source), cwd=cli.directory, env=cli.env(),
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        until(lambda: len(processes.below(process.pid)) >= 3, "a worker")
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_test_leaves_nothing(
    busy: subprocess.Popen[bytes], temporary: Path, number: int, code: int
) -> None:
    """Ctrl-C, or SIGTERM, ends all that was started, and takes away its files."""
    started = processes.below(busy.pid)
    busy.send_signal(number)
    assert busy.wait(30) == code
    until(lambda: not any(processes.status(pid).get("State", "X")[0] not in "XZ" for pid in started), "the end of all")
    assert list(temporary.iterdir()) == []


def test_a_killed_test_leaves_no_process(busy: subprocess.Popen[bytes]) -> None:
    """Even if the command is killed, its host and workers end with it."""
    started = processes.below(busy.pid)
    os.kill(busy.pid, signal.SIGKILL)
    busy.wait(30)
    until(lambda: not any(processes.status(pid).get("State", "X")[0] not in "XZ" for pid in started), "the end of all")
