"""`hostcore modules ...`: each command, with a host and without, on good and on bad input."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from support.distributions import fake_install
from support.hosting import Cli, until
from support.modules import COUNTER, ECHO, install

PARROT = """
@hookimpl
def initialize(self, context):
    self.config = context.config

@hookimpl
def handle_message(self, message):
    return {"topic": message.topic, "payload": message.payload, "config": self.config}

@hookimpl
def execute(self, request):
    return {"executed": request}
"""
LOOKING = [("list",), ("info", "echo"), ("why", "echo"), ("enable", "echo"), ("disable", "echo")]


@pytest.fixture
def host(cli, site):
    """A host with the modules "counter" and "parrot"."""
    install(site, "counter", COUNTER, version="1.1", manifest="summary = 'Counts.'\nprovides = ['count/1.1']")
    install(site, "parrot", PARROT)
    with cli.host() as host:
        yield host


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """The command line with a host that all tests of this file share; they leave its modules as they are."""
    home = tmp_path_factory.mktemp("shared")
    site, work = home / "site", home / "work"
    for folder in (site, work):
        folder.mkdir()
    install(site, "counter", COUNTER, version="1.1", manifest="provides = ['count/1.1']")
    install(site, "parrot", PARROT)
    cli = Cli(work, site)
    cli.environment |= {f"HOSTCORE_{kind}_DIR": str(home / kind.lower()) for kind in ("STATE", "CACHE", "RUNTIME")}
    with cli.host():
        yield cli


# --- without a host --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", LOOKING, ids=lambda c: c[0])
@pytest.mark.parametrize("as_json", [True, False], ids=["json", "people"])
def test_looking_imports_no_module(cli, site, tmp_path, command, as_json):
    """list, info, why, enable and disable work without a host, and without importing any module."""
    mark = tmp_path / "imported"
    install(site, "echo", ECHO, top=f"open({str(mark)!r}, 'w')")
    done = cli("modules", *command, *(["--json"] if as_json else []))
    assert (done.code, done.err) == (0, "")
    assert "echo" in done.out
    assert not mark.exists()


@pytest.mark.parametrize("command", LOOKING, ids=lambda c: c[0])
def test_looking_survives_a_module_that_cannot_be_imported(cli, site, command):
    """Commands that look and repair work whatever a module's code does."""
    install(site, "echo", ECHO, top="import sys; sys.exit(3)")
    assert cli("modules", *command).code == 0


def test_list_prints_an_object_of_modules(cli, site):
    """With --json the list is {"modules": [...]}, sorted by name, with state and version."""
    assert cli("modules", "list", "--json").json == {"modules": []}
    assert "no modules" in cli("modules", "list").out
    install(site, "b", ECHO, version="2.0")
    install(site, "a", ECHO)
    fake_install(site, "acme-gone", "1.0", {"gone": "acme_gone:X"})
    found = cli("modules", "list", "--json").json
    assert list(found) == ["modules"]
    assert [(m["name"], m["state"], m["version"]) for m in found["modules"]] == [
        ("a", "installed", "1.0"), ("b", "installed", "2.0"), ("gone", "broken", "1.0")
    ]  # fmt: skip


def test_list_is_plain_columns_when_piped(cli, site):
    """Where nobody looks, the list is columns without colour or frames, one module a line."""
    install(site, "echo", ECHO, manifest="summary = 'Says it again.'")
    head, line = cli("modules", "list").out.splitlines()
    assert head.split()[:3] == ["NAME", "STATE", "VERSION"]
    said = ["echo", "installed", "1.0", "native", "trusted", "(in", "process)", "acme-echo", "Says", "it", "again."]
    assert line.split() == said


@pytest.mark.parametrize("command", [("load", "x"), ("unload", "x"), ("reload", "x"), ("call", "x"), ("send", "x")])
@pytest.mark.parametrize("as_json", [True, False], ids=["json", "people"])
def test_commands_that_need_a_host_say_how_to_start_one(cli, command, as_json):
    """Without a host the exit code is 13 and the hint says how to start one."""
    done = cli("modules", *command, *(["--json"] if as_json else []))
    assert done.code == 13
    if as_json:
        assert done.json["error"]["code"] == "HC911"
        assert done.err == ""
    else:
        assert done.out == ""
        assert done.err.splitlines()[-1] == "  hint: start one: hostcore run"


def test_why_explains_without_a_host(cli, site):
    """why tells not found with a suggestion, disabled by whom, duplicate, and not loaded."""
    install(site, "echo", ECHO)
    fake_install(site, "zeta", "2.0", {"echo": "zeta:Module"}, ["zeta/__init__.py"])
    found = cli("modules", "why", "ecko", "--json")
    assert (found.code, found.json["state"], found.json["hint"]) == (0, "not found", "did you mean 'echo'?")
    text = cli("modules", "why", "echo").out
    assert "no host named 'default' is running" in text
    assert "echo 2.0 (zeta)" in text
    cli("modules", "disable", "echo")
    assert "switched off by 'hostcore modules disable'" in cli("modules", "why", "echo").out


