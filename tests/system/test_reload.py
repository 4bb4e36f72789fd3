"""Reloads that come through: new code, old state, no message lost."""

from __future__ import annotations

import asyncio
import gc
import textwrap
import weakref
from pathlib import Path

import pytest
from support.modules import COUNTER, ECHO, ModuleWriter, install
from system.support import Gate, Notes, running, soon, until

import hostcore
from hostcore import State, errors
from hostcore.generations import table


async def test_state_and_code(system: hostcore.ModuleSystem, write: ModuleWriter) -> None:
    """After a reload the new code runs with the old state, and the report says so."""
    await system.load("counter", source=write(COUNTER, "counter", version="1.0"), config={"start": 10})
    await system.request("counter")
    report = await system.reload("counter", source=write(COUNTER, "counter", version="1.1"))
    assert await system.request("counter") == {"count": 12, "version": "1.1"}
    assert (report.module, report.old_generation, report.new_generation) == ("counter", 1, 2)
    assert (report.old_version, report.new_version) == ("1.0", "1.1")
    assert (report.rolled_back, report.reason, report.leaks) == (False, "", ())
    assert report.duration_ms >= report.downtime_ms > 0
    assert (system.modules["counter"].generation, system.modules["counter"].version) == (2, "1.1")


async def test_the_same_place(system: hostcore.ModuleSystem, write: ModuleWriter) -> None:
    """A reload without a source finds the release anew where it came from, changed or not."""
    source = write(COUNTER, "counter")
    await system.load("counter", source=source)
    code = source / "acme_counter" / "__init__.py"
    for count in (1, 2, 3):
        assert not (await system.reload("counter")).rolled_back
        assert (await system.request("counter"))["count"] == count
    code.write_text(code.read_text().replace("self.count += 1", "self.count += 100"))
    await system.reload("counter", strict=True)
    assert (await system.request("counter"))["count"] == 103


async def test_an_upgrade(system: hostcore.ModuleSystem, site: Path) -> None:
    """A reload of an installed module takes the version that is installed now."""
    install(site, "counter", COUNTER, version="1.0")
    await system.load("counter")
    await system.request("counter")
    for leftover in (site / "acme_counter-1.0.dist-info").iterdir():
        leftover.unlink()
    (site / "acme_counter-1.0.dist-info").rmdir()
    install(site, "counter", COUNTER, version="1.1")
    report = await system.reload("counter", strict=True)
    assert (report.old_version, report.new_version) == ("1.0", "1.1")
    assert await system.request("counter") == {"count": 2, "version": "1.1"}


async def test_under_load(system: hostcore.ModuleSystem, write: ModuleWriter) -> None:
    """While 50 clients ask, reloads lose no message and handle none twice; the state is exact."""
    sources = [write(COUNTER, "counter", version=f"{n}.0") for n in (1, 2)]
    await system.load("counter", source=sources[0])
    counts: list[int] = []
    stop = asyncio.Event()

    async def client(number: int) -> None:
        while not stop.is_set():
            if number % 5 == 0:
                await system.send("counter")
                counts.append(-1)
            else:
                counts.append((await system.request("counter"))["count"])
            await asyncio.sleep(0)

    clients = [asyncio.create_task(client(number)) for number in range(50)]
    for n in range(8):
        report = await system.reload("counter", source=sources[(n + 1) % 2], strict=True)
        assert report.leaks == ()
    stop.set()
    await soon(asyncio.gather(*clients))
    replies = [count for count in counts if count > 0]
    assert len(set(replies)) == len(replies)
    assert (await system.request("counter"))["count"] == len(counts) + 1


async def test_messages_wait_for_the_new_copy(system: hostcore.ModuleSystem, write: ModuleWriter, gate: Gate) -> None:
    """The message in hand is finished by the old copy; those behind it go to the new one, in their order."""
    body = """
    @hookimpl
    def initialize(self, context):
        self.context = context
        self.seen = []

    @hookimpl
    async def handle_message(self, message):
        if message.topic == "hold":
            await self.context.invoke("gate", "wait")
        self.seen.append(message.payload)
        return [self.context.generation, self.seen]

    @hookimpl
    def get_state(self):
        return self.seen

    @hookimpl
    def restore_state(self, state):
        self.seen = state
    """
    source = write(body)
    await system.load("echo", source=source)
    held = asyncio.ensure_future(system.request("echo", "held", topic="hold"))
    await soon(gate.arrived.wait())
    later = [asyncio.ensure_future(system.request("echo", number)) for number in range(3)]
    await until(lambda: system.modules["echo"].mailbox == 3)
    await system.send("echo", 3)
    reloading = asyncio.ensure_future(system.reload("echo", strict=True))
    await until(lambda: system.modules["echo"].state is State.DRAINING)
    gate.opened.set()
    assert (await soon(held)) == [1, ["held"]]
    report = await soon(reloading)
    assert report.held_messages == 4
    assert [await soon(asking) for asking in later] == [[2, ["held", *range(n + 1)]] for n in range(3)]
    assert (await system.request("echo", 4)) == [2, ["held", 0, 1, 2, 3, 4]]


