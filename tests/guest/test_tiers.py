"""One module source, in the program and in the sandbox: what it does is the same."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("componentize_py", reason="it takes componentize-py to build a Python guest")

from support.modules import ECHO, ModuleWriter
from support.python_guests import CONFORMANCE, keep_compiled, python_guest

import hostcore
from hostcore import errors


@pytest.fixture(params=["native", "wasm"])
def tier(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def source(tier: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The conformance module as a project, or as a component with its manifest beside it."""
    if tier == "native":
        return CONFORMANCE
    keep_compiled(monkeypatch)
    shutil.copy(python_guest(CONFORMANCE, "conformance"), tmp_path / "conformance.wasm")
    shutil.copy(CONFORMANCE / "src" / "acme_conformance" / "module.toml", tmp_path)
    return tmp_path / "conformance.wasm"


@pytest.fixture
async def system() -> AsyncIterator[hostcore.ModuleSystem]:
    async with hostcore.ModuleSystem({"load_timeout": 120, "policy": {"default": "allow"}}) as system:
        yield system


@pytest.fixture
async def ask(system: hostcore.ModuleSystem, source: Path) -> Callable[..., Any]:
    """Load the module; return how to send it a message."""
    await system.load("conformance", source=source, config={"a": [1]})
    return lambda topic, payload=None: system.request("conformance", payload, topic=topic)


async def test_replies(ask):
    """Payloads come back as they went, also through the store, other calls and waiting."""
    for payload in (None, True, -1.5, 2**53, "é\U0001f40d", [], {}, {"a": [{"b": None}]}):
        assert await ask("echo", payload) == payload
        assert await ask("kv", payload) == payload
    assert await ask("count") == {"count": 9}
    assert await ask("none", 1) is None
    assert await ask("config") == {"a": [1]}
    assert await ask("granted", "kv") is True
    assert await ask("sleep", 1) == "slept"
    assert await ask("tasks", [1, 2]) == {"slept": [1, 2], "late": True}


async def test_execute(ask, system):
    """The main job is the same."""
    assert await system.execute("conformance", {"x": 1}) == {"echo": {"x": 1}, "count": 0}


async def test_other_modules(ask, system, tmp_path):
    """It asks other modules, and learns of their absence by the same error."""
    await system.load("echo", source=ModuleWriter(tmp_path)(ECHO))
    assert await ask("ask", {"target": "echo", "topic": "t", "payload": {"x": [1]}}) == {"x": [1]}
    assert await ask("send", {"target": "echo", "topic": "t", "payload": 1}) is None
    assert await ask("publish", {"topic": "news", "payload": 1}) is None
    with pytest.raises(errors.HookError) as caught:
        await ask("ask", {"target": "ehco", "topic": "t", "payload": 1})
    assert caught.value.exception == "UnknownModuleError"
    assert "did you mean 'echo'" in str(caught.value)


async def test_who(ask):
    """It knows itself and who asks."""
    told = await ask("who")
    assert (told["name"], told["generation"], told["sender"], told["trace"]) == ("conformance", 1, "host", told["id"])


@pytest.mark.parametrize(
    ("topic", "exception", "text"),
    [
        ("fail", "ValueError", "bad thing"),
        ("recurse", "RecursionError", "recursion"),
        ("frmat", "ValueError", "'frmat'"),
    ],
)
async def test_failures(ask, topic, exception, text):
    """What a hook raises has its type, its text and its traceback, and the module goes on."""
    with pytest.raises(errors.HookError, match=text) as caught:
        await ask(topic)
    assert (caught.value.exception, caught.value.code) == (exception, "HC302")
    assert "acme_conformance/__init__.py" in caught.value.traceback
    assert await ask("echo", 1) == 1


async def test_a_reload_keeps_the_state(ask, system):
    """The next generation goes on with the count."""
    await ask("count")
    report = await system.reload("conformance")
    assert (report.rolled_back, report.new_generation) == (False, 2)
    assert await ask("count") == {"count": 2}
    assert (await ask("who"))["generation"] == 2


async def test_a_failing_initialize(system, source):
    """A module that does not come up is not loaded, and the text says why."""
    with pytest.raises(errors.ModuleError, match="ValueError: no database"):
        await system.load("conformance", source=source, config={"fail": "no database"})
    assert system.modules["conformance"].state is hostcore.State.FAILED


async def test_what_is_subscribed(system, source, tmp_path):
    """What it subscribes to in `initialize` reaches it once it serves."""
    await system.load("conformance", source=source, config={"subscribe": "count"})
    await system.publish("count", 1)
    assert await system.request("conformance", topic="count") == {"count": 2}
