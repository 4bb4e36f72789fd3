"""The end of a module, and of a whole system: everybody who waits is answered, and nothing is left."""

from __future__ import annotations

import asyncio
import gc
import logging
import sys
import threading
import warnings
import weakref
from pathlib import Path

import pytest
from support.modules import COUNTER, ECHO, WAITER, ModuleWriter, install
from system.support import SETTINGS, Gate, Notes, next_event, running, soon, until

import hostcore
from hostcore import State, errors
from hostcore.generations import installed


async def test_unload_answers_everybody(system: hostcore.ModuleSystem, write: ModuleWriter, gate: Gate) -> None:
    """The message in hand is finished; those that wait get StoppedError; nobody hangs."""
    await system.load("slow", source=write(WAITER, "slow"))
    asking = [asyncio.ensure_future(system.request("slow", number)) for number in range(5)]
    await soon(gate.arrived.wait())
    unloading = asyncio.ensure_future(system.unload("slow"))
    outcomes = await soon(asyncio.gather(*asking[1:], return_exceptions=True))
    assert {(type(o), o.message) for o in outcomes} == {(errors.StoppedError, "'slow' was unloaded")}
    assert not unloading.done()
    gate.opened.set()
    assert await soon(asking[0]) == 0
    assert await soon(unloading) == ()


async def test_unload_of_a_handler_that_does_not_end(write: ModuleWriter, gate: Gate) -> None:
    """A message in hand that does not end is given up on: its caller gets StoppedError."""
    async with running({"gate": gate}, handler_timeout=0.05) as system:
        await system.load("slow", source=write(WAITER, "slow"), limits={"handle_message": "1000s"})
        asking = asyncio.ensure_future(system.request("slow"))
        await soon(gate.arrived.wait())
        assert await soon(system.unload("slow")) == ()
        with pytest.raises(errors.StoppedError, match="'slow' was unloaded"):
            await soon(asking)


async def test_senders_at_a_full_mailbox_are_answered(
    system: hostcore.ModuleSystem, write: ModuleWriter, gate: Gate
) -> None:
    """Who waits for room in the mailbox of a module that is unloaded gets StoppedError."""
    await system.load("slow", source=write(WAITER, "slow"), limits={"mailbox": 1})
    asking = asyncio.ensure_future(system.request("slow"))
    await soon(gate.arrived.wait())
    sending = [asyncio.ensure_future(system.send("slow", n, timeout=1000)) for n in range(4)]
    await until(lambda: system.modules["slow"].mailbox == 4)
    unloading = asyncio.ensure_future(system.unload("slow"))
    outcomes = await soon(asyncio.gather(*sending, return_exceptions=True))
    assert outcomes[0] is None
    assert all(isinstance(outcome, errors.StoppedError) for outcome in outcomes[1:])
    gate.opened.set()
    await soon(asyncio.gather(asking, unloading))


async def test_unloaded_twice_at_once(system: hostcore.ModuleSystem, write: ModuleWriter, gate: Gate) -> None:
    """Of two unloads at once one does it and the other is told."""
    await system.load("slow", source=write(WAITER, "slow"))
    asking = asyncio.ensure_future(system.request("slow"))
    await soon(gate.arrived.wait())
    both = [asyncio.ensure_future(system.unload("slow")) for _ in range(2)]
    await until(lambda: system.modules["slow"].state is State.DRAINING)
    gate.opened.set()
    outcomes = await soon(asyncio.gather(*both, asking, return_exceptions=True))
    assert outcomes[0] == ()
    assert isinstance(outcomes[1], errors.LifecycleError)


