"""Compiling in a child process: what comes of it, what ends it, and that the cache spares it."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from pathlib import Path

import pytest
import wasmtime
from wasm.support import COMPONENT, CORE, bomb, children, fill, until, wasm
from wasmtime import component

from hostcore.errors import LimitError, LoadError, WorkerDiedError
from hostcore.hosts.wasm import compiling
from hostcore.hosts.wasm.cache import entry_name
from hostcore.hosts.wasm.compiling import load_compiled, loaded
from hostcore.hosts.wasm.kinds import Kind
from hostcore.hosts.wasm.sealing import CODE
from hostcore.hosts.wasm.settings import Settings

linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
SAID = {"module": "m", "label": "m 1.0", "seconds": 60.0, "memory": 2**31}


@pytest.fixture
def no_child(monkeypatch):
    """From the call on, no child process can be started."""
    return lambda: monkeypatch.setattr(sys, "executable", "/nowhere/python")


def left(cache) -> list[str]:
    """Return what is in the cache besides entries."""
    return [path.name for path in cache.directory.iterdir() if path.name.startswith(".")]


def waiting(cache) -> int:
    """Return how many wait for compilations of `cache`."""
    return sum(job.waiting for job in compiling._running.get(cache, {}).values())


# What comes of it.


async def test_a_core_module_is_compiled_and_runs(cache, ask):
    """What is compiled from a core module runs on an engine with the same settings."""
    engine = wasmtime.Engine(Settings().config())
    module = load_compiled(engine, await ask(wasm(CORE)), Kind.CORE)
    assert isinstance(module, wasmtime.Module)
    store = wasmtime.Store(engine)
    store.set_epoch_deadline(10)
    assert wasmtime.Instance(store, module, []).exports(store)["add"](store, 20, 22) == 42
    assert left(cache) == []


async def test_a_component_is_compiled_and_runs(ask):
    """What is compiled from a component runs on an engine with the same settings."""
    engine = wasmtime.Engine(Settings().config())
    guest = load_compiled(engine, await ask(wasm(COMPONENT)), Kind.COMPONENT)
    assert isinstance(guest, component.Component)
    store = wasmtime.Store(engine)
    store.set_epoch_deadline(10)
    instance = component.Linker(engine).instantiate(store, guest)
    answer = instance.get_func(store, "answer")
    assert answer is not None
    assert answer(store) == 42


async def test_a_second_time_no_child_is_started(ask, no_child):
    """Code in the cache is returned without a child process."""
    path = await ask(wasm(CORE))
    no_child()
    assert await ask(wasm(CORE)) == path
    with pytest.raises(WorkerDiedError):
        await ask(wasm(COMPONENT))


async def test_those_who_ask_at_once_share_one_compilation(cache, ask, monkeypatch):
    """Many who ask for the same code at the same time start one child process, and get the same path."""
    started = []
    start = asyncio.create_subprocess_exec

    def counting(*command, **rest):
        started.append(command)
        return start(*command, **rest)

    monkeypatch.setattr(asyncio, "create_subprocess_exec", counting)
    paths = await asyncio.gather(*(ask(wasm(CORE), label=f"m{number}") for number in range(8)))
    assert len(set(paths)) == 1
    assert len(started) == 1
    assert left(cache) == []


async def test_a_large_module_is_told_of(ask, caplog):
    """Before a large module is compiled the log says so, once, and names it; a small one, or a hit, is not told of."""
    caplog.set_level(logging.INFO, "hostcore")
    await ask(wasm(CORE))
    assert not caplog.records
    large = wasm(CORE) + b"\0\xc1\x84\x3d\x01x" + bytes(999_999)  # a section that means nothing
    await ask(large)
    await ask(large)
    assert [record.message for record in caplog.records] == ["m 1.0: compiling 1.0 MB of WebAssembly, once"]


@linux
async def test_the_child_sees_nothing_of_the_hosts_environment(ask, monkeypatch):
    """Variables of the host, its secrets among them, are not the compiler's; nor can they change what it imports."""
    monkeypatch.setenv("SECRET", "hunter2")
    monkeypatch.setenv("PYTHONPATH", "/nowhere")
    monkeypatch.setenv("PYTHONSTARTUP", "/nowhere/startup.py")
    task = asyncio.create_task(ask(bomb()))
    await until(children)
    environment = await _environment_of(children()[0])
    assert b"RAYON_NUM_THREADS" in environment
    assert b"hunter2" not in environment
    assert b"PYTHON" not in environment.replace(b"PYTHONHOME", b"")
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def _environment_of(pid: int) -> bytes:
    # Between fork and exec it is still the host's.
    await until(lambda: b"compiler.py" in Path(f"/proc/{pid}/cmdline").read_bytes())
    return Path(f"/proc/{pid}/environ").read_bytes()


