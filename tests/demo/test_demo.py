"""`hostcore demo`, from the command line, in a process of its own."""

from __future__ import annotations

import json
import os
import pty
import re
import runpy
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

TREE = {
    "a.py": "import os\n\nLIMIT = 3\n\n\nclass A:\n    def f(self): ...\n",
    "pkg/b.py": "def g(): ...\n",
}


def write(directory: Path, files: dict[str, str | bytes]) -> Path:
    for name, content in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return directory


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return write(tmp_path / "tree", dict(TREE))


def outcome(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """The outcome that was printed; standard output must hold nothing else."""
    assert done.stdout.count("\n") == 1, done.stdout + done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def failed(result: dict[str, Any]) -> list[str]:
    return [entry["text"] for entry in result["expectations"] if not entry["ok"]]


def change(plugins: Path, package: str, old: str, new: str) -> Path:
    """Edit an installed module's source; what is edited must be there."""
    file = plugins / package / "__init__.py"
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))
    return plugins


def test_default_path(hostcore: Any) -> None:
    """Without a path, the files of asyncio are parsed and every expectation holds, well within 20 seconds."""
    done = hostcore("demo", "--json")
    result = outcome(done)
    assert (done.returncode, result["ok"], failed(result)) == (0, True, [])
    assert result["files_found"] == result["found"]["files"] > 25
    assert {"class", "function", "method"} <= set(result["found"]["symbols"])
    assert result["seconds"] < 20
    assert 0 < result["requests"]["p50_ms"] <= result["requests"]["p99_ms"]


def test_reload_under_load(hostcore: Any, tree: Path) -> None:
    """The parser is reloaded to its next release half-way: the count goes on, and the new code answers."""
    result = outcome(hostcore("demo", tree, "--json"))
    report, counts = result["reload"], result["counts"]
    assert (report["old_version"], report["new_version"], report["rolled_back"]) == ("1.0.0", "1.1.0", False)
    assert 0 < report["downtime_ms"] <= report["duration_ms"]
    assert set(counts["before"]) == {"files"}
    assert set(counts["after"]) == set(counts["end"]) == {"files", "lines_since_reload"}
    assert 0 < counts["before"]["files"] <= counts["after"]["files"] < counts["end"]["files"]
    assert counts["end"]["files"] == result["requests"]["answered"] == result["statistics"]["files"]
    assert result["requests"]["during_reload"] > 0


def test_grumpy_module_is_contained(hostcore: Any, tree: Path) -> None:
    """The module that raises on every message is counted and named, and no request fails because of it."""
    result = outcome(hostcore("demo", tree, "--json"))
    grumpy = result["grumpy"]
    assert grumpy["failed"] == grumpy["messages"] == grumpy["reported"] == result["requests"]["answered"] + 1
    assert "grumpy 1.0.0 (hostcore-demo-grumpy)" in grumpy["error"]
    assert "RuntimeError: grumpy wants no message" in grumpy["error"]
    assert result["requests"]["failed"] == 0


def test_what_was_found(hostcore: Any, tree: Path) -> None:
    """Each file counts once in what was found, and synthesis renders that."""
    result = outcome(hostcore("demo", tree, "--json"))
    assert result["found"] == {
        "files": 2,
        "lines": 8,
        "symbols": {"class": 1, "function": 1, "method": 1, "variable": 1},
        "errors": 0,
    }
    code = tree / "rendered.py"
    code.write_text(result["code"])
    assert runpy.run_path(str(code))["Found"]().method_symbols == 1


def test_plain_output(hostcore: Any, tree: Path) -> None:
    """Where there is no terminal, plain lines tell how it goes on and a table closes."""
    done = hostcore("demo", tree)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "\x1b" not in done.stdout
    assert done.stderr == ""
    for text in ("loaded stats 1.0.0", "of 400 requests answered", "reloaded parser-python 1.0.0 -> 1.1.0",
                 "p99", "messages were held", "grumpy", "class Found:", "no request failed"):  # fmt: skip
        assert text in done.stdout


