"""The gate: where the policy demands it, a release is tried before it may serve."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from support.distributions import write_wheel
from support.modules import ECHO, ModuleWriter, code
from system.support import running

import hostcore
from hostcore import errors

FRAGILE = """
@hookimpl
def handle_message(self, message):
    if message.topic == "garbage":
        import ctypes
        ctypes.string_at(0)
    return message.payload
"""
SHY = """
@hookimpl
def initialize(self, context):
    raise ValueError("not today")

@hookimpl
def handle_message(self, message):
    return None
"""


@pytest.fixture
async def gated(tmp_path: Path) -> AsyncIterator[hostcore.ModuleSystem]:
    """A system with a gate."""
    async with running(policy={"gate": True}, state_dir=str(tmp_path / "state")) as system:
        yield system


def wheel_of(tmp_path: Path, body: str, version: str = "1.0") -> Path:
    """Write a wheel with the module "echo": its files do not change, as a project's do."""
    return write_wheel(
        tmp_path / f"acme_echo-{version}-py3-none-any.whl", {"acme_echo/__init__.py": code(body)}, name="acme-echo",
        version=version, modules={"echo": "acme_echo:Module"},
    )  # fmt: skip


async def test_a_release_that_is_not_contained_is_not_reloaded(
    gated: hostcore.ModuleSystem, write: ModuleWriter
) -> None:
    """A reload to it is undone in phase "prepare", with what got through as the reason, and the old one serves on."""
    await gated.load("echo", source=write(ECHO))
    report = await gated.reload("echo", source=write(FRAGILE, version="2.0"))
    assert (report.rolled_back, report.phase, report.code) == (True, "prepare", "HC608")
    assert "garbage: the host was ended by signal 11" in report.reason
    assert "hostcore modules test-isolation echo" in report.reason
    assert (gated.modules["echo"].version, await gated.request("echo", 5)) == ("1.0", 5)


async def test_what_has_passed_is_not_tried_again(
    gated: hostcore.ModuleSystem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A release passes once, as long as its files and its host are the same; where none can be tried, none passes."""
    await gated.load("echo", source=wheel_of(tmp_path, ECHO))
    (mark,) = msgspec.json.decode((tmp_path / "state" / "gate.json").read_bytes())
    assert mark.endswith(" native")
    await gated.unload("echo")
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    await gated.load("echo", source=wheel_of(tmp_path, ECHO))
    await gated.unload("echo")
    with pytest.raises(errors.DeniedError, match="the test could not be made") as caught:
        await gated.load("echo", source=wheel_of(tmp_path, f"{ECHO}    # changed", "2.0"))
    assert (caught.value.code, caught.value.exit_code) == ("HC608", 12)


async def test_what_does_not_come_up_is_left_to_its_load(
    gated: hostcore.ModuleSystem, write: ModuleWriter, caplog: pytest.LogCaptureFixture
) -> None:
    """A release that cannot be tried gets a warning; what is wrong with it, its own load tells."""
    with pytest.raises(errors.HookError) as caught:
        await gated.load("echo", source=write(SHY))
    assert caught.value.code == "HC302"
    assert "could not be tested" in caplog.text


async def test_without_the_policy_nothing_is_tried(
    tmp_path: Path, write: ModuleWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who does not ask for the gate does not wait for it."""
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    async with running(state_dir=str(tmp_path / "state")) as system:
        await system.load("echo", source=write(FRAGILE))
    assert not (tmp_path / "state" / "gate.json").exists()
