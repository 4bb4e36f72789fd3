"""Each phase of a reload, failing, hanging and cancelled in each way: the old generation serves on, or the new one.

The phases up to the swap are undone.  From then on nothing can fail any more: what `shutdown` does is told, no more.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from support.modules import ModuleWriter
from system.faulty import (
    NAME,
    NEW_ONES,
    WAYS,
    Clients,
    end_stubborn_tasks,
    faulty,
    faulty_pair,
    history_of,
)  # fmt: skip
from system.support import Gate, next_event, running, soon, until

import hostcore
from hostcore import State, errors
from hostcore.generations import table
from hostcore.hosts import native
from hostcore.runtime.loading import Loader

UNDONE = ("prepare", "snapshot", "migrate", "restore", "verify")
STUBBORN = "task hostcore:counter."
LATE = ("did not end within ", "overran its limit of ")


@pytest.fixture(autouse=True)
async def stubborn_tasks_end(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    """What ignores its cancellation is not waited for as long as elsewhere, and does not outlive the test."""
    monkeypatch.setattr(native, "_LEAVE_TIME", 0.05)
    yield
    await end_stubborn_tasks()


def generations() -> list[str]:
    return [generation.label for generation in table.by_id.values()]


def check_old_serves(system: hostcore.ModuleSystem) -> None:
    info = system.modules[NAME]
    assert (info.state, info.generation, info.version, info.error) == (State.RUNNING, 1, "1.0", "")
    assert generations() == [NAME]


async def check_good_reload_follows(system: hostcore.ModuleSystem, write: ModuleWriter, *seen: str) -> None:
    """Assert that a good release takes over with the exact state, and that nothing of the old ones is left."""
    (generation, before) = await soon(system.request(NAME, "before"))
    assert [what for what in before if isinstance(what, str)] == [*seen, "before"]
    if generation == 1:
        await system.request(NAME, False, topic="wake")
    report = await soon(system.reload(NAME, source=faulty(write, version="3.0"), strict=True))
    assert report.leaks == ()
    assert (await soon(system.request(NAME, "after")))[1] == [*before, "after"]
    assert generations() == [NAME]


@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize("phase", UNDONE)
async def test_a_phase_that_fails(write: ModuleWriter, phase: str, how: str) -> None:
    """Code that raises, hangs, spins or ignores its cancellation in a phase leaves the old generation serving."""
    brief = "1s" if phase == "prepare" else "50ms"  # a good release must be made ready in it, too
    async with running(reload={phase: brief} if how != "raises" else {}) as system:
        new = await faulty_pair(system, write, phase, how)
        async with system.subscribe("hostcore.module.reloaded") as events, Clients(system) as clients:
            report = await soon(system.reload(NAME, source=new))
            told = await next_event(events, "hostcore.module.reloaded")
        check_old_serves(system)
        assert (report.rolled_back, report.phase) == (True, phase)
        assert (report.old_generation, report.new_generation) == (1, 2)
        check_reason(report, phase, how)
        check_leaks(report.leaks, phase, how)
        entry = history_of(system)
        assert (entry.what, entry.phase, entry.reason) == ("kept", phase, report.reason)
        assert (told["phase"], told["reason"], told["rolled_back"]) == (phase, report.reason, True)
        await clients.check()
        await end_stubborn_tasks()
        await check_good_reload_follows(system, write, "last")


def check_reason(report: hostcore.ReloadReport, phase: str, how: str) -> None:
    if how == "raises":
        assert "raised ValueError: no luck" in report.reason
        assert "acme_counter/__init__.py" in report.traceback
        assert report.traceback.rstrip().endswith("ValueError: no luck")
    else:
        assert any(text in report.reason for text in LATE)


def check_leaks(leaks: tuple[str, ...], phase: str, how: str) -> None:
    """Assert that only what ignores its cancellation is still alive of a new generation that failed."""
    if how == "ignores" and phase in NEW_ONES:
        assert any(STUBBORN in leak for leak in leaks)
    else:
        assert leaks == ()


IMPORTS = {
    "raises": ("raise ValueError('no luck')", "ValueError: no luck"),
    "spins": ("while True: pass", "did not end within"),
    "quits": ("raise SystemExit(3)", "sys.exit(3)"),
    "interrupts": ("raise KeyboardInterrupt", "KeyboardInterrupt"),
    "cancels": ("raise asyncio.CancelledError", "CancelledError"),
}


@pytest.mark.parametrize("how", IMPORTS)
async def test_an_import_that_fails(write: ModuleWriter, how: str) -> None:
    """An import that raises whatever it likes, or never ends, leaves the old generation serving."""
    top, said = IMPORTS[how]
    async with running(reload={"prepare": "1s"} if how == "spins" else {}, load_timeout=2.0) as system:
        await system.load(NAME, source=faulty(write))
        async with Clients(system) as clients:
            report = await soon(system.reload(NAME, source=write("pass", NAME, version="2.0", top=top)))
        assert (report.rolled_back, report.phase, report.leaks) == (True, "prepare", ())
        assert said in report.reason
        check_old_serves(system)
        await clients.check()
        await check_good_reload_follows(system, write, "last")


async def held_at(system: hostcore.ModuleSystem, gate: Gate, new: Path, phase: str) -> asyncio.Task[Any]:
    """Start a reload and return it when its `phase` waits at the gate."""
    if phase == "drain":
        holding = asyncio.ensure_future(system.send(NAME, "held", topic="hold"))
        await soon(gate.arrived.wait())
        await soon(holding)
    reloading = asyncio.create_task(system.reload(NAME, source=new))
    await soon(gate.arrived.wait())
    if phase == "drain":
        await until(lambda: system.modules[NAME].state is State.DRAINING)
    return reloading


@pytest.mark.parametrize("phase", [*UNDONE, "drain"])
async def test_a_phase_that_is_cancelled(
    system: hostcore.ModuleSystem, write: ModuleWriter, gate: Gate, phase: str
) -> None:
    """Whoever asked for a reload can go away in any phase: the old generation serves on, and the history tells."""
    new = await faulty_pair(system, write, phase, "waits")
    async with Clients(system) as clients:
        reloading = await held_at(system, gate, new, phase)
        reloading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await soon(reloading)
        check_old_serves(system)
        gate.opened.set()
    entry = history_of(system)
    assert (entry.what, entry.phase, entry.reason, entry.leaks) == ("kept", phase, "it was cancelled", ())
    assert system.record(NAME).waiting == 0
    if phase == "drain":
        assert "held" in (await soon(system.request(NAME, "look")))[1]
    else:
        await clients.check()
        await check_good_reload_follows(system, write, "last")


async def test_a_drain_that_takes_too_long(write: ModuleWriter, gate: Gate) -> None:
    """A message that does not end in time is finished by the old generation after the reload was given up."""
    async with running({"gate": gate}, reload={"drain": "50ms"}) as system:
        new = await faulty_pair(system, write, "drain", "")
        holding = asyncio.create_task(system.request(NAME, "held", topic="hold"))
        await soon(gate.arrived.wait())
        later = [asyncio.create_task(system.request(NAME, f"later {n}")) for n in range(3)]
        report = await soon(system.reload(NAME, source=new))
        assert (report.rolled_back, report.phase, report.leaks) == (True, "drain", ())
        assert "the message in hand did not end within 0.05 s" in report.reason
        assert "--state last" in report.reason
        check_old_serves(system)
        gate.opened.set()
        assert (await soon(holding)) == [1, ["held"]]
        assert [len((await soon(asked))[1]) for asked in later] == [2, 3, 4]
        await check_good_reload_follows(system, write, "held", "later 0", "later 1", "later 2")


@pytest.mark.parametrize("how", WAYS)
async def test_a_shutdown_that_fails(write: ModuleWriter, how: str) -> None:
    """Whatever the old generation's `shutdown` does, the new one serves with the state, and an event tells."""
    async with running(reload={"retire": "50ms"} if how != "raises" else {}) as system:
        new = await faulty_pair(system, write, "retire", how)
        async with system.subscribe("hostcore.handler.failed") as events, Clients(system) as clients:
            report = await soon(system.reload(NAME, source=new, strict=True))
            failed = await next_event(events, "hostcore.handler.failed", hook="shutdown")
        assert failed["module"] == NAME
        assert (report.rolled_back, report.phase, report.reason) == (False, "", "")
        assert (system.modules[NAME].generation, generations()) == (2, [NAME])
        assert all(STUBBORN in leak or "acme_counter" in leak for leak in report.leaks)
        assert bool(report.leaks) == (how == "ignores")
        assert history_of(system).what == "reloaded"
        await clients.check()
        await end_stubborn_tasks()
        await check_good_reload_follows(system, write, "last")


