"""Hooks that block, in threads of their own, and programs that do not use asyncio."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from support.modules import COUNTER, ECHO, ModuleWriter, install_files
from system.support import SETTINGS, running, soon

import hostcore
from hostcore import State, errors
from hostcore.blocking import BlockingModuleSystem
from hostcore.generations import installed

WAITS = """
@hookimpl(blocking=True)
def handle_message(self, message):
    arrived.set()
    opened.wait(20)
    return threading.current_thread().name
"""
WAITS_TOP = "import threading\narrived, opened = threading.Event(), threading.Event()"


@pytest.fixture
def doors() -> Iterator[list[threading.Event]]:
    """Two events of the test's that modules reach as `hostcore.doors`; both are set in the end."""
    events = [threading.Event(), threading.Event()]
    hostcore.doors = events  # type: ignore[attr-defined]
    yield events
    for event in events:
        event.set()
    del hostcore.doors  # type: ignore[attr-defined]


DOORS = "import threading, time\narrived, opened = hostcore.doors"


async def test_the_loop_goes_on(
    system: hostcore.ModuleSystem, write: ModuleWriter, doors: list[threading.Event]
) -> None:
    """While a blocking hook blocks, other modules answer; it blocks in a thread of its module's own."""
    arrived, opened = doors
    await system.load("slow", source=write(WAITS, "slow", top=DOORS))
    await system.load("echo", source=write(ECHO))
    asking = asyncio.ensure_future(system.request("slow"))
    await asyncio.get_running_loop().run_in_executor(None, arrived.wait, 20)
    assert await system.request("echo", 1) == 1
    assert not asking.done()
    opened.set()
    assert await soon(asking) == "hostcore:slow"


async def test_one_at_a_time(system: hostcore.ModuleSystem, write: ModuleWriter) -> None:
    """Blocking hooks of one module never run at once, and keep the order."""
    body = """
    inside = 0

    @hookimpl(blocking=True)
    def handle_message(self, message):
        Module.inside += 1
        try:
            return [Module.inside, message.payload]
        finally:
            Module.inside -= 1
    """
    await system.load("echo", source=write(body))
    replies = await soon(asyncio.gather(*(system.request("echo", n) for n in range(200))))
    assert replies == [[1, n] for n in range(200)]


@pytest.mark.parametrize(
    ("action", "said"),
    [
        ("raise ValueError('no luck')", "raised ValueError: no luck"),
        ("raise SystemExit(3)", "raised SystemExit: 3"),
        ("raise KeyboardInterrupt", "raised KeyboardInterrupt"),
        ("raise asyncio.CancelledError", "raised CancelledError"),
        ("raise GeneratorExit", "raised GeneratorExit"),
        ("raise StopIteration", "StopIteration"),
        ("raise TimeoutError('mine')", "raised TimeoutError: mine"),
        ("while True: pass", r"overran its limit of 0\.1 s"),
        ("while True: time.sleep(0.001)", r"overran its limit of 0\.1 s"),
    ],
)
async def test_a_blocking_hook_that_fails(
    system: hostcore.ModuleSystem, write: ModuleWriter, action: str, said: str
) -> None:
    """Whatever goes wrong in a blocking hook is a HookError for its caller, and the module goes on."""
    body = f"""
    @hookimpl(blocking=True)
    def handle_message(self, message):
        if message.topic == "good":
            return "good"
        {action}
    """
    await system.load("bad", source=write(body, "bad", top="import time"), limits={"handle_message": "100ms"})
    with pytest.raises(errors.HookError, match=said):
        await soon(system.request("bad"))
    assert await soon(system.request("bad", topic="good")) == "good"


async def test_blocking_lifecycle_hooks(system: hostcore.ModuleSystem, write: ModuleWriter) -> None:
    """The hooks that the host calls may block too."""
    body = COUNTER
    for hook in ("initialize", "get_state", "restore_state"):
        body = body.replace(f"@hookimpl\ndef {hook}", f"@hookimpl(blocking=True)\ndef {hook}")
    assert body.count("blocking=True") == 3
    await system.load("counter", source=write(body, "counter"))
    await system.request("counter")
    assert (await system.reload("counter", strict=True)).leaks == ()
    assert (await system.request("counter"))["count"] == 2


async def test_unload_of_a_blocking_hook_that_hangs(write: ModuleWriter, doors: list[threading.Event]) -> None:
    """A blocking hook that hangs does not hang the unload: its caller is answered, its thread named."""
    arrived, _ = doors
    async with running(handler_timeout=0.1) as system:
        await system.load("slow", source=write(WAITS, "slow", top=DOORS), limits={"handle_message": "100s"})
        asking = asyncio.ensure_future(system.request("slow"))
        await asyncio.get_running_loop().run_in_executor(None, arrived.wait, 20)
        left = await soon(system.unload("slow"))
        assert any("hostcore:slow is still in a blocking hook" in what for what in left)
        with pytest.raises(errors.StoppedError):
            await soon(asking)


# --- the facade ----------------------------------------------------------------------------------------------------


@pytest.fixture
def blocking() -> Iterator[BlockingModuleSystem]:
    """A running system for a synchronous program."""
    with hostcore.ModuleSystem.blocking(SETTINGS, services={}) as system:
        yield system


