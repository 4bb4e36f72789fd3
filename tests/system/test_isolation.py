"""Modules that move between the program's process and the sandbox, and what they may do there."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support import guests
from support.modules import COUNTER, ModuleWriter
from system.support import running

import hostcore
from hostcore import errors

GRANTED = """
@hookimpl
def initialize(self, context):
    self.context = context

@hookimpl
def handle_message(self, message):
    return self.context.granted(message.payload)
"""


@pytest.fixture
def guest(tmp_path: Path) -> Callable[..., Path]:
    """Copy a guest, and write a manifest beside it."""

    def make(name: str = "counter", manifest: str = "") -> Path:
        folder = tmp_path / "guests" / name
        folder.mkdir(parents=True, exist_ok=True)
        if manifest:
            (folder / "module.toml").write_text(f"[{name}]\n{manifest}\n")
        return Path(shutil.copy(guests.guest("c"), folder / f"{name}.wasm"))

    return make


def built(project: Path, name: str = "counter") -> Path:
    """Put a guest into a Python project, as if it was built from it."""
    shutil.copy(guests.guest("c"), project / f"acme_{name}" / f"{name}.wasm")
    return project


async def count(system: hostcore.ModuleSystem) -> int:
    """Have the counter count."""
    return int((await system.request("counter", topic="count"))["count"])


async def test_a_guest_is_loaded_by_the_sandbox(system: hostcore.ModuleSystem, guest: Callable[..., Path]) -> None:
    """A `.wasm` file as a source goes to the host "wasm", with its path and content as its release."""
    source = guest()
    info = await system.load("counter", source=source)
    assert (info.host, info.version[:6], info.distribution) == ("wasm", "0+sha.", "counter.wasm")
    assert await count(system) == 1


async def test_reloads_from_a_guest_and_back_choose_the_host(
    system: hostcore.ModuleSystem, write: ModuleWriter, guest: Callable[..., Path]
) -> None:
    """Nobody has to name the host: a Python source runs native, a guest in the sandbox, and the state goes along."""
    python = write(COUNTER, "counter")
    await system.load("counter", source=python, isolation="native")
    await count(system)
    for source, host, counted in ((guest(), "wasm", 2), (python, "native", 3), (guest(), "wasm", 4)):
        report = await system.reload("counter", source=source, strict=True)
        assert not report.rolled_back
        assert system.modules["counter"].host == host
        assert await count(system) == counted
    await system.rollback("counter", strict=True)
    assert (system.modules["counter"].host, await count(system)) == ("native", 5)


async def test_a_reload_moves_a_module_into_the_sandbox_and_out(
    system: hostcore.ModuleSystem, write: ModuleWriter
) -> None:
    """With an isolation the same release moves to another host, keeps its state, and stays there in later reloads."""
    await system.load("counter", source=built(write(COUNTER, "counter")))
    assert system.modules["counter"].host == "native"
    await count(system)
    for isolation, host in (("wasm", "wasm"), (None, "wasm"), ("native", "native")):
        await system.reload("counter", isolation=isolation, strict=True)
        assert system.modules["counter"].host == host
    assert await count(system) == 2


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


async def test_an_asked_for_sandbox_is_not_left_by_a_source(system: hostcore.ModuleSystem, write: ModuleWriter) -> None:
    """Whoever put a module into a sandbox finds it there: a source without a guest does not take it out."""
    await system.load("counter", source=built(write(COUNTER, "counter")), isolation="wasm")
    report = await system.reload("counter", source=write(COUNTER, "counter"))
    assert report.rolled_back and "HC209" in report.reason
    assert system.modules["counter"].host == "wasm"


async def test_a_guest_that_never_came_up_is_loaded_with_the_isolation(
    system: hostcore.ModuleSystem, write: ModuleWriter
) -> None:
    """A reload of what failed to load asks for the host that it names."""
    bad = "def nothing(self): pass"
    source = built(write(bad, "counter"))
    with pytest.raises(errors.HookError):
        await system.load("counter", source=source)
    await system.reload("counter", isolation="wasm", strict=True)
    assert system.modules["counter"].host == "wasm"


# --- grants --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("policy", "granted"),
    [
        ({"default": "allow"}, ["kv", "env:HOME"]),
        ({"trust": {"modules": ["ask*"]}}, ["kv", "env:HOME"]),
        ({"default": "deny"}, []),
        ({"grants": {"asker": ["clock", "kv"]}}, ["clock", "kv"]),
        ({"default": "deny", "grants": {"asker": ["env:*"]}}, ["env:*"]),
    ],
)
async def test_a_guest_may_do_what_it_was_granted(
    guest: Callable[..., Path], policy: dict[str, Any], granted: list[str]
) -> None:
    """What it asked for, or what the policy says of it; nothing else."""
    source = guest("asker", 'permissions = ["kv", "env:HOME"]')
    async with running(policy=policy) as system:
        await system.load("asker", source=source)
        for permission in ("kv", "env:HOME", "env:USER", "clock", "net:*"):
            allowed = permission in granted or (permission.startswith("env:") and "env:*" in granted)
            assert await system.request("asker", permission, topic="granted") is allowed


async def test_a_native_module_is_not_bound_by_what_it_asks_for(
    system: hostcore.ModuleSystem, write: ModuleWriter
) -> None:
    """The same release may do everything natively, and in the sandbox what its manifest asks for."""
    source = built(write(GRANTED, "asker", manifest="permissions = ['kv']"), "asker")
    await system.load("asker", source=source)
    assert await system.request("asker", "clock", topic="granted") is True
    await system.reload("asker", isolation="wasm", strict=True)
    assert await system.request("asker", "clock", topic="granted") is False
    assert await system.request("asker", "kv", topic="granted") is True
