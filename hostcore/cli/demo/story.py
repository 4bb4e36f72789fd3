"""What happens in the demo, from the first load to the last unload.

Three installed modules and one that always raises run in a host of their own, with its state in a temporary
directory.  `Load` sends the files; half-way, `_reload` replaces the parser while it goes on.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from hostcore.cli.demo.load import Load
from hostcore.cli.demo.outcome import Contained, Counts, Found, Outcome, judge
from hostcore.cli.demo.projects import GRUMPY, NEW_FIELD, write_changed, write_grumpy
from hostcore.cli.demo.settings import needs_patience, settings
from hostcore.cli.demo.sources import Sources
from hostcore.config import HostConfig
from hostcore.errors import HookError, HostcoreError, LoadError, Problem
from hostcore.messaging.topics import Listener
from hostcore.packages.locating import locate
from hostcore.runtime.events import HANDLER_FAILED
from hostcore.runtime.reports import ReloadReport
from hostcore.system import ModuleSystem

INSTALLED = ("stats", "parser-python", "synthesis")
_PLUGINS = " ".join(f"./plugins/hostcore-{name}" for name in INSTALLED)


class Audience(Protocol):
    """Who is told how the demo goes on."""

    def say(self, text: str) -> None:
        """Hear of a step."""
        ...

    def moved(self, done: int, planned: int) -> None:
        """Hear of an answered request."""
        ...

    def watching(self) -> contextlib.AbstractContextManager[None]:
        """Be there while requests are sent."""
        ...


def tell(path: Path | None, seconds: float, config: HostConfig, audience: Audience) -> Outcome:
    """Run the demo and return what came of it.

    Args:
        path: A directory or file; None: the asyncio package of the running Python.
        seconds: How long files are sent at most.
        config: What says how modules are run; see `settings`.
        audience: Who is told meanwhile.

    Raises:
        click.BadParameter: There is no file to send under `path`.
        LoadError: A module is not installed.
        HostcoreError: A module does not load.
    """
    began = time.perf_counter()
    sources = Sources(path or Path(asyncio.__file__).parent)
    sources.refuse_if_useless()
    with tempfile.TemporaryDirectory(prefix="hostcore-demo-") as scratch, _quiet():
        host = settings(config, Path(scratch))
        outcome = asyncio.run(_run(sources, seconds, host, audience, Path(scratch)))
    outcome.seconds = round(time.perf_counter() - began, 3)
    outcome.expectations = judge(outcome, NEW_FIELD)
    outcome.ok = all(expectation.ok for expectation in outcome.expectations)
    return outcome


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep what modules print, and the log of errors that are raised on purpose, out of the demo's output."""
    handler = logging.NullHandler()
    logger = logging.getLogger("hostcore")
    propagate, logger.propagate = logger.propagate, False
    logger.addHandler(handler)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        logger.removeHandler(handler)
        logger.propagate = propagate


async def _run(sources: Sources, seconds: float, config: HostConfig, audience: Audience, scratch: Path) -> Outcome:
    async with ModuleSystem(config) as system:
        changed = _write_changed(system, scratch / "parser")
        await _load_modules(system, write_grumpy(scratch / GRUMPY), audience)
        versions = {name: info.version for name, info in system.modules.items()}
        hosts = {name: info.host for name, info in system.modules.items()}
        async with system.subscribe(HANDLER_FAILED) as failures:
            reported = asyncio.create_task(_count(failures))
            load = Load(system, sources, seconds, audience.moved)
            with audience.watching():
                report, counts = await _work(system, load, changed, audience)
            counts.end = await system.request("parser:python", {}, topic="parser.count")
            grumpy = await _look_at_grumpy(system)
        grumpy.reported = await reported
        statistics = await system.request("stats", {}, topic="stats.summary")
        code = await _render(system, load.found)
        return Outcome(
            path=str(sources.path), files_found=len(sources.files), skipped=sources.skipped, complete=load.complete,
            rounds=load.rounds, found=load.found, requests=load.result(),
            messages=sum(info.handled for info in system.modules.values()), reload=report, counts=counts,
            grumpy=grumpy, statistics=statistics, code=code, modules=versions,
            hosts=hosts, lost=[letter.reason for letter in system.dead_letters],
        )  # fmt: skip


def _write_changed(system: ModuleSystem, directory: Path) -> Path:
    """Write the parser's next release; before that, see that all modules are installed."""
    scan = system.discover()
    missing = [name for name in INSTALLED if name not in scan.modules]
    if missing:
        hint = f"in a checkout: python -m pip install {_PLUGINS}"
        problem = Problem(f"the demo needs modules that are not installed: {', '.join(missing)}", "HC202", hint=hint)
        raise LoadError(missing[0], label="demo", problems=[problem])
    return write_changed(locate(scan.modules["parser-python"]), directory)


async def _load_modules(system: ModuleSystem, grumpy: Path, audience: Audience) -> None:
    began = time.perf_counter()
    for name in INSTALLED:
        if needs_patience(system.config.modules.get(name)):
            audience.say(f"loading {name} in a sandbox; the first time, compiling it takes some 20 s")
        await system.load(name)
    await system.load(GRUMPY, source=grumpy)
    names = ", ".join(f"{info.name} {info.version} ({info.host})" for info in system.modules.values())
    audience.say(f"loaded {names} in {(time.perf_counter() - began) * 1000:.0f} ms")


async def _work(system: ModuleSystem, load: Load, changed: Path, audience: Audience) -> tuple[ReloadReport, Counts]:
    """Send everything, and reload the parser half-way."""
    async with asyncio.TaskGroup() as group:
        group.create_task(load.run())
        reload = group.create_task(_reload(system, load, changed, audience))
    return reload.result()


async def _reload(system: ModuleSystem, load: Load, changed: Path, audience: Audience) -> tuple[ReloadReport, Counts]:
    await load.half.wait()
    counts = Counts(before=await system.request("parser:python", {}, topic="parser.count"))
    began = time.perf_counter()
    try:
        report = await system.reload("parser-python", source=changed)
    finally:
        load.reloaded(began)
    counts.after = await system.request("parser:python", {}, topic="parser.count")
    audience.say(
        f"reloaded parser-python {report.old_version} -> {report.new_version} under load in {report.duration_ms:.1f} ms"
        if not report.rolled_back
        else f"the reload of parser-python failed: {report.reason}"
    )
    return report, counts


async def _count(failures: Listener) -> int:
    """Return how many errors of the grumpy module were told of, once nobody listens any more."""
    return sum([1 async for event in failures if event.payload["module"] == GRUMPY])


async def _look_at_grumpy(system: ModuleSystem) -> Contained:
    """Ask the module that raises on purpose, which comes after all it was told."""
    error = ""
    try:
        await system.request(GRUMPY, {}, topic="grumpy.hello")
    except HookError as raised:
        error = str(raised)
    info = system.modules[GRUMPY]
    return Contained(module=GRUMPY, messages=info.handled, failed=info.failed, error=error)


async def _render(system: ModuleSystem, found: Found) -> str:
    """Have synthesis render a dataclass of what was found."""
    figures = {"files": found.files, "lines": found.lines, "errors": found.errors}
    figures |= {f"{kind}_symbols": count for kind, count in found.symbols.items()}
    fields = [{"name": name, "type": "int", "default": str(count)} for name, count in figures.items()]
    spec = {"kind": "dataclass", "name": "Found", "doc": "What the parser found.", "fields": fields, "frozen": True}
    try:
        result: dict[str, str] = await system.execute("synthesis", spec)
    except HostcoreError as error:
        return f"# {error}"
    return result["code"]
