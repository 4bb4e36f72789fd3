"""Hooks that other packages declare, and existing pluggy plugins hosted unchanged."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.modules import ModuleWriter, code, install_files
from system.support import Notes, next_event, running, soon

import hostcore
from hostcore import errors

SPECS = """
import hostcore

class Lint:
    @hostcore.hookspec
    def lint(self, path, strict): ...

    @hostcore.hookspec(firstresult=True)
    def pick(self, options): ...
"""
POINTS = "[hostcore.hookspecs]\nlint = acme_specs:Lint\n"


@pytest.fixture
def specs(site: Path) -> None:
    """A distribution that declares the hooks `lint` and `pick`, and has no module of its own."""
    install_files(site, "acme_specs", "1.0", POINTS, {"acme_specs/__init__.py": SPECS})


def linter(result: str, mark: str = "@hookimpl", kind: str = "def") -> str:
    """Return the body of a module that implements both hooks."""
    return f"""
{mark}
{kind} lint(self, path, strict):
    return {result}

{mark}
{kind} pick(self, options):
    return {result}
"""


@pytest.mark.usefixtures("specs")
async def test_all_implementations(system: hostcore.ModuleSystem, write: ModuleWriter) -> None:
    """A declared hook is called in every module that implements it; results of None are left out."""
    await system.load("one", source=write(linter("[path, strict]"), "one"))
    await system.load("two", source=write(linter("None"), "two"))
    await system.load("three", source=write("@hookimpl\nasync def lint(self, path):\n    return path * 2", "three"))
    assert await system.hooks.lint(path="a", strict=True) == ["aa", ["a", True]]


@pytest.mark.usefixtures("specs")
async def test_order(system: hostcore.ModuleSystem, write: ModuleWriter) -> None:
    """Implementations run as in pluggy: those marked tryfirst, then the last loaded first, trylast at the end."""
    marks = {"a": "@hookimpl", "b": "@hookimpl(trylast=True)", "c": "@hookimpl(tryfirst=True)", "d": "@hookimpl"}
    for name, mark in marks.items():
        await system.load(name, source=write(linter(repr(name), mark), name))
    assert await system.hooks.lint(path="", strict=False) == ["c", "d", "a", "b"]
    assert await system.first.lint(path="", strict=False) == "c"
    await system.unload("c")
    assert await system.first.lint(path="", strict=False) == "d"


@pytest.mark.usefixtures("specs")
async def test_first_result(system: hostcore.ModuleSystem, write: ModuleWriter, notes: Notes) -> None:
    """A hook declared with firstresult stops at the first result that is not None."""
    noting = """
    @hookimpl
    def initialize(self, context):
        self.context = context

    @hookimpl
    async def pick(self, options):
        await self.context.invoke("notes", "take", what="asked")
        return "noted"
    """
    choosy = "@hookimpl\ndef pick(self, options):\n    return options.get('mine')"
    await system.load("last", source=write(noting, "last"))
    await system.load("first", source=write(choosy, "first"))
    assert await system.hooks.pick(options={"mine": "x"}) == "x"
    assert notes.taken == []
    assert await system.hooks.pick(options={}) == "noted"
    await system.unload("last")
    assert await system.hooks.pick(options={}) is None


@pytest.mark.usefixtures("specs")
@pytest.mark.parametrize(
    "action", ["raise ValueError", "raise SystemExit", "while True: pass", "return object()", "return 2**100"]
)
async def test_a_bad_implementation(write: ModuleWriter, action: str) -> None:
    """An implementation that raises, overruns or returns nonsense is left out, named by an event."""
    body = f"@hookimpl\ndef lint(self, path):\n    {action}"
    async with running(handler_timeout=0.1) as system:
        await system.load("good", source=write(linter("'good'"), "good"))
        await system.load("bad", source=write(body, "bad"))
        async with system.subscribe("hostcore.handler.failed") as events:
            assert await soon(system.hooks.lint(path="", strict=True)) == ["good"]
            event = await next_event(events, "hostcore.handler.failed")
        assert (event["module"], event["hook"]) == ("bad", "lint")
        assert await soon(system.first.lint(path="", strict=True)) == "good"


@pytest.mark.usefixtures("specs")
async def test_wrong_calls(system: hostcore.ModuleSystem, write: ModuleWriter) -> None:
    """An unknown hook and wrong arguments are refused with the right ones named."""
    await system.load("one", source=write(linter("1"), "one"))
    with pytest.raises(AttributeError, match="did you mean 'lint'"):
        _ = system.hooks.lynt
    with pytest.raises(TypeError, match=r"takes \(path, strict\); unknown: pth; missing: path"):
        await system.hooks.lint(pth="a", strict=True)
    with pytest.raises(errors.ContractError, match="the arguments of hook 'lint' cannot be encoded"):
        await system.hooks.lint(path=object(), strict=True)


@pytest.mark.usefixtures("specs")
async def test_wrong_implementations(system: hostcore.ModuleSystem, write: ModuleWriter) -> None:
    """A module that implements a declared hook with a wrong argument is refused like for any other hook."""
    with pytest.raises(errors.HookError, match="did you mean 'strict'"):
        await system.load("one", source=write("@hookimpl\ndef lint(self, strikt): ...", "one"))


async def test_without_a_declaration(system: hostcore.ModuleSystem, write: ModuleWriter) -> None:
    """A hook that nobody declares is refused, unless its implementation is optional."""
    with pytest.raises(errors.HookError, match="unknown hook 'lint'"):
        await system.load("one", source=write(linter("1"), "one"))
    optional = (
        "@hookimpl(optionalhook=True)\ndef lint(self, path): ...\n@hookimpl\ndef handle_message(self): return 1\n"
    )
    await system.load("two", source=write(optional, "two"))
    with pytest.raises(AttributeError, match="declared: none"):
        _ = system.hooks.lint


async def test_with_its_providers_life(system: hostcore.ModuleSystem, site: Path, write: ModuleWriter) -> None:
    """Hooks of a distribution that has modules can be called while one of these runs."""
    points = "[hostcore.modules]\nlint = acme_specs.module:Module\n" + POINTS
    module = code("@hookimpl\ndef handle_message(self): return 1")
    files = {"acme_specs/__init__.py": SPECS, "acme_specs/module.py": module}
    install_files(site, "acme_specs", "1.0", points, files)
    await system.load("one", source=write(linter("1"), "one"))
    for _ in range(2):
        with pytest.raises(errors.LifecycleError, match="load lint"):
            await system.hooks.lint(path="", strict=True)
        await system.load("lint")
        assert await system.hooks.lint(path="", strict=True) == [1]
        await system.reload("lint", strict=True)
        await system.reload("one", strict=True)
        assert await system.hooks.lint(path="", strict=True) == [1]
        await system.unload("lint")


async def test_a_new_declaration(system: hostcore.ModuleSystem, site: Path, write: ModuleWriter) -> None:
    """A distribution that is installed, upgraded and uninstalled while the program runs brings and takes its hooks."""
    files = {"acme_specs/__init__.py": SPECS}
    install_files(site, "acme_specs", "1.0", POINTS, files)
    await system.load("one", source=write(linter("1"), "one"))
    assert await system.hooks.lint(path="", strict=True) == [1]
    info = site / "acme_specs-1.0.dist-info"
    for file in info.iterdir():
        file.unlink()
    info.rmdir()
    await system.load("other", source=write("@hookimpl\ndef handle_message(self): ...", "other"))
    with pytest.raises(AttributeError):
        _ = system.hooks.lint
    install_files(site, "acme_specs", "2.0", POINTS, {"acme_specs/__init__.py": SPECS.replace("path, strict", "path")})
    await system.reload("other", strict=True)
    await system.reload("one", source=write("@hookimpl\ndef lint(self, path): return path", "one"), strict=True)
    assert await system.hooks.lint(path="p") == ["p"]


@pytest.mark.parametrize("broken", ["raise ValueError('broken')", "import sys; sys.exit()", "def broken(:"])
async def test_a_broken_declaration(
    system: hostcore.ModuleSystem, site: Path, write: ModuleWriter, caplog: pytest.LogCaptureFixture, broken: str
) -> None:
    """A declaration that cannot be imported is reported by its distribution's name; everything else goes on."""
    install_files(site, "acme_specs", "1.0", POINTS, {"acme_specs/__init__.py": broken})
    await system.load("echo", source=write("@hookimpl\ndef handle_message(self): return 1"))
    assert await system.request("echo") == 1
    assert "hookspecs of acme-specs cannot be read" in caplog.text
    with pytest.raises(AttributeError, match="declared: none"):
        _ = system.hooks.lint


