"""Modules that cannot be loaded: each gets a clear error, and nothing of it is left."""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
import weakref
from pathlib import Path

import pytest
from support.distributions import write_files
from support.modules import ECHO, ModuleWriter
from system.support import Notes, running, soon

import hostcore
from hostcore import State, errors


async def refused(system: hostcore.ModuleSystem, source: Path, name: str = "echo") -> errors.HostcoreError:
    """Return the error of loading `name`, once it is sure that nothing of it is left and others still load."""
    with pytest.raises(errors.HostcoreError) as caught:
        await soon(system.load(name, source=source))
    assert system.modules[name].state is State.FAILED
    assert str(caught.value) == system.modules[name].error
    assert not [module for module in sys.modules if module.startswith("acme_echo")]
    return caught.value


async def test_a_missing_attribute(system: hostcore.ModuleSystem, write: ModuleWriter) -> None:
    """An entry point to an attribute that is not there names the nearest one."""
    error = await refused(system, write(ECHO, entry="Modul"))
    assert isinstance(error, errors.LoadError)
    assert "'Modul', which 'acme_echo' does not have" in str(error)
    assert error.hint == "did you mean 'Module'?"
    assert error.label == "echo 1.0 (acme-echo)"


async def test_a_missing_package(system: hostcore.ModuleSystem, write: ModuleWriter) -> None:
    """An entry point to a package that the distribution does not have names the nearest one."""
    pyproject = (
        '[project]\nname = "acme-echo"\nversion = "1.0"\n'
        '[project.entry-points."hostcore.modules"]\necho = "acme_eco:Module"\n'
    )
    error = await refused(system, write(ECHO, files={"pyproject.toml": pyproject}))
    assert "did you mean 'acme_echo'" in str(error)


@pytest.mark.parametrize(
    ("top", "said"),
    [
        ("raise ValueError('no luck')", "raised ValueError: no luck"),
        ("import sys; sys.exit('bye')", r"called sys.exit(bye)"),
        ("import sys; sys.exit()", r"called sys.exit()"),
        ("raise KeyboardInterrupt", "raised KeyboardInterrupt"),
        ("raise GeneratorExit", "raised GeneratorExit"),
        ("raise asyncio.CancelledError", "raised CancelledError"),
        ("raise TimeoutError('mine')", "raised TimeoutError: mine"),
        ("raise StopIteration", "raised StopIteration"),
        ("raise hostcore.errors.DeniedError('mine')", "raised DeniedError: HC601 mine"),
        ("import acme_absent", "install 'acme_absent', and name it in the dependencies of 'acme-echo'"),
        ("from . import absent", "cannot import name 'absent'"),
        ("def broken(:", "raised SyntaxError"),
        ("def f(): f()\nf()", "raised RecursionError"),
        ("class Odd(Exception):\n    def __str__(self): raise ValueError\nraise Odd", "raised Odd"),
    ],
    ids=lambda value: value[:24],
)
async def test_an_import_that_raises(system: hostcore.ModuleSystem, write: ModuleWriter, top: str, said: str) -> None:
    """Whatever importing a module raises is a LoadError for the caller that says where."""
    error = await refused(system, write(ECHO, top=top))
    assert isinstance(error, errors.LoadError)
    assert said in str(error)
    if "SyntaxError" not in said:
        assert "acme_echo/__init__.py:" in str(error)


async def test_an_import_that_spins(write: ModuleWriter) -> None:
    """An import that never ends is broken when its time is up; the host goes on meanwhile."""
    async with running(load_timeout=0.2) as system:
        await system.load("other", source=write(ECHO, "other"))
        loading = asyncio.ensure_future(refused(system, write(ECHO, top="while True: pass")))
        assert await system.request("other", 1) == 1
        assert "did not end within 0.2 s\n" in str(await loading)
    for thread in threading.enumerate():
        if thread.name == "hostcore:load-echo":
            thread.join(20)
            assert not thread.is_alive()


async def test_an_import_that_sleeps(write: ModuleWriter) -> None:
    """An import that hangs in C code is given up on; its thread is left behind and the caller told so."""
    held = "import threading\nlock = threading.Lock()\nthreading.held = lock\nlock.acquire()\nlock.acquire()"
    async with running(load_timeout=0.2) as system:
        try:
            error = await refused(system, write(ECHO, top=held))
        finally:
            threading.__dict__.pop("held").release()  # else the thread would outlive the test
        assert "hangs in C code and is left behind" in str(error)


