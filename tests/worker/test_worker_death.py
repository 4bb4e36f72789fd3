"""A worker that dies, hangs or takes too much dies alone: who waits is told, nothing of it is left."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
import textwrap
from asyncio.subprocess import PIPE
from pathlib import Path

import pytest
from support.modules import ECHO, ModuleWriter
from system.support import next_event, running, soon, until
from worker.puppet import EVERYTHING, PUPPET, is_alive, pid_of, run

import hostcore
from hostcore import errors
from hostcore.hosts.base import Crash
from hostcore.hosts.worker import messages
from hostcore.hosts.worker.frames import CALL, CANCEL, Frame, pack
from hostcore.messaging import wire


@pytest.fixture
async def puppet(system: hostcore.ModuleSystem, write: ModuleWriter) -> hostcore.ModuleSystem:
    """The system, with a puppet in a worker and an echo beside it."""
    await system.load("echo", source=write(ECHO))
    await system.load("puppet", source=write(PUPPET, "puppet", manifest=EVERYTHING), isolation="worker")
    return system


DEATHS = {
    "segfault": ("import ctypes\nctypes.string_at(8)", "SIGSEGV", None),
    "abort": ("import os\nos.abort()", "SIGABRT", None),
    "exit": ("import os\nos._exit(7)", "", 7),
    "clean exit": ("import os\nos._exit(0)", "", 0),
    "kill": ("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\nawait asyncio.sleep(10)", "SIGKILL", None),
}


@pytest.mark.parametrize("name", DEATHS)
async def test_death(puppet: hostcore.ModuleSystem, name: str) -> None:
    """Who waits for a worker that dies is told how, of what, and what it said last."""
    code, signal_name, status = DEATHS[name]
    crashes: list[Crash] = []
    puppet.record("puppet").copy.instance.died = crashes.append
    pid = await pid_of(puppet)
    with pytest.raises(errors.WorkerDiedError) as caught:
        await run(puppet, f"print('last words')\n{code}")
    error = caught.value
    assert (error.signal, error.status) == (signal_name, status)
    assert "in 'handle_message', handling 'run'" in str(error)
    assert error.lines[-1] == "last words"
    assert [(crash.kind, crash.hook, crash.topic) for crash in crashes] == [("died", "handle_message", "run")]
    assert not is_alive(pid)
    assert await puppet.request("echo", 1) == 1


async def test_killed_from_outside(puppet: hostcore.ModuleSystem) -> None:
    """A worker that is killed while it has nothing to do is noticed at once."""
    died = asyncio.get_running_loop().create_future()
    puppet.record("puppet").copy.instance.died = died.set_result
    os.kill(await pid_of(puppet), signal.SIGKILL)
    crash = await soon(died)
    assert crash.kind == "died"
    assert "SIGKILL, while it had nothing to do" in str(crash.error)


async def test_many_wait(puppet: hostcore.ModuleSystem) -> None:
    """All who wait for a worker that dies are answered, those in its mailbox too or else by its successor."""
    asked = [asyncio.ensure_future(run(puppet, "import os\nawait asyncio.sleep(0)\nos._exit(1)")) for _ in range(5)]
    outcomes = await soon(asyncio.gather(*asked, return_exceptions=True))
    assert {type(outcome) for outcome in outcomes} == {errors.WorkerDiedError}


HANGS = {
    "a loop in Python": "while True: pass",
    "a loop in C": "sum(range(10**12))",
    "a loop in C that ignores SIGTERM":
        "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nsum(range(10**12))",
    "a sleep in C": "import time\nsignal = __import__('signal')\n"
        "signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))\ntime.sleep(10**6)",
    "a swallowed break": "while True:\n    try:\n        while True: pass\n    except BaseException: pass",
    "a wait": "await asyncio.sleep(10**6)",
    "a wait that is not cancelled":
        "while True:\n    try: await asyncio.sleep(10**6)\n    except BaseException: pass",
}  # fmt: skip


@pytest.mark.parametrize("name", HANGS)
async def test_hang(write: ModuleWriter, name: str) -> None:
    """A handler that does not end is broken, cancelled, or ended with its process; the mailbox goes on afterwards."""
    manifest = EVERYTHING + '[limits]\nhandle_message = "200ms"\n'
    async with running(policy={"default": "allow"}, worker={"grace": "100ms"}) as system:
        await system.load("puppet", source=write(PUPPET, "puppet", manifest=manifest), isolation="worker")
        instance = system.record("puppet").copy.instance
        with pytest.raises((errors.HookError, errors.WorkerDiedError)):
            await soon(run(system, HANGS[name], timeout=30))
        if "dead" in repr(instance):
            with pytest.raises(errors.WorkerDiedError, match="did not end when its time was up"):
                raise instance._error
        else:
            assert await run(system, "return 1") == 1


async def test_waiting_is_not_hanging(puppet: hostcore.ModuleSystem) -> None:
    """A handler that waits when its caller's deadline passes is left alone until its own limit."""
    pid = await pid_of(puppet)
    with pytest.raises(errors.DeadlineError):
        await run(puppet, "await asyncio.sleep(0.5)\nstate['kept'] = 5", timeout=0.05)
    assert await run(puppet, "return state['kept']") == 5
    assert await pid_of(puppet) == pid


