"""The life of a host process.

    claim the name -> listen -> load the modules -> ready -> serve ... stop asked -> answer who waits -> unload -> leave

The socket is open before the modules load, so that a host can be looked at, or stopped, while one of them takes its
time.  Standard output is the host's own: file descriptor 1 itself is turned to standard error before any module runs,
so that neither a `print` nor a child process of a module gets between the lines of `--json`.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import threading
from typing import TYPE_CHECKING, TextIO

import msgspec

from hostcore.cli import output
from hostcore.cli.logs import start_logging, without_failed_loads
from hostcore.cli.stopping import Stop
from hostcore.config import HostConfig
from hostcore.control.methods import Methods
from hostcore.control.places import Claim
from hostcore.control.server import ControlServer
from hostcore.runtime.modules import LoadOutcome
from hostcore.system import ModuleSystem

if TYPE_CHECKING:
    from hostcore.cli.watch.outcomes import Outcome
    from hostcore.cli.watch.watcher import Watcher

_LEAVE_TIME = 2.0
"""Seconds that leftover tasks get to end."""
log = logging.getLogger("hostcore")


def run_host(
    config: HostConfig, stop: Stop, *, autoload: bool = True, safe: bool = False, verbose: bool, as_json: bool,
    names: list[str] | None = None, watch: bool = False,
) -> int:  # fmt: skip
    """Run a host until `stop`; return the exit code.

    Args:
        config: Its configuration.
        stop: Where it is asked to stop.
        autoload: Load all that is installed, unless the configuration says no.
        safe: Load nothing.
        verbose: Log everything that happens.
        as_json: Report in lines of JSON.
        names: The modules to load, and what they require; None: as `config` and `autoload` say.
        watch: Reload modules whose sources change.

    Raises:
        ControlError: Another host has the name, or there can be no socket.
    """
    config = msgspec.structs.replace(config, autoload=config.autoload and autoload, safe_mode=config.safe_mode or safe)
    claim = Claim(config.name)
    try:
        report = _Report(_own_output(), as_json=as_json)
        start_logging(verbose=verbose)
        with asyncio.Runner() as runner:
            runner.run(_live(config, claim, stop, report, names, watch=watch))
            if report.left:
                _leave(config, claim, report)
    finally:
        claim.release()
    report.stopped(config.name)
    stop.close()
    return 0


async def _live(
    config: HostConfig, claim: Claim, stop: Stop, report: _Report, names: list[str] | None, *, watch: bool
) -> None:
    system = ModuleSystem(config)
    watcher = _watcher(system, report) if watch else None
    server = ControlServer(Methods(system, stop.ask, str(claim.path)).table())
    asked = asyncio.create_task(stop.wait())
    try:
        await system.start()
        await server.start(claim.listen())
        names = _to_load(system, names)
        if watcher is not None:
            await watcher.start(names)
        loading = asyncio.create_task(_load(system, names))
        await asyncio.wait([loading, asked], return_when=asyncio.FIRST_COMPLETED)
        if loading.done():
            if watcher is not None:
                await watcher.serve()
            report.ready(config.name, claim, loading.result())
            await asked
        else:
            loading.cancel()
            await asyncio.wait([loading])
    finally:
        asked.cancel()
        report.stopping()
        claim.withdraw()
        await server.stop()
        if watcher is not None:
            await watcher.stop()
        await system.stop()
        report.left += await _end_tasks()


def _watcher(system: ModuleSystem, report: _Report) -> Watcher:
    from hostcore.cli.watch.watcher import Watcher

    return Watcher(system, report.outcome)


def _to_load(system: ModuleSystem, names: list[str] | None) -> list[str]:
    """Return the modules to load with the host."""
    config = system.config
    if config.safe_mode:
        return []
    if names is not None:
        return names
    installed = system.discover().modules if config.autoload else ()
    return sorted({*installed, *config.modules} - system.disabled)


async def _load(system: ModuleSystem, names: list[str]) -> LoadOutcome:
    with without_failed_loads():
        return await system.load_all(names)


class _Report:
    """What the host says of itself, for people or as lines of JSON."""

    def __init__(self, stream: TextIO, *, as_json: bool) -> None:
        self.left: list[str] = []  # what modules left running
        self._stream = stream
        self._as_json = as_json

    def ready(self, name: str, claim: Claim, outcome: LoadOutcome) -> None:
        """Tell what became of the modules, and that the host serves."""
        failed = {module: error.as_data() for module, error in outcome.failed.items()}
        if self._as_json:
            self._emit({"event": "ready", "name": name, "pid": os.getpid(), "socket": str(claim.path),
                        "loaded": outcome.loaded, "failed": failed, "waiting": outcome.waiting})  # fmt: skip
            return
        for module, error in failed.items():
            self._say(f"failed   {module}")
            self._say("         " + error["text"].replace("\n", "\n         "))
        if outcome.waiting:
            self._say(f"waiting  {', '.join(outcome.waiting)}: until the first message")
        if outcome.loaded:
            self._say(f"loaded   {', '.join(outcome.loaded)}")
        counts = f"{len(outcome.loaded)} loaded, {len(outcome.failed)} failed, {len(outcome.waiting)} waiting"
        self._say(f"ready    host {name!r}, pid {os.getpid()}, {counts}; Ctrl-C stops it")

    def outcome(self, outcome: Outcome) -> None:
        """Tell what came of a change to a module's sources."""
        if self._as_json:
            self._emit(outcome.data())
        elif outcome.succeeded:
            self._say("\n".join(filter(None, (outcome.line(), outcome.details()))))
        else:
            self._complain(f"{outcome.line()}\n{outcome.details()}")

    def stopping(self) -> None:
        """Tell that the host has begun to stop."""
        if self._as_json:
            self._emit({"event": "stopping"})
        else:
            self._say("stopping; Ctrl-C again ends it at once")

    def stopped(self, name: str) -> None:
        """Tell that all is unloaded."""
        if self._as_json:
            self._emit({"event": "stopped", "name": name})
        else:
            self._say("stopped")

    def _emit(self, data: dict[str, object]) -> None:
        try:
            output.emit(data, compact=True, file=self._stream)
        except OSError:
            pass  # nobody reads it any more, or the terminal is gone: no reason to stop serving

    def _say(self, text: str) -> None:
        try:
            output.say(text, file=self._stream)
        except OSError:
            pass

    def _complain(self, text: str) -> None:
        try:
            output.problem(text, file=self._stream)
        except OSError:
            pass


def _own_output() -> TextIO:
    """Return a stream to standard output that is the host's alone; for all else standard output is standard error."""
    sys.stdout.flush()
    own = os.fdopen(os.dup(1), "w", encoding=sys.stdout.encoding, errors="backslashreplace")
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return own


async def _end_tasks() -> list[str]:
    """Cancel the tasks that modules left behind; return those that will not end, and the threads they left."""
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    late = (await asyncio.wait(tasks, timeout=_LEAVE_TIME))[1] if tasks else set()
    await asyncio.get_running_loop().shutdown_default_executor()  # our own threads
    others = (thread for thread in threading.enumerate() if thread is not threading.current_thread())
    threads = [thread for thread in others if not thread.daemon]
    return [*(f"task {task.get_name()}" for task in late), *(f"thread {thread.name}" for thread in threads)]


def _leave(config: HostConfig, claim: Claim, report: _Report) -> None:
    """End the process here and now: Python would wait for what modules left running."""
    log.warning("modules left running: %s", ", ".join(report.left))
    claim.release()
    report.stopped(config.name)
    sys.stderr.flush()
    os._exit(0)