async def test_reload_and_unload_at_once(system: hostcore.ModuleSystem, write: ModuleWriter) -> None:
    """A reload that comes after an unload is told that the module is gone."""
    await system.load("counter", source=write(COUNTER, "counter"))
    outcomes = await soon(asyncio.gather(system.unload("counter"), system.reload("counter"), return_exceptions=True))
    assert outcomes[0] == ()
    assert isinstance(outcomes[1], errors.LifecycleError)
    assert dict(system.modules) == {}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("raise ValueError('will not')", "ValueError: will not"),
        ("raise SystemExit(1)", "SystemExit: 1"),
        ("while True: pass", "overran its limit"),
        ("await asyncio.Event().wait()", "overran its limit"),
    ],
)
async def test_a_shutdown_that_fails(system: hostcore.ModuleSystem, write: ModuleWriter, body: str, said: str) -> None:
    """A shutdown that raises or hangs is announced, and the module is gone all the same."""
    source = write(ECHO + f"\n@hookimpl\nasync def shutdown(self):\n    {body}", manifest="[limits]\nshutdown = '50ms'")
    await system.load("echo", source=source)
    async with system.subscribe("hostcore.>") as events:
        assert await soon(system.unload("echo")) == ()
        event = await next_event(events, "hostcore.handler.failed")
        assert (await next_event(events, "hostcore.module.unloaded"))["module"] == "echo"
    assert (event["module"], event["hook"]) == ("echo", "shutdown")
    assert said in event["error"]["text"]
    assert dict(system.modules) == {}


async def test_a_handler_may_use_the_system_while_it_is_unloaded(
    system: hostcore.ModuleSystem, write: ModuleWriter, gate: Gate
) -> None:
    """The message in hand can still ask others, up to its end."""
    body = WAITER.replace("return message.payload", "return await self.context.request('echo', 'still there')")
    await system.load("echo", source=write(ECHO))
    await system.load("slow", source=write(body, "slow"))
    asking = asyncio.ensure_future(system.request("slow"))
    await soon(gate.arrived.wait())
    unloading = asyncio.ensure_future(system.unload("slow"))
    gate.opened.set()
    assert await soon(asking) == "still there"
    assert await soon(unloading) == ()


# --- nothing is left -----------------------------------------------------------------------------------------------

UNTIDY = """
@hookimpl
async def initialize(self, context):
    self.context = context
    context.subscribe("news.>")
    self.task = asyncio.create_task(self.work())
    atexit.register(self.leave)
    logging.getLogger("acme").addHandler(Handler())
    logging.getLogger("acme").addFilter(Filter())
    warnings.filterwarnings("ignore", category=Warned)
    context.log.warning("started")

async def work(self):
    await asyncio.Event().wait()

def leave(self):
    left.append("left")

@hookimpl
async def handle_message(self, message):
    from acme_untidy.lazy import answer
    return answer()

@hookimpl(blocking=True)
def execute(self, request):
    return threading.current_thread().name
"""
UNTIDY_TOP = """
import atexit, logging, threading, warnings

left = []

class Handler(logging.Handler):
    def emit(self, record): ...

class Filter(logging.Filter): ...

class Warned(UserWarning): ...
"""


async def test_unload_leaves_nothing(system: hostcore.ModuleSystem, write: ModuleWriter) -> None:
    """After an unload no module, thread, task, exit function, logging handler or class of it is there."""
    source = write(UNTIDY, "untidy", top=UNTIDY_TOP, files={"acme_untidy/lazy.py": "def answer(): return 42\n"})
    modules, filters = set(sys.modules), list(warnings.filters)
    threads, tasks = threading.active_count(), asyncio.all_tasks()
    named = {thread.name for thread in threading.enumerate()}
    await system.load("untidy", source=source)
    assert await system.request("untidy") == 42
    assert await system.execute("untidy") == "hostcore:untidy"
    assert {"acme_untidy", "acme_untidy.lazy"} <= set(sys.modules)
    watched, left = weakref.ref(sys.modules["acme_untidy"].Module), sys.modules["acme_untidy"].left
    lane = next(thread for thread in threading.enumerate() if thread.name == "hostcore:untidy")
    assert await system.unload("untidy") == ()
    gc.collect()
    assert watched() is None
    assert not {name for name in set(sys.modules) - modules if name.startswith("acme")}
    assert (type(sys.modules), installed()) == (dict, [])
    await asyncio.get_running_loop().run_in_executor(None, lane.join, 10)
    assert not lane.is_alive()
    more = {thread.name for thread in threading.enumerate() if thread.name.startswith("hostcore:")} - named
    assert more <= {"hostcore:lag", "hostcore:watchdog"}
    assert threading.active_count() - threads <= 2  # the watchdog, and this test's executor
    assert asyncio.all_tasks() == tasks
    assert left == ["left"]  # its exit function has run, and is not registered any more: the class is gone
    assert (logging.getLogger("acme").handlers, logging.getLogger("acme").filters) == ([], [])
    assert warnings.filters == filters
    assert await system.publish("news.today") == 0