async def test_memory_limit(system: hostcore.ModuleSystem, write: ModuleWriter) -> None:
    """A module gets as much memory as it may have, within 5 %, then a MemoryError; its worker lives on."""
    manifest = EVERYTHING + '[limits]\nmemory = "64MiB"\n'
    await system.load("puppet", source=write(PUPPET, "puppet", manifest=manifest), isolation="worker")
    code = textwrap.dedent("""
        held = []
        try:
            while True: held.append(bytearray(1 << 20))
        except MemoryError:
            return len(held)
    """)
    assert 0.95 * 64 - 2 <= await run(system, code) <= 64
    with pytest.raises(errors.HookError, match="MemoryError"):
        await run(system, "return len(bytearray(1 << 30))")
    assert await run(system, "return 1") == 1


async def test_processor_limit(write: ModuleWriter) -> None:
    """A call that uses up its processor time ends its worker, one that only waits as long does not."""
    manifest = EVERYTHING + '[limits]\ncpu = "300ms"\n'
    async with running(policy={"default": "allow"}) as system:
        await system.load("puppet", source=write(PUPPET, "puppet", manifest=manifest), isolation="worker")
        await run(system, "await asyncio.sleep(0.5)")
        with pytest.raises(errors.LimitError, match=r"used up the 0\.3 s of processor time") as caught:
            await run(system, "while True: pass")
        assert caught.value.code == "HC512"


async def test_zygote_dies(puppet: hostcore.ModuleSystem, write: ModuleWriter) -> None:
    """With the process that workers are forked from they all die, and the next load starts another."""
    died = asyncio.get_running_loop().create_future()
    puppet.record("puppet").copy.instance.died = died.set_result
    os.kill(await run(puppet, "import os\nreturn os.getppid()"), signal.SIGKILL)
    await soon(died)
    await puppet.load("other", source=write(ECHO, "other"), isolation="worker")
    assert await puppet.request("other", 1) == 1


async def test_system_stops(write: ModuleWriter) -> None:
    """When the system stops, no worker is left, not even one that hangs."""
    async with running(policy={"default": "allow"}) as system:
        await system.load("puppet", source=write(PUPPET, "puppet"), isolation="worker")
        pid, parent = await run(system, "import os\nreturn [os.getpid(), os.getppid()]")
        asked = asyncio.ensure_future(run(system, "sum(range(10**12))", timeout=60))
        await until(lambda: system.record("puppet").cell.delivery is not None)
    assert isinstance((await asyncio.gather(asked, return_exceptions=True))[0], errors.HostcoreError)
    assert not is_alive(pid)
    assert not is_alive(parent)


HOST = """
import asyncio, sys, hostcore
async def main():
    async with hostcore.ModuleSystem({"policy": {"default": "allow"}, "index": False}) as system:
        await system.load("puppet", source=sys.argv[1], isolation="worker")
        code = "import os\\nreturn [os.getpid(), os.getppid()]"
        print(*await system.request("puppet", code, topic="run"), flush=True)
        await system.request("puppet", "sum(range(10**12))", topic="run")
asyncio.run(main())
"""