# Garbage and bombs (torture case 27).


@pytest.mark.parametrize(
    "data",
    [
        wasm(CORE)[:-4], wasm(COMPONENT)[:-9], wasm(CORE) + b"\x63garbage", b"\0asm\x01\0\0\0\xff\xff\xff\xff\xff",
        b"\0asm\x0d\0\x01\0" + bytes(range(256)), wasm(COMPONENT)[:8] + wasm(CORE)[8:],
        wasm("(module (func (result i32) i32.const 1))").replace(b"\x41\x01", b"\x42\x01"),
    ],
    ids=["cut core", "cut component", "trailing", "endless length", "noise", "wrong kind", "wrong type"],
)  # fmt: skip
async def test_garbage_is_refused_with_what_wasmtime_says(cache, ask, data):
    """Torture case 27: a damaged module is the module's error, HC211, and leaves nothing in the cache."""
    with pytest.raises(LoadError, match="wasmtime refuses its WebAssembly: ") as caught:
        await ask(data)
    error = caught.value
    assert (error.code, error.module, error.label) == ("HC211", "m", "m 1.0")
    assert "wasm-tools validate" in error.hint
    assert error.message.isprintable()
    assert list(cache.directory.iterdir()) == []


async def test_what_a_hostile_module_makes_wasmtime_say_is_kept_short(ask):
    """Torture case 27: names of a module cannot flood an error or reach the terminal as control characters."""
    evil = "\\1b[2J" + "x" * 50_000
    twice = wasm(f'(module (func (export "{evil}")) (func (export "{evil}")))')
    with pytest.raises(LoadError, match="xxx") as caught:
        await ask(twice)
    assert len(caught.value.message) < 1200
    assert caught.value.message.isprintable()


async def test_a_bomb_is_ended_when_its_time_is_over(cache, ask):
    """Torture case 27: compiling for too long is HC510, names the module and the setting, and leaves no process."""
    with pytest.raises(LimitError) as caught:
        await ask(bomb(), seconds=0.5)
    assert caught.value.code == "HC510"
    assert "m 1.0: compiling its WebAssembly took longer than 500ms" in caught.value.message
    assert "compile_time in [wasm]" in caught.value.hint
    assert list(cache.directory.iterdir()) == []
    assert children() == []


@pytest.mark.skipif(sys.platform == "darwin", reason="has no limit on a process's memory")
@pytest.mark.parametrize("megabytes", [0.001, 1, 4, 8, 16, 32, 64, 128])
async def test_a_bomb_is_ended_when_it_takes_too_much_memory(cache, ask, megabytes):
    """Torture case 27: taking too much memory is HC510, wherever it runs out, and names the module and the setting."""
    with pytest.raises(LimitError) as caught:
        await ask(bomb(), memory=int(megabytes * 2**20))
    assert caught.value.code == "HC510"
    assert "m 1.0: compiling its WebAssembly took more than" in caught.value.message
    assert "compile_memory in [wasm]" in caught.value.hint
    assert list(cache.directory.iterdir()) == []


async def test_each_who_waits_for_a_bomb_has_an_error_of_its_own(ask):
    """Torture case 27: modules that share a bomb are each named in their own error."""
    asked = [ask(bomb(), seconds=0.5, label=f"m{number}") for number in range(3)]
    errors = await asyncio.gather(*asked, return_exceptions=True)
    assert [str(error).split()[1] for error in errors] == ["m0:", "m1:", "m2:"]


async def test_a_failed_compilation_is_tried_again_when_asked_again(ask):
    """A limit that was reached is not remembered: with a higher one the module compiles."""
    with pytest.raises(LimitError):
        await ask(wasm(CORE), seconds=0.001)
    assert await ask(wasm(CORE))


@linux
@pytest.mark.parametrize(
    ("number", "error", "code", "message"),
    [
        (signal.SIGKILL, WorkerDiedError, "HC501", "was ended by SIGKILL"),
        (signal.SIGTERM, WorkerDiedError, "HC501", "was ended by SIGTERM"),
        (signal.SIGSEGV, LoadError, "HC211", "crashed over its WebAssembly (SIGSEGV)"),
        (signal.SIGABRT, LoadError, "HC211", "crashed over its WebAssembly (SIGABRT)"),
        (signal.SIGXCPU, LimitError, "HC510", "took longer than 1m"),
    ],
)  # fmt: skip
async def test_the_end_of_a_child_says_whose_fault_it_is(cache, ask, number, error, code, message):
    """Torture case 27: a crash of the compiler is blamed on the module, and a kill on who runs the host."""
    task = asyncio.create_task(ask(bomb()))
    await until(children)
    os.kill(children()[0], number)
    with pytest.raises(error) as caught:
        await task
    assert caught.value.code == code
    assert "m 1.0" in str(caught.value)
    assert message in caught.value.message
    assert caught.value.hint
    assert list(cache.directory.iterdir()) == []


