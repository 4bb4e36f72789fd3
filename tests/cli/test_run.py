"""`hostcore run`: what it loads and tells, and every way in which it ends."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest
from support.hosting import TIME, until
from support.modules import COUNTER, ECHO, install

from hostcore.config import runtime_dir
from hostcore.control.client import Client
from hostcore.control.places import Claim, socket_path
from hostcore.errors import ControlError

SLOW_IMPORT = "import pathlib, time\npathlib.Path({mark!r}).touch()\ntime.sleep(1e6)"
SPINNING = """
@hookimpl
def initialize(self, context):
    import pathlib
    pathlib.Path({mark!r}).touch()
    while True:
        pass
"""


def client(name: str = "default") -> Client:
    return Client(name, socket_path(name))


def free(name: str = "default") -> bool:
    """Tell whether the next host can have the name."""
    try:
        Claim(name).release()
    except ControlError:
        return False
    return True


def test_the_ready_line_tells_what_loaded_failed_and_waits(cli, site):
    """A host loads all it finds; one that fails does not stop it, one on demand waits, and the ready line says all."""
    install(site, "echo", ECHO)
    install(site, "lazy", ECHO, manifest="activate = 'on-demand'")
    install(site, "bad", ECHO, top="raise ValueError('no luck')")
    with cli.host() as host:
        assert host.ready["loaded"] == ["echo"]
        assert host.ready["waiting"] == ["lazy"]
        assert list(host.ready["failed"]) == ["bad"]
        assert "ValueError: no luck" in host.ready["failed"]["bad"]["text"]
        assert (host.ready["name"], host.ready["pid"]) == ("default", host.pid)
        assert Path(host.ready["socket"]).is_socket()
        assert client().call("modules.call", {"target": "lazy", "payload": 1}) == {"reply": 1}


def test_people_get_lines(cli, site):
    """Without --json the same is told in lines, errors with place and hint."""
    install(site, "echo", ECHO)
    install(site, "bad", ECHO, top="import nothing_of_that_name")
    process = subprocess.Popen(cli.command("run"), cwd=cli.directory, env=cli.env(), stdout=subprocess.PIPE, text=True,
                               stderr=subprocess.DEVNULL)  # fmt: skip
    lines = []
    while not lines or not lines[-1].startswith("ready"):
        lines.append(process.stdout.readline())
        assert lines[-1], "the host ended"
    process.terminate()
    rest = process.communicate(timeout=TIME)[0]
    text = "".join(lines)
    assert "failed   bad" in text
    assert "hint: install 'nothing_of_that_name'" in text
    assert "loaded   echo" in text
    assert "1 loaded, 1 failed, 0 waiting" in lines[-1]
    assert rest.splitlines()[-1] == "stopped"
    assert process.returncode == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_the_host_cleanly(cli, site, tmp_path, number):
    """A signal unloads the modules, shutdown included, removes the socket, frees the name; the exit code is 0."""
    mark = tmp_path / "shut-down"
    install(site, "echo", f"{ECHO}\n@hookimpl\ndef shutdown(self):\n    open({str(mark)!r}, 'w')\n")
    with cli.host() as host:
        host.signal(number)
        assert [event["event"] for event in host.rest()] == ["stopping", "stopped"]
        assert host.wait() == 0
        assert host.errors() == ""
    assert mark.exists()
    assert not socket_path("default").exists()
    assert free()


def test_a_client_can_stop_the_host(cli):
    """`host.stop` is answered, and then the host ends as after a signal."""
    with cli.host() as host:
        assert client().call("host.stop") == {"stopping": True}
        assert host.wait() == 0


def test_host_info_tells_who_and_what(cli, site):
    """`host.info` has process, versions, modules by state and what generations put into the process."""
    install(site, "echo", ECHO)
    with cli.host("--name", "dev") as host:
        told = client("dev").call("host.info")
        assert (told["name"], told["pid"], told["protocol"]) == ("dev", host.pid, 1)
        assert told["modules"] == {"running": 1}
        assert told["generations"]


def test_ctrl_c_during_a_slow_import(cli, site, tmp_path):
    """While an import takes its time the host can be looked at, and stopped."""
    mark = tmp_path / "importing"
    install(site, "slow", ECHO, top=SLOW_IMPORT.format(mark=str(mark)))
    host = cli.start()
    try:
        until(mark.exists, "the import")
        rows = client().call("modules.list")["modules"]
        assert [(row["name"], row["state"]) for row in rows] == [("slow", "loading")]
        host.signal(signal.SIGINT)
        assert host.wait() == 0
        assert [event["event"] for event in host.rest()] == ["stopping", "stopped"]
    finally:
        host.end()
    assert free()


def test_a_second_ctrl_c_ends_it_at_once(cli, site, tmp_path):
    """Even while a module holds the event loop for good, a second Ctrl-C ends the process; the next host can start."""
    mark = tmp_path / "spinning"
    install(site, "spin", SPINNING.format(mark=str(mark)), manifest="[limits]\ninitialize = '1h'")
    host = cli.start()
    try:
        until(mark.exists, "the spinning")
        host.signal(signal.SIGINT)
        until(lambda: not host.catches(signal.SIGINT), "the first signal")
        host.signal(signal.SIGINT)
        assert host.wait() == -signal.SIGINT
    finally:
        host.end()
    with cli.host("--safe"):
        assert client().call("host.info")["safe_mode"]


@pytest.mark.parametrize("step", range(6))
def test_ctrl_c_while_starting(cli, site, step):
    """Whenever Ctrl-C comes while a host starts, it ends soon, with 0 or 130, and without a traceback."""
    install(site, "echo", ECHO)
    host = cli.start()
    try:
        until(lambda: host.maps("msgspec"), "Python's own start")
        began = time.monotonic()
        until(lambda: time.monotonic() >= began + step * 0.08)  # not a wait for anything: the moment is what varies
        host.signal(signal.SIGINT)
        assert host.wait() in (0, 130)
        assert host.errors().strip() == ""
    finally:
        host.end()
    assert free()


def test_a_killed_host_is_replaced(cli):
    """After kill -9 the socket is stale: clients are told that no host runs, and the next host takes its place."""
    with cli.host() as host:
        host.signal(signal.SIGKILL)
        host.wait()
    assert socket_path("default").exists()
    assert cli("modules", "unload", "x").code == 13
    with cli.host() as host:
        assert client().call("host.info")["pid"] == host.pid


def test_a_second_host_is_refused(cli):
    """A second host of the same name names the first one's process and ends with 1; the first serves on."""
    with cli.host() as host:
        second = cli("run")
        assert (second.code, second.out) == (1, "")
        assert f"a host named 'default' is running already (pid {host.pid})" in second.err
        assert cli("run", "--json").json["error"]["code"] == "HC916"
        assert client().call("host.info")["pid"] == host.pid
        with cli.host("--name", "other") as other:
            assert client("other").call("host.info")["pid"] == other.pid


