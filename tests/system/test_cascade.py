"""Modules that require each other, reloaded together; and many reloads at once."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from support.modules import ECHO, ModuleWriter, install
from system.support import Gate, Notes, running, soon, until

import hostcore
from hostcore import State, errors
from hostcore.generations import table

LINK = """
@hookimpl
async def initialize(self, context):
    self.context = context
    await context.invoke("notes", "take", what=f"initialize {context.name} {context.version}")
    if FAILS == "initialize":
        raise ValueError("no luck")

@hookimpl
async def handle_message(self, message):
    if message.topic == "hold":
        await self.context.invoke("gate", "wait")
    if ASKS:
        return [self.context.version, *await self.context.request(ASKS)]
    return [self.context.version]

@hookimpl
async def get_state(self):
    await self.context.invoke("notes", "take", what=f"get_state {self.context.name} {self.context.version}")
    return 1

@hookimpl
def migrate_state(self, state):
    if FAILS == "migrate":
        raise ValueError("no luck")
    return state

@hookimpl
async def restore_state(self, state):
    await self.context.invoke("notes", "take", what=f"restore_state {self.context.name} {self.context.version}")
    if FAILS == "restore":
        raise ValueError("no luck")

@hookimpl
def check_health(self):
    return FAILS != "verify"
"""


class Chain:
    """Modules of which each requires and asks the one before: "a" <- "b" <- "c" ..., each with a source of its own."""

    def __init__(self, write: ModuleWriter, names: str = "abcd", needs: str = ">=1,<2") -> None:
        self._write, self.names, self.needs = write, names, needs
        self.sources: dict[str, Path] = {}
        for name in names:
            self.write(name, "1.0")

    def write(self, name: str, version: str, *, needs: str | None = None, fails: str = "", more: str = "") -> None:
        """Write a release of a module, over the one that was there."""
        place = self.names.index(name)
        below = self.names[place - 1] if place else ""
        manifest = f"requires = ['{below}{self.needs if needs is None else needs}']\n" if below else ""
        if fails == "migrate":
            manifest += "state_version = 2\n"
        body = LINK.replace("ASKS", repr(below)).replace("FAILS", repr(fails))
        new = self._write(body, name, version=version, manifest=manifest + more)
        old = self.sources.setdefault(name, new)
        if new != old:
            for file in new.rglob("*"):
                if file.is_file():
                    (old / file.relative_to(new)).write_bytes(file.read_bytes())

    async def load(self, system: hostcore.ModuleSystem) -> None:
        for name in self.names:
            await system.load(name, source=self.sources[name])


def versions(system: hostcore.ModuleSystem) -> dict[str, str]:
    return {name: info.version for name, info in system.modules.items()}


def all_running(system: hostcore.ModuleSystem) -> bool:
    return all(info.state is State.RUNNING for info in system.modules.values())


async def test_a_range_that_is_left(system: hostcore.ModuleSystem, write: ModuleWriter) -> None:
    """A new version that a running module's range leaves out is refused, by that module's name; nothing has changed."""
    chain = Chain(write, "ab")
    await chain.load(system)
    chain.write("a", "2.0")
    report = await system.reload("a")
    assert (report.rolled_back, report.phase) == (True, "prepare")
    assert "b 1.0 requires 'a<2,>=1'" in report.reason
    assert await system.request("b") == ["1.0", "1.0"]
    chain.write("a", "1.5")
    await system.reload("a", strict=True)
    assert await system.request("b") == ["1.0", "1.5"]


async def test_a_capability_that_is_left(system: hostcore.ModuleSystem, write: ModuleWriter) -> None:
    """A new release that no longer provides what a running module requires is refused, too."""
    await system.load("base", source=write(ECHO, "base", manifest="provides = ['clock/1.2']"))
    await system.load("user", source=write(ECHO, "user", manifest="requires = ['clock>=1,<2']"))
    for provides in ("[]", "['clock/2.0']", "['watch/1.2']"):
        report = await system.reload("base", source=write(ECHO, "base", manifest=f"provides = {provides}"))
        assert (report.rolled_back, report.phase) == (True, "prepare")
        assert "user 1.0 requires" in report.reason
        assert "clock" in report.reason
    newer = write(ECHO, "base", version="1.1", manifest="provides = ['clock/1.9']")
    await system.reload("base", source=newer, strict=True)


async def test_a_cascade(system: hostcore.ModuleSystem, write: ModuleWriter, notes: Notes) -> None:
    """With `cascade` the whole chain is replaced, in the order of loads; the first report has the others."""
    chain = Chain(write)
    await chain.load(system)
    for name in "abcd":
        chain.write(name, "2.0", needs=">=2")
    notes.taken.clear()
    report = await system.reload("a", cascade=True, strict=True)
    assert [each.module for each in (report, *report.others)] == list("abcd")
    assert not any(each.rolled_back or each.leaks for each in (report, *report.others))
    expected = [f"{hook} {name} {version}" for hook, version in
                (("initialize", "2.0"), ("get_state", "1.0"), ("restore_state", "2.0")) for name in "abcd"]  # fmt: skip
    assert notes.taken == expected
    assert await system.request("d") == ["2.0"] * 4
    assert len(table.by_id) == 4


async def test_a_cascade_from_the_middle(system: hostcore.ModuleSystem, write: ModuleWriter) -> None:
    """Only what requires the module goes with it, directly or through others."""
    chain = Chain(write)
    await chain.load(system)
    report = await system.reload("c", cascade=True, strict=True)
    assert [each.module for each in (report, *report.others)] == ["c", "d"]
    assert [system.modules[name].generation for name in "abcd"] == [1, 1, 2, 2]


@pytest.mark.parametrize("fails", ["prepare", "initialize", "migrate", "restore", "verify"])
@pytest.mark.parametrize("last", ["a", "d"])
async def test_all_or_none(system: hostcore.ModuleSystem, write: ModuleWriter, fails: str, last: str) -> None:
    """If one of them does not come up, in whatever phase, all the old ones serve on; every report names it."""
    chain = Chain(write)
    await chain.load(system)
    for name in "abcd":
        chain.write(name, "1.5")
    chain.write(last, "1.5", fails=fails)
    if fails == "prepare":
        (chain.sources[last] / f"acme_{last}" / "__init__.py").write_text("raise ValueError('no luck')")
    asked = [asyncio.ensure_future(system.request("d")) for _ in range(5)]
    report = await soon(system.reload("a", cascade=True))
    for each in (report, *report.others):
        assert (each.rolled_back, each.leaks) == (True, ())
        assert each.phase == ("prepare" if fails == "initialize" else fails)
        assert each.reason.startswith(f"{last}: ")
        assert "no luck" in each.reason or fails == "verify"
        assert system.history(each.module)[-1].what == "kept"
    assert await soon(asyncio.gather(*asked)) == [["1.0"] * 4] * 5
    assert versions(system) == dict.fromkeys("abcd", "1.0")
    assert all_running(system)
    assert len(table.by_id) == 4
    chain.write(last, "1.6")
    await soon(system.reload("a", cascade=True, strict=True))
    assert await system.request("d") == [{"a": "1.5", last: "1.6"}.get(n, "1.5") for n in "dcba"]


async def test_messages_in_hand(system: hostcore.ModuleSystem, write: ModuleWriter, gate: Gate) -> None:
    """A message in hand that asks the module below is finished before that one is held: nothing waits for ever."""
    chain = Chain(write)
    await chain.load(system)
    holding = [asyncio.ensure_future(system.request(name, topic="hold")) for name in "dcb"]
    await soon(gate.arrived.wait())
    reloading = asyncio.ensure_future(system.reload("a", cascade=True, strict=True))
    await until(lambda: system.modules["d"].state is State.DRAINING)
    later = asyncio.ensure_future(system.request("d"))
    gate.opened.set()
    assert [await soon(held) for held in holding] == [["1.0"] * 4, ["1.0"] * 3, ["1.0"] * 2]
    await soon(reloading)
    assert await soon(later) == ["1.0"] * 4


async def test_a_new_requirement(system: hostcore.ModuleSystem, write: ModuleWriter, site: Path) -> None:
    """What a new release requires and nobody has loaded yet is loaded first; what cannot be is the reason."""
    install(site, "extra", ECHO)
    install(site, "broken", ECHO, top="1/0")
    await system.load("echo", source=write(ECHO))
    needy = write(ECHO, version="2.0", manifest="requires = ['extra']")
    await system.reload("echo", source=needy, strict=True)
    assert system.modules["extra"].state is State.RUNNING
    for name in ("absent", "broken"):
        report = await system.reload("echo", source=write(ECHO, version="3.0", manifest=f"requires = ['{name}']"))
        assert (report.rolled_back, report.phase) == (True, "prepare")
        assert name in report.reason
        assert system.modules["echo"].version == "2.0"


# --- at once ---------------------------------------------------------------------------------------------------


async def test_two_cascades_at_once(system: hostcore.ModuleSystem, write: ModuleWriter) -> None:
    """Cascades that have modules in common come one after the other, whichever way round they ask."""
    chain = Chain(write)
    await chain.load(system)
    reports = await soon(asyncio.gather(*(system.reload(name, cascade=True, strict=True) for name in "abcdba")))
    assert [len(report.others) for report in reports] == [3, 2, 1, 0, 2, 3]
    assert [system.modules[name].generation for name in "abcd"] == [3, 5, 6, 7]
    assert await system.request("d") == ["1.0"] * 4


async def test_50_modules_at_once(system: hostcore.ModuleSystem, write: ModuleWriter, notes: Notes) -> None:
    """Reloads of different modules do not wait for each other, and all succeed."""
    names = [f"m{number}" for number in range(50)]
    for name in names:
        await system.load(name, source=write(ECHO, name))
    reports = await soon(asyncio.gather(*(system.reload(name, strict=True) for name in names)))
    assert {report.module for report in reports} == set(names)
    assert all(report.leaks == () for report in reports)
    assert [await system.request(name, name) for name in names] == names
    assert len(table.by_id) == 50


async def test_100_reloads_of_one_module(write: ModuleWriter) -> None:
    """Of a storm of reloads as many wait as the configuration says, in order; the rest is refused by name."""
    async with running(reload={"waiting": 5}) as system:
        await system.load("echo", source=write(ECHO))
        calls = (system.reload("echo", strict=True) for _ in range(100))
        outcomes = await soon(asyncio.gather(*calls, return_exceptions=True))
        done = [each for each in outcomes if isinstance(each, hostcore.ReloadReport)]
        refused = [each for each in outcomes if isinstance(each, errors.LifecycleError)]
        assert (len(done), len(refused)) == (6, 94)
        assert "'echo' is being reloaded and 5 more reloads of it wait; this one is refused" in str(refused[0])
        assert [report.new_generation for report in done] == [2, 3, 4, 5, 6, 7]
        assert system.record("echo").waiting == 0
        assert await system.request("echo", 1) == 1
        assert len(table.by_id) == 1
        await system.reload("echo", strict=True)


async def test_the_source_of_one_that_waited(system: hostcore.ModuleSystem, write: ModuleWriter) -> None:
    """A reload without a source that waits for one with a source stays with what that has brought."""
    await system.load("echo", source=write(ECHO, version="1.0"))
    newer = write(ECHO, version="2.0")
    first, second = await soon(asyncio.gather(system.reload("echo", source=newer), system.reload("echo")))
    assert (first.new_version, second.old_version, second.new_version) == ("2.0", "2.0", "2.0")
    assert system.modules["echo"].source == str(newer)


ASKER = """
@hookimpl
def initialize(self, context):
    self.context = context