def test_an_unknown_module_is_an_error(cli, site):
    """info and disable of what is not there fail with the nearest name; so do they in JSON."""
    install(site, "echo", ECHO)
    for command in ("info", "disable", "enable"):
        done = cli("modules", command, "ecko")
        assert done.code == 1
        assert done.err.startswith("HC401 there is no module 'ecko'")
        assert "hint: did you mean 'echo'?" in done.err
        assert cli("modules", command, "ecko", "--json").json["error"]["type"] == "UnknownModuleError"


def test_control_characters_of_a_module_do_nothing(cli, site):
    """What a manifest or a name smuggles in cannot steer a terminal."""
    install(site, "echo", ECHO, manifest='summary = "\\u001b[31mred\\u0007 \\u202e"')
    out = cli("modules", "list").out
    assert "\x1b" not in out
    assert "\\x1b[31mred" in out
    assert "\u202e" not in out
    assert "\x1b" not in cli("modules", "info", "echo").out


# --- with a host -----------------------------------------------------------------------------------------------


def test_list_and_info_show_what_runs(cli, host):
    """With a host the list has states, generations and counts of what is loaded."""
    cli("modules", "call", "counter")
    rows = {row["name"]: row for row in cli("modules", "list", "--json").json["modules"]}
    counter = rows["counter"]
    assert (counter["state"], counter["generation"], counter["version"], counter["handled"]) == ("running", 1, "1.1", 1)
    assert counter["summary"] == "Counts."
    found = cli("modules", "info", "counter", "--json").json
    assert (found["state"], found["interface"]) == ("running", ">=1,<2")
    assert "enabled            yes" in cli("modules", "info", "counter").out


def test_call_prints_the_reply(shared, tmp_path):
    """call takes its payload from the command line, a file or standard input, and prints the reply as JSON."""
    file = tmp_path / "data.json"
    file.write_text('{"from": "file"}')
    call = ("modules", "call", "parrot", "a.b", "--data")
    assert shared(*call, '{"x": [1, null, "ü"]}').json["payload"] == {"x": [1, None, "ü"]}
    assert shared(*call, f"@{file}").json["payload"] == {"from": "file"}
    assert shared(*call, "-", stdin="[2]").json == {"topic": "a.b", "payload": [2], "config": {}}
    assert shared(*call, "3", "--json").json == {"reply": {"topic": "a.b", "payload": 3, "config": {}}}
    assert shared("modules", "call", "parrot", "--execute", "--data", '"now"').json == {"executed": "now"}
    assert shared("modules", "call", "count").json["version"] == "1.1"  # by capability


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("{", "not JSON"), ("hello", "text needs quotes"), ("@/nowhere/x", "cannot be read: No such file"),
        ("@/", "cannot be read: Is a directory"), ("[" * 100_000, "nested too deeply"),
        ("-", "standard input: not JSON"),
    ],
)  # fmt: skip
def test_a_payload_that_is_no_json_is_wrong_usage(cli, data, message):
    """What --data cannot be read from, or is not JSON, is refused with exit code 2, before a host is looked for."""
    done = cli("modules", "call", "x", "--data", data)
    assert done.code == 2
    assert message.split(": ")[0] in done.err


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("nobody",), "HC401", "no module is named 'nobody'"),
        (("countre",), "HC401", "did you mean 'counter'?"),
        (("counter", "--data", str(2**70)), "HC351", "cannot be encoded"),
        (("counter", "--execute"), "HC", "execute"),
    ],
)
def test_call_reports_what_went_wrong(shared, arguments, code, message):
    """A call that fails prints the error and ends with 1; in JSON it is the same error."""
    done = shared("modules", "call", *arguments)
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith(code)
    assert message in done.err
    assert shared("modules", "call", *arguments, "--json").json["error"]["text"] == done.err.rstrip("\n")


def test_call_gives_up_after_its_timeout(cli, site):
    """A reply that does not come in time is a deadline error."""
    body = "@hookimpl\nasync def handle_message(self, message):\n    await asyncio.sleep(1e6)\n"
    install(site, "slow", body, manifest="[limits]\nhandle_message = '1s'")
    with cli.host():
        done = cli("modules", "call", "slow", "--timeout", "50ms", "--json")
        assert (done.code, done.json["error"]["type"]) == (1, "DeadlineError")