def test_an_unsafe_directory_is_refused(cli):
    """A host does not listen where others could take its place."""
    runtime_dir().mkdir(parents=True)
    runtime_dir().chmod(0o777)
    done = cli("run")
    assert done.code == 1
    assert "HC917" in done.err
    assert "chmod 700" in done.err


def test_what_modules_print_is_not_the_hosts_output(cli, site):
    """print, os.write and child processes of a module end up on standard error; standard output stays JSON."""
    noisy = """
    @hookimpl
    def initialize(self, context):
        import os, subprocess, sys
        print("from print")
        os.write(1, b"from write\\n")
        subprocess.run([sys.executable, "-c", "print('from a child')"])
        sys.__stdout__.write("from the old stdout\\n")
        sys.__stdout__.flush()
    """
    install(site, "noisy", noisy, top="print('from the import')")
    with cli.host() as host:
        assert host.ready["loaded"] == ["noisy"]
        host.signal(signal.SIGTERM)
        assert [event["event"] for event in host.rest()] == ["stopping", "stopped"]
        host.wait()
        for text in ("from print", "from write", "from a child", "from the old stdout", "from the import"):
            assert text in host.errors()


def test_safe_mode_loads_nothing(cli, site):
    """With --safe nothing loads by itself, and everything can be loaded by hand."""
    install(site, "echo", ECHO)
    (cli.directory / "hostcore.toml").write_text("[modules.echo]\n")
    with cli.host("--safe") as host:
        assert host.ready["loaded"] == []
        assert "safe mode" in cli("modules", "why", "echo").out
        assert cli("modules", "load", "echo").code == 0


def test_disable_autoload_loads_what_is_configured(cli, site):
    """With --disable-autoload, or autoload = false, only modules that the configuration names load."""
    install(site, "echo", ECHO)
    install(site, "other", ECHO)
    with cli.host("--disable-autoload") as host:
        assert host.ready["loaded"] == []
    (cli.directory / "hostcore.toml").write_text("autoload = false\n[modules.echo]\n")
    with cli.host() as host:
        assert host.ready["loaded"] == ["echo"]


def test_disabled_modules_do_not_load(cli, site):
    """A module that is switched off, by the command or the configuration, stays out."""
    for name in ("one", "two", "three"):
        install(site, name, ECHO)
    (cli.directory / "hostcore.toml").write_text("disabled = ['one']\n")
    assert cli("modules", "disable", "two").code == 0
    with cli.host() as host:
        assert host.ready["loaded"] == ["three"]


