"""Bystanders: modules that have nothing to do with an attack, asked at a steady rate for as long as it lasts.

    async with Bystander(system, ["echo", "echo-worker"]) as bystander:
        ...                                     # the attack
    assert not bystander.wrong                  # each was answered each time, rightly
    latency(bystander.taken)                    # and how late

A request goes out when it is due, whether or not those before it were answered.  One that goes out late, since somebody
held the event loop, counts from when it was due, so that what waited is not left out.
"""

from __future__ import annotations

import asyncio
import itertools
import sys
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import hostcore
from hostcore import errors

PERIOD = 0.005
_LATE = 0.002
_PATIENCE = 30.0
_FEWEST = 5
_AT_ONCE: dict[str, Any] = {"eager_start": True} if sys.version_info >= (3, 12) else {}
"""A task that begins at once does not wait a turn of the loop that no caller would wait."""


class Latency(NamedTuple):
    """How late answers came, in milliseconds."""

    count: int
    p50: float
    p99: float
    most: float


def latency(taken: Sequence[float]) -> Latency:
    """Return what there is to say of so many seconds each."""
    ordered = sorted(taken) or [0.0]
    at = [ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1000 for share in (0.5, 0.99)]
    return Latency(len(taken), at[0], at[1], ordered[-1] * 1000)


class Bystander:
    """Asks modules that answer with what they are sent, in turn, while the block lasts.

    Args:
        system: Where they run.
        targets: Their names.

    Attributes:
        taken: How long each answer took, in seconds.
        wrong: What was no answer, in words.
    """

    def __init__(self, system: hostcore.ModuleSystem, targets: Sequence[str]) -> None:
        self.taken: list[float] = []
        self.wrong: list[str] = []
        self._system, self._targets = system, targets
        self._asked: set[asyncio.Task[None]] = set()
        self._going = True

    async def __aenter__(self) -> Bystander:
        self._task = asyncio.create_task(self._go_on())
        return self

    async def __aexit__(self, *_: object) -> None:
        """Ask no more, but often enough that every target was asked, and wait for all answers."""
        self._going = False
        await self._task
        await asyncio.gather(*self._asked)

    async def _go_on(self) -> None:
        due = time.perf_counter()
        for token in itertools.count():
            if not self._going and token >= _FEWEST * len(self._targets):
                return
            asking = self._ask(self._targets[token % len(self._targets)], token, due)
            task = asyncio.Task(asking, loop=asyncio.get_running_loop(), **_AT_ONCE)
            if not task.done():
                self._asked.add(task)
                task.add_done_callback(self._asked.discard)
            due += PERIOD
            if (early := due - time.perf_counter()) > 0:  # else the next one is due, too
                await asyncio.sleep(early)

    async def _ask(self, target: str, token: int, due: float) -> None:
        sent = time.perf_counter()
        began = due if sent - due > _LATE else sent
        try:
            answer = await self._system.request(target, token, timeout=_PATIENCE)
        except errors.HostcoreError as error:
            self.wrong.append(f"{target} did not answer: {error}")
            return
        self.taken.append(time.perf_counter() - began)
        if answer != token:
            self.wrong.append(f"{target} answered {answer!r:.60} to {token}")
