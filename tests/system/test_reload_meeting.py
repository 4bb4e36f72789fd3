"""Reloads that meet something else half-way: other reloads, loads, second cancellations, and the module itself."""

from __future__ import annotations

import asyncio
import gc
import threading
from pathlib import Path
from typing import Any

import pytest
from support.modules import COUNTER, ECHO, ModuleWriter, install
from system.support import Gate, Notes, next_event, running, soon, until

import hostcore
from hostcore import errors
from hostcore.hosts.ending import to_its_end

WAITS = """
@hookimpl
async def initialize(self, context):
    await context.invoke("gate", "wait")

@hookimpl
def handle_message(self, message):
    return message.payload
"""


async def test_requirements_that_change_meanwhile(
    system: hostcore.ModuleSystem, write: ModuleWriter, gate: Gate
) -> None:
    """What a new release requires is looked at once more before the switch: it may have been replaced meanwhile."""
    await system.load("one", source=write(ECHO, "one", version="1.0"))
    await system.load("two", source=write(ECHO, "two"))
    wanting = write(WAITS, "two", version="2.0", manifest="requires = ['one<2']")
    reloading = asyncio.ensure_future(system.reload("two", source=wanting))
    await soon(gate.arrived.wait())
    await system.reload("one", source=write(ECHO, "one", version="2.0"), strict=True)
    gate.opened.set()
    report = await soon(reloading)
    assert report.rolled_back
    assert "requires 'one<2'" in report.reason
    assert system.modules["two"].version == "1.0"


async def test_two_that_need_the_same(
    system: hostcore.ModuleSystem, write: ModuleWriter, site: Path, gate: Gate
) -> None:
    """Two new releases that require the same module, which nobody has loaded yet, both get it."""
    install(site, "third", WAITS)
    for name in ("one", "two"):
        await system.load(name, source=write(ECHO, name))
    sources = {name: write(ECHO, name, version="2.0", manifest="requires = ['third']") for name in ("one", "two")}
    reloads = [asyncio.ensure_future(system.reload(name, source=source)) for name, source in sources.items()]
    await soon(gate.arrived.wait())
    gate.opened.set()
    reports = await soon(asyncio.gather(*reloads))
    assert [report.reason for report in reports] == ["", ""]


async def test_what_a_dependent_newly_requires(system: hostcore.ModuleSystem, write: ModuleWriter, site: Path) -> None:
    """A cascade loads what the new releases of the dependents require, too."""
    install(site, "third", ECHO)
    await system.load("base", source=write(ECHO, "base"))
    top = write(ECHO, "top", manifest="requires = ['base']")
    await system.load("top", source=top)
    manifest = top / "acme_top" / "module.toml"
    manifest.write_text(manifest.read_text().replace("'base'", "'base', 'third'"))
    report = await system.reload("base", cascade=True)
    assert report.reason == ""
    assert "third" in system.modules


FAILS = "@hookimpl\ndef handle_message(self, message):\n    raise ValueError('no luck')\n"


async def test_what_was_reloaded_together_goes_back_together(
    system: hostcore.ModuleSystem, write: ModuleWriter
) -> None:
    """A module that fails its probation takes those along that were reloaded with it and need it as it was."""
    sources = {
        "base": write(ECHO, "base", version="1.0"),
        "top": write(ECHO, "top", version="1.0", manifest="requires = ['base<2']"),
    }
    for name, source in sources.items():
        await system.load(name, source=source)
    new = {
        "base": write(FAILS, "base", version="2.0"),
        "top": write(ECHO, "top", version="2.0", manifest="requires = ['base>=2']"),
    }
    for name, source in sources.items():
        for file in sorted(new[name].rglob("*")):
            if file.is_file():
                (source / file.relative_to(new[name])).parent.mkdir(parents=True, exist_ok=True)
                (source / file.relative_to(new[name])).write_bytes(file.read_bytes())
    report = await system.reload("base", cascade=True, strict=True)
    assert [other.module for other in report.others] == ["top"]
    async with system.subscribe("hostcore.module.reloaded") as told:
        for _ in range(5):
            with pytest.raises(errors.HookError, match="no luck"):
                await system.request("base")
        await next_event(told, "hostcore.module.reloaded", module="base", kind="rollback", rolled_back=False)
        await next_event(told, "hostcore.module.reloaded", module="top", kind="rollback", rolled_back=False)
    assert [system.modules[name].version for name in ("base", "top")] == ["1.0", "1.0"]
    assert await system.request("base", 1) == 1


async def test_an_import_that_is_cancelled_is_broken(system: hostcore.ModuleSystem, write: ModuleWriter) -> None:
    """A reload that is cancelled while the new release's import spins leaves no thread behind."""
    await system.load("counter", source=write(COUNTER, "counter"))
    spinning = write(COUNTER, "counter", version="2.0", top="while True: pass")
    reloading = asyncio.ensure_future(system.reload("counter", source=spinning))

    def importing() -> list[threading.Thread]:
        return [thread for thread in threading.enumerate() if thread.name == "hostcore:load-counter"]

    await until(importing)
    reloading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await soon(reloading)
    await until(lambda: not importing())
    assert (await system.request("counter"))["version"] == "1.0"


