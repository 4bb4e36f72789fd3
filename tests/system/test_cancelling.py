"""Cancelling a load, reload or unload in the middle: the system stays consistent and can go on."""

from __future__ import annotations

import asyncio

import pytest
from support.modules import COUNTER, ECHO, WAITER, ModuleWriter
from system.support import Gate, Notes, next_event, running, soon, until

import hostcore
from hostcore import State, errors
from hostcore.generations import table

HELD = "await self.context.invoke('gate', 'wait')"


def held_in(hook: str) -> str:
    """Return a counter that waits at the gate in `hook`."""
    body = COUNTER.replace("    self.count = context", "    self.context = context\n    self.count = context", 1)
    if f"def {hook}" not in body:
        return body + f"\n@hookimpl\nasync def {hook}(self):\n    {HELD}\n"
    for kind in ("async def", "def"):
        for arguments in ("(self, context)", "(self, message)", "(self, state)", "(self)"):
            start = f"{kind} {hook}{arguments}:\n"
            if f"\n{start}" in body:
                hold = "    self.context = context\n" if hook == "initialize" else ""
                return body.replace(start, f"async def {hook}{arguments}:\n{hold}    {HELD}\n")
    raise AssertionError(hook)


async def cancelled(work: object, gate: Gate) -> None:
    """Cancel `work` once a module waits at the gate."""
    task = asyncio.ensure_future(work)  # type: ignore[arg-type]
    await soon(gate.arrived.wait())
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await soon(task)


def generations() -> list[str]:
    """Return the labels of the living generations."""
    return [generation.label for generation in table.by_id.values()]


async def test_a_load(system: hostcore.ModuleSystem, write: ModuleWriter, gate: Gate) -> None:
    """A cancelled load leaves a failed module without a generation, which can be loaded again."""
    source = write(held_in("initialize"), "counter")
    await cancelled(system.load("counter", source=source), gate)
    assert (system.modules["counter"].state, generations()) == (State.FAILED, [])
    assert "interrupted" in system.modules["counter"].error
    with pytest.raises(errors.StoppedError):
        await system.request("counter")
    gate.opened.set()
    await system.load("counter", source=source)
    assert (await system.request("counter"))["count"] == 1


async def test_an_import(system: hostcore.ModuleSystem, write: ModuleWriter) -> None:
    """A load that is cancelled while it imports leaves nothing, and can be made again."""
    source = write(COUNTER, "counter")
    loading = asyncio.ensure_future(system.load("counter", source=source))
    await until(lambda: generations())
    loading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await soon(loading)
    assert generations() == []
    await system.load("counter", source=source)
    assert (await system.request("counter"))["count"] == 1


@pytest.mark.parametrize("hook", ["initialize", "restore_state"])
async def test_a_reload_before_the_switch(
    system: hostcore.ModuleSystem, write: ModuleWriter, gate: Gate, hook: str
) -> None:
    """A reload that is cancelled before the switch leaves the old copy serving, and nothing of the new one alive."""
    await system.load("counter", source=write(COUNTER, "counter"))
    await system.request("counter")
    await cancelled(system.reload("counter", source=write(held_in(hook), "counter", version="2.0")), gate)
    assert (system.modules["counter"].state, generations()) == (State.RUNNING, ["counter"])
    assert [(entry.what, entry.leaks) for entry in system.history("counter")] == [("loaded", ()), ("kept", ())]
    assert await soon(system.request("counter")) == {"count": 2, "version": "1.0"}
    assert not (await soon(system.reload("counter"))).rolled_back
    assert (await system.request("counter"))["count"] == 3


async def test_a_reload_that_waits_for_the_message_in_hand(
    system: hostcore.ModuleSystem, write: ModuleWriter, gate: Gate
) -> None:
    """A reload that is cancelled while the old copy finishes its message leaves that copy serving."""
    await system.load("slow", source=write(WAITER, "slow"))
    asking = asyncio.ensure_future(system.request("slow", 1))
    await soon(gate.arrived.wait())
    reloading = asyncio.ensure_future(system.reload("slow"))
    await until(lambda: system.modules["slow"].state is State.DRAINING)
    reloading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await soon(reloading)
    assert system.modules["slow"].state is State.RUNNING
    later = asyncio.ensure_future(system.request("slow", 2))
    gate.opened.set()
    assert [await soon(asking), await soon(later)] == [1, 2]
    assert generations() == ["slow"]


