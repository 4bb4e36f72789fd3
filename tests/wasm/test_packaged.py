"""Guests as packages: a wheel with nothing but a `.wasm` and a manifest; hooks of others; native code in between."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest
from support.distributions import Project, install_target
from support.modules import COUNTER, ModuleWriter, install_files
from wasm.hosting import hosted, ready, soon
from wasm.wat import OK, component, core, text

import hostcore
from hostcore import errors

pytestmark = pytest.mark.usefixtures("compiled_once")

MANIFEST = """[shout]
interface = ">=1,<2"
provides = ["echo/1.0"]
permissions = ["kv", "bus.request:clerk"]

[shout.config.greeting]
type = "string"
default = "hello"

[shout.limits]
handle_message = "200ms"
memory = "32MiB"
"""


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on `sys.path` to install distributions into."""
    folder = tmp_path / "site-packages"
    folder.mkdir()
    monkeypatch.setattr(sys, "path", [str(folder), *sys.path])
    return folder


def wheel(directory: Path, language: str, version: str) -> Path:
    """Build the wheel of a project that holds a guest and a manifest, and no Python code."""
    project = Project(
        directory / f"project-{version}", "acme-shout", version, modules={"shout": "acme_shout:shout.wasm"}, code=False,
        files={"acme_shout/shout.wasm": ready(language).read_bytes()}, manifest=MANIFEST,
    )  # fmt: skip
    return project.wheel(directory / f"dist-{version}")


async def test_a_wheel_that_is_only_webassembly(tmp_path: Path, site: Path) -> None:
    """Such a wheel is built, installed, found by its entry point, talks, is upgraded with its state, and is stopped."""
    install_target(site, wheel(tmp_path, "c", "1.0"))
    assert not list(site.rglob("*.py"))
    async with hosted() as system:
        assert system.discover().modules["shout"].value == "acme_shout:shout.wasm"
        info = await soon(system.load("shout"))
        assert (info.host, info.version, info.distribution, info.provides) == (
            "wasm", "1.0", "acme-shout", ("echo/1.0",)
        )  # fmt: skip
        assert await soon(system.request("echo", {"a": 1}, topic="echo")) == {"a": 1}
        assert await soon(system.request("shout", topic="config")) == {"greeting": "hello"}
        assert await soon(system.request("shout", 5, topic="kv")) == 5
        assert await soon(system.request("shout", "cap:x", topic="granted")) is False
        with pytest.raises(errors.HookError, match="no permission 'clock'"):
            await soon(system.request("shout", 1, topic="sleep"))
        for count in (2, 3):
            assert await soon(system.request("shout", topic="count")) == {"count": count}
        install_target(site, wheel(tmp_path, "zig", "2.0"), upgrade=True)
        report = await soon(system.reload("shout", strict=True))
        assert (report.old_version, report.new_version) == ("1.0", "2.0")
        assert await soon(system.request("shout", topic="count")) == {"count": 4}
        assert (await soon(system.request("shout", topic="who")))["version"] == "2.0"
        with pytest.raises(errors.HookError) as caught:
            await soon(system.request("shout", topic="spin"))
        assert caught.value.code == "HC303"
        assert await soon(system.request("shout", topic="count")) == {"count": 4}


async def test_load_all_finds_guests(tmp_path: Path, site: Path) -> None:
    """A guest that is installed loads with all others."""
    install_target(site, wheel(tmp_path, "c-core", "1.0"))
    async with hosted() as system:
        outcome = await soon(system.load_all(["shout"]))
        assert (outcome.loaded, outcome.failed) == (["shout"], {})


# --- hooks that other packages declare -----------------------------------------------------------------------------

SPECS = """
import hostcore

class Lint:
    @hostcore.hookspec
    def lint(self, path, strict): ...

    @hostcore.hookspec(firstresult=True)
    def pick(self, options): ...
"""
POINTS = "[hostcore.hookspecs]\nlint = acme_specs:Lint\n"
TOLD = '["lint(path)","pick(options)"]'
NATIVE = """
@hookimpl
def lint(self, path, strict):
    return [path, strict]
"""


def in_core() -> bytes:
    """Return a core guest with both hooks; it answers with its arguments."""
    return core(
        hooks={
            "hooks": f"(i64.const {16 << 32 | len(TOLD)})",
            "call": "(i64.or (i64.shl (i64.extend_i32_u (i32.add (i32.const 4096) (local.get $0))) (i64.const 32))"
            " (i64.extend_i32_u (local.get $1)))",
        },
        data=TOLD,
    )


