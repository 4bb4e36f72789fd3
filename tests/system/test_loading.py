"""Loading and unloading by name, from wherever; options and limits; what is switched off."""

from __future__ import annotations

import asyncio
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from support.distributions import Project, install_target
from support.modules import COUNTER, ECHO, ModuleWriter, install
from system.support import Gate, running, soon

import hostcore
from hostcore import State, errors
from hostcore.runtime.enabling import Switches

CONFIGURED = """
@hookimpl
def initialize(self, context):
    self.config = context.config

@hookimpl
def handle_message(self, message):
    return self.config
"""
OPTIONS = """
[config.start]
type = "integer"
default = 3
minimum = 0
[config.mode]
type = "string"
choices = ["fast", "slow"]
default = "fast"
[config.path]
type = "string"
required = true
"""


async def test_load_and_unload(system: hostcore.ModuleSystem, write: ModuleWriter) -> None:
    """A loaded module is listed with what is known of it; an unloaded one is not listed."""
    source = write(ECHO, manifest="summary = 'says it again'\nprovides = ['echo:text/1.2']", version="1.4.0")
    info = await system.load("echo", source=source)
    assert (info.name, info.state, info.generation, info.version) == ("echo", State.RUNNING, 1, "1.4.0")
    assert (info.distribution, info.source, info.host) == ("acme-echo", str(source), "native")
    assert info.provides == ("echo:text/1.2",)
    assert dict(system.modules) == {"echo": info}
    assert await system.unload("echo") == ()
    assert dict(system.modules) == {}


async def test_several_modules(system: hostcore.ModuleSystem, write: ModuleWriter) -> None:
    """Modules are loaded beside each other and unloaded one by one."""
    for name in ("one", "two", "three"):
        await system.load(name, source=write(COUNTER, name, version=f"{len(name)}.0"))
    assert sorted(system.modules) == ["one", "three", "two"]
    await system.unload("two")
    assert [(await system.request(name))["version"] for name in ("one", "three")] == ["3.0", "5.0"]


async def test_an_installed_module(system: hostcore.ModuleSystem, site: Path, tmp_path: Path) -> None:
    """A distribution that pip installed is found by its entry point, also while the program runs."""
    wheel = Project(tmp_path / "p", version="1.1").wheel(tmp_path / "dist")
    with pytest.raises(errors.LoadError, match="no module named 'counter' is installed"):
        await system.load("counter")
    install_target(site, wheel)
    info = await system.load("counter")
    assert (info.version, info.distribution, info.source) == ("1.1", "acme-counter", "")
    assert await system.request("counter") == {"count": 1, "version": "1.1"}


async def test_a_wheel(system: hostcore.ModuleSystem, tmp_path: Path) -> None:
    """A module is loaded from a wheel that is not installed."""
    wheel = Project(tmp_path / "p", version="1.2").wheel(tmp_path / "dist")
    assert (await system.load("counter", source=wheel)).version == "1.2"
    assert await system.request("counter") == {"count": 1, "version": "1.2"}


async def test_functions_of_a_package(system: hostcore.ModuleSystem, write: ModuleWriter) -> None:
    """An entry point may name an object, or a Python module as a whole, instead of a class."""
    top = "@hookimpl\ndef handle_message(message):\n    return 'function'"
    source = write("pass", "plain", files={"pyproject.toml": PLAIN}, top=top)
    await system.load("plain", source=source)
    assert await system.request("plain") == "function"
    await system.load("object", source=write(ECHO, "object", entry="it", files={"acme_object/tail.py": ""}, top=IT))
    assert await system.request("object") == "object"


PLAIN = """
[project]
name = "acme-plain"
version = "1.0"
[project.entry-points."hostcore.modules"]
plain = "acme_plain"
"""
IT = """
class Kind:
    @hookimpl
    def handle_message(self, message):
        return "object"

it = Kind()
"""


