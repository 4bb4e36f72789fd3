"""Reloads that do not come through: the old copy serves on, with its state, and the report says why."""

from __future__ import annotations

import asyncio

import pytest
from support.modules import COUNTER, ECHO, ModuleWriter
from system.support import Gate, Notes, next_event, running, soon

import hostcore
from hostcore import State, errors
from hostcore.generations import table

NEW = "@hookimpl\ndef handle_message(self, message):\n    return 'new'\n"
RESTORES = NEW + "@hookimpl\ndef restore_state(self, state):\n    {}\n"


async def check_rolled_back(system: hostcore.ModuleSystem, report: hostcore.ReloadReport, said: str) -> None:
    """Assert that the old copy of "counter", at a count of one, serves on alone."""
    assert report.rolled_back
    assert said in report.reason
    assert (report.old_generation, report.new_generation, report.leaks) == (1, 2, ())
    info = system.modules["counter"]
    assert (info.state, info.generation, info.version, info.error) == (State.RUNNING, 1, "1.0", "")
    assert [generation.label for generation in table.by_id.values()] == ["counter"]
    assert await system.request("counter") == {"count": 2, "version": "1.0"}


@pytest.mark.parametrize(
    ("body", "top", "manifest", "said"),
    [
        (ECHO, "def broken(:", "", "SyntaxError"),
        (ECHO, "import acme_absent", "", "No module named 'acme_absent'"),
        (ECHO, "raise SystemExit(1)", "", "called sys.exit(1)"),
        ("@hookimpl\ndef unknown(self): ...", "", "", "unknown hook 'unknown'"),
        ("@hookimpl\ndef initialize(self): raise ValueError('bad start')", "", "", "ValueError: bad start"),
        ("@hookimpl\ndef get_capabilities(self): return 5", "", "", "returned 5"),
        (ECHO, "", "isolation = 'nowhere'", "isolation"),
        (ECHO, "", "[config.path]\ntype = 'string'\nrequired = true", "'path' is missing"),
        (RESTORES.format("raise KeyError('count')"), "", "", "KeyError: 'count'"),
        (RESTORES.format("raise SystemExit"), "", "", "SystemExit"),
        (RESTORES.format("while True: pass"), "", "[limits]\nrestore_state = '50ms'", "overran its limit"),
        (
            RESTORES.format("pass") + "@hookimpl\ndef migrate_state(self, state):\n    return 1 / 0",
            "", "state_version = 2", "ZeroDivisionError",
        ),
        (RESTORES.format("pass"), "", "[limits]\nstate = 1", "at most 1 are allowed"),
    ],
)  # fmt: skip
async def test_a_bad_release(
    system: hostcore.ModuleSystem, write: ModuleWriter, body: str, top: str, manifest: str, said: str
) -> None:
    """Whatever is wrong with the new release, the old copy serves on with its state."""
    await system.load("counter", source=write(COUNTER, "counter"))
    await system.request("counter")
    bad = write(body, "counter", version="2.0", top=top, manifest=manifest)
    await check_rolled_back(system, await soon(system.reload("counter", source=bad)), said)
    report = await system.reload("counter")  # the source that failed is forgotten
    assert not report.rolled_back
    assert (await system.request("counter")) == {"count": 3, "version": "1.0"}


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("object()", "its state cannot be encoded"),
        ("{'self': self}", "its state cannot be encoded"),
        ("'x' * 2000", "at most 1,000 are allowed"),
        ("1 / 0", "ZeroDivisionError"),
        ("exec('while True: pass')", "overran its limit"),
    ],
)
async def test_a_state_that_cannot_be_taken(write: ModuleWriter, value: str, said: str) -> None:
    """If the old copy's state cannot be taken, the old copy serves on."""
    body = COUNTER.replace('return {"count": self.count}\n\n', f"return {value}\n\n")
    assert value in body
    async with running(state_limit=1000) as system:
        source = write(body, "counter", manifest="[limits]\nget_state = '50ms'")
        await system.load("counter", source=source)
        await system.request("counter")
        await check_rolled_back(system, await soon(system.reload("counter")), said)


