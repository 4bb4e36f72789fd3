"""Several processes with one cache, hosts that end while they compile, and disks that are full."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from support.distributions import libraries
from wasm.support import CORE, TIME, bomb, wasm

import hostcore
from hostcore.hosts.wasm.cache import Cache, entry_name
from hostcore.hosts.wasm.kinds import Kind
from hostcore.hosts.wasm.settings import Settings

linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
HOST = """
import asyncio, resource, sys
from pathlib import Path
from hostcore.hosts.wasm.cache import Cache
from hostcore.hosts.wasm.compiling import compiled
from hostcore.hosts.wasm.kinds import Kind
from hostcore.hosts.wasm.settings import Settings

largest = int(sys.argv[3])
if largest:
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest, largest))
data = Path(sys.argv[1]).read_bytes()
cache = Cache(Path(sys.argv[2]), 2**30)
asked = compiled(data, Settings(), Kind.CORE, cache, module="m", label="m 1.0", seconds=300, memory=2**32)
print(asyncio.run(asked))
"""


@pytest.fixture
def start(tmp_path: Path):
    """Start a host that asks for the compiled code of `data` and prints its path."""
    started: list[subprocess.Popen[str]] = []
    sources = str(Path(hostcore.__file__).parents[1])

    def start(data: bytes, largest: int = 0) -> subprocess.Popen[str]:
        (tmp_path / "guest.wasm").write_bytes(data)
        command = [sys.executable, "-c", HOST, str(tmp_path / "guest.wasm"), str(tmp_path / "cache"), str(largest)]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join((sources, *libraries()))}
        started.append(subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        text=True))  # fmt: skip
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def wait_until(condition: Callable[[], object]) -> None:
    limit = time.monotonic() + TIME
    while not condition():
        assert time.monotonic() < limit
        time.sleep(0.005)


def compilers(place: Path) -> list[int]:
    """Return the compilers that work for the cache at `place`."""
    found = []
    for line in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            text = line.read_bytes()
        except OSError:
            continue
        if b"compiler.py" in text and os.fsencode(place) in text:
            found.append(int(line.parent.name))
    return found


def test_two_processes_at_once_leave_one_entry(start, tmp_path):
    """Processes that compile the same at once all get good code, and the cache holds it once."""
    data = wasm(CORE)
    hosts = [start(data) for _ in range(4)]
    paths = {host.communicate(timeout=TIME)[0].strip() for host in hosts}
    name = entry_name(data, Settings(), Kind.CORE)
    found = Cache(tmp_path / "cache", 2**30).find(name)
    assert paths == {str(found)}
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [name]


@linux
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_a_compilation_ends_with_its_host(start, tmp_path, number):
    """Torture case 27: whatever ends a host that compiles a bomb, Ctrl-C or a kill, also ends the compiler."""
    host = start(bomb())
    wait_until(lambda: compilers(tmp_path / "cache"))
    host.send_signal(number)
    host.communicate(timeout=TIME)
    wait_until(lambda: not compilers(tmp_path / "cache"))


@linux
def test_a_ctrl_c_leaves_no_draft(start, tmp_path):
    """A host that is interrupted while it compiles removes what was half written."""
    host = start(bomb())
    wait_until(lambda: compilers(tmp_path / "cache"))
    host.send_signal(signal.SIGINT)
    assert "KeyboardInterrupt" in host.communicate(timeout=TIME)[1]
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_full_disk_is_an_error_that_says_so(start, tmp_path):
    """Where no directory can hold the compiled code, the error is HC510 with the system's reason, and nothing stays."""
    host = start(wasm(CORE), largest=1000)
    errors = host.communicate(timeout=TIME)[1]
    assert "HC510 m 1.0: what its WebAssembly was compiled to cannot be stored: File too large" in errors
    assert "make room on the disk" in errors
    assert list((tmp_path / "cache").iterdir()) == []