async def test_subscriptions(system: hostcore.ModuleSystem, write: ModuleWriter) -> None:
    """What is subscribed to in `initialize` is the new copy's to say; what was subscribed to later stays."""
    body = """
    @hookimpl
    def initialize(self, context):
        self.context = context
        self.heard = []
        for pattern in PATTERNS:
            context.subscribe(pattern)

    @hookimpl
    def handle_message(self, message):
        if message.topic == "heard":
            heard, self.heard = self.heard, []
            return heard
        if message.topic == "listen":
            self.context.subscribe(message.payload)
        else:
            self.heard.append(message.topic)
    """
    await system.load("ear", source=write(body, "ear", top="PATTERNS = ['both', 'old.*']"))
    await system.request("ear", "late.>", topic="listen")
    for source in (write(body, "ear", top="PATTERNS = ['both', 'new']"), None):
        await system.reload("ear", source=source, strict=True)
        got = [await system.publish(topic) for topic in ("both", "old.a", "new", "late.a.b")]
        assert got == [1, 0, 1, 1]
        assert await system.request("ear", topic="heard") == ["both", "new", "late.a.b"]


async def test_capabilities(system: hostcore.ModuleSystem, write: ModuleWriter) -> None:
    """The new copy's capabilities take the place of the old one's."""
    await system.load("echo", source=write(ECHO, manifest="provides = ['one/1.0', 'both/1.0']"))
    await system.reload("echo", source=write(ECHO, manifest="provides = ['two/1.0', 'both/2.0']"), strict=True)
    assert system.modules["echo"].provides == ("both/2.0", "two/1.0")
    assert await system.request("two", 1) == await system.request("both", 1) == 1
    with pytest.raises(errors.UnknownModuleError):
        await system.request("one")


async def test_the_wish_is_kept(system: hostcore.ModuleSystem, write: ModuleWriter) -> None:
    """Options and limits given at the load hold for every later copy."""
    body = "@hookimpl\nasync def handle_message(self, message):\n    await asyncio.Event().wait()"
    await system.load("slow", source=write(body, "slow"), limits={"handle_message": "20ms"}, config={"a": 1})
    await system.reload("slow", source=write(body, "slow"), strict=True)
    await system.reload("slow", strict=True)
    with pytest.raises(errors.HookError, match=r"overran its limit of 0\.02 s"):
        await soon(system.request("slow"))


MIGRATES = """
@hookimpl
def initialize(self, context):
    self.total = 0

@hookimpl
def handle_message(self, message):
    return self.total

@hookimpl
def get_state(self):
    return {"total": self.total}

@hookimpl
def migrate_state(self, state, from_version):
    return {"total": state["count"] * 100 + from_version}

@hookimpl
def restore_state(self, state):
    self.total = state["total"]
"""


async def test_migration(system: hostcore.ModuleSystem, write: ModuleWriter) -> None:
    """State of another version goes through `migrate_state` of the new copy; of the same version it does not."""
    await system.load("counter", source=write(COUNTER, "counter", manifest="state_version = 3"))
    await system.request("counter")
    await system.reload("counter", source=write(MIGRATES, "counter", manifest="state_version = 4"), strict=True)
    assert await system.request("counter") == 103
    await system.reload("counter", strict=True)
    assert await system.request("counter") == 103


async def test_from_version(system: hostcore.ModuleSystem, write: ModuleWriter) -> None:
    """`restore_state` is told the version of what it gets; a copy without it starts afresh."""
    plain = "@hookimpl\ndef handle_message(self):\n    return self.__dict__.get('got')\n"
    body = """
    @hookimpl
    def get_state(self):
        return "old"

    @hookimpl
    async def restore_state(self, state, from_version):
        self.got = [state, from_version]
    """
    body = textwrap.dedent(body) + plain
    await system.load("echo", source=write(body, manifest="state_version = 7"))
    await system.reload("echo", source=write(body), strict=True)
    assert await system.request("echo") == ["old", 7]
    await system.reload("echo", source=write(plain), strict=True)
    assert await system.request("echo") is None


async def test_order_of_hooks(system: hostcore.ModuleSystem, write: ModuleWriter, notes: Notes) -> None:
    """The new copy initialises while the old one serves; the old one shuts down after the switch."""
    body = """
    @hookimpl
    async def initialize(self, context):
        self.context = context
        await self.note("initialize")

    async def note(self, hook):
        await self.context.invoke("notes", "take", what=f"{hook} {self.context.generation}")

    @hookimpl
    async def get_state(self):
        await self.note("get_state")

    @hookimpl
    async def restore_state(self, state):
        await self.note("restore_state")

    @hookimpl
    async def shutdown(self):
        await self.note("shutdown")
    """
    await system.load("echo", source=write(body))
    await system.reload("echo", strict=True)
    await system.unload("echo")
    assert notes.taken == [
        "initialize 1", "initialize 2", "get_state 1", "restore_state 2", "shutdown 1", "shutdown 2",
    ]  # fmt: skip


