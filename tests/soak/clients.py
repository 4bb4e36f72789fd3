"""Who talks to the modules of a soak: requests, sends and publishes all the time, and a bystander that is timed.

Every wait has a bound: a request must end within its own deadline and `BOUND` more, whatever happens to its receiver.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from random import Random
from typing import Any

from soak.fleet import GUESTS, Fleet
from soak.ledger import Ledger

import hostcore
from hostcore.errors import HostcoreError

BOUND = 10.0
"""Seconds after its deadline that a request may take; more is a hang."""
PAUSE = 0.02
"""Seconds that a client waits between two messages, on average."""
PERIOD = 0.005
"""Seconds between two requests to the bystander."""
BYSTANDER = "bystander"


class Talk:
    """Sends messages whose outcomes the ledger gets to know."""

    def __init__(self, system: hostcore.ModuleSystem, ledger: Ledger) -> None:
        self.system, self.ledger = system, ledger

    async def ask(self, target: str, word: str, timeout: float, *, kind: str = "request", **more: Any) -> bool:
        """Make a request; return whether it was answered, and with what it should be."""
        number = self.ledger.new(kind)
        payload, began = {"n": number, **more}, time.monotonic()
        try:
            async with asyncio.timeout(timeout + BOUND) as bound:
                reply = await self.system.request(target, payload, topic=f"{word}.{number}", timeout=timeout)
        except asyncio.CancelledError:
            self.ledger.outcomes[kind, "its asker gave up"] += 1
            raise
        except Exception as exc:
            if bound.expired():
                self.ledger.outcomes[kind, "unanswered"] += 1
                self.ledger.problem(f"{kind} {number} ({word}) to {target} did not end: {timeout:.2f} s + {BOUND} s")
            else:
                self.ledger.ended(kind, exc)
            return False
        finally:
            self.ledger.latest = max(self.ledger.latest, time.monotonic() - began - timeout)
        self.ledger.ended(kind)
        if reply != payload:
            self.ledger.problem(f"{kind} {number} to {target} got another's reply: {reply}")
        return True

    async def ask_and_give_up(self, target: str, word: str, timeout: float, after: float) -> None:
        """Make a request and cancel it after a while, unless it has ended."""
        asked = asyncio.ensure_future(self.ask(target, word, timeout, kind="request, cancelled"))
        await asyncio.wait({asked}, timeout=after)
        asked.cancel()
        with suppress(asyncio.CancelledError):
            await asked

    async def send(self, target: str, word: str, timeout: float, **more: Any) -> None:
        """Send a message that nobody awaits."""
        number = self.ledger.new("send")
        try:
            async with asyncio.timeout(timeout + BOUND) as bound:
                await self.system.send(target, {"n": number, **more}, topic=f"{word}.{number}", timeout=timeout)
        except asyncio.CancelledError:
            self.ledger.outcomes["send", "its sender gave up"] += 1
            raise
        except Exception as exc:
            if bound.expired():
                self.ledger.outcomes["send", "unanswered"] += 1
                self.ledger.problem(f"send {number} to {target} did not end")
            else:
                self.ledger.refused("send", number, exc)
        else:
            self.ledger.taken("send", number)

    async def publish(self) -> None:
        """Publish an event, to whoever listens."""
        number = self.ledger.new("publish")
        try:
            got = await self.system.publish(f"event.{number}", {"n": number})
        except HostcoreError as exc:
            self.ledger.refused("publish", number, exc)
        else:
            self.ledger.taken("publish", number, got + self.ledger.dead_so_far(number))


class Clients:
    """So many tasks that talk to modules at random, until they are stopped."""

    def __init__(self, talk: Talk, fleet: Fleet, seed: int, count: int) -> None:
        self._talk = talk
        self._names = list(fleet.members)
        self._relaying = [name for name, member in fleet.members.items() if member.tier not in GUESTS]
        self._stop = asyncio.Event()
        self._tasks = [asyncio.create_task(self._talk_on(Random(f"{seed} {i}"))) for i in range(count)]

    async def _talk_on(self, random: Random) -> None:
        while not self._stop.is_set():
            await self._once(random)
            await asyncio.sleep(random.expovariate(1 / PAUSE))

    async def _once(self, random: Random) -> None:
        target, what = random.choice(self._names), random.random()
        timeout = random.choice((0.02, 0.2, 1.0, 2.0))
        if what < 0.55:
            await self._talk.ask(target, "echo", timeout)
        elif what < 0.65:
            to = random.choice(self._names)
            more = {"to": to, "topic": "echo.nested", "within": timeout / 2}
            await self._talk.ask(random.choice(self._relaying), "relay", timeout, kind="request, nested", **more)
        elif what < 0.72:
            await self._talk.ask_and_give_up(target, "echo", timeout, random.uniform(0, 0.01))
        elif what < 0.95:
            await self._talk.send(target, "echo", timeout)
        else:
            await self._talk.publish()

    async def stop(self) -> None:
        """Have each come to the end of what it is doing."""
        self._stop.set()
        await asyncio.gather(*self._tasks)


class Bystander:
    """Asks a module that nothing is done to, on a schedule that does not wait, and times it from when it was due."""

    def __init__(self, system: hostcore.ModuleSystem) -> None:
        self.times: list[float] = []
        self.failed = 0
        self._system = system
        self._task = asyncio.create_task(self._ask_on())

    async def _ask_on(self) -> None:
        due = time.perf_counter()
        while True:
            due += PERIOD
            early = due - time.perf_counter()
            if early > 0:
                await asyncio.sleep(early)
            try:
                await self._system.request(BYSTANDER, "hello", timeout=BOUND)
            except HostcoreError:
                self.failed += 1
            self.times.append(time.perf_counter() - due)

    async def stop(self) -> None:
        """Ask no more."""
        self._task.cancel()
        await asyncio.wait({self._task})
