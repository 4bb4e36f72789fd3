"""A soak from start to end: load everything, hurt it for a while, see that it comes back, stop in the middle of more.

    outcome = soak(seed=1, faults=50)        # bounded by faults
    outcome = soak(seed=1, seconds=600.0)    # bounded by time
    outcome.problems                         # empty, as it should be

What is random comes from the seed: the same faults are done to the same modules in the same order.  What they meet
there is up to the moment.
"""

from __future__ import annotations

import asyncio
import gc
import os
import random
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from soak.clients import BYSTANDER, Bystander, Clients, Talk
from soak.faults import PROCESSES, Faults, zygote_of
from soak.fleet import PERMISSIONS, Fleet
from soak.ledger import Ledger
from soak.leftovers import PATIENCE, Watch, memory
from soak.outcome import Outcome, figures, nested
from support.modules import ECHO, ModuleWriter

import hostcore
from hostcore.contract.lifecycle import DOWN, State
from hostcore.errors import HostcoreError
from hostcore.runtime import events

TOGETHER = 6
"""How many faults are in hand at the same time."""
BACK = 60.0
"""Seconds within which every module must be back when no more faults come."""
STOPPING = 60.0
"""Seconds within which a system must have stopped; more is a hang."""
Progress = Callable[[str], None]


def soak(
    seed: int, *, faults: int | None = None, seconds: float | None = None, clients: int = 12, scale: int = 1,
    progress: Progress = lambda text: None,
) -> Outcome:  # fmt: skip
    """Run a soak in an event loop of its own, in this thread, and return what came of it.

    Args:
        seed: For all that is random.
        faults: End after so many.
        seconds: End after so long.
        clients: How many talk to the modules.
        scale: 1 for all modules, 2 for about half of them.
        progress: Called about once a second.
    """
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="hostcore-soak-") as name, _environment(Path(name)):
        with Watch(Path(name)) as watch:
            run = Soak(Path(name), watch, seed, lambda done, passed: done == faults or passed >= (seconds or 1e9))
            run.progress = progress
            asyncio.run(run.run(clients, scale))
            gc.collect()
            for what, left in watch.left().items():
                run.ledger.problem(f"{what} are left: {left}")
        for complaint in watch.complaints:
            run.ledger.problem(complaint)
    run.outcome.seconds = round(time.monotonic() - began, 1)
    return run.outcome


@contextmanager
def _environment(folder: Path) -> Iterator[None]:
    before = dict(os.environ)
    directories = {f"HOSTCORE_{kind}_DIR": str(folder / kind.lower()) for kind in ("STATE", "CACHE", "RUNTIME")}
    os.environ.update(directories, SOAK_VARIABLE="1")
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