async def test_loaded_twice(system: hostcore.ModuleSystem, write: ModuleWriter) -> None:
    """A second load of a running module is refused, and the module goes on."""
    source = write(COUNTER, "counter")
    await system.load("counter", source=source)
    with pytest.raises(errors.LifecycleError, match="loaded already"):
        await system.load("counter", source=source)
    assert (await system.request("counter"))["count"] == 1


async def test_loaded_by_two_at_once(system: hostcore.ModuleSystem, write: ModuleWriter) -> None:
    """Two loads of one module at once make one generation."""
    source = write(COUNTER, "counter")
    outcomes = await asyncio.gather(*(system.load("counter", source=source) for _ in range(5)), return_exceptions=True)
    assert [o for o in outcomes if isinstance(o, hostcore.ModuleInfo)]
    assert all(isinstance(o, hostcore.ModuleInfo | errors.LifecycleError) for o in outcomes)
    assert system.modules["counter"].generation == 1


async def test_unknown_names(system: hostcore.ModuleSystem, site: Path) -> None:
    """A name that is not there is refused, with the nearest one."""
    install(site, "parrot", ECHO)
    with pytest.raises(errors.LoadError, match="did you mean 'parrot'"):
        await system.load("parott")
    await system.load("parrot")
    with pytest.raises(errors.UnknownModuleError, match="did you mean 'parrot'"):
        await system.unload("parot")
    with pytest.raises(errors.UnknownModuleError, match="did you mean 'parrot'"):
        await system.reload("parot")
    with pytest.raises(errors.LoadError, match="does not exist"):
        await system.load("x", source="/nowhere/at/all")


async def test_load_again_after_a_failure(system: hostcore.ModuleSystem, write: ModuleWriter) -> None:
    """A module that failed is listed with its error, and loads once it is mended."""
    with pytest.raises(errors.LoadError, match="ValueError: no"):
        await system.load("echo", source=write(ECHO, top="raise ValueError('no')"))
    failed = system.modules["echo"]
    assert (failed.state, failed.generation) == (State.FAILED, 1)
    assert "ValueError: no" in failed.error
    info = await system.load("echo", source=write(ECHO))
    assert (info.state, info.error) == (State.RUNNING, "")
    assert await system.request("echo", 1) == 1


async def test_a_failed_module_can_be_unloaded(system: hostcore.ModuleSystem, write: ModuleWriter) -> None:
    """Unloading a module that failed takes it off the list."""
    with pytest.raises(errors.LoadError):
        await system.load("echo", source=write(ECHO, top="1 / 0"))
    assert await system.unload("echo") == ()
    assert dict(system.modules) == {}


# --- options and limits --------------------------------------------------------------------------------------------


async def test_configuration(write: ModuleWriter) -> None:
    """Options come from the call, else the host's configuration, else the manifest's defaults."""
    async with running(modules={"conf": {"config": {"path": "/host", "mode": "slow"}}}) as system:
        await system.load("conf", source=write(CONFIGURED, "conf", manifest=OPTIONS), config={"path": "/call"})
        assert await system.request("conf") == {"start": 3, "mode": "slow", "path": "/call"}
        await system.reload("conf")
        assert (await system.request("conf"))["path"] == "/call"


async def test_wrong_configuration(system: hostcore.ModuleSystem, write: ModuleWriter) -> None:
    """All mistakes in a module's options come at once, and nothing of it was imported."""
    source = write(CONFIGURED, "conf", manifest=OPTIONS, top="raise AssertionError('imported')")
    with pytest.raises(errors.ConfigError) as caught:
        await system.load("conf", source=source, config={"start": -1, "mood": "slow", "mode": "medium"})
    assert len(caught.value.problems) == 4
    assert "did you mean 'mode'" in str(caught.value)
    assert system.modules["conf"].state is State.FAILED