async def test_what_is_left_is_named(system: hostcore.ModuleSystem, write: ModuleWriter) -> None:
    """A thread that a module leaves running is named by the unload and its event."""
    body = """
    @hookimpl
    def initialize(self, context):
        threading.Thread(target=wait, name="left-over", daemon=True).start()
        started.wait()
    """
    top = "import threading\nstop, started = threading.Event(), threading.Event()\n"
    top += "def wait():\n    started.set()\n    stop.wait()\n"
    await system.load("untidy", source=write(body, "untidy", top=top))
    stop = sys.modules["acme_untidy"].stop
    thread = next(thread for thread in threading.enumerate() if thread.name == "left-over")
    try:
        async with system.subscribe("hostcore.module.unloaded") as events:
            left = await system.unload("untidy")
            assert (await next_event(events, "hostcore.module.unloaded"))["leaks"] == list(left)
        assert any("left-over" in what for what in left)
    finally:
        stop.set()
        await asyncio.get_running_loop().run_in_executor(None, thread.join, 10)


# --- the system ----------------------------------------------------------------------------------------------------


async def test_stop_with_requests_in_flight(write: ModuleWriter, gate: Gate) -> None:
    """A system that stops answers everybody: what is in hand is finished, what waits is refused."""
    system = hostcore.ModuleSystem(SETTINGS, services={"gate": gate})
    await system.start()
    await system.load("slow", source=write(WAITER, "slow"))
    asking = [asyncio.ensure_future(system.request("slow", number)) for number in range(5)]
    await soon(gate.arrived.wait())
    stopping = asyncio.ensure_future(system.stop())
    outcomes = await soon(asyncio.gather(*asking[1:], return_exceptions=True))
    assert all(isinstance(outcome, errors.StoppedError) for outcome in outcomes)
    gate.opened.set()
    assert await soon(asking[0]) == 0
    await soon(stopping)
    assert (dict(system.modules), installed()) == ({}, [])


async def test_stop_while_modules_load_and_reload(write: ModuleWriter, gate: Gate) -> None:
    """A system that stops in the middle of loads and reloads ends with nothing loaded."""
    start = "def initialize(self, context):\n"
    held = COUNTER.replace(start, f"async {start}    await context.invoke('gate', 'wait')\n")
    async with running({"gate": gate}) as system:
        await system.load("counter", source=write(COUNTER, "counter"))
        loading = asyncio.ensure_future(system.load("late", source=write(held, "late")))
        reloading = asyncio.ensure_future(system.reload("counter", source=write(held, "counter")))
        await soon(gate.arrived.wait())
        stopping = asyncio.ensure_future(system.stop())
        gate.opened.set()
        await soon(stopping)
        await soon(asyncio.gather(loading, reloading, return_exceptions=True))
    assert (dict(system.modules), installed()) == ({}, [])


async def test_stop_ends_subscriptions(write: ModuleWriter) -> None:
    """Whoever iterates over events is let go when the system stops, after what has arrived."""
    async with running() as system:
        await system.load("echo", source=write(ECHO))
        async with system.subscribe("hostcore.module.unloaded") as events:
            await system.stop()
            assert [event.payload["module"] async for event in soon_each(events)] == ["echo"]
        await system.stop()  # a second time changes nothing


