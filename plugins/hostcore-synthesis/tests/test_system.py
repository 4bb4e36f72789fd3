"""The module in a running system, loaded from this directory."""

from __future__ import annotations

from pathlib import Path

import pytest

import hostcore
from hostcore import errors
from hostcore_synthesis.messages import GetCounts

ENUM = {"kind": "enum", "name": "Color", "members": [{"name": "RED", "value": 1}]}


async def test_execute_and_counts(project: Path) -> None:
    """Specs travel as plain data; the counts go on through a reload."""
    async with hostcore.ModuleSystem() as system:
        await system.load("synthesis", source=project)
        result = await system.execute("synthesis", ENUM)
        assert result == {"kind": "enum", "code": "from enum import Enum\n\n\nclass Color(Enum):\n    RED = 1\n"}
        report = await system.reload("synthesis")
        assert (report.rolled_back, list(report.leaks)) == (False, [])
        await system.execute("synthesis", ENUM)
        assert (await system.request("synthesis", GetCounts()))["enum"] == 2


async def test_a_bad_spec_is_an_error_for_the_asker(project: Path) -> None:
    """The asker learns everything that is wrong with a spec, and the module goes on."""
    async with hostcore.ModuleSystem() as system:
        await system.load("synthesis", source=project)
        with pytest.raises(errors.HookError) as caught:
            await system.execute("synthesis", {"kind": "enum", "nme": "Color"})
        for problem in ("nme: unknown field; did you mean 'name'?", "name: it is missing", "members: it is missing"):
            assert problem in str(caught.value)
        assert (await system.execute("synthesis", ENUM))["kind"] == "enum"
