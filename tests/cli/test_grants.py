"""`hostcore grant`, `grants` and `revoke`, with a host and without, at a terminal and elsewhere."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.hosting import TIME, Cli
from support.modules import install

ACTOR = """
@hookimpl
def initialize(self, context):
    self.context, self.count = context, 0

@hookimpl
async def handle_message(self, message):
    self.count += 1
    if message.payload == "kv":
        self.context.kv.set("x", 1)
    elif message.payload == "publish":
        await self.context.publish("log.x", 1)
    return self.count

@hookimpl
def get_state(self):
    return {"count": self.count}

@hookimpl
def restore_state(self, state):
    self.count = state["count"]
"""
ASKS = "isolation = 'worker'\npermissions = ['kv', 'bus.send:log.*']"
MORE = "isolation = 'worker'\npermissions = ['kv', 'bus.send:log.*', 'net:api.example.org:443']"


class Terminal:
    """A command at a terminal of its own."""

    def __init__(self, process: subprocess.Popen[bytes], handle: int) -> None:
        self.process, self._handle = process, handle
        self.shown = ""

    def read_to(self, text: str) -> str:
        """Wait until it shows `text`; return all that it has shown."""
        limit = time.monotonic() + TIME
        while text not in self.shown:
            readable, _, _ = select.select([self._handle], [], [], max(0, limit - time.monotonic()))
            assert readable, f"{text!r} did not come; shown: {self.shown}"
            assert self._take(), f"{text!r} did not come; shown: {self.shown}"
        return self.shown

    def type(self, text: str) -> None:
        os.write(self._handle, text.encode())

    def end(self) -> int:
        """Return the exit code, once it has ended; all that it showed is in `shown`."""
        while self._take():
            pass
        return self.process.wait(TIME)

    def _take(self) -> bool:
        try:
            data = os.read(self._handle, 65536)
        except OSError:  # the other side is closed
            data = b""
        self.shown += re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", data.decode()).replace("\r", "")
        return bool(data)


@contextmanager
def terminal(cli: Cli, *arguments: str) -> Iterator[Terminal]:
    """Run a command at a terminal."""
    ours, its = pty.openpty()
    process = subprocess.Popen(cli.command(*arguments), cwd=cli.directory, env=cli.env() | {"TERM": "xterm"},
                               stdin=its, stdout=its, stderr=its, start_new_session=True)  # fmt: skip
    os.close(its)
    try:
        yield Terminal(process, ours)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(TIME)
        os.close(ours)


@pytest.fixture
def actor(site: Path) -> Path:
    """Install the module "actor", which runs in a worker and asks for two things."""
    install(site, "actor", ACTOR, manifest=ASKS)
    return site


def grown(site: Path) -> None:
    """Install a release of it that asks for one thing more, in place of the other."""
    for old in site.glob("acme_actor*"):
        subprocess.run(["rm", "-r", str(old)], check=True)
    install(site, "actor", ACTOR, version="2.0", manifest=MORE)


# --- without a host --------------------------------------------------------------------------------------------


def test_a_grant_needs_no_host(cli: Cli, actor: Path) -> None:
    """What is granted without a host is there when one starts; what was revoked is not."""
    assert cli("modules", "list", "--json").json["modules"][0]["trust"] == "not granted"
    done = cli("grant", "actor", "--yes", "--json")
    assert (done.code, done.json["granted"], done.json["effect"]) == (0, ["kv", "bus.send:log.*"], "not loaded")
    assert cli("modules", "info", "actor", "--json").json["trust"] == "granted"
    with cli.host() as host:
        assert host.ready["loaded"] == ["actor"]
    assert cli("revoke", "actor").out == "actor may no longer: kv, bus.send:log.*\n"
    with cli.host() as host:
        assert host.ready["loaded"] == []
        assert "HC603" in str(host.ready["failed"])


def test_nobody_to_ask_is_a_refusal(cli: Cli, actor: Path) -> None:
    """Where no terminal is, or with --json, nothing is granted without --yes, and the exit code is 12."""
    done = cli("grant", "actor")
    assert done.code == 12 and "HC603" in done.err and "--yes" in done.err
    done = cli("grant", "actor", "--json")
    assert (done.code, done.json["error"]["missing"]) == (12, ["kv", "bus.send:log.*"])
    assert cli("grants", "--json").json["grants"][0]["missing"] == ["kv", "bus.send:log.*"]


def test_the_list_tells_who_has_what(cli: Cli, actor: Path, site: Path) -> None:
    """Modules that ask for nothing are left out; the others are told with what they have and lack."""
    install(site, "echo", ACTOR)
    head, line = cli("grants").out.splitlines()
    assert head.split()[:4] == ["NAME", "VERSION", "HOST", "TRUST"]
    assert line.split() == ["actor", "1.0", "worker", "not", "granted", "kv", "bus.send:log.*"]
    cli("grant", "actor", "kv", "--yes")
    (found,) = cli("grants", "list", "--json").json["grants"]
    assert (found["trust"], found["granted"], found["declined"]) == ("granted", ["kv"], ["bus.send:log.*"])


def test_there_may_be_nothing_to_grant(cli: Cli, site: Path) -> None:
    """A module that asks for nothing needs no consent, and none is written down."""
    install(site, "echo", ACTOR)
    assert cli("grant", "echo").out == "echo asks for nothing: there is nothing to grant\n"
    assert cli("grant", "echo", "--json").json["granted"] == []
    assert cli("grants", "--json").json == {"grants": []}
    assert cli("grant", "echo", "kv", "--yes").code == 12


def test_a_diff_tells_what_is_new(cli: Cli, actor: Path, site: Path) -> None:
    """Each permission is told with what it means, and whether the release before asked for it."""
    cli("grant", "actor", "--yes")
    grown(site)
    shown = cli("grants", "diff", "actor").out
    assert "actor 2.0 (acme-actor" in shown and "not granted" in shown
    assert re.search(
        r"net:api\.example\.org:443 +connect to api\.example\.org:443 +to be decided +new since 1\.0", shown
    )
    assert re.search(r"kv +keep small data of its own on this machine +granted", shown)
    assert "hostcore grant actor" in shown
    told = cli("grants", "diff", "actor", "--json").json
    assert (told["new"], told["last_version"]) == (["net:api.example.org:443"], "1.0")
    assert told["meanings"]["kv"] == "keep small data of its own on this machine"


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("grant", "nobody", "--yes"), 1, "there is no module 'nobody'"),
        (("grant", "actor", "kvv", "net:", "--yes"), 2, "'kvv' is not a permission"),
        (("grant", "actor", "kv", "--all", "--yes"), 2, "either --all"),
        (("grant", "actor", "random", "--yes"), 12, "does not ask for 'random'"),
        (("grants", "diff", "nobody"), 1, "there is no module 'nobody'"),
        (("revoke", "actor"), 1, "was granted nothing"),
        (("revoke", "actor", "x:y"), 2, "is not a permission"),
        (("grants", "observed"), 13, "no host named"),
        (("grants", "lost"), 2, "there is no command 'lost'; did you mean 'list'?"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(cli: Cli, actor: Path, arguments: tuple[str, ...], code: int, said: str) -> None:
    """Each mistake has its exit code and says what there is."""
    done = cli(*arguments)
    assert (done.code, said in done.err) == (code, True), done.err


def test_a_damaged_file_is_named(cli: Cli, actor: Path) -> None:
    """The list of modules still works, and what rests on the file says where it is."""
    cli("grant", "actor", "--yes")
    (file,) = Path(os.environ["HOSTCORE_STATE_DIR"]).rglob("grants.json")
    file.write_text(file.read_text().replace('"kv"', '"kvv"'))
    done = cli("grants")
    assert done.code == 2 and "grants.json  consents[0].asked[0]" in done.err
    assert cli("modules", "list", "--json").json["modules"][0]["trust"] == "not granted"
    file.chmod(0o666)
    done = cli("grant", "actor", "--yes")
    assert done.code == 12 and "HC605" in done.err and "chmod 0600" in done.err


# --- with a host -----------------------------------------------------------------------------------------------


def test_a_running_host_goes_by_it_at_once(cli: Cli, actor: Path) -> None:
    """Load is refused with 12, granted, loaded; revoked while it runs, and what it tries then is listed as TOML."""
    with cli.host() as host:
        assert "actor" in host.ready["failed"]
        done = cli("modules", "load", "actor")
        assert done.code == 12 and "hostcore grant actor" in done.err
        assert cli("grant", "actor", "--yes").code == 0
        assert cli("modules", "load", "actor").code == 0
        assert cli("modules", "call", "actor", "--data", '"publish"', "--json").json["reply"] == 1
        done = cli("revoke", "actor", "bus.send:log.*")
        assert done.out == "actor may no longer: bus.send:log.*\nit holds from now on\n"
        assert "has no permission 'bus.send:log.x'" in cli("modules", "call", "actor", "--data", '"publish"').err
        shown = cli("grants", "observed", "actor").out
        assert shown.splitlines()[1].split()[:3] == ["actor", "bus.send:log.x", "1"]
        assert '[policy.grants]\n"actor" = ["kv", "bus.send:log.x"]' in shown
        (attempt,) = cli("grants", "observed", "--json").json["attempts"]
        assert (attempt["refused"], attempt["observed"]) == (1, 0)
        assert cli("modules", "list", "--json").json["modules"][0]["trust"] == "granted"


def test_a_reload_that_grows_ends_with_12(cli: Cli, actor: Path, site: Path) -> None:
    """The old release serves on; the reason and the way out are told."""
    cli("grant", "actor", "--yes")
    with cli.host():
        grown(site)
        done = cli("modules", "reload", "actor")
        assert done.code == 12 and "serves on" in done.out and "net:api.example.org:443" in done.err
        assert cli("modules", "reload", "actor", "--json").json["report"]["code"] == "HC603"
        assert cli("modules", "info", "actor", "--json").json["version"] == "1.0"


def test_who_is_observed_is_let_through(cli: Cli, actor: Path) -> None:
    """What an observed module would have been refused is listed, ready to be granted."""
    (cli.directory / "policy.toml").write_text("observe = true\n")
    (cli.directory / "hostcore.toml").write_text("")
    with cli.host() as host:
        assert host.ready["loaded"] == ["actor"]
        assert cli("modules", "call", "actor", "--data", '"kv"', "--json").json["reply"] == 1
        shown = cli("grants", "observed").out
        assert '"actor" = ["kv"]' in shown
        assert cli("modules", "list", "--json").json["modules"][0]["trust"] == "observed"


# --- at a terminal ---------------------------------------------------------------------------------------------


def test_a_terminal_is_asked(cli: Cli, actor: Path) -> None:
    """What the module wants is shown in sentences, and granted with a yes; no is the default."""
    with terminal(cli, "grant", "actor") as shown:
        text = shown.read_to("[y/N]:")
        assert "keep small data of its own on this machine" in text and "to be decided" in text
        shown.type("\n")
        assert shown.end() == 12
    assert cli("grants", "--json").json["grants"][0]["granted"] == []
    with terminal(cli, "grant", "actor", "kv") as shown:
        assert "Grant actor kv?" in shown.read_to("[y/N]:")
        shown.type("y\n")
        assert shown.end() == 0
    assert cli("grants", "--json").json["grants"][0]["granted"] == ["kv"]


def test_a_load_at_a_terminal_asks_for_what_is_missing(cli: Cli, actor: Path, site: Path) -> None:
    """If only consent stands in the way of a load or reload, it is asked for, and the command goes on."""
    with cli.host():
        with terminal(cli, "modules", "load", "actor") as shown:
            shown.read_to("[y/N]:")
            shown.type("n\n")
            assert shown.end() == 12
            assert "HC603" in shown.shown
        with terminal(cli, "modules", "load", "actor") as shown:
            shown.read_to("[y/N]:")
            shown.type("y\n")
            assert shown.end() == 0
            assert "loaded actor 1.0" in shown.shown
        grown(site)
        with terminal(cli, "modules", "reload", "actor") as shown:
            assert "new since 1.0" in shown.read_to("[y/N]:")
            shown.type("y\n")
            assert shown.end() == 0
            assert "reloaded actor" in shown.shown
        with terminal(cli, "modules", "reload", "actor") as shown:
            assert shown.end() == 0
