"""`hostcore modules crashes` and `revive`, and what list, info and why tell of modules that are down."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.hosting import Cli, until
from support.modules import install

CRASHING = """
@hookimpl
def initialize(self, context):
    if os.path.exists(MARK):
        raise ValueError("no luck")

@hookimpl
def handle_message(self, message):
    if message.topic == "die":
        print("about to go", flush=True)
        os._exit(3)
    return message.payload
"""


@pytest.fixture
def mark(tmp_path: Path) -> Path:
    """A file; while it is there the module does not come up."""
    return tmp_path / "mark"


@pytest.fixture
def crashed(cli: Cli, site: Path, mark: Path) -> Any:
    """The command line beside a host with a module that runs in a process of its own."""
    body = CRASHING.replace("MARK", repr(str(mark)))
    install(site, "counter", body, version="1.1", top="import os", manifest='isolation = "worker"')
    with cli.host():
        yield cli


def state(cli: Cli) -> str:
    (row,) = cli("modules", "list", "--json").json["modules"]
    return row["state"]


def test_a_crash_and_what_follows(crashed: Cli, mark: Path) -> None:
    """crashes tells how a module crashed; list, info and why where it stands; revive brings it back."""
    assert crashed("modules", "crashes").out == "no module has crashed\n"
    assert crashed("modules", "crashes", "counter").out == "counter has not crashed\n"
    mark.touch()
    done = crashed("modules", "call", "counter", "die")
    assert (done.code, "HC501" in done.err) == (1, True)
    until(lambda: state(crashed) == "quarantined", "the quarantine")

    entries = crashed("modules", "crashes", "counter", "--json").json["crashes"]
    assert [entry["kind"] for entry in entries] == ["died", "start"]
    assert (entries[0]["exit_code"], entries[0]["hook"], entries[0]["topic"]) == (3, "handle_message", "die")
    assert (entries[0]["version"], entries[0]["host"], entries[0]["lines"]) == ("1.1", "worker", ["about to go"])
    shown = crashed("modules", "crashes", "counter").out
    assert all(text in shown for text in ("exit code 3", "handle_message die", "about to go", "ValueError: no luck"))
    assert "about to go" not in crashed("modules", "crashes").out
    assert "about to go" in crashed("modules", "crashes", "--verbose").out

    why = crashed("modules", "why", "counter", "--json").json
    assert (why["state"], why["hint"]) == ("quarantined", "hostcore modules revive counter")
    facts = {fact["about"]: fact["text"] for fact in why["facts"]}
    assert "no luck" in facts["last crash"]
    assert facts["next try"].startswith("in ")
    info = crashed("modules", "info", "counter", "--json").json
    assert (info["restarts"], info["next_try"] > 0) == (0, True)
    assert "no luck" in info["error"]
    refused = crashed("modules", "call", "counter")
    assert (refused.code, "HC407" in refused.err) == (1, True)

    failed = crashed("modules", "revive", "counter")
    assert (failed.code, "counter did not come up (phase prepare)" in failed.out) == (10, True)
    mark.unlink()
    revived = crashed("modules", "revive", "counter", "--state", "fresh")
    assert (revived.code, revived.out.startswith("restarted counter: ")) == (0, True)
    assert crashed("modules", "call", "counter", "--data", "7").out.strip() == "7"
    assert state(crashed) == "running"


def test_what_cannot_be_told_or_done(crashed: Cli) -> None:
    """An unknown module, and one that is not down, are errors that say so."""
    for command in (("crashes", "nobody"), ("revive", "nobody"), ("revive", "counter")):
        done = crashed("modules", *command, "--json")
        assert done.code == 1
        assert done.json["error"]["code"] == ("HC251" if command[1] == "counter" else "HC401")


@pytest.mark.parametrize("command", [("crashes", "counter"), ("revive", "counter")])
def test_without_a_host(cli: Cli, command: tuple[str, ...]) -> None:
    """Both need a running host, and say how to start one."""
    done = cli("modules", *command)
    assert (done.code, "hostcore run" in done.err) == (13, True)
