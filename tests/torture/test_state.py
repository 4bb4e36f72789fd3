"""State that is no use, from and to workers: the old copy serves on, and its state is not lost."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

import pytest
from support.modules import COUNTER, ModuleWriter
from system.faulty import NAME, WAYS, Clients, faulty
from system.support import soon, until
from torture.conftest import Opened
from worker.puppet import descriptors

import hostcore
from hostcore import State

LIMITS = {"get_state": "300ms", "restore_state": "300ms", "migrate_state": "300ms", "initialize": "2s", "state": "1MiB"}
STATES = {
    "no data": ("object()", "cannot be encoded"),
    "a lock": ("{'count': __import__('threading').Lock()}", "cannot be encoded"),
    "too much": ("{'count': 'x' * (2 << 20)}", "at most 1,048,576"),
    "far too much": ("{'count': 'x' * (64 << 20)}", "at most"),
    "nested": ("__import__('functools').reduce(lambda inner, _: [inner], range(100_000), 0)", "nested too deeply"),
    "within itself": ("(lambda found: found.append(found) or found)([])", "nested too deeply"),
    "an exception": ("1 / 0", "ZeroDivisionError"),
    "the end": ("__import__('sys').exit(0)", "SystemExit"),
    "a crash": ("__import__('os')._exit(9)", "exited with code 9"),
    "a hang": ("__import__('time').sleep(100)", "overran|did not end"),
}
"""What get_state returns -> what the report says."""
TAKERS = {
    "an exception": ("1 / 0", "ZeroDivisionError"),
    "the end": ("__import__('sys').exit(0)", "SystemExit"),
    "a crash": ("__import__('ctypes').string_at(8)", "SIGSEGV"),
    "a hang": ("sum(range(10**12))", "did not end"),
    "a loop": ("[None for _ in iter(int, 1)]", "overran|did not end"),
}
"""What restore_state does -> what the report says."""


@pytest.fixture
async def worker(opened: Opened, write: ModuleWriter) -> AsyncIterator[hostcore.ModuleSystem]:
    """A system with a counter in a worker, which stands at 1."""

    async def first(system: hostcore.ModuleSystem) -> None:
        await system.load("counter", source=write(COUNTER, "counter", version="1.0"), isolation="worker", limits=LIMITS)
        await system.request("counter")

    async with opened(first=first) as system:
        yield system


def with_state(write: ModuleWriter, code: str, version: str = "2.0") -> Path:
    """Write a counter whose get_state evaluates `code`, once it has counted to 2."""
    body = COUNTER.replace('return {"count": self.count}\n\n@hookimpl\ndef restore', f"""\
return {code} if self.count > 1 else {{"count": self.count}}

@hookimpl
def restore""")  # fmt: skip
    assert body != COUNTER
    return write(body, "counter", version=version)


def some(names: Iterable[str], *quick: str) -> list[Any]:
    """Return the names as parameters, those marked as slow that are not said to be quick."""
    return [pytest.param(name, marks=[] if name in quick else pytest.mark.slow) for name in names]


@pytest.mark.parametrize("name", some(STATES, "no data", "too much", "a crash"))
async def test_state_that_is_none(worker: hostcore.ModuleSystem, write: ModuleWriter, name: str) -> None:
    """A copy that gives no state is not replaced by a reload that needs it, and can be by one that does not."""
    code, said = STATES[name]
    await soon(worker.reload("counter", source=with_state(write, code), strict=True))
    assert await soon(worker.request("counter")) == {"count": 2, "version": "2.0"}
    report = await soon(worker.reload("counter"))
    assert report.rolled_back
    assert any(text in report.reason for text in said.split("|")), report.reason
    await until(lambda: worker.modules["counter"].state is State.RUNNING)
    again = await soon(worker.request("counter"))
    assert again["version"] == "2.0"
    assert again["count"] == 3 or name in ("a crash", "a hang")  # it died of it, and was started again
    await soon(worker.reload("counter", source=write(COUNTER, "counter", version="3.0"), state="fresh", strict=True))
    assert await soon(worker.request("counter")) == {"count": 1, "version": "3.0"}


@pytest.mark.parametrize("name", some(TAKERS, "an exception", "a crash"))
async def test_state_that_is_not_taken(worker: hostcore.ModuleSystem, write: ModuleWriter, name: str) -> None:
    """A new copy that does not take its state never serves; the old one goes on, and nothing of the new is left."""
    code, said = TAKERS[name]
    before = descriptors()
    body = COUNTER.replace('self.count = state["count"]', code)
    report = await soon(worker.reload("counter", source=write(body, "counter", version="2.0")))
    assert report.rolled_back
    assert any(text in report.reason for text in said.split("|")), report.reason
    assert await soon(worker.request("counter")) == {"count": 2, "version": "1.0"}
    await until(lambda: descriptors() == before)


async def test_state_of_nonsense(worker: hostcore.ModuleSystem, write: ModuleWriter) -> None:
    """State of another shape than the new copy expects is that copy's error; the old one goes on."""
    await soon(worker.reload("counter", source=with_state(write, "[1, 2, {}]"), strict=True))
    await soon(worker.request("counter"))
    report = await soon(worker.reload("counter", source=write(COUNTER, "counter", version="3.0")))
    assert report.rolled_back
    assert "TypeError" in report.reason
    assert (await soon(worker.request("counter"))) == {"count": 3, "version": "2.0"}


async def test_newer_state(worker: hostcore.ModuleSystem, write: ModuleWriter) -> None:
    """State of a newer shape is not given to an older release in a worker, which is refused by name."""
    body = COUNTER + "\n@hookimpl\ndef migrate_state(self, state, from_version):\n    return state\n"
    newer = write(body, "counter", version="2.1", manifest="state_version = 2")
    await soon(worker.reload("counter", source=newer, strict=True))
    report = await soon(worker.reload("counter", source=write(COUNTER, "counter", version="1.0")))
    assert report.rolled_back
    assert "2" in report.reason
    assert (await soon(worker.request("counter")))["version"] == "2.1"


@pytest.mark.slow
@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize("phase", ["prepare", "snapshot", "migrate", "restore", "verify"])
async def test_phase_that_fails(opened: Opened, write: ModuleWriter, phase: str, how: str) -> None:
    """Whatever a release in a worker does in a phase of its reload, the old one serves on and no message is lost."""
    brief = {"prepare": "2s"} if phase == "prepare" else {phase: "100ms"}
    async with opened(reload=brief if how != "raises" else {}) as system:
        new = await in_workers(system, write, phase, how)
        async with Clients(system) as clients:
            report = await soon(system.reload(NAME, source=new))
        assert (report.rolled_back, report.phase) == (True, phase)
        await until(lambda: system.modules[NAME].state is State.RUNNING)
        if how in ("raises", "hangs"):
            await clients.check()
        _, seen = await soon(system.request(NAME, "last"))
        assert seen[-1] == "last"


async def in_workers(system: hostcore.ModuleSystem, write: ModuleWriter, phase: str, how: str) -> Path:
    """As `faulty_pair`, in workers."""
    own = phase == "snapshot"
    source = faulty(write, phase, how, awake=False) if own else faulty(write)
    await soon(system.load(NAME, source=source, isolation="worker"))
    await soon(system.request(NAME, own, topic="wake"))
    return faulty(write, version="2.0") if own else faulty(write, phase, how, version="2.0")