async def test_an_import_that_prints(
    system: hostcore.ModuleSystem, write: ModuleWriter, capsys: pytest.CaptureFixture[str]
) -> None:
    """A module that prints when it is imported loads as any other."""
    await system.load("echo", source=write(ECHO, top="print('hello')"))
    assert await system.request("echo", 1) == 1
    assert "hello" in capsys.readouterr().out


async def test_all_wrong_hooks_at_once(system: hostcore.ModuleSystem, write: ModuleWriter) -> None:
    """Every unknown hook and argument is reported, with its place and the nearest name."""
    body = """
    @hookimpl
    def handle_mesage(self, message): ...

    @hookimpl
    def initialize(self, contxt): ...

    @hookimpl
    def restore_state(self, state, version): ...
    """
    error = await refused(system, write(body))
    assert isinstance(error, errors.HookError)
    assert [problem.code for problem in error.problems] == ["HC300", "HC301", "HC301"]
    text = str(error)
    for nearest in ("'handle_message'", "'context'", "'from_version'"):
        assert f"did you mean {nearest}?" in text
    assert text.count("acme_echo/__init__.py:") == 3


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("pass", "implements no hook"),
        ("def __init__(self, host): ...\n" + ECHO, "cannot be made without arguments"),
        ("def __init__(self): raise ValueError('no')\n" + ECHO, "raised ValueError: no"),
        ("@hookimpl\ndef handle_message(self, message):\n    yield 1", "is a generator"),
    ],
)
async def test_a_wrong_class(system: hostcore.ModuleSystem, write: ModuleWriter, body: str, said: str) -> None:
    """A class that cannot be a module is refused with the reason."""
    assert said in str(await refused(system, write(body)))


# --- initialize ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["def", "async def"])
@pytest.mark.parametrize(
    ("raises", "said"),
    [
        ("raise ValueError('no luck')", "raised ValueError: no luck"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
        ("raise asyncio.CancelledError", "it cancelled itself"),
        ("raise StopIteration('x')", "StopIteration"),
        ("raise GeneratorExit", "GeneratorExit"),
        ("while True: pass", "overran its limit of 0.1 s"),
    ],
)
async def test_initialize_that_fails(
    system: hostcore.ModuleSystem, write: ModuleWriter, kind: str, raises: str, said: str
) -> None:
    """Whatever `initialize` does, its caller gets a HookError that names it."""
    source = write(
        f"@hookimpl\n{kind} initialize(self, context):\n    {raises}\n", manifest="[limits]\ninitialize = '100ms'"
    )
    error = await refused(system, source)
    assert isinstance(error, errors.HookError)
    assert error.hook == "initialize"
    assert said in str(error)


STUBBORN = """
@hookimpl
async def initialize(self, context):
    while True:
        try:
            await context.invoke("gate", "wait")
            break
        except asyncio.CancelledError:
            continue
"""


@pytest.mark.parametrize("body", ["await asyncio.Event().wait()", "await context.request('echo')"])
async def test_initialize_that_hangs(system: hostcore.ModuleSystem, write: ModuleWriter, body: str) -> None:
    """An `initialize` that waits for ever, if only for itself, is stopped at its limit."""
    source = write(f"@hookimpl\nasync def initialize(self, context):\n    {body}")
    with pytest.raises(errors.HookError, match=r"overran its limit of 0\.05 s|waits for it"):
        await soon(system.load("echo", source=source, limits={"initialize": "50ms"}))


async def test_initialize_that_ignores_its_cancellation(system: hostcore.ModuleSystem, write: ModuleWriter) -> None:
    """A load is given up on even if `initialize` refuses to end."""
    with pytest.raises(errors.HookError, match="overran its limit"):
        await soon(system.load("echo", source=write(STUBBORN), limits={"initialize": "50ms"}))
    assert system.modules["echo"].state is State.FAILED


async def test_load_timeout(write: ModuleWriter) -> None:
    """The host's limit on loading counts where the module's own is longer."""
    source = write(
        "@hookimpl\nasync def initialize(self, context):\n    await asyncio.Event().wait()",
        manifest="[limits]\ninitialize = '1000s'",
    )
    async with running(load_timeout=0.1) as system:
        with pytest.raises(errors.LoadError, match=r"initialising did not end within 0\.1 s"):
            await soon(system.load("echo", source=source))


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("17", "returned 17"),
        ("'parser:python'", "returned 'parser:python'"),
        ("['fine/1.0', None]", "returned ['fine/1.0', None]"),
        ("[['list']]", "returned [['list']]"),
        ("['not a capability/x']", "not a capability"),
        ("Odd()", "a Odd whose repr raises RuntimeError"),
        ("1 / 0", "raised ZeroDivisionError"),
    ],
)
async def test_nonsense_capabilities(system: hostcore.ModuleSystem, write: ModuleWriter, value: str, said: str) -> None:
    """Capabilities that are not a list of capabilities are refused, saying what came."""
    top = "class Odd:\n    def __repr__(self):\n        raise RuntimeError"
    error = await refused(system, write(f"@hookimpl\ndef get_capabilities(self):\n    return {value}", top=top))
    assert isinstance(error, errors.HookError)
    assert said in str(error)


