"""One thing in the middle of another: stopping while loading, giving up while activating, failing half-way."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest
from support.modules import ECHO, WAITER, ModuleWriter, install
from system.support import Gate, Notes, running, soon, until

import hostcore
from hostcore import State, errors

SLOW_START = """
@hookimpl
async def initialize(self, context):
    await context.invoke("gate", "wait")

@hookimpl
def handle_message(self, message):
    return message.payload
"""
STUBBORN = """
@hookimpl
def initialize(self, context):
    self.context = context

@hookimpl
async def handle_message(self, message):
    await self.context.invoke("notes", "take", what="began")
    while True:
        try:
            await asyncio.sleep(0.01)
        except asyncio.CancelledError:
            pass
"""


async def test_a_module_that_outlives_the_system_harms_nobody(write: ModuleWriter, notes: Notes) -> None:
    """A handler that ignores its cancellation does not take the program down once the system has stopped."""
    async with running({"notes": notes}, handler_timeout=0.1) as system:
        await system.load("echo", source=write(STUBBORN))
        await system.send("echo", 1)
        await until(lambda: notes.taken)
    await asyncio.sleep(0.1)  # the clock of SIGALRM would have ticked five times: the process is still there


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks came with Python 3.12")
async def test_eager_tasks(system: hostcore.ModuleSystem, write: ModuleWriter, gate: Gate) -> None:
    """A loop that starts tasks eagerly changes nothing."""
    loop = asyncio.get_running_loop()
    loop.set_task_factory(asyncio.eager_task_factory)
    try:
        await system.load("echo", source=write(WAITER))
        asked = asyncio.ensure_future(system.request("echo", 1))
        await soon(gate.arrived.wait())
        gate.opened.set()
        assert await soon(asked) == 1
        await soon(system.unload("echo"))
    finally:
        loop.set_task_factory(None)


@pytest.mark.parametrize("methods", ["__hash__ = None", "def __eq__(self, other):\n    return False"])
async def test_an_object_that_compares_oddly(system: hostcore.ModuleSystem, write: ModuleWriter, methods: str) -> None:
    """A module whose object cannot be hashed, or equals nothing, is reloaded and unloaded like any other."""
    await system.load("echo", source=write(f"{ECHO}\n{methods}"))
    assert (await system.reload("echo")).leaks == ()
    assert await system.unload("echo") == ()


async def test_a_stop_that_is_cancelled_comes_to_its_end(write: ModuleWriter, gate: Gate) -> None:
    """Cancelling a stop leaves nobody waiting: every module is unloaded and every caller answered."""
    system = hostcore.ModuleSystem({"index": False, "handler_timeout": 0.2}, services={"gate": gate})
    await system.start()
    await system.load("echo", source=write(WAITER))
    asked = asyncio.ensure_future(system.request("echo", 1))
    await soon(gate.arrived.wait())
    stopping = asyncio.ensure_future(system.stop())
    await asyncio.sleep(0)
    stopping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await soon(stopping)
    with pytest.raises(errors.StoppedError):
        await soon(asked)
    assert dict(system.modules) == {}
    await system.stop()


async def test_nothing_loads_into_a_system_that_stops(write: ModuleWriter, gate: Gate, site: Path) -> None:
    """Loading several modules ends with the system: none of them runs afterwards."""
    for name in ("one", "three", "two"):
        install(site, name, SLOW_START)
    async with running({"gate": gate}) as system:
        loading = asyncio.ensure_future(system.load_all(["one", "two", "three"]))
        await soon(gate.arrived.wait())
        stopping = asyncio.ensure_future(system.stop())
        await asyncio.sleep(0)
        gate.opened.set()
        await soon(stopping)
        outcome = await soon(loading)
    assert set(outcome.failed) == {"three", "two"}
    assert dict(system.modules) == {}


async def test_who_gives_up_does_not_undo_an_activation(gate: Gate, site: Path) -> None:
    """The first to ask an on-demand module may time out or be cancelled; the others get their reply."""
    install(site, "echo", SLOW_START, manifest="activate = 'on-demand'")
    async with running({"gate": gate}) as system:
        await system.load_all()
        with pytest.raises(errors.DeadlineError):
            await system.request("echo", 1, timeout=0.05)
        cancelled = asyncio.ensure_future(system.request("echo", 2))
        other = asyncio.ensure_future(system.request("echo", 3))
        await soon(gate.arrived.wait())
        cancelled.cancel()
        await asyncio.wait({cancelled})
        gate.opened.set()
        assert await soon(other) == 3


async def test_a_failure_of_yesterday_is_not_held_against_a_module_that_runs(
    write: ModuleWriter, gate: Gate, site: Path
) -> None:
    """A module that is loaded while `load_all` still reports it as not found goes on serving."""
    install(site, "slow", SLOW_START)
    async with running({"gate": gate}) as system:
        loading = asyncio.ensure_future(system.load_all(["late", "slow"]))
        await soon(gate.arrived.wait())
        await system.load("late", source=write(ECHO, "late"))
        gate.opened.set()
        await soon(loading)
        assert system.modules["late"].state is State.RUNNING
        assert await system.request("late", 1) == 1


async def test_a_requirement_that_goes_while_its_dependent_loads(
    system: hostcore.ModuleSystem, write: ModuleWriter, gate: Gate
) -> None:
    """A module does not run without what it requires, even if that was there when its load began."""
    await system.load("base", source=write(ECHO, "base"))
    loading = asyncio.ensure_future(system.load("echo", source=write(SLOW_START, manifest="requires = ['base']")))
    await soon(gate.arrived.wait())
    await system.unload("base")
    gate.opened.set()
    with pytest.raises(errors.ResolutionError, match="'base'"):
        await soon(loading)
    assert system.modules["echo"].state is State.FAILED


@pytest.mark.parametrize(
    ("annotation", "top"),
    [
        ("hostcore.Message[1]", ""),
        ("hostcore.Message[A | B]", "import msgspec\nclass A(msgspec.Struct):\n    a: int\nclass B(A):\n    b: int\n"),
        ("hostcore.Message[P]", "class P(hostcore.Payload, topic='a.b'):\n    x: 'Missing'\n"),
    ],
)
async def test_an_annotation_that_cannot_be_decoded(write: ModuleWriter, annotation: str, top: str) -> None:
    """It is the module's error, by name and place, and does not stop other modules from loading."""
    bad = write(f"@hookimpl\ndef handle_message(self, message: {annotation}): ...", "bad", top=top)
    async with running(modules={"bad": {"source": str(bad)}, "echo": {"source": str(write(ECHO))}}) as system:
        outcome = await system.load_all()
        assert outcome.loaded == ["echo"]
        assert isinstance(outcome.failed["bad"], errors.HookError)
        assert "handle_message" in str(outcome.failed["bad"]) or "message" in str(outcome.failed["bad"])
        assert outcome.failed["bad"].code == "HC311"


