"""Crashes, reloads, unloads and revivals in any order, while messages come: everybody is answered, and all comes back.

The steps are drawn from a seed; modules run in processes of their own and are killed while they have something to do,
or nothing.  `top` requires `counter`, and is held whenever that is down.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest
from support.modules import ModuleWriter
from system.crashing import crashing
from system.support import running, soon, until

import hostcore
from hostcore import State, errors

RULES = {"backoff": "1ms", "backoff_max": "4ms", "quarantine": "20ms", "tries": 3}
NAMES = ("counter", "top")
STEPS = 60
DOINGS = ("send", "kill", "kill", "die", "die", "reload", "revive", "break", "load")
WORKER = {"isolation": "worker"}


class Storm:
    """One storm over a system."""

    def __init__(self, system: hostcore.ModuleSystem, write: ModuleWriter, mark: Path, seed: int) -> None:
        self.system, self.mark = system, mark
        self.dice = random.Random(seed)
        self.sources = {
            name: [
                crashing(write, name, version=version, mark=mark, manifest=f"snapshot = {{ messages = 3 }}\n{needs}")
                for version in ("1.0", "2.0")
            ]
            for name, needs in (
                ("counter", ""),
                ("top", "requires = ['counter']\npermissions = ['bus.request:counter']"),
            )
        }
        self.outcomes: Counter[str] = Counter()
        self.asking: list[asyncio.Task[None]] = []

    async def ask(self, name: str, topic: str, payload: object = None) -> None:
        """Make a request, and write down how it ended."""
        try:
            await self.system.request(name, payload, topic=topic, timeout=15)
            self.outcomes["answered"] += 1
        except errors.HostcoreError as error:
            self.outcomes[type(error).__name__] += 1

    async def calm(self, name: str) -> None:
        """Ask until there is an answer: a message that kills may be in the mailbox still."""
        while True:
            try:
                await self.system.request(name, timeout=15)
            except errors.HostcoreError:
                await asyncio.sleep(0.002)
            else:
                return

    async def step(self) -> None:
        """Do something at random."""
        name = self.dice.choice(NAMES)
        what = self.dice.choice([*["ask"] * 4, "pass", "pass", *DOINGS])
        with suppress(errors.HostcoreError):
            await getattr(self, f"do_{what}")(name)
        if self.dice.random() < 0.5:
            await asyncio.sleep(self.dice.random() * 0.01)

    async def do_ask(self, name: str) -> None:
        self.asking.append(asyncio.create_task(self.ask(name, "")))

    async def do_pass(self, name: str) -> None:
        """Have one ask the other."""
        self.asking.append(asyncio.create_task(self.ask("top", "ask", "counter")))

    async def do_send(self, name: str) -> None:
        await self.system.send(name, timeout=0)

    async def do_die(self, name: str) -> None:
        if self.dice.random() < 0.5:
            await self.system.send(name, topic="die", timeout=0)
        else:
            self.asking.append(asyncio.create_task(self.ask(name, "die")))

    async def do_kill(self, name: str) -> None:
        pid = await self.system.request(name, topic="pid", timeout=0.05)
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)

    async def do_reload(self, name: str) -> None:
        await self.system.reload(name, source=self.dice.choice(self.sources[name]), state="last")

    async def do_revive(self, name: str) -> None:
        await self.system.revive(name)

    async def do_break(self, name: str) -> None:
        """Have nothing come up for a while."""
        self.mark.touch()
        await asyncio.sleep(0.005)
        self.mark.unlink()

    async def do_load(self, name: str) -> None:
        if name in self.system.modules:
            await self.system.unload(name, force=True)
        await self.system.load(name, source=self.sources[name][0], **WORKER)


@pytest.mark.parametrize("seed", range(2))
async def test_a_storm(write: ModuleWriter, tmp_path: Path, seed: int) -> None:
    """Every request ends with an answer or a named error; in the end both modules serve, and nothing is left held."""
    async with running(supervision=RULES, request_timeout=15.0) as system:
        storm = Storm(system, write, tmp_path / "mark", seed)
        for name in NAMES:
            await storm.do_load(name)
        for _ in range(STEPS):
            await soon(storm.step())
        await soon(asyncio.gather(*storm.asking))
        assert sum(storm.outcomes.values()) == len(storm.asking)
        assert "DeadlineError" not in storm.outcomes
        for name in NAMES:
            if name not in system.modules:
                await system.load(name, source=storm.sources[name][0], **WORKER)
            await soon(storm.calm(name))
        for name in NAMES:
            await until(lambda name=name: system.modules[name].state is State.RUNNING)
            assert system.modules[name].mailbox == 0
            assert system.record(name).cell.paused == 0  # type: ignore[union-attr]