# --- nothing is left -----------------------------------------------------------------------------------------------

OWN_ERROR = "class Mine(Exception): pass\nhostcore.watched(Mine)\n"


@pytest.mark.parametrize(
    ("top", "body"),
    [
        (f"{OWN_ERROR}raise Mine", ECHO),
        (f"{OWN_ERROR}try:\n    raise Mine\nexcept Mine as e:\n    raise ValueError('x') from e", ECHO),
        (OWN_ERROR, "def __init__(self): raise Mine\n" + ECHO),
        (OWN_ERROR, "@hookimpl\ndef initialize(self, context): raise Mine"),
        (OWN_ERROR, "@hookimpl\nasync def initialize(self, context): raise Mine from Mine('cause')"),
        (OWN_ERROR, "@hookimpl\ndef get_capabilities(self): return [Mine()]"),
        (OWN_ERROR, "@hookimpl\ndef unknown_hook(self): ..."),
    ],
)
async def test_a_failed_module_leaves_nothing(
    system: hostcore.ModuleSystem, write: ModuleWriter, monkeypatch: pytest.MonkeyPatch, top: str, body: str
) -> None:
    """What a failed module defined is gone, although its error is kept and the caller holds it."""
    watched: list[weakref.ref[type]] = []
    monkeypatch.setattr(hostcore, "watched", lambda cls: watched.append(weakref.ref(cls)), raising=False)
    with pytest.raises(errors.HostcoreError) as caught:
        await system.load("echo", source=write(body, top=top))
    error = caught.value
    del caught
    gc.collect()
    assert system.modules["echo"].state is State.FAILED
    assert str(error)
    assert [reference() for reference in watched] == [None]


async def test_a_failed_module_is_cleaned_up(system: hostcore.ModuleSystem, write: ModuleWriter, notes: Notes) -> None:
    """Tasks, subscriptions and addresses of a module whose start failed half-way are gone."""
    body = """
    @hookimpl
    async def initialize(self, context):
        context.subscribe("news")
        task = asyncio.create_task(self.work(context))
        await context.invoke("notes", "take", what="before")
        raise ValueError("half-way")

    async def work(self, context):
        try:
            await asyncio.Event().wait()
        finally:
            hostcore.errors.HostcoreError("ended")
    """
    before = asyncio.all_tasks()
    with pytest.raises(errors.HookError, match="half-way"):
        await system.load("echo", source=write(body))
    assert notes.taken == ["before"]
    assert asyncio.all_tasks() == before
    assert await system.publish("news") == 0
    with pytest.raises(errors.StoppedError, match="half-way"):
        await system.request("echo")


async def test_a_broken_file_beside_it(system: hostcore.ModuleSystem, write: ModuleWriter) -> None:
    """A source whose project file or manifest is broken is refused before anything of it runs."""
    source = write(ECHO, top="raise AssertionError('imported')")
    write_files(source, {"pyproject.toml": "[project\n"})
    assert "imported" not in str(await refused(system, source))
    source = write(ECHO, top="raise AssertionError('imported')", manifest="= 1")
    error = await refused(system, source)
    assert isinstance(error, errors.ManifestError)