class Soak:
    """One soak; `outcome` is filled in as it goes on, and `enough` tells, of faults and seconds, when to end."""

    def __init__(self, folder: Path, watch: Watch, seed: int, enough: Callable[[int, float], bool]) -> None:
        self.ledger = Ledger()
        self.outcome = Outcome(seed=seed, problems=self.ledger.problems)
        self.progress: Progress = lambda text: None
        self._folder, self._watch, self._seed, self._enough = folder, watch, seed, enough
        self._events: Counter[str] = Counter()

    async def run(self, clients: int, scale: int) -> None:
        """Do all of it."""
        asyncio.get_running_loop().set_exception_handler(self._watch.hear)
        random.seed(self._seed)  # of the supervisor's die
        fleet = Fleet(self._folder, scale)
        system = hostcore.ModuleSystem(settings(fleet), services={"ledger": self.ledger})
        await system.start()
        self._listen(system)
        talk = Talk(system, self.ledger)
        faults = Faults(system, fleet, talk, self._seed)
        await self._load(system, fleet)
        bystander = Bystander(system)
        talking = Clients(talk, fleet, self._seed, clients)
        await self._hurt(faults)
        self.outcome.memory_mb["after the faults"] = memory()
        await talking.stop()
        await bystander.stop()
        await self._all_back(faults, talk)
        talking = Clients(talk, fleet, self._seed + 1, clients)
        await self._stop_amid(faults)
        await talking.stop()
        self._conclude(system, faults, bystander, await tasks_left())

    def _listen(self, system: hostcore.ModuleSystem) -> None:
        """Hear every event at once: the order in which things happen is part of the account."""
        announce = system._events.announce

        def hear(event: str, facts: Any) -> None:
            self._events[event] += 1
            self.ledger.happened(event, facts)
            announce(event, facts)

        system._events.announce = hear

    async def _load(self, system: hostcore.ModuleSystem, fleet: Fleet) -> None:
        await system.load(BYSTANDER, source=ModuleWriter(self._folder / "beside")(ECHO, BYSTANDER))
        for name, member in fleet.members.items():
            if member.consents:
                await system.grant(name)
            await system.load(name, source=fleet.source(name), isolation=member.tier, config=member.config)
        self.outcome.modules = len(system.modules)
        self.outcome.memory_mb["loaded"] = memory()

    # --- faults ------------------------------------------------------------------------------------------------

    async def _hurt(self, faults: Faults) -> None:
        """Inject faults, several at once, until there were enough, and wait for their end."""
        began = told = time.monotonic()
        while faults.hand or not self._enough(faults.done.total(), time.monotonic() - began):
            self._note_sessions(faults)
            enough = self._enough(faults.done.total(), time.monotonic() - began)
            if enough or len(faults.hand) >= TOGETHER:
                await asyncio.wait(list(faults.hand), timeout=1.0, return_when=asyncio.FIRST_COMPLETED)
            else:
                faults.inject()
                await asyncio.sleep(0.01)
            if time.monotonic() - told > 1.0:
                told = time.monotonic()
                self._tell(faults, told - began)

    def _note_sessions(self, faults: Faults) -> None:
        self._watch.sessions |= {pid for tier in PROCESSES if (pid := zygote_of(faults.system, tier))}

    def _tell(self, faults: Faults, seconds: float) -> None:
        problems = self.ledger.bad + len(self._watch.complaints)
        self.progress(
            f"{seconds:4.0f} s  {faults.done.total():,} faults  {self.ledger.sent.total():,} messages  "
            f"{problems} problems  {memory():.0f} MB  {', '.join(sorted(faults.hand.values()))}"
        )

    # --- afterwards --------------------------------------------------------------------------------------------

    async def _all_back(self, faults: Faults, talk: Talk) -> None:
        """See to it that every module answers again, by nothing but what an operator would do."""
        limit = time.monotonic() + BACK
        missing = set(faults.fleet.members)
        while missing and time.monotonic() < limit:
            for name in sorted(missing):
                await self._help(faults, name)
                if await talk.ask(name, "echo", 2.0):
                    missing.discard(name)
        for name in sorted(missing):
            self.ledger.problem(f"{name!r} did not come back: {faults.system.modules.get(name)}")

    async def _help(self, faults: Faults, name: str) -> None:
        info = faults.system.modules.get(name)
        try:
            if info is None or info.state is State.FAILED:
                await faults.load(name)
            elif info.state in DOWN and (await faults.system.revive(name, state="fresh")).rolled_back:
                await faults.system.unload(name, force=True)  # that release does not come up
                await faults.load(name)
        except HostcoreError:
            return  # it has come back by itself, or the next round tells

    async def _stop_amid(self, faults: Faults) -> None:
        """Stop the system while clients talk, processes die and operations are in hand."""
        for _ in range(2 * TOGETHER):
            faults.inject()
        await asyncio.sleep(0.02)
        self._note_sessions(faults)
        try:
            async with asyncio.timeout(STOPPING):
                await faults.system.stop()
        except TimeoutError:
            self.ledger.problem(f"the system did not stop within {STOPPING} s")
        if faults.hand:
            await asyncio.wait(list(faults.hand), timeout=STOPPING)
        for what in faults.hand.values():
            self.ledger.problem(f"{what} did not end, although the system has stopped")

    def _conclude(
        self, system: hostcore.ModuleSystem, faults: Faults, bystander: Bystander, tasks: set[asyncio.Task[Any]]
    ) -> None:
        """Draw the account."""
        ledger, outcome = self.ledger, self.outcome
        assert system._parts is not None
        outcome.dead_letters = system._parts.bus.dead_count
        ledger.judge(outcome.dead_letters)
        if bystander.failed:
            ledger.problem(f"{bystander.failed} requests to the bystander failed")
        for task in tasks:
            ledger.problem(f"a task is left: {task}")
        outcome.faults, outcome.operations = dict(faults.done), nested(faults.operations)
        outcome.sent, outcome.outcomes = dict(ledger.sent), nested(ledger.outcomes)
        outcome.latest_ms = round(ledger.latest * 1e3, 1)
        outcome.crashes = self._events[events.CRASHED]
        outcome.restarts = self._events[events.RESTARTED] + self._events[events.REVIVED]
        outcome.bystander_ms = figures(bystander.times)
        outcome.memory_mb["stopped"] = memory()
        outcome.load_average = os.getloadavg()[0]


async def tasks_left() -> set[asyncio.Task[Any]]:
    """Return the tasks that do not end, beside this one."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    return (await asyncio.wait(others, timeout=PATIENCE))[1] if others else others


def settings(fleet: Fleet) -> dict[str, Any]:
    """Return the host's configuration: everything that takes time takes little."""
    consenting = [member.name for member in fleet.members.values() if member.consents]
    return {
        "index": False, "handler_timeout": "2s", "load_timeout": "5s", "request_timeout": "2s",
        "policy": {"grants": {name: PERMISSIONS for name in fleet.members if name not in consenting}},
        "modules": {name: {"source": str(fleet.source(name)), "isolation": "worker"} for name in consenting},
        "supervision": {
            "tries": 3, "backoff": "20ms", "backoff_max": "200ms", "stable": "1s", "quarantine": "500ms",
        },
        "worker": {"grace": "100ms"},
    }  # fmt: skip