async def test_a_child_that_cannot_be_started_is_told(ask, no_child):
    """Where no child can be started the error names the program and the reason."""
    no_child()
    with pytest.raises(WorkerDiedError, match=r"m 1\.0: .*No such file or directory: /nowhere/python") as caught:
        await ask(wasm(CORE))
    assert caught.value.code == "HC501"


# Giving up.


@linux
@pytest.mark.parametrize("size", [1, 30], ids=["small", "more than a pipe holds"])
async def test_cancelling_ends_the_child(cache, ask, size):
    """When a cancellation comes back to its caller, the child process and its files are gone."""
    task = asyncio.create_task(ask(bomb() + b"\0\x80\x80\x80\x08\x01x" + bytes(2**24 - 2) if size > 1 else bomb()))
    await until(children)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert children() == []
    assert list(cache.directory.iterdir()) == []


@linux
async def test_a_compilation_goes_on_while_anybody_waits(cache, ask):
    """One who gives up does not take the code from the others; when the last gives up it ends."""
    tasks = [asyncio.create_task(ask(bomb())) for _ in range(3)]
    await until(lambda: waiting(cache) == 3 and children())
    [child] = children()
    for task in tasks[:2]:
        task.cancel()
    await asyncio.wait(tasks[:2])
    assert children() == [child]
    tasks[2].cancel()
    await asyncio.wait(tasks)
    assert children() == []
    assert all(task.cancelled() for task in tasks)


@linux
async def test_who_asks_after_the_last_gave_up_gets_a_compilation_of_its_own(cache, ask):
    """Askers who come while a cancelled compilation is ending are not cancelled with it, and can be themselves."""
    tasks = []
    for _ in range(5):
        tasks.append(asyncio.create_task(ask(bomb())))
        await until(lambda: waiting(cache) == 1 and children())
        tasks[-1].cancel()
        tasks.append(asyncio.create_task(ask(wasm(CORE))))
    await asyncio.wait(tasks)
    assert [task.cancelled() for task in tasks] == [True, False] * 5
    assert len({task.result() for task in tasks[1::2]}) == 1
    assert compiling._running[cache] == {}


# Poisoned caches (torture case 12).


@pytest.mark.parametrize("content", [b"", b"\x7fELF", None], ids=["empty", "cut", "one bit"])
async def test_poisoned_code_is_compiled_anew(ask, caplog, content):
    """Torture case 12: code that was damaged on the disk is never loaded, but made anew, and the log says so."""
    path = await ask(wasm(CORE))
    good = path.read_bytes()
    damaged = bytearray(good)
    damaged[len(good) // 2] ^= 1
    path.write_bytes(damaged if content is None else content)
    assert await ask(wasm(CORE)) == path
    assert path.read_bytes() == good
    assert "compiled anew" in caplog.text


@pytest.mark.parametrize("junk", [b"", b"junk", b"\x7fELF" + bytes(4096)])
async def test_well_kept_junk_is_compiled_anew(cache, caplog, junk):
    """Torture case 12: an entry that is whole but that wasmtime does not take is dropped and made anew."""
    engine = wasmtime.Engine(Settings().config())
    fill(cache, entry_name(wasm(CORE), Settings(), Kind.CORE), junk)
    module = await loaded(engine, wasm(CORE), Settings(), Kind.CORE, cache, **SAID)
    assert isinstance(module, wasmtime.Module)
    assert "compiled anew" in caplog.text


async def test_code_for_another_engine_is_refused_in_the_end(cache):
    """An engine that does not fit the settings is an error after the second try, not an endless loop."""
    engine = wasmtime.Engine(Settings(fuel=True).config())
    with pytest.raises(LoadError, match="does not take what it compiled itself") as caught:
        await loaded(engine, wasm(CORE), Settings(), Kind.CORE, cache, **SAID)
    assert caught.value.code == "HC211"


async def test_what_goes_between_finding_and_loading_is_an_error(cache, ask):
    """Code that is removed once its path is known cannot be loaded; wasmtime says so."""
    path = await ask(wasm(CORE))
    cache.drop(path.parent.name)
    with pytest.raises(wasmtime.WasmtimeError):
        load_compiled(wasmtime.Engine(Settings().config()), path, Kind.CORE)


async def test_a_path_that_is_not_utf_8_can_be_loaded(tmp_path, ask):
    """A cache in a directory whose name is not UTF-8 works."""
    strange = tmp_path / os.fsdecode(b"\xff")
    strange.mkdir()
    (strange / CODE).write_bytes((await ask(wasm(CORE))).read_bytes())
    assert load_compiled(wasmtime.Engine(Settings().config()), strange / CODE, Kind.CORE)
