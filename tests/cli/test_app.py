"""The command line as a whole: help, versions, errors, terminals, pipes, and how quick it is to import."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import time

import pytest
from support.hosting import TIME
from support.modules import ECHO, install

import hostcore
from hostcore.cli import app, output, values


def on_terminal(cli, *arguments, **environment: str) -> tuple[int, str]:
    """Run a command on a terminal of its own; return its exit code and all that it wrote there."""
    master, slave = pty.openpty()
    process = subprocess.Popen(
        cli.command(*arguments), cwd=cli.directory, env={**cli.env(), "TERM": "xterm-256color", **environment},
        stdin=slave, stdout=slave, stderr=slave,
    )  # fmt: skip
    os.close(slave)
    text = b""
    limit = time.monotonic() + TIME
    while select.select([master], [], [], max(0, limit - time.monotonic()))[0]:
        try:
            chunk = os.read(master, 65536)
        except OSError:  # the other end is closed
            break
        if not chunk:
            break
        text += chunk
    os.close(master)
    return process.wait(TIME), text.decode()


def test_version_and_help(cli):
    """--version prints the version; --help lists the commands, and is there for each of them."""
    assert cli("--version").out == f"hostcore {hostcore.__version__}\n"
    text = cli("--help").out
    assert all(f"\n  {name} " in text for name in ("run", "modules", "doctor", "demo"))
    assert "reload" in cli("modules", "-h").out
    for name in ("list", "info", "why", "load", "unload", "reload", "enable", "disable", "call", "send"):
        done = cli("modules", name, "--help")
        assert done.code == 0
        assert "--json" in done.out


def test_no_command_is_wrong_usage(cli):
    """Without a command the help is shown, with exit code 2."""
    done = cli()
    assert done.code == 2
    assert "Usage: hostcore" in done.err + done.out


def test_an_unknown_command_gets_a_suggestion(cli):
    """A command that there is none of is refused with the nearest one; in JSON as an error object."""
    done = cli("doctr")
    assert done.code == 2
    assert "did you mean 'doctor'?" in done.err
    error = cli("doctr", "--json").json["error"]
    assert (error["type"], error["code"], error["exit_code"]) == ("UsageError", "HC902", 2)


def test_an_internal_error_ends_with_3(monkeypatch, capsys):
    """A fault of hostcore's own has exit code 3 and a hint; --debug shows the traceback."""

    def broken(*_: object) -> None:
        raise RuntimeError("boom")

    monkeypatch.setattr("hostcore.cli.looking.find_target", broken)
    assert app.run(["modules", "list"]) == 3
    err = capsys.readouterr().err
    assert "RuntimeError: boom" in err
    assert "--debug" in err
    assert "Traceback" not in err
    assert app.run(["modules", "list", "--debug"]) == 3
    assert "Traceback" in capsys.readouterr().err
    assert app.run(["modules", "list", "--json"]) == 3
    assert '"InternalError"' in capsys.readouterr().out


def test_ctrl_c_ends_with_130(monkeypatch, capsys):
    """Ctrl-C in the middle of a command ends it without a word."""

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("hostcore.cli.looking.find_target", interrupted)
    assert app.run(["modules", "list"]) == 130
    assert capsys.readouterr() == ("", "\n")  # the prompt goes on below the ^C


def test_colour_is_for_terminals(cli, site):
    """On a terminal there is colour; with NO_COLOR, or piped, there is none."""
    install(site, "bad", ECHO, manifest="isolation = 'nope'")
    code, text = on_terminal(cli, "modules", "list")
    assert code == 0
    assert "\x1b[1;31mbroken" in text
    _, text = on_terminal(cli, "modules", "list", NO_COLOR="1")
    assert "broken" in text
    assert "\x1b[1;31m" not in text
    assert "\x1b[31m" not in text
    assert "\x1b" not in cli("modules", "list").out


def test_errors_are_red_on_a_terminal_only(cli):
    """The first line of an error is red on a terminal, and plain elsewhere."""
    code, text = on_terminal(cli, "modules", "call", "x")
    assert code == 13
    assert "\x1b[1;31mHC911" in text
    assert "\x1b" not in on_terminal(cli, "modules", "call", "x", NO_COLOR="1")[1].replace("\x1b[1m", "").replace(
        "\x1b[0m", ""
    )
    assert "\x1b" not in cli("modules", "call", "x").err


def test_all_commands_work_on_a_terminal(cli, site):
    """info, why and doctor are drawn on a terminal too, and JSON is the same there as elsewhere."""
    install(site, "echo", ECHO)
    for command in (("info", "echo"), ("why", "echo")):
        code, text = on_terminal(cli, "modules", *command)
        assert (code, "echo" in text) == (0, True)
    assert "python" in on_terminal(cli, "doctor")[1]
    code, text = on_terminal(cli, "modules", "list", "--json")
    assert "\x1b" not in text


