"""What modules require of each other, and modules that wait for their first message."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from support.modules import COUNTER, ECHO, ModuleWriter, install
from system.support import Gate, arrived_so_far, running, soon

import hostcore
from hostcore import State, errors


async def loaded_order(system: hostcore.ModuleSystem, events: object) -> list[str]:
    """Return the modules that were loaded so far, in order."""
    return [e.payload["module"] for e in await arrived_so_far(system, events) if e.topic == "hostcore.module.loaded"]


async def test_requirements_are_loaded_first(system: hostcore.ModuleSystem, site: Path) -> None:
    """Loading a module loads what it requires, directly and further down, by name or capability."""
    install(site, "app", ECHO, manifest="requires = ['store>=2,<3', 'clock?', 'absent?']")
    install(site, "store", ECHO, version="2.5", manifest="requires = ['disk:fast>=1']")
    install(site, "ssd", ECHO, manifest="provides = ['disk:fast/1.1']")
    install(site, "clock", ECHO)
    async with system.subscribe(">") as events:
        info = await system.load("app")
        assert await loaded_order(system, events) == ["ssd", "store", "app"]
    assert info.requires == ("store<3,>=2", "clock?", "absent?")


async def test_what_runs_is_not_loaded_again(system: hostcore.ModuleSystem, site: Path, write: ModuleWriter) -> None:
    """A requirement that a running module fulfils loads nothing, wherever that module came from."""
    await system.load("store", source=write(COUNTER, "store"))
    await system.request("store")
    install(site, "store", COUNTER, version="2.0")
    install(site, "app", ECHO, manifest="requires = ['store']")
    await system.load("app")
    assert (await system.request("store")) == {"count": 2, "version": "1.0"}


async def test_order_of_all(system: hostcore.ModuleSystem, site: Path) -> None:
    """`requires`, optional requirements and `after` decide the order, whatever the names."""
    install(site, "a", ECHO, manifest="requires = ['b']")
    install(site, "b", ECHO, manifest="after = ['d']")
    install(site, "c", ECHO, manifest="requires = ['a?']")
    install(site, "d", ECHO, manifest="after = ['nowhere']")
    assert (await system.load_all(["a", "b", "c", "d"])).loaded == ["d", "b", "a", "c"]


async def test_missing(system: hostcore.ModuleSystem, site: Path) -> None:
    """A requirement that nobody fulfils is named, with the nearest name there is."""
    install(site, "store", ECHO)
    await system.load("store")
    install(site, "app", ECHO, manifest="requires = ['stora', 'nothing:like>=2']")
    with pytest.raises(errors.MissingError, match="did you mean 'store'") as caught:
        await system.load("app")
    assert len(caught.value.causes) == 2
    assert system.modules["app"].state is State.FAILED


async def test_conflict(system: hostcore.ModuleSystem, site: Path) -> None:
    """A requirement of another version names both versions; what was fine before goes on."""
    install(site, "store", ECHO, version="1.5")
    install(site, "app", ECHO, manifest="requires = ['store>=2']")
    with pytest.raises(errors.ConflictError, match=r"store is version 1\.5"):
        await system.load("app")
    assert "store" not in system.modules or system.modules["store"].state is not State.RUNNING


async def test_circle(system: hostcore.ModuleSystem, site: Path) -> None:
    """Modules that require each other are refused with the circle, alone and together."""
    for name, need in (("a", "b"), ("b", "c"), ("c", "a")):
        install(site, name, ECHO, manifest=f"requires = ['{need}']")
    install(site, "free", ECHO)
    with pytest.raises(errors.CycleError) as caught:
        await system.load("a")
    assert caught.value.causes == ("a", "b", "c", "a")
    outcome = await system.load_all(["a", "b", "c", "free"])
    assert outcome.loaded == ["free"]
    assert {type(error) for error in outcome.failed.values()} == {errors.CycleError}


async def test_a_requirement_that_fails(system: hostcore.ModuleSystem, site: Path) -> None:
    """If what it requires cannot load, the module fails too, saying why; it loads when that is mended."""
    install(site, "store", ECHO, top="raise OSError('disk gone')")
    install(site, "app", ECHO, manifest="requires = ['store']")
    with pytest.raises(errors.ResolutionError, match="disk gone"):
        await system.load("app")
    assert (system.modules["app"].state, system.modules["store"].state) == (State.FAILED, State.FAILED)
    install(site, "store", ECHO)
    await system.load("app")
    assert system.modules["store"].state is State.RUNNING


async def test_a_required_module_stays(system: hostcore.ModuleSystem, site: Path) -> None:
    """A module that others require is unloaded only by force, or after them."""
    install(site, "store", ECHO, manifest="provides = ['kept/1.0']")
    install(site, "app", ECHO, manifest="requires = ['store']")
    install(site, "tool", ECHO, manifest="requires = ['kept']")
    install(site, "maybe", ECHO, manifest="requires = ['store?']")
    await system.load_all(["store", "app", "tool", "maybe"])
    with pytest.raises(errors.LifecycleError, match="'store' is required by app, tool"):
        await system.unload("store")
    assert await system.request("store", 1) == 1
    assert await system.unload("store", force=True) == ()
    assert await system.request("app", 1) == 1


async def test_stop_after_a_forced_unload(site: Path) -> None:
    """A system stops everything, also modules whose requirements were taken away."""
    install(site, "store", ECHO)
    install(site, "app", ECHO, manifest="requires = ['store']")
    async with running() as system:
        await system.load("app")
        await system.unload("store", force=True)
    assert dict(system.modules) == {}


async def test_stop_order(site: Path) -> None:
    """At the end modules stop before what they require: their shutdown may still use it."""
    install(site, "store", ECHO)
    install(site, "app", LEAVES, manifest="requires = ['store']")
    async with running() as system:
        await system.load("app")
        async with system.subscribe(">") as events:
            await system.stop()
        topics = [
            (e.topic, e.payload.get("module")) async for e in events if e.topic in ("left", "hostcore.module.unloaded")
        ]
    assert topics == [("left", None), ("hostcore.module.unloaded", "app"), ("hostcore.module.unloaded", "store")]


LEAVES = """
@hookimpl
def initialize(self, context):
    self.context = context