def in_component() -> bytes:
    """Return a component with both hooks; it answers with its arguments."""
    words = ("lint(path)", "pick(options)")
    more = f"""
      (data (i32.const 3000) {text(words[0])}) (data (i32.const 3100) {text(words[1])})
      (func (export "hostcore:module/hooks@1.0.0#implemented") (result i32)
        (i32.store (i32.const 3200) (i32.const 3000)) (i32.store (i32.const 3204) (i32.const {len(words[0])}))
        (i32.store (i32.const 3208) (i32.const 3100)) (i32.store (i32.const 3212) (i32.const {len(words[1])}))
        (i32.store (i32.const 3220) (i32.const 3200)) (i32.store (i32.const 3224) (i32.const 2)) (i32.const 3220))
      (func (export "hostcore:module/hooks@1.0.0#call") (param i32 i32 i32 i32) (result i32)
        (i32.store (i32.const 1100) (i32.const 0)) (i32.store (i32.const 1104) (i32.const 1))
        (i32.store (i32.const 1108) (local.get 2)) (i32.store (i32.const 1112) (local.get 3)) (i32.const 1100))"""
    return component({"shutdown": OK}, more=more, world="module-with-hooks")


@pytest.mark.parametrize("calls", ["fast", "plain"])
@pytest.mark.parametrize("make", [in_core, in_component])
async def test_a_guest_implements_a_hook_of_another_package(
    make, calls: str, tmp_path: Path, site: Path, write: ModuleWriter
) -> None:
    """A hook that a package declares is called in guests as in native modules, with the arguments that they take."""
    install_files(site, "acme_specs", "1.0", POINTS, {"acme_specs/__init__.py": SPECS})
    guest = tmp_path / "guest.wasm"
    guest.write_bytes(make())
    async with hosted(calls) as system:
        await system.load("native", source=write(NATIVE, "native"))
        await system.load("guest", source=guest)
        answers = await soon(system.hooks.lint(path="ä.py", strict=True))
        assert answers == [{"path": "ä.py"}, ["ä.py", True]]
        assert await soon(system.hooks.pick(options={"a": [1]})) == {"options": {"a": [1]}}
        assert await soon(system.first.lint(path="x", strict=False)) == {"path": "x"}
        await soon(system.reload("guest", strict=True))
        assert await soon(system.hooks.pick(options=None)) == {"options": None}
        with pytest.raises(errors.ContractError):
            await soon(system.hooks.pick(options=object()))
        await system.unload("guest")
        assert await soon(system.hooks.lint(path="x", strict=True)) == [["x", True]]


FOREIGN_SPECS = """
import pluggy

hookspec = pluggy.HookspecMarker("acmetool")

@hookspec
def collect(items): ...
"""


async def test_a_hook_with_live_objects_does_not_reach_a_guest(
    tmp_path: Path, site: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A hook of another pluggy project hands over objects of the process; a guest is left out, and it is told why."""
    points = "[hostcore.hookspecs]\nacmetool = acmetool\n"
    install_files(site, "acmetool", "1.0", points, {"acmetool/__init__.py": FOREIGN_SPECS})
    guest = tmp_path / "guest.wasm"
    told = '["collect(items)"]'
    guest.write_bytes(core(hooks={"hooks": f"(i64.const {16 << 32 | len(told)})", "call": "(unreachable)"}, data=told))
    async with hosted() as system:
        await system.load("guest", source=guest)
        assert await soon(system.hooks.collect(items=[object()])) == []
    assert "takes live objects, which do not reach a guest" in caplog.text


# --- native code and guests in turn --------------------------------------------------------------------------------


async def test_from_native_code_to_a_guest_and_back(write: ModuleWriter) -> None:
    """A reload moves a module into the sandbox and out of it; its state, its mailbox and its name stay."""
    async with hosted() as system:
        await system.load("counter", source=write(COUNTER, "counter", version="1.0"))
        assert await soon(system.request("counter")) == {"count": 1, "version": "1.0"}
        await soon(system.reload("counter", source=ready("c"), strict=True))
        assert system.modules["counter"].host == "wasm"
        assert await soon(system.request("counter", topic="count")) == {"count": 2}
        asked = [asyncio.ensure_future(system.request("counter", topic="count")) for _ in range(5)]
        report = await soon(system.reload("counter", source=write(COUNTER, "counter", version="3.0"), strict=True))
        assert (report.rolled_back, report.leaks, system.modules["counter"].host) == (False, (), "native")
        counts = [reply["count"] for reply in await soon(asyncio.gather(*asked))]
        assert counts == [3, 4, 5, 6, 7]
        await soon(system.rollback("counter", strict=True))
        assert await soon(system.request("counter", topic="count")) == {"count": 8}
        assert [entry.version for entry in system.history("counter")][::2] == ["1.0", "3.0"]


async def test_a_guest_that_cannot_take_the_state_of_native_code(write: ModuleWriter, tmp_path: Path) -> None:
    """State that does not fit keeps the native copy serving."""
    guest = tmp_path / "guest.wasm"
    guest.write_bytes(core(hooks={"restore_state": f"(i64.const {1 << 63 | 16 << 32 | 27:#x})"},
                           data='{"message": "not of mine"}.'[:26] + " "))  # fmt: skip
    async with hosted() as system:
        await system.load("counter", source=write(COUNTER, "counter"))
        assert (await soon(system.request("counter")))["count"] == 1
        report = await soon(system.reload("counter", source=guest))
        assert (report.rolled_back, report.phase) == (True, "restore")
        assert "not of mine" in report.reason
        assert (await soon(system.request("counter")))["count"] == 2
    assert isinstance(report, hostcore.ReloadReport)