async def test_a_reload_after_the_switch(system: hostcore.ModuleSystem, write: ModuleWriter, gate: Gate) -> None:
    """A reload that is cancelled after the switch has been made: the old copy goes, the new one serves."""
    await system.load("counter", source=write(held_in("shutdown"), "counter"))
    await system.request("counter")
    async with system.subscribe("hostcore.module.reloaded") as events:
        reloading = asyncio.ensure_future(system.reload("counter", source=write(COUNTER, "counter", version="2.0")))
        await soon(gate.arrived.wait())
        reloading.cancel()
        assert await soon(system.request("counter")) == {"count": 2, "version": "2.0"}
        gate.opened.set()
        with pytest.raises(asyncio.CancelledError):
            await soon(reloading)
        assert not (await next_event(events, "hostcore.module.reloaded"))["rolled_back"]
    assert (system.modules["counter"].generation, generations()) == (2, ["counter"])


async def test_an_unload_that_waits_for_the_message_in_hand(
    system: hostcore.ModuleSystem, write: ModuleWriter, gate: Gate
) -> None:
    """An unload that is cancelled before the module has stopped leaves it serving."""
    await system.load("slow", source=write(WAITER, "slow"))
    asking = asyncio.ensure_future(system.request("slow", 1))
    await soon(gate.arrived.wait())
    unloading = asyncio.ensure_future(system.unload("slow"))
    await until(lambda: system.modules["slow"].state is State.DRAINING)
    unloading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await soon(unloading)
    assert system.modules["slow"].state is State.RUNNING
    gate.opened.set()
    assert await soon(asking) == 1
    assert await soon(system.request("slow", 2)) == 2
    assert not (await soon(system.reload("slow"))).rolled_back


async def test_an_unload_in_shutdown(
    system: hostcore.ModuleSystem, write: ModuleWriter, gate: Gate, notes: Notes
) -> None:
    """An unload that is cancelled while the module shuts down comes to its end first."""
    body = held_in("shutdown") + "    await self.context.invoke('notes', 'take', what='end of shutdown')\n"
    await system.load("counter", source=write(body, "counter"))
    async with system.subscribe("hostcore.module.unloaded") as events:
        unloading = asyncio.ensure_future(system.unload("counter"))
        await soon(gate.arrived.wait())
        unloading.cancel()
        await asyncio.sleep(0)
        gate.opened.set()
        with pytest.raises(asyncio.CancelledError):
            await soon(unloading)
        await next_event(events, "hostcore.module.unloaded", module="counter")
    assert notes.taken == ["end of shutdown"]
    assert (dict(system.modules), generations()) == ({}, [])


async def test_a_request(system: hostcore.ModuleSystem, write: ModuleWriter, gate: Gate) -> None:
    """A cancelled request does not cancel its handler, and one that still waited is never handled."""
    await system.load("counter", source=write(held_in("handle_message"), "counter"))
    await cancelled(system.request("counter"), gate)
    waiting = asyncio.ensure_future(system.request("counter"))
    await until(lambda: system.modules["counter"].mailbox == 1)
    waiting.cancel()
    gate.opened.set()
    assert (await soon(system.request("counter")))["count"] == 2
    assert system.modules["counter"].failed == 0


async def test_a_load_that_has_not_begun(write: ModuleWriter, gate: Gate) -> None:
    """A load that is cancelled while it loads what the module requires leaves nothing of the module itself."""
    modules = {"counter": {"source": str(write(held_in("initialize"), "counter"))}}
    async with running({"gate": gate}, modules=modules) as system:
        top = write(ECHO, manifest="requires = ['counter']")
        await cancelled(system.load("echo", source=top), gate)
        assert list(system.modules) == ["counter"]
        gate.opened.set()
        await system.load("echo", source=top)
        assert system.modules["echo"].state is State.RUNNING