def test_terminal_shows_a_progress_bar(environment: dict[str, str], tree: Path) -> None:
    """On a terminal a progress bar shows how the requests go on."""
    master, slave = pty.openpty()
    command = [sys.executable, "-m", "hostcore", "demo", str(tree)]
    variables = {**environment, "TERM": "xterm", "COLUMNS": "120"}
    with subprocess.Popen(command, env=variables, stdin=slave, stdout=slave, stderr=slave) as process:
        os.close(slave)
        shown = b""
        while True:
            try:
                data = os.read(master, 65536)
            except OSError:  # Linux's way of saying that the other side has closed
                break
            if not data:
                break
            shown += data
    os.close(master)
    assert process.returncode == 0, shown.decode()
    assert b"parsing" in shown
    assert "━".encode() in shown
    assert re.search(rb"(4\d\d)/\1 requests", shown)
    assert b"of 400 requests answered" not in shown


def test_single_file(hostcore: Any, tree: Path) -> None:
    """A single file is sent again and again, and counted once."""
    result = outcome(hostcore("demo", tree / "a.py", "--json"))
    assert (result["ok"], result["files_found"], result["found"]["files"]) == (True, 1, 1)
    assert result["rounds"] >= 400


def test_odd_files_are_skipped(hostcore: Any, tree: Path) -> None:
    """What cannot be sent is skipped with the reason, and the rest goes on; Python that is wrong is sent."""
    write(
        tree,
        {
            "binary.py": b"x = 1\0",
            "huge.py": b"#" * (2 * 1024**2 + 1),
            "latin.py": "# -*- coding: latin-1 -*-\nname = 'é'\n".encode("latin-1"),
            "wrong_bytes.py": b"x = '\xff'\n",
            "unknown_coding.py": b"# coding: klingon\n",
            "syntax.py": "def (:\n",
            "empty.py": "",
            "notes.txt": "not Python",
        },
    )
    (tree / "gone.py").symlink_to(tree / "nowhere")
    (tree / "folder.py").mkdir()
    os.mkfifo(tree / "pipe.py")
    done = hostcore("demo", tree, "--json")
    result = outcome(done)
    assert (done.returncode, failed(result)) == (0, [])
    skipped = result["skipped"]
    assert set(skipped) == {"binary.py", "huge.py", "wrong_bytes.py", "unknown_coding.py", "gone.py", "pipe.py"}
    assert "null bytes" in skipped["binary.py"]
    assert "2,097,153 bytes" in skipped["huge.py"]
    assert "klingon" in skipped["unknown_coding.py"]
    assert "regular file" in skipped["pipe.py"]
    assert result["found"]["files"] == 5
    assert result["found"]["errors"] > 0


def test_skipped_files_are_shown(hostcore: Any, tree: Path) -> None:
    """People see the first few files that were skipped, and how many more."""
    write(tree, {f"bad{number}.py": b"\0" for number in range(8)})
    done = hostcore("demo", tree)
    assert done.returncode == 0
    assert "skipped bad0.py: is not text: it has null bytes" in done.stdout
    assert "skipped 3 more" in done.stdout


def test_names_that_are_not_text(hostcore: Any, tmp_path: Path) -> None:
    """A file name of any bytes is sent and shown as far as it can be."""
    folder = tmp_path / "odd [bold]"
    folder.mkdir()
    with open(os.fsencode(folder) + b"/\xff[red].py", "wb") as file:
        file.write(b"x = 1\n")
    done = hostcore("demo", folder)
    assert done.returncode == 0, done.stderr
    assert "odd [bold]" in done.stdout


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "there is no *.py file"),
        ({"notes.txt": "x"}, "there is no *.py file"),
        ({"a.py": b"\0"}, "null bytes"),
        ({"a.py": b"\0", "b.py": b"\xff"}, "none of the 2 files can be used"),
    ],
)
def test_nothing_to_send(hostcore: Any, tmp_path: Path, files: dict[str, bytes | str], message: str) -> None:
    """A path without a file that can be sent is wrong usage, and the message says why."""
    folder = tmp_path / "folder"
    folder.mkdir()
    done = hostcore("demo", write(folder, files))
    assert done.returncode == 2
    assert message in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