@hookimpl
async def shutdown(self):
    await self.context.publish("left", {"reply": await self.context.request("store", "bye")})
"""


# --- on demand -----------------------------------------------------------------------------------------------------

LAZY = "activate = 'on-demand'\nprovides = ['lazy:thing/1.0']"


@pytest.mark.parametrize("target", ["lazy", "lazy:thing"])
async def test_on_demand(system: hostcore.ModuleSystem, site: Path, target: str) -> None:
    """A module that waits for demand is loaded by the first message to it, or to what it provides."""
    install(site, "lazy", COUNTER, manifest=LAZY)
    outcome = await system.load_all(["lazy"])
    assert (outcome.loaded, outcome.waiting) == ([], ["lazy"])
    assert system.modules["lazy"].state is State.WAITING
    assert (await system.request(target))["count"] == 1
    assert system.modules["lazy"].state is State.RUNNING
    assert (await system.request(target))["count"] == 2


async def test_on_demand_once(system: hostcore.ModuleSystem, site: Path, gate: Gate) -> None:
    """Many first messages at once load the module once, and each is handled."""
    body = COUNTER.replace("def initialize(self, context):", ASYNC_START)
    install(site, "lazy", body, manifest=LAZY + "\nrequires = ['base']")
    install(site, "base", body)
    await system.load_all(["lazy"])
    asking = [asyncio.ensure_future(system.request("lazy" if n % 2 else "lazy:thing")) for n in range(20)]
    sending = [asyncio.ensure_future(system.send("lazy")) for _ in range(20)]
    await soon(gate.arrived.wait())
    gate.opened.set()
    replies = await soon(asyncio.gather(*asking))
    await soon(asyncio.gather(*sending))
    assert len({reply["count"] for reply in replies}) == 20
    assert (await system.request("lazy"))["count"] == 41
    assert (system.modules["lazy"].generation, system.modules["base"].generation) == (1, 1)


ASYNC_START = "async def initialize(self, context):\n    await context.invoke('gate', 'wait')"


async def test_on_demand_that_fails(system: hostcore.ModuleSystem, site: Path) -> None:
    """If it cannot load, everyone who asked is told why, and later ones too; loading it mended works."""
    install(site, "lazy", ECHO, manifest=LAZY, top="raise ValueError('broken')")
    await system.load_all(["lazy"])
    outcomes = await soon(asyncio.gather(*(system.request("lazy") for _ in range(3)), return_exceptions=True))
    assert all(isinstance(o, errors.HostcoreError) and "broken" in str(o) for o in outcomes)
    with pytest.raises(errors.StoppedError, match="broken"):
        await system.request("lazy")
    install(site, "lazy", ECHO, manifest=LAZY)
    assert (await system.load_all(["lazy"])).waiting == ["lazy"]
    assert await system.request("lazy", 7) == 7


async def test_on_demand_by_configuration(site: Path) -> None:
    """The host's configuration decides when a module loads; asking for it by name loads it at once."""
    install(site, "lazy", ECHO, manifest=LAZY)
    install(site, "eager", ECHO)
    settings = {"lazy": {"activate": "startup"}, "eager": {"activate": "on-demand"}}
    async with running(modules=settings) as system:
        outcome = await system.load_all(["lazy", "eager"])
        assert (outcome.loaded, outcome.waiting) == (["lazy"], ["eager"])
        assert (await system.load("eager")).state is State.RUNNING