async def test_a_failed_module_is_loaded(system: hostcore.ModuleSystem, write: ModuleWriter) -> None:
    """A reload of a module that failed to load loads it, from where it was to come from or elsewhere."""
    source = write(ECHO, top="raise ValueError('no')")
    with pytest.raises(errors.LoadError):
        await system.load("echo", source=source)
    with pytest.raises(errors.LoadError, match="ValueError: no"):
        await system.reload("echo")
    code = source / "acme_echo" / "__init__.py"
    code.write_text(code.read_text().replace("raise ValueError('no')", ""))
    report = await system.reload("echo")
    assert (report.old_generation, report.rolled_back) == (0, False)
    assert report.new_generation == system.modules["echo"].generation
    assert await system.request("echo", 1) == 1


async def test_at_the_same_time(system: hostcore.ModuleSystem, write: ModuleWriter) -> None:
    """Reloads of one module come one after the other, those of several do not disturb each other."""
    for name in ("one", "two"):
        await system.load(name, source=write(COUNTER, name))
    reports = await soon(asyncio.gather(*(system.reload(name, strict=True) for name in ("one", "two") * 4)))
    assert sorted(report.new_generation for report in reports) == [2, 2, 3, 3, 4, 4, 5, 5]
    assert all(report.leaks == () for report in reports)
    assert (await system.request("one"))["count"] == 1


async def test_100_reloads_leave_one_generation(write: ModuleWriter) -> None:
    """However often a module is reloaded, only its last generation is alive."""
    async with running() as system:
        await system.load("counter", source=write(COUNTER, "counter"))
        seen = []
        for _ in range(100):
            report = await system.reload("counter", strict=True)
            assert report.leaks == ()
            await system.request("counter")
            instance = system.record("counter").copy.instance  # type: ignore[union-attr]
            seen.append(weakref.ref(instance.generation))  # type: ignore[union-attr]
            del instance
        gc.collect()
        assert [number for number, reference in enumerate(seen) if reference() is not None] == [99]
        assert [generation.label for generation in table.by_id.values()] == ["counter"]
        assert (await system.request("counter"))["count"] == 101


async def test_leaks_are_named(
    system: hostcore.ModuleSystem, write: ModuleWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What keeps old code alive is named in the report."""
    held: list[object] = []
    monkeypatch.setattr(hostcore, "held", held, raising=False)
    await system.load("counter", source=write(COUNTER + "\nhostcore.held.append(lambda: 0)\n", "counter"))
    report = await system.reload("counter", strict=True)
    assert any("acme_counter" in leak for leak in report.leaks)
    held.clear()


async def test_a_cancelled_timer_keeps_no_generation(system: hostcore.ModuleSystem, write: ModuleWriter) -> None:
    """A timer that was cancelled, whose context the event loop keeps for a while, does not hold the old copy."""
    body = """
    @hookimpl
    async def handle_message(self, message):
        asyncio.get_running_loop().call_later(1000, print).cancel()
    """
    await system.load("timer", source=write(body, "timer"))
    await system.request("timer")
    generation = weakref.ref(system.record("timer").copy.instance.generation)  # type: ignore[union-attr]
    await system.reload("timer", strict=True)
    gc.collect()
    assert generation() is None


async def test_garbage_that_holds_garbage(system: hostcore.ModuleSystem, write: ModuleWriter) -> None:
    """What goes in a second pass of the collector only, held by what the first one freed, is no leak."""
    body = """
    @hookimpl
    def handle_message(self, message):
        cycle = [datetime(2024, 1, 1, tzinfo=Zone())]  # the collector does not follow a datetime to its zone
        cycle.append(cycle)
    """
    top = """
    from datetime import datetime, tzinfo

    class Zone(tzinfo):
        def tzname(self, when):
            return "own"
    """
    await system.load("clock", source=write(body, "clock", top=top))
    gc.disable()
    try:
        await system.request("clock")
        report = await system.reload("clock", strict=True)
    finally:
        gc.enable()
    assert report.leaks == ()


async def test_a_leak_in_a_process_that_makes_garbage(
    system: hostcore.ModuleSystem, write: ModuleWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The collector is not asked for ever where each pass finds the garbage that was made during the one before."""
    held: list[object] = []
    monkeypatch.setattr(hostcore, "held", held, raising=False)
    await system.load("counter", source=write(COUNTER + "\nhostcore.held.append(lambda: 0)\n", "counter"))

    def litter(phase: str, info: dict[str, int]) -> None:
        if phase == "stop":
            cycle: list[object] = []
            cycle.append(cycle)

    gc.callbacks.append(litter)
    try:
        report = await system.reload("counter", strict=True)
    finally:
        gc.callbacks.remove(litter)
    assert any("acme_counter" in leak for leak in report.leaks)
    held.clear()
