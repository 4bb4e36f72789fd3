"""The process that workers are forked from: what it is asked for, what it passes on, and what it leaves alive."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import socket
import sys
import textwrap
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from support.modules import ModuleWriter
from system.support import running, soon, until
from worker.puppet import PUPPET, descriptors, is_alive, pid_of, run

import hostcore
from hostcore import errors
from hostcore.hosts.worker.child import Order
from hostcore.hosts.worker.nursery import Born, Nursery
from hostcore.hosts.worker.sandbox.cage import Cage


@pytest.fixture
async def nursery() -> AsyncIterator[Nursery]:
    """One with a process to fork from, which is ended after the test."""
    made = Nursery(asyncio.get_running_loop(), [], 10.0)
    yield made
    made.close()


async def forked(nursery: Nursery, folder: Path, *read: str) -> Born:
    """Fork a worker whose connections nobody holds, so that it ends at once."""
    order = Order("nobody", Cage(read=read), str(folder), 5, (), 1 << 20)
    pairs = [socket.socketpair() for _ in range(4)]
    try:
        return await nursery.fork(order, [theirs.fileno() for _, theirs in pairs])
    finally:
        for pair in pairs:
            for end in pair:
                end.close()


async def test_many_at_a_time(nursery: Nursery, tmp_path: Path) -> None:
    """As many workers as one likes can be asked for at a time, whatever there is room for in the socket."""
    born = await soon(asyncio.gather(*(forked(nursery, tmp_path, "/lib/" + "x" * 2000) for _ in range(100))))
    assert len({worker.pid for worker in born}) == 100
    for worker in born:
        os.close(worker.handle)


async def test_an_order_that_is_too_large(nursery: Nursery, tmp_path: Path) -> None:
    """An order of more bytes than are read is refused by itself, and the process lives on."""
    with pytest.raises(errors.HostError, match="its order has") as caught:
        await forked(nursery, tmp_path, *(f"/data/{number:0100}" for number in range(2000)))
    assert caught.value.code == "HC513"
    os.close((await forked(nursery, tmp_path)).handle)


async def test_a_host_with_many_descriptors(nursery: Nursery, tmp_path: Path) -> None:
    """A host that has more than 1,024 descriptors open has workers all the same."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 2048:
        pytest.skip("this user may not have that many files open")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2048), hard))
    held = [os.open("/dev/null", os.O_RDONLY) for _ in range(1100)]
    try:
        os.close((await forked(nursery, tmp_path)).handle)
    finally:
        for descriptor in held:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_without_an_interpreter(nursery: Nursery, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that does not know its interpreter is told so, and the next attempt starts afresh."""
    with monkeypatch.context() as patched:
        patched.setattr(sys, "executable", None)
        with pytest.raises(errors.HostError, match="cannot be started"):
            await forked(nursery, tmp_path)
    os.close((await forked(nursery, tmp_path)).handle)


async def test_signals_that_the_host_blocks(write: ModuleWriter) -> None:
    """How a worker ended is known also where the host blocks signals, which what it starts would inherit."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCHLD, signal.SIGTERM])
    try:
        async with running() as system:
            await system.load("puppet", source=write(PUPPET, "puppet"), isolation="worker")
            blocked = "import signal\nreturn len(signal.pthread_sigmask(signal.SIG_BLOCK, ()))"
            assert await run(system, blocked) == 0
            with pytest.raises(errors.WorkerDiedError, match="exited with code 3"):
                await run(system, "import os\nos._exit(3)")
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


async def test_preload_that_exits(write: ModuleWriter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is to be imported first may end its interpreter, or print: workers start, and do not print it again."""
    (tmp_path / "acme_leaves.py").write_text("print('printed once')\nraise SystemExit(1)\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    async with running(worker={"preload": ["acme_leaves"]}) as system:
        await system.load("puppet", source=write(PUPPET, "puppet"), isolation="worker")
        process = system.record("puppet").copy.instance._process
        await run(system, "import sys\nsys.stdout.flush()\nprint('mark', flush=True)")
        await until(lambda: "mark" in process.tail.lines())
        assert "printed once" not in process.tail.lines()


NEEDLE = """
import ctypes, re
def places(data, what):
    return [match.start() for match in re.finditer(what, data)]
found = 0
with open("/proc/self/maps") as maps:
    for line in maps:
        place, mode = line.split()[:2]
        if mode.startswith("rw"):
            start, end = (int(part, 16) for part in place.split("-"))
            data = ctypes.string_at(start, end - start)
            found += sum(data[at - 9 : at] == b"the-value" for at in places(data, b"-of-the-holder"))
return found
"""
"""Count the value in one's own memory, where it does not stand in one piece in this text."""


async def test_variables_of_other_modules(write: ModuleWriter, monkeypatch: pytest.MonkeyPatch) -> None:
    """What one module was granted of the environment is nowhere in the memory of another's worker."""
    monkeypatch.setenv("ACME_KEY", "the-value" + "-of-the-holder")
    policy = {"default": "deny", "grants": {"holder": ["env:ACME_KEY"], "puppet": []}}
    async with running(policy=policy) as system:
        await system.load("holder", source=write(PUPPET, "holder"), isolation="worker")
        assert await system.request("holder", "import os\nreturn len(os.environ['ACME_KEY'])", topic="run") == 23
        await system.load("puppet", source=write(PUPPET, "puppet"), isolation="worker")
        assert await run(system, NEEDLE) == 0


FAMILY = textwrap.dedent("""
    import os, time
    reader, writer = os.pipe()
    if os.fork() == 0:
        if os.fork() == 0:
            child = os.fork()
            if child:
                os.write(writer, f"{os.getpid()} {child}".encode())
            time.sleep(1000)
        os._exit(0)
    os.wait()
    return [int(part) for part in os.read(reader, 40).split()]
""")


async def test_children_of_what_was_left(system: hostcore.ModuleSystem, write: ModuleWriter) -> None:
    """What a worker leaves behind ends with it, and what that has started; another's is not touched."""
    for name in ("puppet", "other"):
        source = write(PUPPET, name, manifest='permissions = ["spawn"]')
        await system.load(name, source=source, isolation="worker")
    left, others = await run(system, FAMILY), await system.request("other", FAMILY, topic="run")
    assert all(map(is_alive, left + others))
    with pytest.raises(errors.WorkerDiedError):
        await run(system, "import os\nos._exit(1)")
    await until(lambda: not any(map(is_alive, left)))
    assert all(map(is_alive, others))
    await system.unload("other")
    await until(lambda: not any(map(is_alive, others)))


async def test_a_load_cancelled_again_and_again(system: hostcore.ModuleSystem, write: ModuleWriter) -> None:
    """A load that is cancelled while it is being given up leaves no process, descriptor or directory."""
    await system.load("first", source=write(PUPPET, "first"), isolation="worker")
    await pid_of(system, "first")
    before = descriptors()
    place = system.record("first").copy.instance._process.folder.parent
    folders = set(place.glob("hostcore-worker-*"))
    source = write(PUPPET, "puppet", top="import time\nopen('here', 'w').close()\ntime.sleep(1000)\n")
    loading = asyncio.ensure_future(system.load("puppet", source=source, isolation="worker"))
    await until(lambda: list(place.glob("hostcore-worker-*/here")))
    while not loading.done():
        loading.cancel()
        await asyncio.sleep(0)
    assert loading.cancelled()
    assert descriptors() <= before
    assert set(place.glob("hostcore-worker-*")) <= folders
