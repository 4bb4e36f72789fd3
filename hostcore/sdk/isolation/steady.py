"""A bystander that is asked at a steady rate, and how late it answers.

The requests go out when they are due, whether or not those before have been answered, up to a few at once: it is not
these that should hold up the host.  One that goes out late counts from when it was due, so that no wait is left out.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from typing import TYPE_CHECKING

from hostcore.errors import HostcoreError
from hostcore.sdk.isolation.rows import Latency, latency_of

if TYPE_CHECKING:
    from hostcore.system import ModuleSystem

_PERIOD = 0.005
_LATE = 0.002
_AT_ONCE = 16
_PATIENCE = 60.0
_FEWEST, _FEWEST_QUICK = 80, 20


class Steady:
    """Asks one module again and again.

    Args:
        system: Its system.
        target: The module.
        quick: Fewer requests will do.

    Attributes:
        wrong: What went wrong with its answers.
    """

    def __init__(self, system: ModuleSystem, target: str, *, quick: bool = False) -> None:
        self.target = target
        self._fewest = _FEWEST_QUICK if quick else _FEWEST
        self.wrong: list[str] = []
        self._system = system
        self._taken: list[float] = []
        self._asked: set[asyncio.Task[None]] = set()
        self._going = True
        self._task = asyncio.create_task(self._go_on())

    async def _go_on(self) -> None:
        due = time.perf_counter()
        for token in itertools.count():
            if not self._going and token >= self._fewest:
                return
            task = asyncio.create_task(self._ask(token, due))
            self._asked.add(task)
            task.add_done_callback(self._asked.discard)
            due += _PERIOD
            while len(self._asked) >= _AT_ONCE:
                await asyncio.wait(self._asked, return_when=asyncio.FIRST_COMPLETED)
                due = time.perf_counter()
            await asyncio.sleep(max(0.0, due - time.perf_counter()))

    async def _ask(self, token: int, due: float) -> None:
        sent = time.perf_counter()
        began = due if sent - due > _LATE else sent
        try:
            answer = await self._system.request(self.target, {"token": token}, topic="hello", timeout=_PATIENCE)
        except HostcoreError as error:
            self.wrong.append(f"{self.target} did not answer: {error.code} {error.message}")
            return
        self._taken.append(time.perf_counter() - began)
        if answer != token:
            self.wrong.append(f"{self.target} answered {answer!r:.60} to {token}")

    async def end(self) -> Latency:
        """Ask no more, once there is enough to tell from; return what was measured."""
        self._going = False
        await self._task
        if self._asked:
            await asyncio.wait(self._asked)
        return latency_of(self._taken)