@pytest.mark.parametrize("hook", ["initialize(self, context)", "restore_state(self, state)"])
async def test_a_new_copy_that_hangs(system: hostcore.ModuleSystem, write: ModuleWriter, hook: str) -> None:
    """A new copy that does not get ready in its time is given up on."""
    name = hook.partition("(")[0]
    hanging = NEW + f"@hookimpl\nasync def {hook}:\n    await asyncio.Event().wait()"
    await system.load("counter", source=write(COUNTER, "counter"))
    await system.request("counter")
    bad = write(hanging, "counter", manifest=f"[limits]\n{name} = '50ms'")
    await check_rolled_back(system, await soon(system.reload("counter", source=bad)), f"hook '{name}' overran")


async def test_a_message_that_does_not_end(write: ModuleWriter, gate: Gate) -> None:
    """If the message in hand does not end in time, the reload is given up and the message goes on."""
    body = """
    count = 0

    @hookimpl
    def initialize(self, context):
        self.context = context

    @hookimpl
    async def handle_message(self, message):
        self.count += 1
        if message.topic == "hold":
            await self.context.invoke("gate", "wait")
        return self.count
    """
    async with running({"gate": gate}, handler_timeout=0.1) as system:
        await system.load("counter", source=write(body, "counter"), limits={"handle_message": "100s"})
        holding = asyncio.ensure_future(system.request("counter", topic="hold"))
        await soon(gate.arrived.wait())
        later = asyncio.ensure_future(system.request("counter"))
        report = await soon(system.reload("counter"))
        assert report.rolled_back
        assert "the message in hand did not end within 0.1 s" in report.reason
        gate.opened.set()
        assert [await soon(asking) for asking in (holding, later)] == [1, 2]


async def test_strict(system: hostcore.ModuleSystem, write: ModuleWriter) -> None:
    """Asked to be strict, a reload that was rolled back raises with the report."""
    await system.load("counter", source=write(COUNTER, "counter"))
    await system.request("counter")
    with pytest.raises(errors.ReloadError, match="bad start") as caught:
        await system.reload("counter", source=write(NEW, "counter", top="raise ValueError('bad start')"), strict=True)
    assert caught.value.exit_code == 10
    await check_rolled_back(system, caught.value.report, "bad start")


async def test_a_release_that_is_gone(system: hostcore.ModuleSystem, write: ModuleWriter) -> None:
    """If there is no release to reload, or it was disabled meanwhile, the old copy serves on."""
    await system.load("counter", source=write(COUNTER, "counter"))
    await system.request("counter")
    await check_rolled_back(system, await system.reload("counter", source="/nowhere/at/all"), "does not exist")
    system.disable("counter")
    report = await system.reload("counter")
    assert report.rolled_back
    assert "is disabled" in report.reason


async def test_the_event_and_the_new_copys_end(
    system: hostcore.ModuleSystem, write: ModuleWriter, notes: Notes
) -> None:
    """A new copy that got as far as initialising is shut down, its subscriptions never count, and an event tells."""
    body = """
    @hookimpl
    async def initialize(self, context):
        self.context = context
        context.subscribe("news")

    @hookimpl
    def restore_state(self, state):
        raise ValueError("no")

    @hookimpl
    async def shutdown(self):
        await self.context.invoke("notes", "take", what=f"shutdown {self.context.generation}")
    """
    await system.load("counter", source=write(COUNTER, "counter"))
    async with system.subscribe("hostcore.module.*") as events:
        report = await system.reload("counter", source=write(body, "counter", version="2.0"))
        told = await next_event(events, "hostcore.module.reloaded")
    assert (told["module"], told["rolled_back"], told["reason"]) == ("counter", True, report.reason)
    assert report.new_version == "2.0"
    assert notes.taken == ["shutdown 2"]
    assert await system.publish("news") == 0


async def test_an_old_copy_that_fails_to_shut_down(system: hostcore.ModuleSystem, write: ModuleWriter) -> None:
    """An old copy whose shutdown raises is dropped all the same; an event tells of it."""
    body = COUNTER + "\n@hookimpl\ndef shutdown(self):\n    raise ValueError('will not go')\n"
    await system.load("counter", source=write(body, "counter"))
    async with system.subscribe("hostcore.handler.failed") as events:
        report = await system.reload("counter", source=write(COUNTER, "counter", version="2.0"), strict=True)
        assert "will not go" in (await next_event(events, "hostcore.handler.failed", hook="shutdown"))["error"]["text"]
    assert report.leaks == ()
    assert (await system.request("counter"))["version"] == "2.0"