async def test_host_is_killed(write: ModuleWriter, tmp_path: Path) -> None:
    """When the host is killed, its workers are too, also one that hangs."""
    source = write(PUPPET, "puppet")
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", HOST, str(source), stdout=PIPE)
    assert process.stdout is not None
    pids = [int(part) for part in (await soon(process.stdout.readline())).split()]
    assert len(pids) == 2
    assert all(map(is_alive, pids))
    process.kill()
    await process.wait()
    await until(lambda: not any(map(is_alive, pids)))


async def test_spawned_processes_die_with_it(system: hostcore.ModuleSystem, write: ModuleWriter) -> None:
    """What a worker has started, and hidden from its session, ends when the worker does."""
    manifest = 'permissions = ["spawn"]'
    await system.load("puppet", source=write(PUPPET, "puppet", manifest=manifest), isolation="worker")
    code = textwrap.dedent("""
        import os, subprocess
        reader, writer = os.pipe()
        if os.fork() == 0:
            if os.fork() == 0:
                os.write(writer, str(os.getpid()).encode())
                subprocess.run(["/bin/sleep", "1000"])
            os._exit(0)
        os.wait()
        return int(os.read(reader, 20))
    """)
    daemon = await run(system, code)
    assert is_alive(daemon)
    with pytest.raises(errors.WorkerDiedError):
        await run(system, "import os\nos._exit(1)")
    await until(lambda: not is_alive(daemon))


async def test_no_fork_without_grant(puppet: hostcore.ModuleSystem) -> None:
    """A worker that was not granted to start processes cannot."""
    for code in ("import os\nos.fork()", "import subprocess\nsubprocess.run(['/bin/true'])"):
        with pytest.raises(errors.HookError, match=r"PermissionError|BlockingIOError"):
            await run(puppet, code)


async def test_what_had_just_been_asked_for(puppet: hostcore.ModuleSystem) -> None:
    """What a worker has asked for in the very moment in which it goes is dropped, and nothing complains of it."""
    instance = puppet.record("puppet").copy.instance
    desk, link = instance._desk, instance._process.link
    asked = {
        "request": messages.Asked("echo", "asked", "", b"\x01", ""),
        "send": messages.Asked("echo", "asked", "", b"\x01", ""),
        "invoke": messages.Invoked("gate", "wait", b"\x80"),
    }
    cell = puppet.record("echo").cell
    cell.capacity = 0  # so that a send has to wait
    for number, (name, body) in enumerate(asked.items()):
        desk.called(link, Frame(CALL, number, name, messages.encode(body), 1.0))
    tasks = list(desk._tasks.values())
    assert len(tasks) == len(asked)
    desk.close()
    await soon(asyncio.wait(tasks))
    assert all(task.cancelled() for task in tasks)
    gc.collect()


async def test_a_hook_called_and_cancelled(puppet: hostcore.ModuleSystem) -> None:
    """A hook whose call is taken back in the same moment is not called, and the worker complains of nothing."""
    instance = puppet.record("puppet").copy.instance
    link, tail = instance._process.link, instance._process.tail
    told = messages.encode(messages.Hook("get_state", wire.encode_raw({})))
    number = link._last = next(link._numbers)
    link._transport.write(pack(Frame(CALL, number, "hook", told, 5.0)) + pack(Frame(CANCEL, number)))  # one piece
    await run(puppet, "import sys\nawait asyncio.sleep(0.001)\nprint('mark', file=sys.stderr)")
    await until(lambda: "mark" in tail.lines())
    assert not [line for line in tail.lines() if "never awaited" in line]


async def test_stuck_blocking_hook(write: ModuleWriter) -> None:
    """A blocking hook that is stuck in C code for good costs its worker: another is made, which can do its work."""
    body = """
    @hookimpl(blocking=True)
    def handle_message(self, message):
        if message.payload == "stick":
            sum(range(10**12))
        return message.payload
    """
    manifest = '[limits]\nhandle_message = "200ms"\n'
    async with running(worker={"grace": "100ms"}) as system, system.subscribe("hostcore.module.*") as events:
        await system.load("slow", source=write(body, "slow", manifest=manifest), isolation="worker")
        with pytest.raises(errors.HostcoreError):
            await system.request("slow", "stick", timeout=10)
        crash = await next_event(events, "hostcore.module.crashed")
        assert crash["kind"] == "hung"
        assert await soon(system.request("slow", 1)) == 1
