"""Probation: a new generation that fails at its messages is gone back from by itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from support.modules import ModuleWriter
from system.support import Gate, arrived_so_far, next_event, running, soon

import hostcore
from hostcore import errors
from hostcore.generations import table

BODY = """
@hookimpl
def initialize(self, context):
    self.context, self.seen = context, []

@hookimpl
async def handle_message(self, message):
    if message.topic == "hold":
        await self.context.invoke("gate", "wait")
    if FAILS:
        raise ValueError("no luck")
    self.seen.append(message.payload)
    return self.context.version

@hookimpl
def get_state(self):
    return self.seen

@hookimpl
def restore_state(self, state):
    self.seen = state

@hookimpl
def execute(self):
    return self.seen
"""


def release(write: ModuleWriter, version: str, fails: str = "False") -> Path:
    return write(BODY.replace("FAILS", fails), version=version)


@asynccontextmanager
async def watched(**rules: Any) -> AsyncIterator[tuple[hostcore.ModuleSystem, Any]]:
    """Run a system whose probation ends with two failures, and listen to its reloads."""
    settings = {"failures": 2, "probation": "1h", **rules}
    async with running({"gate": Gate()}, reload=settings) as system, system.subscribe(">") as events:
        yield system, events


async def ask(system: hostcore.ModuleSystem, times: int = 1) -> list[object]:
    """Ask the module so often; return the versions that answered, None where it failed."""
    answers: list[object] = []
    for _ in range(times):
        try:
            answers.append(await soon(system.request("echo", len(answers))))
        except errors.HookError:
            answers.append(None)
    return answers


async def is_quiet(system: hostcore.ModuleSystem, events: Any) -> bool:
    """Tell whether no reload has ended or begun since the last look."""
    await asyncio.sleep(0)
    busy = [task for task in asyncio.all_tasks() if task.get_name().startswith("hostcore:rollback")]
    told = [event for event in await arrived_so_far(system, events) if event.topic == "hostcore.module.reloaded"]
    return not busy and not told


async def test_a_release_that_fails(write: ModuleWriter) -> None:
    """After as many failures as the rule says, the generation before comes back; the report says why."""
    async with watched() as (system, events):
        await system.load("echo", source=release(write, "1.0"))
        await ask(system)
        await system.reload("echo", source=release(write, "2.0", "True"), strict=True)
        await next_event(events, "hostcore.module.reloaded")
        assert await ask(system, 2) == [None, None]
        told = await next_event(events, "hostcore.module.reloaded")
        assert (told["kind"], told["rolled_back"], told["new_version"]) == ("rollback", False, "1.0")
        assert told["why"].startswith("probation: 2 of its first 2 messages failed, the last with: HC302")
        assert "ValueError: no luck" in told["why"]
        assert await ask(system, 2) == ["1.0", "1.0"]
        assert await system.execute("echo") == [0, 0, 1]
        assert system.history("echo")[-1].why == told["why"]
        assert len(table.by_id) == 1
        with pytest.raises(errors.LifecycleError, match="none is kept"):
            await system.rollback("echo")


async def test_messages_meanwhile(write: ModuleWriter) -> None:
    """What is sent while the generation before comes back is handled by it, each message once and in order."""
    async with watched() as (system, events):
        await system.load("echo", source=release(write, "1.0"))
        await system.reload("echo", source=release(write, "2.0", "message.payload < 0"), strict=True)
        await next_event(events, "hostcore.module.reloaded")
        for payload in (-1, -2, *range(50)):
            await system.send("echo", payload)
        told = await next_event(events, "hostcore.module.reloaded")
        assert told["new_version"] == "1.0"
        for payload in range(50, 60):
            assert await soon(system.request("echo", payload)) == "1.0"
        assert await system.execute("echo") == list(range(60))


@pytest.mark.parametrize(
    ("old", "new", "rules", "times"),
    [
        ("True", "True", {}, 12),  # no worse than before
        ("False", "message.payload == 0", {}, 12),  # too few
        ("False", "message.payload % 4 == 3", {}, 24),  # too small a share
        ("False", "True", {"failures": 0}, 12),
        ("False", "True", {"keep": 0}, 12),
    ],
)
async def test_a_release_that_is_good_enough(
    write: ModuleWriter, old: str, new: str, rules: dict[str, Any], times: int
) -> None:
    """One that fails no more than the one before, too rarely, or with probation off, goes on."""
    async with watched(**rules) as (system, events):
        await system.load("echo", source=release(write, "1.0", old))
        await ask(system, 12)
        await system.reload("echo", source=release(write, "2.0", new), strict=True)
        await next_event(events, "hostcore.module.reloaded")
        await ask(system, times)
        assert await is_quiet(system, events)
        assert system.modules["echo"].version == "2.0"


@pytest.mark.parametrize("share", [0.9, 0.4])
async def test_the_share(write: ModuleWriter, share: float) -> None:
    """Failures count only from the share of the messages on that the rule names."""
    async with watched(failure_share=share) as (system, events):
        await system.load("echo", source=release(write, "1.0"))
        await system.reload("echo", source=release(write, "2.0", "message.payload % 2 == 1"), strict=True)
        await next_event(events, "hostcore.module.reloaded")
        await ask(system, 4)
        if share > 0.5:
            assert await is_quiet(system, events)
        else:
            assert (await next_event(events, "hostcore.module.reloaded"))["new_version"] == "1.0"


async def test_the_time_is_over(write: ModuleWriter) -> None:
    """Failures after the probation has ended are the release's own affair."""
    async with watched(probation="1ms") as (system, events):
        await system.load("echo", source=release(write, "1.0"))
        await system.reload("echo", source=release(write, "2.0", "True"), strict=True)
        await next_event(events, "hostcore.module.reloaded")
        observer = system.record("echo").cell.observer  # type: ignore[union-attr]
        async with asyncio.timeout(20):
            while system.record("echo").cell.observer is observer:  # type: ignore[union-attr]
                if type(observer).__name__ != "Probation":
                    break
                await asyncio.sleep(0)
        await ask(system, 10)
        assert await is_quiet(system, events)
        assert system.modules["echo"].version == "2.0"


