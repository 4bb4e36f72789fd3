"""Guests that reach for what is not theirs: files, the environment, the network, the terminal."""

from __future__ import annotations

import json
import logging
import os
import socket
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from wasm.arena import Arena, arena
from wasm.hosting import memory_of_process, ready
from wasm.wat import HOST, core

from hostcore import errors

pytestmark = pytest.mark.usefixtures("compiled_once")

SECRET = "the host's own"
C_OPERATIONS = {
    "read": "result = open(a).read()",
    "write": "open(a, 'w').write('written')",
    "append": "open(a, 'a').write('written')",
    "symlink": "os.symlink(a, b)",
    "link": "os.link(a, b)",
    "rename": "os.rename(a, b)",
    "unlink": "os.unlink(a)",
    "mkdir": "os.mkdir(a)",
}
"""What the guest in C does by its topic -> the same in Python."""


class Places(NamedTuple):
    """Directories of the host: one to grant, and one beside it with a secret."""

    granted: Path
    outside: Path

    @property
    def secret(self) -> Path:
        return self.outside / "secret.txt"


@pytest.fixture
def places(tmp_path: Path) -> Places:
    made = Places(tmp_path / "granted", tmp_path / "outside")
    for place in made:
        place.mkdir()
    made.secret.write_text(SECRET)
    (made.granted / "own.txt").write_text("mine")
    return made


class Reaching(NamedTuple):
    """A guest that does what it is told with files."""

    arena: Arena
    language: str

    async def __call__(self, operation: str, first: Any, second: Any = None) -> Any:
        """Return a file's content, 0 for something done, or the number or name of an error."""
        if self.language == "files.c":
            paths = f"{first}|{second}" if second else str(first)
            return await self.arena.ask(operation, paths)
        code = C_OPERATIONS[operation]
        head = f"a, b = {str(first)!r}, {str(second)!r}; "
        reply = await self.arena.ask("run", {"code": head + code})
        if isinstance(reply, dict):
            return reply["errno"] or reply["error"]
        return 0 if reply is None else reply


LANGUAGES = pytest.mark.parametrize("language", ["files.c", "app.py"])


def wrong(outcome: Any) -> bool:
    """Tell whether an operation failed."""
    return outcome != 0 and SECRET not in str(outcome) and outcome != "mine"


async def reaching(made: Arena, language: str) -> Reaching:
    await made.system.load("evil", source=ready(language))
    return Reaching(made, language)


# --- files ---------------------------------------------------------------------------------------------------------


@LANGUAGES
async def test_a_granted_directory_is_there(tmp_path: Path, places: Places, language: str) -> None:
    """In a directory that it may write to, a guest does what files are for."""
    ready(language)
    async with arena(tmp_path, grants={"evil": [f"fs.read:{places.granted}", f"fs.write:{places.granted}"]}) as made:
        does = await reaching(made, language)
        assert await does("read", places.granted / "own.txt") == "mine"
        assert await does("write", places.granted / "new.txt") == 0
        assert await does("rename", places.granted / "new.txt", places.granted / "newer.txt") == 0
        assert await does("mkdir", places.granted / "sub") == 0
        assert await does("unlink", places.granted / "own.txt") == 0
    assert sorted(path.name for path in places.granted.iterdir()) == ["newer.txt", "sub"]
    assert (places.granted / "newer.txt").read_text() == "written"


@LANGUAGES
async def test_there_is_no_way_out_of_a_granted_directory(tmp_path: Path, places: Places, language: str) -> None:
    """`..`, absolute paths, links of all kinds and renames lead nowhere outside; nothing there is read or changed."""
    ready(language)
    granted, secret = places.granted, places.secret
    for name, target in (
        ("absolute", secret), ("relative", "../outside/secret.txt"), ("folder", "../outside"), ("up", ".."),
        ("root", "/"), ("loop", "host-loop"),
    ):  # fmt: skip
        (granted / f"host-{name}").symlink_to(target)
    async with arena(tmp_path, grants={"evil": [f"fs.read:{granted}", f"fs.write:{granted}"]}) as made:
        does = await reaching(made, language)
        reads = [
            secret, f"{granted}/../outside/secret.txt", f"{granted}/./../outside/secret.txt",
            f"{granted}/host-absolute", f"{granted}/host-relative", f"{granted}/host-folder/secret.txt",
            f"{granted}/host-up/outside/secret.txt", f"{granted}/host-root{secret}", f"{granted}/host-loop",
            f"{granted}//../outside/secret.txt", "../outside/secret.txt", "/etc/passwd", "/proc/self/environ",
        ]  # fmt: skip
        for path in reads:
            for operation in ("read", "write", "append", "unlink") if "host-" not in str(path) else ("read", "write"):
                assert wrong(await does(operation, path)), (operation, path)
        for number, target in enumerate((secret, "../outside/secret.txt", "../outside", "..")):
            await does("symlink", target, f"{granted}/own-{number}")
            for path in (f"{granted}/own-{number}", f"{granted}/own-{number}/secret.txt"):
                for operation in ("read", "write"):
                    outcome = await does(operation, path)
                    assert wrong(outcome) or not (granted / f"own-{number}").is_symlink(), (operation, path)
        assert wrong(await does("link", secret, f"{granted}/hard"))
        assert wrong(await does("link", f"{granted}/host-absolute", f"{places.outside}/hard"))
        assert wrong(await does("rename", secret, f"{granted}/moved"))
        assert wrong(await does("rename", f"{granted}/own.txt", f"{places.outside}/moved"))
        assert wrong(await does("rename", f"{granted}/own.txt", f"{granted}/../outside/moved"))
        assert wrong(await does("rename", f"{granted}/own.txt", f"{granted}/host-folder/moved"))
        assert wrong(await does("mkdir", f"{granted}/../new"))
        assert wrong(await does("symlink", "x", f"{granted}/host-folder/link"))
    assert secret.read_text() == SECRET
    assert [path.name for path in places.outside.iterdir()] == ["secret.txt"]
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_dir()) == ["granted", "outside"]