def test_the_configuration_is_found_and_its_mistakes_reported(cli, site):
    """The nearest hostcore.toml counts, from a directory below too; all its mistakes are reported with exit code 2."""
    install(site, "counter", COUNTER)
    (cli.directory / "hostcore.toml").write_text("name = 'dev'\n[modules.counter]\nconfig = {start = 41}\n")
    below = cli.directory / "a" / "b"
    below.mkdir(parents=True)
    cli.directory = below
    with cli.host() as host:
        assert host.ready["name"] == "dev"
        assert cli("modules", "call", "counter").json == {"count": 42, "version": "1.0"}
    (below / "hostcore.toml").write_text("nam = 'dev'\nmailbox = 0\n")
    done = cli("run", "--json")
    assert done.code == 2
    assert len(done.json["error"]["problems"]) == 2
    assert "did you mean 'name'?" in done.json["error"]["text"]


@pytest.mark.parametrize(("option", "value"), [("--config", "nowhere.toml"), ("--name", "a/b"), ("--name", "")])
def test_wrong_options_are_refused(cli, option, value):
    """A configuration that is not there, or a name that is none, is wrong usage."""
    done = cli("run", option, value)
    assert done.code == 2
    assert "HC901" in done.err


def test_the_log_tells_of_failing_handlers(cli, site):
    """A handler that raises is named in the log, with hook and place; the host serves on."""
    install(site, "bad", "@hookimpl\ndef handle_message(self, message):\n    raise ValueError('grumpy')\n")
    with cli.host() as host:
        done = cli("modules", "call", "bad", "x.y")
        assert done.code == 1
        assert "ValueError: grumpy" in done.err
        until(lambda: "hook=handle_message" in host.errors(), "the log")
        assert "acme_bad/__init__.py" in host.errors()
        assert client().call("host.info")["modules"] == {"running": 1}


def test_leftover_threads_and_tasks_do_not_keep_it(cli, site):
    """A module that leaves a thread and a task which will not end cannot keep the host from ending."""
    clinging = """
    @hookimpl
    async def initialize(self, context):
        import asyncio, threading
        threading.Thread(target=threading.Event().wait, name="clinger").start()
        async def cling():
            while True:
                try:
                    await asyncio.sleep(3600)
                except asyncio.CancelledError:
                    pass
        self.task = asyncio.get_running_loop().create_task(cling(), name="limpet")
    """
    install(site, "clinging", clinging)
    with cli.host() as host:
        host.signal(signal.SIGTERM)
        assert host.rest()[-1] == {"event": "stopped", "name": "default"}
        assert host.wait() == 0
        assert "clinger" in host.errors()
    assert free()


def test_requests_in_hand_are_answered_when_it_stops(cli, site, tmp_path):
    """A client whose request is being handled when the host stops gets an error, not silence."""
    mark = tmp_path / "handling"
    body = f"""
    @hookimpl
    async def handle_message(self, message):
        open({str(mark)!r}, "w")
        await asyncio.sleep(1e6)
    """
    install(site, "slow", body, manifest="[limits]\nhandle_message = '1s'")
    with cli.host() as host:
        asking = subprocess.Popen(cli.command("modules", "call", "slow", "--json"), cwd=cli.directory, env=cli.env(),
                                  stdout=subprocess.PIPE)  # fmt: skip
        until(mark.exists, "the request")
        host.signal(signal.SIGTERM)
        answer = asking.communicate(timeout=TIME)[0]
        assert asking.returncode == 1
        assert b"HC402" in answer
        assert host.wait() == 0


def test_an_ended_terminal_does_not_stop_it(cli):
    """A host goes on when nobody reads its output any more."""
    with cli.host() as host:
        host.process.stdout.close()
        assert client().call("host.info")["pid"] == host.pid
        host.signal(signal.SIGTERM)
        assert host.wait() == 0
        host.process.stdout = None


def test_a_file_in_the_sockets_place_is_reported(cli):
    """Something that is no socket in its place ends the host with an error, and stays."""
    runtime_dir().mkdir(mode=0o700, parents=True)
    socket_path("default").write_text("mine")
    done = cli("run")
    assert (done.code, socket_path("default").read_text()) == (1, "mine")
    assert "no socket" in done.err


def test_many_bad_clients_at_once(cli, site):
    """Half lines, nonsense, floods and silent clients, all at once, leave the host serving."""
    install(site, "echo", ECHO)
    with cli.host() as host:
        path = str(socket_path("default"))
        bad = [socket.socket(socket.AF_UNIX) for _ in range(60)]
        for number, each in enumerate(bad):
            each.connect(path)
            each.setblocking(False)
            try:
                each.send([b"", b'{"hostcore": 1', os.urandom(1000), b"x" * 100_000, b"[]\n" * 1000][number % 5])
            except BlockingIOError:
                pass
            if number % 3 == 0:
                each.close()
        for _ in range(20):
            assert client().call("modules.call", {"target": "echo", "payload": "hi"}) == {"reply": "hi"}
        for each in bad:
            each.close()
        assert host.process.poll() is None