def test_a_reply_that_json_cannot_say_is_an_error(cli, site):
    """A reply with what JSON has no word for is refused with a reason; bytes and dates have words."""
    body = """
    @hookimpl
    def handle_message(self, message):
        import datetime
        return {"good": [b"ab", datetime.date(2024, 1, 2), {1: 2}], "bad": {(1, 2): 3}}[message.payload]
    """
    install(site, "odd", body)
    with cli.host():
        assert cli("modules", "call", "odd", "--data", '"good"').json == ["YWI=", "2024-01-02", {"1": 2}]
        done = cli("modules", "call", "odd", "--data", '"bad"')
        assert done.code == 1
        assert "cannot be written as JSON" in done.err


def test_send_hands_over_and_does_not_wait(cli, host):
    """send prints that it was sent; the module handles it."""
    assert cli("modules", "send", "counter", "x.y", "--data", "{}").out == "sent to counter\n"
    assert cli("modules", "send", "counter", "--json").json == {"sent": True}
    assert cli("modules", "call", "counter").json["count"] == 3
    assert cli("modules", "send", "nobody").code == 1


def test_load_takes_a_source_and_options(cli, host, write):
    """load takes a relative path, options as JSON and one by one, limits and isolation."""
    source = write(PARROT, "second")
    cli.directory = source.parent
    options = ("--config-json", '{"a": {"b": 1}, "c": 2}', "--set", "a.d=text", "--set", "c=[3]")
    limits = ("--limits-json", '{"mailbox": 5}', "--isolation", "native")
    done = cli("modules", "load", "second", "--source", source.name, *options, *limits)
    assert done.out == "loaded second 1.0 (generation 1) in the host 'native'\n"
    assert cli("modules", "call", "second").json["config"] == {"a": {"b": 1, "d": "text"}, "c": [3]}
    row = next(row for row in cli("modules", "list", "--json").json["modules"] if row["name"] == "second")
    assert (row["source"], row["editable"]) == (str(source), True)
    again = cli("modules", "load", "second", "--json")
    assert (again.code, again.json["error"]["code"]) == (1, "HC251")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("load", "nobody"), 1, "no module named 'nobody' is installed"),
        (("load", "x", "--source", "/nowhere"), 1, "does not exist"),
        (("load", "x", "--isolation", "wrker"), 1, "did you mean 'worker'?"),
        (("load", "bad name"), 1, "is not a module's name"),
        (("load", "x", "--config-json", "[]"), 2, "not a JSON object"),
        (("load", "x", "--set", "noequals"), 2, "is not key=value"),
        (("load", "x", "--set", "a=1", "--set", "a.b=2"), 2, "'a' is not a table"),
        (("load", "x", "--timeout", "soon"), 2, "is not a duration"),
        (("load", "x", "--timeout", "-1"), 2, "out of range"),
        (("load",), 2, "Missing argument 'NAME'"),
        (("call", "x", "t", "--execute"), 2, "takes no TOPIC"),
        (("lst",), 2, "did you mean 'list'?"),
        (("list", "--jsno"), 2, "--json"),
        (("unload", "noone"), 1, "no module 'noone' is loaded"),
        (("reload", "countr"), 1, "did you mean 'counter'?"),
        (("reload", "countr", "--isolation", "wsm"), 1, "did you mean 'wasm'?"),
    ],
)
def test_bad_input_is_refused(shared, arguments, code, message):
    """Each mistake on the command line has its exit code and says what was expected."""
    done = shared("modules", *arguments)
    assert done.code == code
    assert message in done.err
    in_json = shared("modules", *arguments, "--json")
    assert (in_json.code, in_json.json["error"]["exit_code"]) == (code, code)


def test_a_requirement_that_is_missing_has_its_exit_code(cli, host, write):
    """What a module requires and cannot have ends with 11."""
    done = cli("modules", "load", "needy", "--source", write(ECHO, "needy", manifest="requires = ['clock>=2']"))
    assert done.code == 11
    assert "clock" in done.err


def test_what_is_not_granted_has_its_exit_code(cli, write):
    """A module whose initialize asks for what it was not granted ends the load with an error that says so."""
    (cli.directory / "hostcore.toml").write_text("[policy]\ndefault = 'deny'\n")
    nosy = "@hookimpl\nasync def handle_message(self, message):\n    return await self.context.request('other')\n"
    nosy += "@hookimpl\ndef initialize(self, context):\n    self.context = context\n"
    with cli.host():
        assert cli("modules", "load", "nosy", "--source", write(nosy, "nosy")).code == 0
        assert cli("modules", "load", "other", "--source", write(ECHO, "other")).code == 0
        done = cli("modules", "call", "nosy")
        assert done.code != 0
        assert "no permission" in done.err