@LANGUAGES
async def test_a_directory_that_it_may_only_read(tmp_path: Path, places: Places, language: str) -> None:
    """With a grant to read, a guest changes nothing in any way."""
    ready(language)
    own = places.granted / "own.txt"
    before = own.stat().st_mtime_ns
    async with arena(tmp_path, grants={"evil": [f"fs.read:{places.granted}"]}) as made:
        does = await reaching(made, language)
        assert await does("read", own) == "mine"
        for operation, paths in (
            ("write", [own]), ("append", [own]), ("write", [places.granted / "new"]), ("unlink", [own]),
            ("mkdir", [places.granted / "sub"]), ("rename", [own, places.granted / "other"]),
            ("symlink", [own, places.granted / "soft"]), ("link", [own, places.granted / "hard"]),
        ):  # fmt: skip
            assert wrong(await does(operation, *paths)), operation
        if language == "app.py":
            for code in ("os.utime", "os.truncate"):
                told = f"{code}({str(own)!r}, {'None' if code == 'os.utime' else '0'})"
                assert wrong(await made.ask("run", {"code": told}))
    assert [path.name for path in places.granted.iterdir()] == ["own.txt"]
    assert (own.read_text(), own.stat().st_mtime_ns) == ("mine", before)


@LANGUAGES
async def test_without_a_grant_there_is_no_file(tmp_path: Path, places: Places, language: str) -> None:
    """A guest that was granted no directory finds none."""
    ready(language)
    async with arena(tmp_path, grants={"evil": []}) as made:
        does = await reaching(made, language)
        for path in (places.granted / "own.txt", places.secret, "/etc/passwd", "own.txt", "/", ".", ""):
            for operation in ("read", "write", "mkdir", "unlink"):
                assert wrong(await does(operation, path)), (operation, path)
        if language == "app.py":
            for path in ("/", ".", str(tmp_path)):
                listing = await made.ask("run", {"code": f"result = os.listdir({path!r})"})
                assert wrong(listing) or listing == []


async def test_a_granted_directory_that_is_not_there(tmp_path: Path) -> None:
    """A guest that is granted a directory that does not exist is not loaded."""
    async with arena(tmp_path, grants={"evil": [f"fs.read:{tmp_path}/gone"]}) as made:
        error = await made.refused(core())
        assert (type(error), error.code) == (errors.LoadError, "HC215")


# --- the environment, time, the network ----------------------------------------------------------------------------