@hookimpl
async def handle_message(self, message):
    if message.topic == "ask":
        return await self.context.request(message.payload[0], message.payload[1], topic="reload")
    if message.topic == "reload":
        return await self.context.invoke("host", "reload", name=message.payload)
    return self.context.generation
"""


class HostService:
    """Lets modules reload modules."""

    system: hostcore.ModuleSystem

    async def reload(self, name: str) -> Any:
        """Reload a module and return what came of it."""
        try:
            report = await self.system.reload(name)
        except errors.LifecycleError as error:
            return str(error)
        return [report.rolled_back, report.new_generation]


async def test_from_a_handler(write: ModuleWriter) -> None:
    """A module may reload another from its handler; itself, or one that waits for it, is refused at once."""
    service = HostService()
    async with running({"host": service}) as system:
        service.system = system
        for name in ("one", "two"):
            await system.load(name, source=write(ASKER, name))
        assert await soon(system.request("one", "two", topic="reload")) == [False, 2]
        assert "from within its own handler" in await soon(system.request("one", "one", topic="reload"))
        assert "'one' cannot be reloaded" in await soon(system.request("one", ["two", "one"], topic="ask"))
        assert (await system.request("one"), await system.request("two")) == (1, 2)
        await system.reload("one", strict=True)


async def test_an_unload_in_the_middle(system: hostcore.ModuleSystem, write: ModuleWriter, gate: Gate) -> None:
    """An unload waits for the reload in hand, and a reload that comes after it is told that the module has gone."""
    slow = "@hookimpl\nasync def initialize(self, context):\n    await context.invoke('gate', 'wait')\n"
    await system.load("echo", source=write(ECHO))
    reloading = asyncio.ensure_future(system.reload("echo", source=write(slow, version="2.0")))
    await soon(gate.arrived.wait())
    unloading = asyncio.ensure_future(system.unload("echo"))
    late = asyncio.ensure_future(system.reload("echo"))
    await asyncio.sleep(0)
    gate.opened.set()
    assert not (await soon(reloading)).rolled_back
    assert await soon(unloading) == ()
    with pytest.raises(errors.LifecycleError, match="was unloaded meanwhile"):
        await soon(late)
    assert dict(system.modules) == {}
    with pytest.raises(errors.UnknownModuleError):
        await system.reload("echo")
    assert len(table.by_id) == 0


async def test_a_dependent_that_goes_before_its_turn(
    system: hostcore.ModuleSystem, write: ModuleWriter, gate: Gate
) -> None:
    """A module that is unloaded while a cascade waits takes no part in it; the others are reloaded."""
    chain = Chain(write, "abc")
    await chain.load(system)
    holding = asyncio.ensure_future(system.request("c", topic="hold"))
    await soon(gate.arrived.wait())
    unloading = asyncio.ensure_future(system.unload("c"))
    await until(lambda: system.modules["c"].state is State.DRAINING)
    reloading = asyncio.ensure_future(system.reload("a", cascade=True, strict=True))
    await asyncio.sleep(0)
    gate.opened.set()
    assert await soon(holding) == ["1.0"] * 3
    await soon(unloading)
    report = await soon(reloading)
    assert [each.module for each in report.others] == ["b"]
    assert await system.request("b") == ["1.0"] * 2