async def test_a_cancellation_after_the_swap(system: hostcore.ModuleSystem, write: ModuleWriter, gate: Gate) -> None:
    """A reload that is cancelled while the old generation shuts down comes to its end: the new one serves."""
    new = await faulty_pair(system, write, "retire", "waits")
    async with Clients(system) as clients:
        reloading = await held_at(system, gate, new, "retire")
        reloading.cancel()
        await asyncio.sleep(0)
        reloading.cancel()
        gate.opened.set()
        with pytest.raises(asyncio.CancelledError):
            await soon(reloading)
        await until(lambda: generations() == [NAME])
    assert (system.modules[NAME].generation, system.modules[NAME].version) == (2, "2.0")
    await until(lambda: history_of(system).what == "reloaded")
    await clients.check()
    await check_good_reload_follows(system, write, "last")


async def test_a_swap_that_fails(
    system: hostcore.ModuleSystem, write: ModuleWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Should putting the new generation behind the address fail, the old one is put back with its subscriptions."""
    await system.load(NAME, source=faulty(write))
    activate = Loader.activate

    def fail(self: Loader, record: Any, copy: Any) -> None:
        activate(self, record, copy)
        if copy.number == 2:
            raise OSError("no room")

    monkeypatch.setattr(Loader, "activate", fail)
    async with Clients(system) as clients:
        report = await soon(system.reload(NAME, source=faulty(write, version="2.0")))
    assert (report.rolled_back, report.phase, report.leaks) == (True, "swap", ())
    assert "OSError: no room" in report.reason
    check_old_serves(system)
    await clients.check()
    await check_good_reload_follows(system, write, "last")


@pytest.mark.parametrize("phase", [*UNDONE, "drain", "retire"])
async def test_a_stop_in_a_phase(write: ModuleWriter, gate: Gate, phase: str) -> None:
    """Stopping the system in any phase of a reload ends the reload, answers every caller and leaves nothing behind."""
    async with running({"gate": gate}, handler_timeout=0.3) as system:
        new = await faulty_pair(system, write, phase, "waits")
        reloading = await held_at(system, gate, new, phase)
        asked = [asyncio.create_task(system.request(NAME, n)) for n in range(3)]
        stopping = asyncio.create_task(system.stop())
        outcome = (await soon(asyncio.gather(reloading, return_exceptions=True)))[0]
        await soon(stopping)
        for reply in await soon(asyncio.gather(*asked, return_exceptions=True)):
            assert isinstance(reply, list | errors.StoppedError)
    if phase == "retire":
        assert not isinstance(outcome, hostcore.ReloadReport) or not outcome.rolled_back
    else:
        assert isinstance(outcome, errors.StoppedError)
    assert dict(system.modules) == {}
    assert generations() == []