async def soon_each(events: object):
    """Iterate with the test's patience."""
    async with asyncio.timeout(20):
        async for event in events:  # type: ignore[attr-defined]
            yield event


async def test_an_exception_in_the_body(write: ModuleWriter, notes: Notes) -> None:
    """Leaving the system by an exception shuts the modules down and lets the exception through."""
    body = """
    @hookimpl
    def initialize(self, context):
        self.context = context

    @hookimpl
    async def shutdown(self):
        await self.context.invoke("notes", "take", what="shutdown")
    """
    with pytest.raises(KeyboardInterrupt):
        async with running({"notes": notes}) as system:
            await system.load("echo", source=write(body))
            raise KeyboardInterrupt
    assert notes.taken == ["shutdown"]


async def test_before_and_after() -> None:
    """A system that has not been started, or has been stopped, says so to every call."""
    system = hostcore.ModuleSystem(SETTINGS)

    async def subscribe() -> None:
        async with system.subscribe("a"):
            pass

    def calls() -> list[object]:
        return [
            lambda: system.load("a"), lambda: system.load_all(), lambda: system.reload("a"),
            lambda: system.unload("a"), lambda: system.request("a"), lambda: system.send("a"),
            lambda: system.publish("a"), lambda: system.execute("a"), subscribe,
        ]  # fmt: skip

    for call in calls():
        with pytest.raises(errors.LifecycleError, match="has not been started"):
            await call()  # type: ignore[operator]
    assert "not started" in repr(system)
    await system.stop()  # nothing to stop
    await system.start()
    with pytest.raises(errors.LifecycleError, match="started once"):
        await system.start()
    assert "running" in repr(system)
    await system.stop()
    for call in calls():
        with pytest.raises(errors.LifecycleError, match="has been stopped"):
            await call()  # type: ignore[operator]
    with pytest.raises(errors.LifecycleError, match="make a new one"):
        await system.start()
    assert "stopped" in repr(system)


async def test_two_systems(write: ModuleWriter) -> None:
    """Two systems in one program know nothing of each other, though they load the same module."""
    async with running() as one, running() as two:
        for number, system in enumerate((one, two)):
            await system.load("counter", source=write(COUNTER, "counter", version=f"{number}.0"))
        await one.request("counter")
        assert await one.request("counter") == {"count": 2, "version": "0.0"}
        assert await two.request("counter") == {"count": 1, "version": "1.0"}
        await one.unload("counter")
        assert await two.request("counter") == {"count": 2, "version": "1.0"}


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"mailboxes": 5, "guard": "strong", "handler_timeout": -1}, "did you mean 'mailbox'"),
        ({"modules": {"echo": {"limits": {"handel_message": 1}}}}, "did you mean 'handle_message'"),
        ({"policy": {"grants": {"echo": ["bus.sent:x"]}}}, "did you mean 'bus.send'"),
        ("/nowhere/hostcore.toml", "hostcore.toml"),
    ],
)
def test_wrong_configuration(settings: object, said: str) -> None:
    """A wrong configuration is refused before anything starts, with all mistakes and suggestions."""
    with pytest.raises(errors.ConfigError) as caught:
        hostcore.ModuleSystem(settings)  # type: ignore[arg-type]
    assert said in str(caught.value)
    if isinstance(settings, dict) and "mailboxes" in settings:
        assert len(caught.value.problems) == 3


async def test_a_configuration_file(tmp_path: Path, site: Path) -> None:
    """A system takes its settings from a file; paths in it are relative to the file."""
    install(site, "echo", ECHO, manifest="[config.word]\ntype = 'string'")
    (tmp_path / "hostcore.toml").write_text(
        'name = "mine"\nindex = false\nstate_dir = "state"\n[modules.echo.config]\nword = "w"\n'
    )
    async with hostcore.ModuleSystem(tmp_path / "hostcore.toml") as system:
        await system.load("echo")
        system.disable("other")
        assert (tmp_path / "state").is_dir()
        assert repr(system) == "<ModuleSystem mine running, 1 modules>"