async def test_tasks_and_timers_of_a_module_end_with_it(
    system: hostcore.ModuleSystem, write: ModuleWriter, notes: Notes
) -> None:
    """What a module left running goes: a task within a library's coroutine, and a timer that renews itself."""
    body = """
@hookimpl
def initialize(self, context):
    self.task = asyncio.create_task(asyncio.wait_for(self.work(), None))
    self.tick()

def tick(self):
    asyncio.get_running_loop().call_later(0.001, self.tick)

async def work(self):
    while True:
        await asyncio.sleep(0.001)
"""
    before = asyncio.all_tasks()
    await system.load("echo", source=write(body))
    assert await system.unload("echo") == ()
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == before


async def test_a_new_copy_that_fails_takes_no_subscription_away(
    system: hostcore.ModuleSystem, write: ModuleWriter, notes: Notes
) -> None:
    """Unsubscribing in an `initialize` that fails changes nothing for the copy that serves."""
    listening = """
@hookimpl
def initialize(self, context):
    self.context = context
    context.subscribe("n.x")

@hookimpl
async def handle_message(self, message):
    await self.context.invoke("notes", "take", what=message.payload)
"""
    failing = "@hookimpl\ndef initialize(self, context):\n    context.unsubscribe('n.x')\n    raise ValueError('no')"
    await system.load("echo", source=write(listening))
    assert (await system.reload("echo", source=write(failing))).rolled_back
    assert await system.publish("n.x", 1) == 1
    await until(lambda: notes.taken == [1])


async def test_what_was_initialised_is_shut_down(
    system: hostcore.ModuleSystem, write: ModuleWriter, notes: Notes
) -> None:
    """If something fails after `initialize`, `shutdown` lets go of what it took."""
    body = """
@hookimpl
def initialize(self, context):
    self.context = context

@hookimpl
def get_capabilities(self):
    raise ValueError("no")

@hookimpl
async def shutdown(self):
    await self.context.invoke("notes", "take", what="closed")
"""
    with pytest.raises(errors.HookError):
        await system.load("echo", source=write(body))
    assert notes.taken == ["closed"]


async def test_mistakes_of_the_calling_program(system: hostcore.ModuleSystem, write: ModuleWriter) -> None:
    """Arguments of the wrong type are refused before anything happens, as anywhere in Python."""
    for wrong in ({"name": 5}, {"name": "x", "isolation": 5}, {"name": "x", "config": [1]}, {"name": "x", "limits": 1}):
        with pytest.raises(TypeError):
            await system.load(**wrong)  # type: ignore[arg-type]
    assert dict(system.modules) == {}
    with pytest.raises(TypeError):
        await system.request(None)  # type: ignore[call-overload]
    with pytest.raises(TypeError):
        await system.publish(None)  # type: ignore[arg-type]
    await system.load("echo", source=write(ECHO))
    with pytest.raises(errors.DeadlineError):
        await system.request("echo", 1, timeout=float("nan"))
    with pytest.raises(ValueError, match="capacity"):
        async with system.subscribe("a.b", capacity=0):
            pass


async def test_two_loads_of_one_module_at_once(system: hostcore.ModuleSystem, write: ModuleWriter, gate: Gate) -> None:
    """The second of two loads is told that the module is loaded already; its options are not ignored in silence."""
    source = write(SLOW_START)
    first = asyncio.ensure_future(system.load("echo", source=source))
    await soon(gate.arrived.wait())
    with pytest.raises(errors.LifecycleError):
        await soon(system.load("echo", source=source))
    gate.opened.set()
    assert (await soon(first)).state is State.RUNNING
