"""The module in a running system, loaded from this directory; anybody may publish what it listens to."""

from __future__ import annotations

from pathlib import Path

import pytest

import hostcore
from hostcore import errors
from hostcore_stats import GetSummary

EVENT = {"path": "a.py", "lines": 3, "symbols": {"class": 1}, "imports": ["os"], "errors": 0}


async def test_events_add_up(project: Path) -> None:
    """Published events are in the summary that is asked for afterwards, until a reset."""
    async with hostcore.ModuleSystem() as system:
        await system.load("stats", source=project)
        for _ in range(3):
            await system.publish("parser.parsed", EVENT)
        assert (await system.request("stats", {}, topic="stats.summary"))["files"] == 3
        assert (await system.request("stats", GetSummary())).imports == [("os", 3)]
        assert (await system.request("stats", {}, topic="stats.reset"))["lines"] == 9
        assert (await system.request("stats", GetSummary())).files == 0


async def test_totals_survive_reloads(project: Path) -> None:
    """The totals go on through reloads, and no event is counted twice."""
    async with hostcore.ModuleSystem() as system:
        await system.load("stats", source=project)
        for _ in range(3):
            await system.publish("parser.parsed", EVENT)
            report = await system.reload("stats")
            assert (report.rolled_back, list(report.leaks)) == (False, [])
        await system.publish("parser.parsed", EVENT)
        assert (await system.request("stats", GetSummary())).files == 4


async def test_a_malformed_event_does_no_harm(project: Path) -> None:
    """An event of another shape is not counted, and later ones are."""
    async with hostcore.ModuleSystem() as system:
        await system.load("stats", source=project)
        await system.publish("parser.parsed", {"lines": "many"})
        await system.publish("parser.parsed", EVENT)
        assert (await system.request("stats", GetSummary())).files == 1


async def test_unknown_topic(project: Path) -> None:
    """A topic that the module does not know is an error that names those it does."""
    async with hostcore.ModuleSystem() as system:
        await system.load("stats", source=project)
        with pytest.raises(errors.ContractError, match=r"stats\.summary"):
            await system.request("stats", {}, topic="stats.sumary")