async def test_an_old_copy_that_unsubscribes(system: hostcore.ModuleSystem, write: ModuleWriter) -> None:
    """What the old copy takes back in its shutdown was its own: the new copy keeps its subscriptions."""
    body = """
    @hookimpl
    def initialize(self, context):
        self.context = context
        context.subscribe("news")

    @hookimpl
    def shutdown(self):
        self.context.unsubscribe("news")

    @hookimpl
    def handle_message(self, message): ...
    """
    await system.load("ear", source=write(body, "ear"))
    await system.reload("ear", strict=True)
    assert await system.publish("news") == 1


async def test_a_stuck_message_survives_a_reload_that_fails(write: ModuleWriter, gate: Gate) -> None:
    """A message is given up on only when the new copy takes over: if that fails, it goes on, and alone."""
    body = """
    @hookimpl
    def initialize(self, context):
        self.context = context

    @hookimpl
    async def handle_message(self, message):
        await self.context.invoke("gate", "wait")
        return "done"
    """
    unhealthy = ECHO + "\n@hookimpl\ndef check_health(self):\n    return False\n"
    async with running({"gate": gate}, reload={"drain": "50ms"}) as system:
        await system.load("slow", source=write(body, "slow"))
        asking = asyncio.ensure_future(system.request("slow"))
        await soon(gate.arrived.wait())
        report = await soon(system.reload("slow", source=write(unhealthy, "slow"), state="fresh"))
        assert (report.rolled_back, report.phase) == (True, "verify")
        gate.opened.set()
        assert await soon(asking) == "done"


async def test_a_text_that_cannot_be_encoded(system: hostcore.ModuleSystem, write: ModuleWriter) -> None:
    """An error whose text holds half a surrogate pair is reported like any other, and its event comes."""
    await system.load("counter", source=write(COUNTER, "counter"))
    bad = write("@hookimpl\ndef initialize(self): raise ValueError('bad \\udcff')", "counter")
    async with system.subscribe("hostcore.module.reloaded") as told:
        report = await system.reload("counter", source=bad)
        assert "bad \\udcff" in report.reason
        await next_event(told, "hostcore.module.reloaded", module="counter", rolled_back=True)


async def test_a_module_that_reloads_itself_later(write: ModuleWriter, notes: Notes) -> None:
    """A task of a module may ask for the module's reload: it is cancelled as part of it, and nothing waits for it."""
    body = """
    @hookimpl
    def initialize(self, context):
        self.context = context

    @hookimpl
    async def handle_message(self, message):
        if message.topic == "renew":
            self.task = asyncio.ensure_future(self.renew())
        return self.context.generation

    async def renew(self):
        await asyncio.sleep(0)
        await self.context.invoke("renewer", "renew")
    """

    class Renewer:
        system: Any = None

        async def renew(self) -> None:
            """Reload the module that asks."""
            await self.system.reload("own")

    renewer = Renewer()
    async with running({"renewer": renewer}) as system:
        renewer.system = system
        await system.load("own", source=write(body, "own"))
        async with system.subscribe("hostcore.module.reloaded") as told:
            assert await system.request("own", topic="renew") == 1
            report = await next_event(told, "hostcore.module.reloaded", module="own")
        assert (report["rolled_back"], list(report["leaks"])) == (False, [])
        assert await system.request("own") == 2


async def test_late_imports_after_going_back_twice(system: hostcore.ModuleSystem, write: ModuleWriter) -> None:
    """Kept code keeps what a generation made of it did not import again, for the next way back."""
    body = "@hookimpl\ndef handle_message(self, message):\n    import acme_late.part\n    return acme_late.part.VALUE\n"
    source = write(body, "late", files={"acme_late/part.py": "VALUE = 'old'\n"})
    await system.load("late", source=source)
    assert await system.request("late") == "old"
    part = source / "acme_late" / "part.py"
    for value in ("new", "newer"):
        part.write_text(f"VALUE = {value!r}\n")
        code = source / "acme_late" / "__init__.py"
        code.write_text(code.read_text() + "# changed\n")
        await system.reload("late", strict=True)
        await system.rollback("late", strict=True)
    assert await system.request("late") == "old"


async def test_an_unload_beside_a_load(system: hostcore.ModuleSystem, write: ModuleWriter, gate: Gate) -> None:
    """A module that is unloaded while another one loads is none of that load's affair."""
    await system.load("other", source=write(ECHO, "other", manifest="after = ['one']"))
    loading = asyncio.ensure_future(system.load("one", source=write(WAITS, "one")))
    await soon(gate.arrived.wait())
    await system.unload("other")
    gate.opened.set()
    assert (await soon(loading)).name == "one"


async def test_a_work_that_fails_after_a_cancellation() -> None:
    """What work raises after whoever awaited it was cancelled, twice even, is dropped without a complaint."""
    began, go = asyncio.Event(), asyncio.Event()
    complaints: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))

    async def fails() -> None:
        began.set()
        await go.wait()
        raise ValueError("too late")

    waiting = asyncio.create_task(to_its_end(fails()))
    await soon(began.wait())
    for _ in range(2):
        waiting.cancel()
        await asyncio.sleep(0)
    assert not waiting.done()
    go.set()
    with pytest.raises(asyncio.CancelledError):
        await soon(waiting)
    del waiting
    gc.collect()
    assert complaints == []
