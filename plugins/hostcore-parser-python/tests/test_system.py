"""The module in a running system, loaded from this directory."""

from __future__ import annotations

from pathlib import Path

import pytest

import hostcore
from hostcore import errors
from hostcore_parser_python import Parsed, ParseSource


async def test_request_and_event(project: Path) -> None:
    """A request is answered with plain data, or typed for a typed request, and an event follows."""
    async with hostcore.ModuleSystem() as system:
        await system.load("parser-python", source=project)
        async with system.subscribe("parser.>") as events:
            reply = await system.request("parser-python", {"path": "a.py", "source": "x = 1"}, topic="parser.parse")
            event = await anext(events)
        assert reply["symbols"] == [{"name": "x", "kind": "variable", "line": 1, "end_line": 1}]
        assert (event.topic, event.payload["path"], event.payload["symbols"]) == (
            "parser.parsed",
            "a.py",
            {"variable": 1},
        )
        assert isinstance(await system.request("parser-python", ParseSource("b.py", "")), Parsed)


async def test_found_by_capability(project: Path) -> None:
    """Who needs a parser of Python asks for the capability, and `execute` takes the same fields."""
    async with hostcore.ModuleSystem() as system:
        await system.load("parser-python", source=project)
        asked = {"path": "a.py", "source": "import os"}
        reply = await system.request("parser:python", asked, topic="parser.parse")
        assert reply == await system.execute("parser-python", asked)


async def test_the_count_survives_a_reload(project: Path) -> None:
    """A new generation goes on counting where the old one stopped, of which nothing is left."""
    async with hostcore.ModuleSystem() as system:
        await system.load("parser-python", source=project)
        for _ in range(2):
            await system.execute("parser-python", {"path": "a.py", "source": ""})
            report = await system.reload("parser-python")
            assert (report.rolled_back, list(report.leaks)) == (False, [])
        assert await system.request("parser-python", {}, topic="parser.count") == {"files": 2}


async def test_wrong_requests_are_errors_for_the_asker(project: Path) -> None:
    """A request of the wrong shape, or too large, is an error for who sent it; the module goes on."""
    async with hostcore.ModuleSystem() as system:
        await system.load("parser-python", source=project, config={"max_bytes": 10})
        with pytest.raises(errors.ContractError, match="source"):
            await system.request("parser-python", {"path": "a.py"}, topic="parser.parse")
        with pytest.raises(errors.HookError, match="at most 10"):
            await system.request("parser-python", ParseSource("a.py", "x" * 11))
        assert (await system.request("parser-python", ParseSource("a.py", "x"))).lines == 1
