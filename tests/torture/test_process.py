"""What a native module does to the process that it shares with its host: what is contained, and what is not.

Each runs in a host of its own, since some of it ends that.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
import textwrap
from asyncio.subprocess import PIPE
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from support.distributions import libraries
from support.modules import ECHO, ModuleWriter
from system.support import soon, until
from worker.puppet import PUPPET, is_alive

HOST = """
import asyncio, builtins, logging, signal, sys, hostcore
from hostcore import errors
logging.basicConfig(level=logging.CRITICAL)

def look():
    return builtins.open, builtins.len, sys.excepthook, signal.getsignal(signal.SIGINT)

async def main(echo, puppet, other, code):
    before = look()
    async with hostcore.ModuleSystem({"index": False, "policy": {"default": "allow"}, "handler_timeout": 1}) as system:
        await system.load("echo", source=echo)
        await system.load("other", source=other, isolation="worker")
        pids = await system.request("other", "import os\\nreturn [os.getpid(), os.getppid()]", topic="run")
        print("workers", *pids, file=sys.stderr, flush=True)
        await system.load("puppet", source=puppet)
        try:
            told = await system.request("puppet", code, topic="run", timeout=20)
        except errors.HostcoreError as error:
            told = error.code
        for number in range(40):
            assert await system.request("echo", number, timeout=20) == number
        assert await system.request("other", "return 5", topic="run", timeout=20) == 5
        try:
            await system.request("puppet", "while True: pass", topic="run", timeout=20)
        except errors.HookError as error:
            broken = error.code
        await system.unload("puppet", force=True)
    print("done", told, "broken", broken, "undone" if look() == before else "left", file=sys.__stderr__, flush=True)

asyncio.run(main(*sys.argv[1:]))
"""


class Outcome(NamedTuple):
    """How a host ended, what it said, and which processes its worker and the parent of that were."""

    status: int
    said: str
    workers: list[int]


@pytest.fixture
def host(tmp_path: Path):
    """Run a host in which a native module runs some code; return how that ended."""
    write = ModuleWriter(tmp_path)
    sources = write(ECHO, "echo"), write(PUPPET, "puppet"), write(PUPPET, "other")

    async def run(code: str) -> Outcome:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(libraries())}
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", HOST, *map(str, sources), textwrap.dedent(code),
            stdout=PIPE, stderr=PIPE, env=environment, start_new_session=True,
        )  # fmt: skip
        _, errors = await soon(process.communicate())
        assert process.returncode is not None
        pids = [int(pid) for pid in re.findall(r"^workers (\d+) (\d+)$", errors.decode(), re.MULTILINE)[0]]
        return Outcome(process.returncode, errors.decode(), pids)

    return run


CONTAINED = {
    "sys.exit": ("import sys\nsys.exit(3)", "HC302"),
    "KeyboardInterrupt": ("raise KeyboardInterrupt", "HC302"),
    "a stolen SIGALRM": ("import signal\nsignal.signal(signal.SIGALRM, signal.SIG_IGN)", "None"),
    "a stolen SIGINT": ("import signal\nsignal.signal(signal.SIGINT, lambda *_: None)", "None"),
    "a wrapped builtin": ("import builtins\nown = len\nbuiltins.len = lambda of: own(of)", "None"),
    "an exception hook": ("import sys\nsys.excepthook = lambda *_: None", "None"),
    "standard output, closed": ("import sys\nsys.stdout.close()", "None"),
    "a thread that waits": (
        "import threading\nthreading.Thread(target=threading.Event().wait, daemon=True).start()", "None",
    ),
    "a thread that spins":
        ("import threading\nthreading.Thread(target=lambda: [0 for _ in iter(int, 1)], daemon=True).start()", "None"),
}  # fmt: skip
"""What a native module does -> what its request comes to."""


QUICK = ("a stolen SIGALRM", "the end of all tasks")
"""Each takes a host of its own; the others are left to those who have time."""


def some(names: Iterable[str]) -> list[Any]:
    """Return the names as parameters, most of them marked as slow."""
    return [pytest.param(name, marks=[] if name in QUICK else pytest.mark.slow) for name in names]


@pytest.mark.parametrize("name", some(CONTAINED))
async def test_contained(host, name: str) -> None:
    """The host lives through it: all others are answered, endless handlers broken, and it is undone with the module."""
    code, told = CONTAINED[name]
    outcome = await host(code)
    assert outcome.status == 0, outcome.said
    assert f"done {told} broken HC303 undone" in outcome.said


DEADLY = {
    "a segfault": ("import ctypes\nctypes.string_at(8)", -signal.SIGSEGV),
    "os._exit": ("import os\nos._exit(5)", 5),
    "os.abort": ("import os\nos.abort()", -signal.SIGABRT),
    "SIGKILL to itself": ("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL),
    "SIGINT to itself": ("import signal\nsignal.raise_signal(signal.SIGINT)", -signal.SIGINT),
    "a stopped event loop": ("asyncio.get_running_loop().stop()", 1),
    "the end of all tasks": ("for task in asyncio.all_tasks(): task.cancel()", 1),
    "a builtin that lies": ("import builtins\nbuiltins.len = lambda _: 7", 1),
}
"""What a native module does -> the status that the program ends with."""


@pytest.mark.parametrize("name", some(DEADLY))
async def test_not_contained(host, name: str) -> None:
    """A native module is trusted: this ends its host.  That is what is documented; no worker is left all the same."""
    code, status = DEADLY[name]
    outcome = await host(code)
    assert outcome.status == status, outcome.said
    assert "done" not in outcome.said
    await until(lambda: not any(map(is_alive, outcome.workers)))