def test_a_closed_pipe_is_quiet(cli, site):
    """Output that nobody reads any more ends the command without a complaint."""
    for number in range(50):
        install(site, f"echo{number}", ECHO)
    for as_json in ("--json", "--debug"):
        read, write = os.pipe()
        os.close(read)
        done = subprocess.run(cli.command("modules", "list", as_json), cwd=cli.directory, env=cli.env(), stdout=write,
                              stderr=subprocess.PIPE, timeout=TIME)  # fmt: skip
        os.close(write)
        assert done.stderr == b""
        assert done.returncode == 1


def test_a_full_disk_is_told(cli):
    """Output that cannot be written is an error of its own, not an internal one."""
    with open("/dev/full", "wb") as full:
        done = subprocess.run(cli.command("modules", "list"), cwd=cli.directory, env=cli.env(), stdout=full,
                              stderr=subprocess.PIPE, timeout=TIME)  # fmt: skip
    assert done.returncode == 1
    assert b"No space left on device" in done.stderr
    assert b"Traceback" not in done.stderr


def test_closed_streams_do_no_harm(cli):
    """A command works with standard output and error closed."""
    for closing in (">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"):
        command = " ".join(cli.command("modules", "list", "--json"))
        done = subprocess.run(f"{command} {closing}", shell=True, cwd=cli.directory, env=cli.env(), timeout=TIME,
                              capture_output=True)  # fmt: skip
        assert done.returncode == 0


def test_names_that_are_no_text_are_survived(cli):
    """An argument that is not UTF-8 is refused in readable form, in an ASCII locale too."""
    cli.environment |= {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    command = [os.fsencode(part) for part in cli.command("modules", "info")]
    for extra in ([b"\xff\xfe"], [b"\xff", b"--json"]):
        done = subprocess.run([*command, *extra], cwd=cli.directory, env=cli.env(), capture_output=True, timeout=TIME)
        assert done.returncode == 1
        assert b"HC910" in done.stderr + done.stdout
        assert b"Traceback" not in done.stderr


def test_a_working_directory_that_is_gone_is_told(cli):
    """A command in a directory that was removed says so."""
    command = f"mkdir gone && cd gone && rmdir ../gone && {' '.join(cli.command('modules', 'list'))}"
    done = subprocess.run(command, shell=True, cwd=cli.directory, env=cli.env(), timeout=TIME, capture_output=True)
    assert done.returncode == 2
    assert b"working directory" in done.stderr


@pytest.mark.parametrize(
    "unwanted", ["asyncio", "stevedore", "importlib_metadata", "rich", "hostcore.system", "wasmtime"]
)
def test_list_imports_little(cli, site, unwanted):
    """The list imports neither an event loop nor the system, so that it is quick."""
    install(site, "echo", ECHO, manifest="summary = 'x'")
    code = (
        f"import sys; from hostcore.cli import app; app.run(['modules', 'list']); sys.exit({unwanted!r} in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=cli.directory, env=cli.env(), capture_output=True)
    assert done.returncode == 0
    assert b"echo" in done.stdout


def test_columns_are_aligned(capsys):
    """Plain columns are as wide as their widest cell, without blanks at the end."""
    output.table(("a", "long heading"), [("xxxx", "y"), ("x", "")])
    assert capsys.readouterr().out == "A     LONG HEADING\nxxxx  y\nx\n"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain ü", "plain ü"),
        ("a\nb\tc", "a\nb\tc"),
        ("\x1b[2J", "\\x1b[2J"),
        ("\r", "\\r"),
        ("\x9b", "\\x9b"),
        ("\ud800", "\\ud800"),
    ],
)
def test_text_for_people_is_made_harmless(text, shown):
    """Everything that is not printable is spelt out, but for newlines and tabs."""
    assert output.clean(text) == shown


def test_settings_build_a_table():
    """--set values are JSON where they are, text where they are not; dotted keys reach into tables."""
    read = values.read_settings('{"a": 1}', ["b.c=2", "b.d=x y", "e=", 'f="1"', "g=true", "h=a=b"])
    assert read == {"a": 1, "b": {"c": 2, "d": "x y"}, "e": "", "f": "1", "g": True, "h": "a=b"}


def test_a_long_wait_is_shown_on_a_terminal(monkeypatch, capsys):
    """What takes longer than a second is told on a terminal, and nowhere else; what is shorter is not."""
    monkeypatch.setattr(output, "PATIENCE", 0.0)
    monkeypatch.setenv("TERM", "xterm-256color")
    master, slave = pty.openpty()
    with os.fdopen(slave, "w") as stream:
        with output.waiting("loading counter\x07", file=stream):
            text = b""
            while b"loading counter" not in text:
                assert select.select([master], [], [], TIME)[0], text
                text += os.read(master, 65536)
        monkeypatch.setattr(output, "PATIENCE", TIME)
        with output.waiting("loading another", file=stream):
            pass
        stream.write("end")
        stream.flush()
        while not text.endswith(b"end"):
            text += os.read(master, 65536)
    os.close(master)
    assert b"another" not in text
    assert b"\\x07" in text
    with output.waiting("loading counter"):
        pass
    assert capsys.readouterr() == ("", "")
