"""Modules that move from one host to another, and what a host is told of their grants.

The sandbox here is a stand-in that takes the bytes of a `.wasm` file for Python code: it is the system's part that is
tested, which host it asks, what it tells it and what becomes of the state.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.modules import COUNTER, ModuleWriter, code
from system.support import running

import hostcore
from hostcore import errors
from hostcore.hosts.base import Job
from hostcore.hosts.native import NativeHost, NativeInstance
from hostcore.runtime.loading import Loader

GRANTED = """
@hookimpl
def initialize(self, context):
    self.context = context

@hookimpl
def handle_message(self, message):
    return self.context.granted(message.payload)
"""


class Sandbox:
    """Runs the text in a `.wasm` file as Python code, and notes what it is asked to load."""

    def __init__(self, name: str, tools: Any, directory: Path) -> None:
        self.name = name
        self.jobs: list[Job] = []
        self._native = NativeHost(tools)
        self._directory = directory

    async def load(self, job: Job) -> NativeInstance:
        self.jobs.append(job)
        folder = self._directory / f"guest-{len(self.jobs)}"
        folder.mkdir()
        (folder / "guest_code.py").write_bytes(Path(job.release.wasm).read_bytes())
        release = job.release
        fields = {name: getattr(release, name) for name in release.__struct_fields__}
        fields |= {"value": "guest_code:Module", "paths": (str(folder),), "owned": ("guest_code",)}
        return await self._native.load(job._replace(release=type(release)(**fields)))


Sandboxes = dict[str, Sandbox]


@pytest.fixture
def sandboxes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandboxes]:
    """The stand-ins that were asked for, by the name of the host."""
    made: Sandboxes = {}

    def driver(loader: Loader, name: str, release: Any) -> Sandbox:
        folder = tmp_path / name
        folder.mkdir()
        made[name] = Sandbox(name, loader._parts.tools, folder)
        return made[name]

    monkeypatch.setattr(Loader, "_driver", driver)
    yield made


@pytest.fixture
def guest(tmp_path: Path) -> Callable[..., Path]:
    """Write a guest, and a manifest beside it."""

    def make(body: str, name: str = "counter", manifest: str = "") -> Path:
        folder = tmp_path / "guests" / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.wasm").write_text(code(body))
        if manifest:
            (folder / "module.toml").write_text(f"[{name}]\n{manifest}\n")
        return folder / f"{name}.wasm"

    return make


def built(write: ModuleWriter, **more: Any) -> Path:
    """Write a Python project with a guest built from it."""
    return write(COUNTER, "counter", files={"acme_counter/counter.wasm": code(COUNTER)}, **more)


async def test_a_guest_is_loaded_by_the_sandbox(
    system: hostcore.ModuleSystem, guest: Callable[..., Path], sandboxes: Sandboxes
) -> None:
    """A `.wasm` file as a source goes to the host "wasm", with its path and content as its release."""
    source = guest(COUNTER)
    info = await system.load("counter", source=source)
    assert (info.host, info.version[:6], info.distribution) == ("wasm", "0+sha.", "counter.wasm")
    assert sandboxes["wasm"].jobs[0].release.wasm == str(source)
    assert (await system.request("counter"))["count"] == 1


async def test_reloads_from_a_guest_and_back_choose_the_host(
    system: hostcore.ModuleSystem, write: ModuleWriter, guest: Callable[..., Path], sandboxes: Sandboxes
) -> None:
    """Nobody has to name the host: a Python source runs native, a guest in the sandbox, and the state goes along."""
    python = write(COUNTER, "counter")
    await system.load("counter", source=python, isolation="native")
    await system.request("counter")
    for source, host, count in ((guest(COUNTER), "wasm", 2), (python, "native", 3), (guest(COUNTER), "wasm", 4)):
        report = await system.reload("counter", source=source, strict=True)
        assert not report.rolled_back
        assert system.modules["counter"].host == host
        assert (await system.request("counter"))["count"] == count
    await system.rollback("counter", strict=True)
    assert (system.modules["counter"].host, (await system.request("counter"))["count"]) == ("native", 5)


async def test_a_reload_moves_a_module_into_the_sandbox_and_out(
    system: hostcore.ModuleSystem, write: ModuleWriter, sandboxes: Sandboxes
) -> None:
    """With an isolation the same release moves to another host, keeps its state, and stays there in later reloads."""
    await system.load("counter", source=built(write))
    assert system.modules["counter"].host == "native"
    await system.request("counter")
    for isolation, host in (("wasm", "wasm"), (None, "wasm"), ("wasm+worker", "wasm+worker"), ("native", "native")):
        await system.reload("counter", isolation=isolation, strict=True)
        assert system.modules["counter"].host == host
    assert (await system.request("counter"))["count"] == 2


async def test_a_sandbox_needs_a_guest(system: hostcore.ModuleSystem, write: ModuleWriter) -> None:
    """Python code from which no guest was built stays where it is, and the error says how to build one."""
    await system.load("counter", source=write(COUNTER, "counter"))
    report = await system.reload("counter", isolation="wasm")
    assert report.rolled_back
    assert "HC209" in report.reason and "hostcore build --wasm" in report.reason
    assert system.modules["counter"].host == "native"
    with pytest.raises(TypeError, match="isolation is text"):
        await system.reload("counter", isolation=5)  # type: ignore[arg-type]
    await system.reload("counter", strict=True)  # what failed is not asked for again


async def test_an_asked_for_sandbox_is_not_left_by_a_source(
    system: hostcore.ModuleSystem, write: ModuleWriter, sandboxes: Sandboxes
) -> None:
    """Whoever put a module into a sandbox finds it there: a source without a guest does not take it out."""
    await system.load("counter", source=built(write), isolation="wasm")
    report = await system.reload("counter", source=write(COUNTER, "counter"))
    assert report.rolled_back and "HC209" in report.reason
    assert system.modules["counter"].host == "wasm"


async def test_a_guest_that_never_came_up_is_loaded_with_the_isolation(
    system: hostcore.ModuleSystem, write: ModuleWriter, sandboxes: Sandboxes
) -> None:
    """A reload of what failed to load asks for the host that it names."""
    bad = "def nothing(self): pass"
    source = write(bad, "counter", files={"acme_counter/counter.wasm": code(COUNTER)})
    with pytest.raises(errors.HookError):
        await system.load("counter", source=source)
    await system.reload("counter", isolation="wasm", strict=True)
    assert system.modules["counter"].host == "wasm"


# --- grants --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("policy", "granted"),
    [
        ({}, ["kv", "env:HOME"]),
        ({"default": "deny"}, []),
        ({"grants": {"asker": ["clock", "kv"]}}, ["clock", "kv"]),
        ({"default": "deny", "grants": {"asker": ["env:*"]}}, ["env:*"]),
    ],
)
async def test_the_host_and_the_ports_have_the_same_grants(
    guest: Callable[..., Path], sandboxes: Sandboxes, policy: dict[str, Any], granted: list[str]
) -> None:
    """A sandbox is told at the load what the module may do, which is what its calls are checked against later."""
    source = guest(GRANTED, "asker", 'permissions = ["kv", "env:HOME"]')
    async with running(policy=policy) as system:
        await system.load("asker", source=source)
        grants = sandboxes["wasm"].jobs[0].grants
        assert (list(map(str, grants.granted)), grants.everything) == (granted, False)
        for permission in ("kv", "env:HOME", "clock", "net:*"):
            kind, _, target = permission.partition(":")
            assert await system.request("asker", permission) is grants.allows(kind, target)


async def test_a_native_module_is_not_bound_by_what_it_asks_for(
    system: hostcore.ModuleSystem, write: ModuleWriter, sandboxes: Sandboxes
) -> None:
    """The same release may do everything natively, and in the sandbox what its manifest asks for."""
    files = {"acme_asker/asker.wasm": code(GRANTED)}
    source = write(GRANTED, "asker", manifest="permissions = ['kv']", files=files)
    await system.load("asker", source=source)
    assert await system.request("asker", "clock") is True
    await system.reload("asker", isolation="wasm", strict=True)
    assert await system.request("asker", "clock") is False
    assert await system.request("asker", "kv") is True