# --- pluggy plugins, unchanged -------------------------------------------------------------------------------------

FOREIGN_SPECS = """
import pluggy

hookspec = pluggy.HookspecMarker("acmetool")

@hookspec
def collect(items, config): ...
"""
FOREIGN_PLUGIN = """
import pluggy

hookimpl = pluggy.HookimplMarker("acmetool")

class Found:
    pass

@hookimpl
def collect(items):
    items.append("seen")
    return Found()
"""


async def test_a_pluggy_plugin(system: hostcore.ModuleSystem, site: Path) -> None:
    """A plugin of another pluggy project runs unchanged, with live objects as its arguments and result."""
    install_files(
        site, "acmetool", "1.0", "[hostcore.hookspecs]\nacmetool = acmetool\n", {"acmetool/__init__.py": FOREIGN_SPECS}
    )
    for name, text in (("one", FOREIGN_PLUGIN), ("bad", FOREIGN_PLUGIN.replace("return Found()", "raise ValueError"))):
        package = f"acmetool_{name}"
        points = f"[hostcore.modules]\n{name} = {package}\n"
        install_files(site, package, "1.0", points, {f"{package}/__init__.py": text})
        await system.load(name)
    items: list[object] = []
    results = await system.hooks.collect(items=items, config=object())
    assert items == ["seen", "seen"]
    assert [type(result).__name__ for result in results] == ["Found"]
    del results
    assert await system.unload("one") == ()
    assert await system.hooks.collect(items=items, config=None) == []