async def test_limits(system: hostcore.ModuleSystem, write: ModuleWriter) -> None:
    """Limits given at the load replace those of the manifest; wrong ones are refused."""
    body = "@hookimpl\nasync def handle_message(self, message):\n    await asyncio.Event().wait()"
    source = write(body, "slow", manifest="[limits]\nhandle_message = '100s'")
    with pytest.raises(errors.ConfigError, match="did you mean 'handle_message'"):
        await system.load("slow", source=source, limits={"handel_message": "20ms"})
    await system.load("slow", source=source, limits={"handle_message": "20ms"})
    with pytest.raises(errors.HookError, match=r"overran its limit of 0\.02 s"):
        await soon(system.request("slow"))


@pytest.mark.parametrize("manifest", ["", "[limits]\nhandle_message = '1h'"])
@pytest.mark.parametrize("limits", [None, {"handle_message": "1h"}, {"handle_message": None}])
async def test_no_limit_is_above_the_policys_ceiling(write: ModuleWriter, manifest: str, limits: Any) -> None:
    """Neither a manifest nor whoever loads the module gets it more than the ceiling, nor does saying nothing."""
    body = "@hookimpl\ndef handle_message(self):\n    while True:\n        pass"
    async with running(policy={"ceiling": {"handle_message": "20ms"}}) as system:
        await system.load("slow", source=write(body, "slow", manifest=manifest), limits=limits)
        with pytest.raises(errors.HookError, match=r"overran its limit of 0\.02 s"):
            await soon(system.request("slow"))


async def test_a_high_ceiling_loosens_nothing(write: ModuleWriter) -> None:
    """A ceiling above what the host takes by itself leaves that as it is."""
    body = "@hookimpl\ndef handle_message(self):\n    while True:\n        pass"
    async with running(policy={"ceiling": {"handle_message": "1h"}}, handler_timeout=0.02) as system:
        await system.load("slow", source=write(body, "slow"))
        with pytest.raises(errors.HookError, match=r"overran its limit of 0\.02 s"):
            await soon(system.request("slow"))


async def test_a_wrong_manifest(system: hostcore.ModuleSystem, write: ModuleWriter) -> None:
    """All mistakes of a manifest come at once, each with its line."""
    manifest = "provide = ['x']\nstate_version = 0\nisolation = 'nativ'\nrequires = ['>=1']"
    with pytest.raises(errors.ManifestError) as caught:
        await system.load("echo", source=write(ECHO, manifest=manifest))
    assert len(caught.value.problems) == 4
    assert "module.toml:2" in str(caught.value)


@pytest.mark.parametrize(
    ("needed", "asked", "message"),
    [
        ("native", "natife", "isolation 'natife' is not available here"),
        ("worker", "native", "isolation 'native' is weaker than 'worker'"),
        ("worker", "natife", "isolation 'natife' is weaker than 'worker'"),
        ("wasm+worker", "wasm", "isolation 'wasm' is weaker than 'wasm+worker'"),
    ],
)
async def test_isolation(
    system: hostcore.ModuleSystem, write: ModuleWriter, needed: str, asked: str, message: str
) -> None:
    """A module runs in no weaker host than it needs, nor in one that is not there."""
    source = write(ECHO, manifest=f"isolation = '{needed}'")
    with pytest.raises(errors.LoadError, match=re.escape(message)):
        await system.load("echo", source=source, isolation=asked)


# --- switched off --------------------------------------------------------------------------------------------------


async def test_disable_and_enable(write: ModuleWriter) -> None:
    """A disabled module does not load, in this run nor the next, until it is enabled."""
    source = write(ECHO)
    async with running() as system:
        await system.load("echo", source=source)
        system.disable("echo")
        assert await system.request("echo", 1) == 1  # a loaded one goes on
        await system.unload("echo")
        with pytest.raises(errors.LoadError, match="is disabled"):
            await system.load("echo", source=source)
    async with running() as system:
        assert system.disabled == {"echo"}
        with pytest.raises(errors.LoadError, match="hostcore modules enable echo"):
            await system.load("echo", source=source)
        system.enable("echo")
        await system.load("echo", source=source)