@LANGUAGES
async def test_the_environment_is_empty_but_for_what_is_granted(
    tmp_path: Path, language: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A guest sees no variable of the host's that it was not granted, nor the host's arguments."""
    ready(language)
    monkeypatch.setenv("ACME_SECRET", SECRET)
    monkeypatch.setenv("ACME_PUBLIC", "open")
    for grants, seen in (([], set()), (["env:ACME_PUBLIC"], {"ACME_PUBLIC"}), (["env:ACME_NOT_SET"], set())):
        async with arena(tmp_path, grants={"evil": grants}) as made:
            await made.system.load("evil", source=ready(language))
            if language == "files.c":
                names = ("ACME_SECRET", "ACME_PUBLIC", "ACME_NOT_SET", "PATH", "HOME")
                assert {name for name in names if await made.ask("env", name)} == seen
            else:
                there = await made.ask("run", {"code": "result = sorted(os.environ)"})
                assert {name for name in there if name in os.environ} == seen
                assert await made.ask("run", {"code": "result = len(sys.argv) < 2"})


async def test_there_is_no_network(tmp_path: Path) -> None:
    """A guest opens no socket, in or out, and looks up no name; whoever listens hears nothing."""
    ready("app.py")
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind(("127.0.0.1", 0))
        server.setblocking(False)
        listener.setblocking(False)
        port, other = server.getsockname()[1], listener.getsockname()[1]
        tries = [
            f"socket.create_connection(('127.0.0.1', {port}), 1)",
            f"s = socket.socket(); s.setblocking(False); s.connect(('127.0.0.1', {port}))",
            f"socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', {other}))",
            "s = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen()",
            "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(('0.0.0.0', 0))",
            "socket.getaddrinfo('localhost', 80)",
            "socket.gethostbyname('example.org')",
        ]
        async with arena(tmp_path, grants={"evil": []}) as made:
            await made.system.load("evil", source=ready("app.py"))
            for code in tries:
                try:
                    outcome = await made.ask("run", {"code": code})
                except errors.HostError as error:
                    outcome = error.code
                assert outcome is not None, code
        with pytest.raises(BlockingIOError):
            server.accept()
        with pytest.raises(BlockingIOError):
            listener.recv(1)


@LANGUAGES
async def test_a_sleep_of_the_language_itself(tmp_path: Path, language: str) -> None:
    """What a language's own sleep does by WASI is refused by ending the guest: it would hold everybody."""
    ready(language)
    async with arena(tmp_path, grants={"evil": ["clock"]}) as made:
        await made.system.load("evil", source=ready(language))
        error = await (
            made.failing("sleep", "") if language == "files.c" else made.failing("run", {"code": "time.sleep(1)"})
        )
        assert (type(error), error.code) == (errors.LimitError, "HC509")


async def test_time_stands_still_without_the_permission(tmp_path: Path) -> None:
    """Without `clock` it is always 1970 in a guest; with it, now."""
    ready("app.py")
    for grants, year in (([], 1970), (["clock"], None)):
        async with arena(tmp_path, grants={"evil": grants}) as made:
            await made.system.load("evil", source=ready("app.py"))
            told = await made.ask("run", {"code": "result = time.gmtime().tm_year"})
            assert told == year if year else told > 2020


# --- the terminal and the log --------------------------------------------------------------------------------------


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "hostcore.module.evil"]


@LANGUAGES
async def test_a_flood_on_standard_output(tmp_path: Path, language: str, caplog: pytest.LogCaptureFixture) -> None:
    """A guest that prints without end gets so many lines a second into the log, escapes for a terminal written out."""
    ready(language)
    caplog.set_level(logging.INFO, "hostcore.module.evil")
    async with arena(tmp_path) as made:
        await made.system.load("evil", source=ready(language), limits={"log_rate": 50})
        if language == "files.c":
            await made.answers_during(made.ask("flood", "20000"))
        else:
            code = r"for _ in range(20000): print('\x1b[31mline\x1b[0m')"
            await made.answers_during(made.ask("run", {"code": code}))
        await made.system.unload("evil")
    told = lines(caplog)
    dropped = [line for line in told if "lines dropped" in line]
    printed = [line for line in told if line not in dropped]
    assert set(printed) == {r"\x1b[31mline\x1b[0m"}
    assert 50 <= len(printed) <= 50 * (len(dropped) + 1)
    assert len(printed) + sum(int(line.split()[0]) for line in dropped) == 20000


@pytest.mark.parametrize("level", [logging.INFO, logging.ERROR])
@pytest.mark.parametrize("what", ["n", "x"])
async def test_a_wall_of_output(tmp_path: Path, what: str, level: int, caplog: pytest.LogCaptureFixture) -> None:
    """Megabytes of line ends, or of a line without an end, are neither kept nor shown."""
    caplog.set_level(level, "hostcore.module.evil")
    async with arena(tmp_path) as made:
        await made.system.load("evil", source=ready("files.c"), limits={"log_rate": 50})
        await made.ask("wall", f"1000|{what}")
        before, _ = memory_of_process()
        assert await made.ask("wall", f"20000000|{what}") == 0
        after, _ = memory_of_process()
        assert after - before < 100 * 1024**2
    told = lines(caplog)
    assert len(told) < 1000
    assert max(map(len, told), default=0) < 5000
    assert bool(told) is (level == logging.INFO)


async def test_a_flood_in_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A guest that logs without end is cut to its rate, and the lines to their length."""
    caplog.set_level(logging.INFO, "hostcore.module.evil")
    body = """(memory.fill (i32.const 1000) (i32.const 7) (i32.const 100000))
      (loop $on (call $log (i32.const 2) (i32.const 1000) (i32.const 100000))
        (local.set $i (i32.add (local.get $i) (i32.const 1))) (br_if $on (i32.lt_u (local.get $i) (i32.const 20000))))
      (i64.const 0)"""
    async with arena(tmp_path) as made:
        await made.load(core(body, imports=HOST), limits={"log_rate": 50, "output": "1KiB"})
        await made.answers_during(made.ask())
        await made.system.unload("evil")
    told = lines(caplog)
    dropped = [line for line in told if "lines dropped" in line]
    assert len(told) - len(dropped) + sum(int(line.split()[0]) for line in dropped) == 20000
    assert len(told) < 2000
    assert max(map(len, told)) < 1200
    assert "\x07" not in json.dumps(told).encode().decode("unicode_escape")