def test_reload_keeps_the_state_and_reports(cli, host, write):
    """reload prints one line, or the report in JSON; state and count go on in the new release."""
    cli("modules", "call", "counter")
    new = write(COUNTER, "counter", version="2.0")
    done = cli("modules", "reload", "counter", "--source", new)
    assert done.code == 0
    assert done.out.startswith("reloaded counter: 1.1 (generation 1) -> 2.0 (generation 2) in ")
    assert cli("modules", "call", "counter").json == {"count": 2, "version": "2.0"}
    report = cli("modules", "reload", "counter", "--json").json["report"]
    assert (report["rolled_back"], report["old_generation"], report["new_generation"]) == (False, 2, 3)
    assert report["leaks"] == []


def test_reload_that_rolls_back_ends_with_10(cli, host, write):
    """A new release that does not come up leaves the old one serving; the exit code is 10, with the reason."""
    cli("modules", "call", "counter")
    bad = write(COUNTER, "counter", version="2.0", top="raise ValueError('no luck')")
    done = cli("modules", "reload", "counter", "--source", bad)
    assert done.code == 10
    assert done.out.startswith("counter was rolled back (phase prepare): 1.1 (generation 1) serves on")
    assert "ValueError: no luck" in done.err
    in_json = cli("modules", "reload", "counter", "--source", bad, "--json")
    assert (in_json.code, in_json.json["report"]["rolled_back"]) == (10, True)
    assert cli("modules", "call", "counter").json == {"count": 2, "version": "1.1"}


def test_unload_and_load_again(cli, host):
    """unload leaves nothing; the module is then installed, unreachable, and can be loaded again."""
    assert cli("modules", "unload", "counter").out == "unloaded counter\n"
    assert "not loaded" in cli("modules", "why", "counter").out
    assert cli("modules", "call", "counter").code == 1
    assert cli("modules", "load", "counter", "--json").json["module"]["state"] == "running"
    assert cli("modules", "unload", "counter", "--json").json == {"name": "counter", "leaks": []}


def test_unload_of_a_required_module_must_be_forced(cli, host, write):
    """What a running module requires is not unloaded, unless forced."""
    cli("modules", "load", "needy", "--source", write(ECHO, "needy", manifest="requires = ['counter']"))
    done = cli("modules", "unload", "counter")
    assert done.code == 1
    assert "required by needy" in done.err
    assert cli("modules", "unload", "counter", "--force").code == 0


def test_disable_goes_through_the_host(cli, host):
    """A module that is disabled while it runs goes on, is not loaded again, and why says by whom."""
    assert "goes on" in cli("modules", "disable", "counter").out
    assert cli("modules", "call", "counter").code == 0
    row = next(row for row in cli("modules", "list", "--json").json["modules"] if row["name"] == "counter")
    assert (row["state"], row["enabled"]) == ("running", False)
    cli("modules", "unload", "counter")
    assert cli("modules", "load", "counter").code == 1
    assert "hostcore modules disable" in cli("modules", "why", "counter").out
    assert cli("modules", "enable", "counter", "--json").json["changed"]
    assert cli("modules", "load", "counter").code == 0


def test_why_failed_and_installed_later(cli, site, host):
    """why tells what a failed module failed of, and that one which came later was not asked for."""
    install(site, "late", ECHO)
    assert "installed after the host had started" in cli("modules", "why", "late").out
    install(site, "bad", ECHO, top="1/0")
    assert cli("modules", "load", "bad").code == 1
    found = cli("modules", "why", "bad", "--json").json
    assert found["state"] == "failed"
    assert "ZeroDivisionError" in found["error"]["text"]
    row = next(row for row in cli("modules", "list", "--json").json["modules"] if row["name"] == "bad")
    assert (row["state"], "ZeroDivisionError" in row["error"]) == ("failed", True)


def test_a_silent_host_is_not_waited_for(cli, host):
    """If the host does not answer, the list is this process's own, and it says so."""
    host.signal(signal.SIGSTOP)
    try:
        until(lambda: "T (stopped)" in Path(f"/proc/{host.pid}/status").read_text(), "the pause")
        done = cli("modules", "list")
        assert done.code == 0
        assert "did not answer" in done.err
        assert "counter" in done.out
    finally:
        host.signal(signal.SIGCONT)


def test_another_host_is_meant_by_name_or_configuration(cli, site, tmp_path):
    """--name and --config say which host; without them it is the one that the working directory configures."""
    install(site, "echo", ECHO)
    file = tmp_path / "other.toml"
    file.write_text("name = 'other'\n")
    with cli.host("--config", file):
        assert cli("modules", "call", "echo").code == 13
        assert cli("modules", "call", "echo", "--name", "other").code == 0
        assert cli("modules", "call", "echo", "--config", file).code == 0
        assert "hostcore run --name nope" in cli("modules", "call", "echo", "--name", "nope").err