def test_missing_path(hostcore: Any) -> None:
    """A path that does not exist is wrong usage."""
    done = hostcore("demo", "nowhere")
    assert done.returncode == 2
    assert "nowhere" in done.stderr


def test_modules_not_installed(without_plugins: Any) -> None:
    """Without its modules, the demo names them and says how to install them."""
    done = without_plugins("demo")
    assert done.returncode == 1
    assert "stats, parser-python, synthesis" in done.stderr
    assert "python -m pip install ./plugins/hostcore-stats" in done.stderr
    assert "Traceback" not in done.stderr


def test_time_is_up(hostcore: Any, tmp_path: Path) -> None:
    """With more files than the time allows, the demo ends early, says so, and still holds what it promises."""
    body = "".join(f"def f{number}(): ...\n" for number in range(300))
    folder = write(tmp_path / "many", {f"m{number}.py": body for number in range(2000)})
    done = hostcore("demo", folder, "--seconds", "0.5", "--json")
    result = outcome(done)
    assert (done.returncode, failed(result)) == (0, [])
    assert result["complete"] is False
    assert result["found"]["files"] < result["files_found"] == 2000
    assert result["seconds"] < 20


def test_prints_of_modules_do_not_mix_with_json(hostcore: Any, own_plugins: Path, tree: Path) -> None:
    """What a module prints goes to standard error."""
    change(own_plugins, "hostcore_synthesis", "import hostcore\n", 'import hostcore\nprint("hello from inside")\n')
    done = hostcore("demo", tree, "--json", plugins=own_plugins)
    assert outcome(done)["ok"]
    assert "hello from inside" in done.stderr


def test_lost_state_is_a_failure(hostcore: Any, own_plugins: Path, tree: Path) -> None:
    """If the count does not go on over the reload, the demo says so and exits with 1."""
    change(own_plugins, "hostcore_parser_python", 'self.files = int(state["files"])', "self.files = 0")
    done = hostcore("demo", tree, "--json", plugins=own_plugins)
    assert done.returncode == 1
    assert failed(outcome(done)) == ["the parser's count went on"]


def test_failed_requests_are_a_failure(hostcore: Any, own_plugins: Path, tree: Path) -> None:
    """If the parser fails on a file, the demo names the error and exits with 1; the rest still ran."""
    old = "size = len("
    change(
        own_plugins, "hostcore_parser_python", old, 'if request.path == "a.py": raise KeyError("no a")\n        ' + old
    )
    done = hostcore("demo", tree, plugins=own_plugins)
    assert done.returncode == 1
    assert re.search(r"^wrong +no request failed", done.stdout, re.MULTILINE)
    assert re.search(r"^ok +the reload came through", done.stdout, re.MULTILINE)
    assert "raised KeyError" in done.stdout


def test_failed_reload_is_a_failure(hostcore: Any, own_plugins: Path, tree: Path) -> None:
    """If the new release cannot take the state over, the old one serves on and the demo exits with 1."""
    change(own_plugins, "hostcore_parser_python", 'self.files = int(state["files"])', 'raise OSError("no state")')
    done = hostcore("demo", tree, "--json", plugins=own_plugins)
    result = outcome(done)
    assert done.returncode == 1
    assert result["reload"]["rolled_back"] is True
    assert "no state" in result["reload"]["reason"]
    assert result["requests"]["failed"] == 0
    assert "the reload came through" in failed(result)
    assert "the parser's count went on" not in failed(result)


def test_ctrl_c(environment: dict[str, str], tree: Path) -> None:
    """Ctrl-C ends the demo without a traceback, and nothing stays in the temporary directory."""
    command = [sys.executable, "-m", "hostcore", "demo", str(tree)]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert "loaded" in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in errors
    assert list(Path(environment["TMPDIR"]).iterdir()) == []


@pytest.mark.parametrize("seconds", ["-1", "nan", "soon"])
def test_wrong_seconds(hostcore: Any, seconds: str) -> None:
    """A time that is none is wrong usage."""
    assert hostcore("demo", "--seconds", seconds).returncode == 2