def test_every_call(blocking: BlockingModuleSystem, write: ModuleWriter) -> None:
    """Every call of the system can be made without `await`, and does the same."""
    execute = "\n@hookimpl\ndef execute(self, request):\n    return request * 2\n"
    info = blocking.load("counter", source=write(COUNTER + execute, "counter"), config={"start": 4})
    assert (info.state, dict(blocking.modules)) == (State.RUNNING, {"counter": info})
    assert blocking.request("counter", {"by": 1}, topic="add", timeout=5)["count"] == 5
    blocking.send("counter")
    assert blocking.request("counter")["count"] == 7
    assert blocking.execute("counter", 21) == 42
    report = blocking.reload("counter", source=write(COUNTER, "counter", version="2.0"), strict=True)
    assert (report.new_version, report.leaks) == ("2.0", ())
    assert blocking.request("counter") == {"count": 8, "version": "2.0"}
    with blocking.subscribe("news.*") as events:
        assert blocking.publish("news.today", "it rains") == 1
        assert next(events).payload == "it rains"
    assert list(events) == []
    assert blocking.load_all([]).loaded == []
    assert blocking.unload("counter", force=True) == ()
    blocking.disable("counter")
    assert blocking.disabled == {"counter"}
    blocking.enable("counter")
    assert blocking.disabled == frozenset()
    assert "counter" not in blocking.discover().modules
    assert blocking.dead_letters == []


def test_the_same_calls() -> None:
    """The synchronous program has every public call that the asynchronous one has."""
    missing = {name for name in dir(hostcore.ModuleSystem) if not name.startswith("_")} - set(dir(BlockingModuleSystem))
    assert missing == {"blocking", "start", "stop", "record"}


def test_hooks_of_others(blocking: BlockingModuleSystem, site: Path, write: ModuleWriter) -> None:
    """Hooks that other packages declare are called by name."""
    specs = "import hostcore\n@hostcore.hookspec\ndef lint(path): ...\n"
    install_files(
        site, "acme_specs", "1.0", "[hostcore.hookspecs]\na = acme_specs\n", {"acme_specs/__init__.py": specs}
    )
    blocking.load("one", source=write("@hookimpl\ndef lint(self, path): return path", "one"))
    assert blocking.call_hook("lint", path="p") == ["p"]
    assert blocking.call_hook("lint", first=True, path="p") == "p"
    with pytest.raises(AttributeError, match="did you mean 'lint'"):
        blocking.call_hook("lynt")


def test_errors(blocking: BlockingModuleSystem, write: ModuleWriter) -> None:
    """Errors are the same as with `await`."""
    with pytest.raises(errors.UnknownModuleError):
        blocking.request("nobody")
    with pytest.raises(errors.LoadError, match="ValueError: no"):
        blocking.load("echo", source=write(ECHO, top="raise ValueError('no')"))
    with pytest.raises(TimeoutError):
        slow = write("@hookimpl\nasync def handle_message(self):\n    await asyncio.Event().wait()", "slow")
        blocking.load("slow", source=slow, limits={"handle_message": "100ms"})
        blocking.request("slow", timeout=0.01)


def test_many_threads(blocking: BlockingModuleSystem, write: ModuleWriter) -> None:
    """Several threads use one system at once, reloads included; every request counts once."""
    blocking.load("counter", source=write(COUNTER, "counter"))

    def work(number: int) -> list[int]:
        if number == 0:
            return [int(blocking.reload("counter", strict=True).rolled_back) for _ in range(3)]
        return [blocking.request("counter")["count"] for _ in range(25)]

    with ThreadPoolExecutor(9) as pool:
        done = list(pool.map(work, range(9)))
    assert done[0] == [0, 0, 0]
    assert sorted(count for counts in done[1:] for count in counts) == list(range(1, 201))


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, ValueError])
def test_an_exception_in_the_body(write: ModuleWriter, error: type[BaseException]) -> None:
    """An exception in the body, Ctrl-C included, stops the system and comes out as it is."""
    with pytest.raises(error), hostcore.ModuleSystem.blocking(SETTINGS) as system:
        system.load("counter", source=write(COUNTER, "counter"))
        raise error
    assert installed() == []
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("AnyIO")]
    with pytest.raises(errors.LifecycleError, match="is not running"):
        system.request("counter")


def test_before_it_runs() -> None:
    """Outside of its `with` the system says how to run it; a wrong configuration is refused at once."""
    system = hostcore.ModuleSystem.blocking(SETTINGS)
    for call in (
        lambda: system.modules,
        lambda: system.load("a"),
        lambda: system.request("a"),
        lambda: system.publish("a"),
    ):
        with pytest.raises(errors.LifecycleError, match="is not running") as caught:
            call()
        assert "with hostcore.ModuleSystem.blocking()" in caught.value.hint
    with pytest.raises(errors.ConfigError, match="did you mean 'mailbox'"):
        hostcore.ModuleSystem.blocking({"mailbocks": 1})


# --- a loop that is not in the main thread -------------------------------------------------------------------------


def test_a_handler_that_overruns_in_another_thread(blocking: BlockingModuleSystem, write: ModuleWriter) -> None:
    """Where the loop is not in the main thread, a handler that spins is broken all the same."""
    body = "@hookimpl\ndef handle_message(self, message):\n    while message.topic == 'spin': pass\n    return 1"
    blocking.load("bad", source=write(body, "bad"), limits={"handle_message": "100ms"})
    for _ in range(3):
        with pytest.raises(errors.HookError, match=r"overran its limit of 0\.1 s"):
            blocking.request("bad", topic="spin")
        assert blocking.request("bad") == 1


def test_the_signal_guard_needs_the_main_thread() -> None:
    """Asked for where it cannot work, the signal guard is refused before anything starts, saying what to use."""

    async def start() -> None:
        async with running(guard="signal"):
            pass

    with ThreadPoolExecutor(1) as pool, pytest.raises(errors.ConfigError, match="use 'auto' or 'thread'"):
        pool.submit(asyncio.run, start()).result()
