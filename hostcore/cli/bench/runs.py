"""Measure one module in a host of its own, beside its peers."""

from __future__ import annotations

import asyncio
import contextlib
import platform
import sys
import tempfile
from pathlib import Path
from typing import Any

import msgspec

from hostcore.cli.bench.measuring import Figures, calls, in_turns, stream
from hostcore.cli.bench.peers import PluggyEcho, queue_echo
from hostcore.system import ModuleSystem

ECHO = '''\
"""A module that answers with what it is sent."""

import hostcore


class Echo:
    """Echoes."""

    @hostcore.hookimpl
    def handle_message(self, message):
        """Return the payload."""
        return message.payload
'''
PAYLOAD = {"path": "a.py", "lines": [1, 2, 3], "text": "x" * 64}


class Report(msgspec.Struct, frozen=True):
    """The figures, and of what.

    Attributes:
        module: The module's name.
        version: Its version.
        python: The Python that ran it.
        figures: Those of the module and of its peers.
        failed: On how many sent messages the module raised; requests that it refuses end the run.
    """

    module: str
    version: str
    python: str
    figures: list[Figures]
    failed: int


def measure(name: str | None, topic: str, payload: Any, seconds: float) -> Report:
    """Measure the installed module `name`; None: one that echoes.

    Raises:
        HostcoreError: The module does not load, or does not answer such a message.
    """
    with tempfile.TemporaryDirectory(prefix="hostcore-bench-") as scratch, contextlib.redirect_stdout(sys.stderr):
        return asyncio.run(_measure(name, topic, payload, seconds, Path(scratch)))


def write_echo(directory: Path) -> Path:
    """Write the module "echo" as a project into `directory`, and return it."""
    package = directory / "src" / "hostcore_bench_echo"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(ECHO, "utf-8")
    (directory / "pyproject.toml").write_text(
        '[project]\nname = "hostcore-bench-echo"\nversion = "1.0.0"\n\n'
        '[project.entry-points."hostcore.modules"]\necho = "hostcore_bench_echo:Echo"\n',
        "utf-8",
    )
    return directory


async def _measure(name: str | None, topic: str, payload: Any, seconds: float, scratch: Path) -> Report:
    if name is None and payload is None:
        payload = PAYLOAD
    async with (
        ModuleSystem({"name": "bench", "state_dir": str(scratch / "state")}) as system,
        queue_echo() as queue,
    ):
        info = await system.load(name or "echo", source=None if name else write_echo(scratch / "echo"))
        module, pluggy = info.name, PluggyEcho()

        async def ask() -> object:
            return await system.request(module, payload, topic=topic)

        async def push() -> None:
            await system.send(module, payload, topic=topic)

        await ask()  # an error in every message is an error, not a figure
        contestants = {
            "request": calls(ask),
            "asyncio queue and future": calls(lambda: queue.ask(payload)),
            "pluggy call": calls(lambda: pluggy.ask(payload)),
            "send": stream(push, ask),
            "asyncio queue, no reply": stream(lambda: queue.tell(payload), lambda: queue.ask(payload)),
        }
        figures = await in_turns(contestants, seconds)
        failed = system.modules[module].failed
    return Report(info.name, info.version, platform.python_version(), figures, failed)


def rows(report: Report) -> list[list[str]]:
    """Return the figures as the rows of a table."""
    found = []
    for entry in report.figures:
        times = ["" if value is None else f"{value:.1f}" for value in (entry.p50_us, entry.p99_us, entry.p999_us)]
        found.append([entry.name, *times, f"{entry.per_second:,.0f}"])
    return found
