"""The module in a running system, in the program and in the sandbox: both must do what black itself does.

This repository's own files are formatted.  The component is built once and kept, by `tests/support/python_guests.py`.
"""

from __future__ import annotations

import importlib.util
from collections.abc import AsyncIterator
from pathlib import Path

import black
import pytest
from support.python_guests import keep_compiled, python_guest

import hostcore
from hostcore import errors

pytestmark = pytest.mark.once

ROOT = Path(__file__).parents[3]
FILES = sorted((ROOT / "hostcore").rglob("*.py"))[::8]
MODE = black.Mode(line_length=120)


@pytest.fixture(params=["native", "wasm"])
async def system(
    request: pytest.FixtureRequest, project: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[hostcore.ModuleSystem]:
    """A system with the module in it, in one tier and then in the other."""
    source = project
    if request.param == "wasm":
        if importlib.util.find_spec("componentize_py") is None:
            pytest.skip("it takes componentize-py to build a Python guest")
        keep_compiled(monkeypatch)
        source = python_guest(project, "formatter-black")
    async with hostcore.ModuleSystem({"load_timeout": 120}) as system:
        await system.load("formatter-black", source=source)
        yield system


async def test_it_formats_as_black_does(system: hostcore.ModuleSystem) -> None:
    """Every file comes out as black itself formats it."""
    for file in FILES:
        source = file.read_text()
        told = await system.request("formatter-black", {"source": source, "line_length": 120}, topic="format")
        assert told["source"] == black.format_str(source, mode=MODE), file
        assert told["changed"] == (told["source"] != source)


async def test_execute(system: hostcore.ModuleSystem) -> None:
    """Its main job is the same."""
    assert await system.execute("formatter-black", {"source": "x = ( 1 )"}) == {"source": "x = 1\n", "changed": True}


async def test_a_syntax_error(system: hostcore.ModuleSystem) -> None:
    """Source that is no Python is an answer, not a failure."""
    told = await system.request("formatter-black", {"source": "x = = 1"}, topic="format")
    assert (told["error"]["type"], told["error"]["line"], told["source"]) == ("syntax", 1, "x = = 1")


async def test_a_bad_request(system: hostcore.ModuleSystem) -> None:
    """A malformed request, or an unknown topic, is an error for the asker, and the module goes on."""
    for payload, topic, text in (({}, "format", "expected"), ({"source": ""}, "frmat", "unknown topic 'frmat'")):
        with pytest.raises(errors.HookError, match=text) as caught:
            await system.request("formatter-black", payload, topic=topic)
        assert caught.value.exception == "ValueError"
    await test_execute(system)


async def test_a_reload(system: hostcore.ModuleSystem) -> None:
    """It can be reloaded like any module: the new copy must answer the manifest's probe."""
    report = await system.reload("formatter-black")
    assert not report.rolled_back
    await test_execute(system)
