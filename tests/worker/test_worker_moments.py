"""What happens in the very moment in which a worker is born, or dies: nothing is left of it, and nothing vanishes."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import tempfile
from pathlib import Path
from typing import Any

import pytest
from support.modules import ECHO, ModuleWriter
from system.support import Gate, Notes, soon, until
from worker.puppet import EVERYTHING, PUPPET, descriptors, pid_of, run

import hostcore

SLOW_CHECK = """
@hookimpl
def initialize(self, context):
    self.context = context

@hookimpl
async def check_health(self):
    await self.context.invoke("gate", "wait")
    return True
"""
AGAIN = "await context.invoke('notes', 'take', what=message.topic)"


async def cancelled_after(turns: int, work: Any) -> None:
    """Begin with `work` and cancel it after so many turns of the event loop, unless it has ended."""
    task = asyncio.ensure_future(work)
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait({task})


async def test_a_load_that_is_cancelled(
    system: hostcore.ModuleSystem, write: ModuleWriter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A load that is cancelled at whatever moment leaves no descriptor and no folder."""
    source = write(ECHO)
    await system.load("echo", source=source, isolation="worker")
    await system.unload("echo")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    before = descriptors()
    for turns in range(40):
        await soon(cancelled_after(turns, system.load("echo", source=source, isolation="worker")))
        if "echo" in system.modules:
            await system.unload("echo")
    gc.collect()  # what was not closed complains of it
    await until(lambda: descriptors() <= before)
    assert not list(tmp_path.glob("hostcore-worker-*"))


async def test_a_birth_that_nobody_waits_for(system: hostcore.ModuleSystem, write: ModuleWriter) -> None:
    """A worker that is born in the moment in which its load is cancelled is let go of."""
    source = write(ECHO)
    await system.load("echo", source=source, isolation="worker")
    await system.unload("echo")
    before = descriptors()
    loading = asyncio.ensure_future(system.load("echo", source=source, isolation="worker"))
    nursery: Any = system._loader._hosts["worker"]._nursery
    understand = nursery._understand

    def understand_and_cancel(answer: Any, handles: list[int]) -> None:
        understand(answer, handles)
        if answer.token:
            loading.cancel()

    nursery._understand = understand_and_cancel
    await soon(asyncio.wait({loading}))
    assert loading.cancelled()
    await until(lambda: descriptors() <= before)


async def test_a_load_that_is_cancelled_twice(
    system: hostcore.ModuleSystem, write: ModuleWriter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A load that is cancelled again, while its worker is being ended, leaves nothing either."""
    source = write(ECHO)
    await system.load("echo", source=source, isolation="worker")
    await system.unload("echo")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    before, nursery = descriptors(), system._loader._hosts["worker"]._nursery
    await until(lambda: not nursery._statuses)
    loading = asyncio.ensure_future(system.load("echo", source=source, isolation="worker"))
    await until(lambda: nursery._statuses)  # it is born, and not ready yet
    for _ in range(4):
        await asyncio.sleep(0)
        loading.cancel()
    await soon(asyncio.wait({loading}))
    await until(lambda: descriptors() <= before)
    assert not list(tmp_path.glob("hostcore-worker-*"))


@pytest.mark.parametrize("first", [False, True])
async def test_a_message_in_the_moment_of_death(
    system: hostcore.ModuleSystem, write: ModuleWriter, notes: Notes, first: bool
) -> None:
    """A message that is begun when the process has ended, and nobody has been told yet, is handled by the next one.

    The first one that suspends is begun by a task that is made for it, and so a turn of the event loop later.
    """
    await system.load("puppet", source=write(PUPPET, "puppet", manifest=EVERYTHING), isolation="worker")
    record = system.record("puppet")
    process = record.copy.instance._process
    if not first:
        assert await pid_of(system) == process.pid
    cell, link = record.cell, process.link
    close = link.close

    def close_and_begin(reason: str) -> None:
        close(reason)
        if reason == "ended":  # its end is known, and whoever waits for it has its turn after this
            assert system._bus.send_at_once(system._sender, "puppet", AGAIN, topic="late")
            cell._drain()

    link.close = close_and_begin
    os.kill(process.pid, signal.SIGKILL)
    await until(lambda: notes.taken)
    assert notes.taken == ["late"]
    assert [crash.topic for crash in system.crashes("puppet")] == ["late"]


async def test_a_new_copy_that_dies_before_it_serves(
    system: hostcore.ModuleSystem, write: ModuleWriter, gate: Gate, notes: Notes
) -> None:
    """A process that dies after it was found well, and before it serves, is replaced, and messages wait for that."""
    await system.load("puppet", source=write(PUPPET, "puppet", manifest=EVERYTHING), isolation="worker")
    await system.load("slow", source=write(SLOW_CHECK, "slow", manifest='requires = ["puppet"]'))
    old, nursery = await pid_of(system), system._loader._hosts["worker"]._nursery
    reloading = asyncio.create_task(system.reload("puppet", cascade=True))
    await soon(gate.arrived.wait())  # the new puppet has been found well, and waits for the new "slow"
    (new,) = nursery._statuses.keys() - {old}
    sent = [asyncio.create_task(system.send("puppet", AGAIN, topic=f"sent.{i}")) for i in range(3)]
    os.kill(new, signal.SIGKILL)
    await until(lambda: new not in nursery._statuses)
    await run_turns(5)  # its end has reached whoever hears of it
    gate.opened.set()
    assert not (await soon(reloading)).rolled_back
    await soon(asyncio.gather(*sent))
    assert await soon(run(system, "return 1")) == 1
    assert notes.taken == ["sent.0", "sent.1", "sent.2"]
    assert len(system.crashes("puppet")) == 1


async def run_turns(count: int) -> None:
    """Let the event loop go round so often."""
    for _ in range(count):
        await asyncio.sleep(0)
