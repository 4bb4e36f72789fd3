"""The watcher: reloads the modules whose sources changed.

Each module has at most one turn at work, which reloads it for as long as there are changes to it: what changes during a
reload leads to one more, and modules do not wait for each other.  A module that failed to load is loaded when its files
change, and also when another one has come that it may have failed for want of.

The lookout is aimed before anything is loaded, and again with each of the system's events that may have changed where a
module comes from.  Changes wait until `serve`, when all that loads with the host has been tried.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack

from hostcore.cli.logs import without_failed_loads
from hostcore.cli.watch.finding import find_sources
from hostcore.cli.watch.habits import Habits
from hostcore.cli.watch.lookout import Lookout
from hostcore.cli.watch.outcomes import Outcome
from hostcore.cli.watch.sources import Sources
from hostcore.contract.lifecycle import State
from hostcore.errors import HostcoreError, ResolutionError
from hostcore.messaging.topics import Listener
from hostcore.runtime import events
from hostcore.system import ModuleSystem

_TURNING = (events.LOADING, events.LOADED, events.FAILED, events.RELOADED)
log = logging.getLogger("hostcore")


class Watcher:
    """Watches the modules of a system.

    Args:
        system: The system, started.
        tell: What gets each outcome.
    """

    def __init__(self, system: ModuleSystem, tell: Callable[[Outcome], None]) -> None:
        self._system = system
        self._tell = tell
        self._loop = asyncio.get_running_loop()
        self._lookout = Lookout(lambda found: self._loop.call_soon_threadsafe(self._changed, found))
        self._sources: dict[str, Sources] = {}
        self._pending: dict[str, set[str]] = {}
        self._turns: dict[str, asyncio.Task[None]] = {}
        self._habits = Habits()
        self._aiming = asyncio.Lock()
        self._serving = asyncio.Event()
        self._stack = AsyncExitStack()

    async def start(self, names: Iterable[str]) -> None:
        """Begin to watch: the modules called `names`, which need not be loaded yet, and whatever is loaded later."""
        heard = await self._stack.enter_async_context(self._system.subscribe("hostcore.module.*"))
        self._sources = {name: find_sources(self._system, name, Sources()) for name in names}
        self._lookout.aim(dict(self._sources))
        self._lookout.start()
        self._stack.push_async_callback(asyncio.to_thread, self._lookout.close)
        listening = asyncio.create_task(self._listen(heard), name="hostcore:watch")
        self._stack.push_async_callback(_cancel, [listening])

    async def serve(self) -> None:
        """Begin to reload what has changed and changes; when this returns, all that is loaded is watched."""
        for name in self._system.modules.keys() - self._sources.keys():
            await self._follow(name)
        self._serving.set()

    async def stop(self) -> None:
        """Stop watching; a reload that is at work is cancelled."""
        await self._stack.aclose()
        await _cancel(self._turns.values())

    async def _listen(self, heard: Listener) -> None:
        async for message in heard:
            name = message.payload["module"]
            if message.topic == events.UNLOADED:
                await self._follow(name, gone=True)
            elif message.topic in _TURNING:
                await self._follow(name)

    async def _follow(self, name: str, *, gone: bool = False) -> None:
        """Aim the lookout at where a module comes from now."""
        async with self._aiming:
            before = self._sources.get(name, Sources())
            if gone:
                self._sources.pop(name, None)
            else:
                self._sources[name] = await asyncio.to_thread(find_sources, self._system, name, before)
            await asyncio.to_thread(self._lookout.aim, dict(self._sources))

    def _changed(self, found: dict[str, list[str]]) -> None:
        for name, paths in found.items():
            counting = self._habits.without(name, paths)
            if paths and not counting:
                continue
            self._pending.setdefault(name, set()).update(counting)
            if name not in self._turns:
                self._turns[name] = asyncio.create_task(self._turn(name), name=f"hostcore:watch:{name}")

    async def _turn(self, name: str) -> None:
        """Reload a module for as long as there are changes to it."""
        try:
            await self._serving.wait()
            while (paths := self._pending.pop(name, None)) is not None:
                await self._renew(name, sorted(paths))
        except Exception:
            log.exception("module %r could not be reloaded", name)
        finally:
            del self._turns[name]

    async def _renew(self, name: str, paths: list[str]) -> None:
        """Reload a module, or load it if it failed to; tell what came of it."""
        if name not in self._system.modules:
            return
        record = self._system.record(name)
        async with record.busy:  # not while somebody else loads or reloads it
            if record.state not in (State.RUNNING, State.FAILED) and not record.down:
                return  # it waits for its first message, or is gone
        sources = self._sources.get(name, Sources())
        outcome = Outcome(name, paths, [sources.shown(path) for path in paths])
        began = time.time_ns()
        self._habits.loads(name, began)
        try:
            with without_failed_loads():
                outcome.report = await self._system.reload(name, why=outcome.cause)
        except HostcoreError as error:
            outcome.error = error
        self._habits.loads(name, began, time.time_ns())
        if paths or outcome.error is None:  # that it still misses what it requires is no news
            self._tell(outcome)
        if outcome.succeeded:
            self._retry()

    def _retry(self) -> None:
        """Try again to load what failed because it missed something that may be there now."""
        names = [name for name in self._system.modules if self._system.modules[name].state is State.FAILED]
        self._changed({name: [] for name in names if isinstance(self._system.record(name).error, ResolutionError)})


async def _cancel(tasks: Iterable[asyncio.Task[None]]) -> None:
    cancelled = list(tasks)
    for task in cancelled:
        task.cancel()
    await asyncio.gather(*cancelled, return_exceptions=True)
