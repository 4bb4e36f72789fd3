"""Guests are built from source, once, and import nothing but what the interface declares."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import wasmtime
from guests import building
from guests.building import BuildError, Guest, ToolMissing
from support.distributions import libraries
from support.guests import CONFORMANCE, guest

COPY = Guest(tools=(), commands=("cp source module.wasm",), sources=())


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOSTCORE_TEST_GUESTS", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source"
    path.write_bytes(b"one")
    return path


def made(cache: Path) -> list[str]:
    return sorted(path.name for path in cache.iterdir() if path.suffix != ".lock")


def test_what_is_built_is_kept(cache: Path, source: Path) -> None:
    """A guest is built once; asking again runs nothing and gives the same file."""
    first = building.build_as("copy", COPY, {"source": source})
    before = first.stat()
    assert building.build_as("copy", COPY, {"source": source}) == first
    assert (first.stat().st_ino, first.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert made(cache) == [first.name]


def test_a_changed_source_makes_another_file(cache: Path, source: Path) -> None:
    """A change of the source, or of a command, is built anew, and what was built before stays."""
    first = building.build_as("copy", COPY, {"source": source})
    source.write_bytes(b"two")
    second = building.build_as("copy", COPY, {"source": source})
    third = building.build_as("copy", COPY._replace(commands=("cp source  module.wasm",)), {"source": source})
    assert (first.read_bytes(), second.read_bytes(), third.read_bytes()) == (b"one", b"two", b"two")
    assert made(cache) == sorted([first.name, second.name, third.name])


def test_a_failing_command_is_shown(cache: Path, source: Path) -> None:
    """A command that fails is named, with what it printed, and leaves nothing behind."""
    broken = COPY._replace(commands=("cp source module.wasm", "echo what is wrong; exit 3"))
    with pytest.raises(BuildError, match=r"(?s)exit 3.*what is wrong"):
        building.build_as("broken", broken, {"source": source})
    assert made(cache) == []


def test_commands_that_make_nothing(cache: Path, source: Path) -> None:
    """Commands that leave no guest are an error that says what was expected."""
    with pytest.raises(BuildError, match=r"made neither module\.wasm nor counter\.wasm"):
        building.build_as("nothing", COPY._replace(commands=("true",)), {"source": source})


@pytest.mark.parametrize(
    ("name", "lacks"),
    [("javascript", "node and npm"), ("go", "go is not installed"), ("rust", "rustc is not installed")],
)
def test_a_missing_tool_is_named(name: str, lacks: str, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a tool that Python's packages do not bring is missing, the error says which."""
    monkeypatch.setenv("PATH", str(cache))
    with pytest.raises(ToolMissing, match=lacks):
        building.build(name)


def test_two_processes_build_one_guest(cache: Path) -> None:
    """Processes that want the same guest at once get the same file: one builds, the other waits."""
    command = [sys.executable, str(building.HERE / "building.py"), "counter-c-core"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(libraries())}
    running = [subprocess.Popen(command, env=environment, text=True, stdout=subprocess.PIPE) for _ in range(2)]
    printed = [process.communicate()[0].split()[-1] for process in running]
    assert [process.returncode for process in running] == [0, 0]
    assert printed[0] == printed[1]
    assert [name for name in made(cache) if name != "zig"] == [Path(printed[0]).name]


def test_the_lock_file_names_no_registry() -> None:
    """npm's lock file has what is installed and its digests, and from where is up to who installs."""
    text = (building.HERE / "package-lock.json").read_text()
    assert '"resolved"' not in text
    installed = len(re.findall(r'^    "node_modules/', text, re.M))
    assert len(re.findall(r'"integrity": "sha512-', text)) == installed > 0


@pytest.mark.parametrize("name", CONFORMANCE)
def test_a_guest_imports_what_is_declared(name: str) -> None:
    """A guest asks for the interface and for WASI, and has all hooks of the lifecycle."""
    path = guest(name)
    if path.read_bytes()[4:8] == b"\x01\x00\x00\x00":
        check_core(path)
    else:
        check_component(path)


def check_core(path: Path) -> None:
    module = wasmtime.Module.from_file(wasmtime.Engine(), str(path))
    assert {(i.module, i.name) for i in module.imports if i.module != "wasi_snapshot_preview1"} == {
        ("hostcore", name) for name in ("log", "call", "read")
    }
    hooks = ("initialize", "execute", "restore_state", "handle_message", "get_capabilities", "get_state", "shutdown")
    assert {"memory", "hc_abi", "hc_buf", *(f"hc_{hook}" for hook in hooks)} <= {e.name for e in module.exports}


def check_component(path: Path) -> None:
    command = [str(Path(sys.executable).parent / "wasm-tools"), "component", "wit", str(path)]
    text = subprocess.run(command, text=True, capture_output=True, check=True).stdout
    world = text[text.index("world root {") :].partition("\n}")[0]
    interfaces = ("bus", "capabilities", "context", "kv", "log", "timers", "types")
    imports = set(re.findall(r"^  import (.+);$", world, re.M))
    assert {name for name in imports if not name.startswith("wasi:")} == {
        f"hostcore:module/{name}@1.0.0" for name in interfaces
    }
    assert "export hostcore:module/lifecycle@1.0.0;" in world