async def test_a_reload_begins_it_anew(write: ModuleWriter) -> None:
    """Each release is judged by its own failures; of the one before nothing is held against it."""
    async with watched() as (system, events):
        await system.load("echo", source=release(write, "1.0"))
        for version in ("2.0", "3.0", "4.0"):
            await system.reload("echo", source=release(write, version, "message.payload == 0"), strict=True)
            await next_event(events, "hostcore.module.reloaded")
            await ask(system, 3)
            assert await is_quiet(system, events)
        assert system.modules["echo"].version == "4.0"


async def test_a_reload_that_fails_does_not_end_it(write: ModuleWriter) -> None:
    """A release on probation stays so when a reload of it came to nothing."""
    async with watched() as (system, events):
        await system.load("echo", source=release(write, "1.0"))
        await system.reload("echo", source=release(write, "2.0", "True"), strict=True)
        assert await ask(system) == [None]
        assert (await system.reload("echo", source="/nowhere")).rolled_back
        await arrived_so_far(system, events)
        await ask(system, 2)
        assert (await next_event(events, "hostcore.module.reloaded"))["new_version"] == "1.0"


async def test_it_ends_with_the_module(write: ModuleWriter) -> None:
    """An unload ends the probation, and a stop does: nothing comes back afterwards."""
    async with watched() as (system, _):
        for end in (lambda: system.unload("echo"), system.stop):
            await system.load("echo", source=release(write, "1.0"))
            await system.reload("echo", source=release(write, "2.0", "True"), strict=True)
            assert await ask(system, 1) == [None]
            failing = asyncio.ensure_future(ask(system, 1))
            ending = asyncio.ensure_future(end())
            await soon(asyncio.gather(failing, ending, return_exceptions=True))
            assert "echo" not in system.modules
    assert len(table.by_id) == 0


async def test_after_a_rollback_by_hand(write: ModuleWriter) -> None:
    """A generation that was gone back to is not on probation: there is nothing to go back to from it."""
    async with watched() as (system, events):
        await system.load("echo", source=release(write, "1.0", "True"))
        await system.reload("echo", source=release(write, "2.0"), strict=True)
        await system.rollback("echo", strict=True)
        await arrived_so_far(system, events)
        await ask(system, 10)
        assert await is_quiet(system, events)
        assert system.modules["echo"].version == "1.0"


async def test_both_fail(write: ModuleWriter) -> None:
    """If the generation before does not come up again, the failing one serves on, and the history has it all."""
    bad_return = "\nif hasattr(hostcore, 'refused'):\n    raise OSError('gone')\n"
    async with watched() as (system, events):
        await system.load("echo", source=write(BODY.replace("FAILS", "False"), version="1.0", top=bad_return))
        await system.reload("echo", source=release(write, "2.0", "True"), strict=True)
        await next_event(events, "hostcore.module.reloaded")
        hostcore.refused = True  # type: ignore[attr-defined]
        try:
            await ask(system, 2)
            told = await next_event(events, "hostcore.module.reloaded")
        finally:
            del hostcore.refused  # type: ignore[attr-defined]
        assert (told["rolled_back"], told["phase"], told["kind"]) == (True, "prepare", "rollback")
        assert "OSError: gone" in told["reason"]
        assert system.modules["echo"].version == "2.0"
        assert system.history("echo")[-1].what == "kept"