@pytest.mark.parametrize("settings", [{"disabled": ["echo"]}, {"modules": {"echo": {"enabled": False}}}])
async def test_disabled_by_configuration(site: Path, settings: dict[str, object]) -> None:
    """What the configuration disables loads neither by name nor with all the others."""
    install(site, "echo", ECHO)
    install(site, "other", ECHO)
    async with running(**settings) as system:
        with pytest.raises(errors.LoadError, match="is disabled"):
            await system.load("echo")
        outcome = await system.load_all()
        assert "other" in outcome.loaded
        assert "echo" not in {*outcome.loaded, *outcome.waiting, *outcome.failed}


# --- many at once --------------------------------------------------------------------------------------------------


async def test_load_all_contains_failures(system: hostcore.ModuleSystem, site: Path) -> None:
    """Of several modules those load that can; each of the others is named with its error, once."""
    install(site, "good", ECHO)
    install(site, "broken", ECHO, top="import acme_of_nobody")
    install(site, "misspelt", ECHO, manifest="sumary = ''")
    install(site, "needy", ECHO, manifest="requires = ['broken']")
    async with system.subscribe("hostcore.module.failed") as events:
        outcome = await system.load_all(["good", "broken", "misspelt", "needy", "absent"])
    assert outcome.loaded == ["good"]
    assert sorted(outcome.failed) == ["absent", "broken", "misspelt", "needy"]
    assert "install 'acme_of_nobody'" in str(outcome.failed["broken"])
    assert isinstance(outcome.failed["needy"], errors.ResolutionError)
    assert sorted([event.payload["module"] async for event in events]) == sorted(outcome.failed)


async def test_load_all_leaves_alone_what_runs(system: hostcore.ModuleSystem, site: Path) -> None:
    """Loading all again touches no module that runs, even one that is not installed any more."""
    install(site, "base", COUNTER)
    install(site, "user", COUNTER, manifest="requires = ['base']")
    assert (await system.load_all(["base", "user"])).loaded == ["base", "user"]
    await system.unload("base", force=True)
    install(site, "late", ECHO)
    outcome = await system.load_all(["user", "late"])
    assert (outcome.loaded, outcome.failed) == (["late"], {})
    assert (await system.request("user"))["count"] == 1
    (site / "acme_user-1.0.dist-info" / "entry_points.txt").unlink()
    assert (await system.load_all(["user"])).failed == {}
    assert (await system.request("user"))["count"] == 2


async def test_messages_wait_for_a_module_that_loads(
    system: hostcore.ModuleSystem, write: ModuleWriter, gate: Gate
) -> None:
    """Messages sent while a module initialises are handled once it is ready, in their order."""
    wait = "    await context.invoke('gate', 'wait')\n    self.count"
    body = COUNTER.replace("def initialize", "async def initialize").replace("    self.count", wait, 1)
    loading = asyncio.ensure_future(system.load("counter", source=write(body, "counter")))
    await soon(gate.arrived.wait())
    await system.send("counter")
    asking = asyncio.ensure_future(system.request("counter"))
    gate.opened.set()
    await soon(loading)
    assert (await soon(asking))["count"] == 2


def test_switching_from_several_threads_at_once(tmp_path: Path) -> None:
    """Modules that are switched off at the same moment are all off: no change is lost."""
    switches = Switches(lambda: tmp_path)
    names = {f"module-{number}" for number in range(40)}
    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(switches.disable, sorted(names)))
    assert switches.disabled() == names


async def test_a_name_that_nobody_has(system: hostcore.ModuleSystem) -> None:
    """A mistyped name is an error for who loads it, and leaves no failed module behind."""
    with pytest.raises(errors.LoadError, match="no module named 'nosuch' is installed"):
        await system.load("nosuch")
    assert dict(system.modules) == {}
    with pytest.raises(errors.UnknownModuleError):
        await system.request("nosuch")
