"""The load: several clients, each of which sends one file, waits for the reply, and takes the next.

The files are sent in rounds until the plan is fulfilled, so that a small tree too keeps the modules busy through a
reload.  The load lasts at least until `reloaded` is called, and `AFTER` requests longer: what changed must also be
seen at work.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from hostcore.cli.demo.outcome import Found, Requests
from hostcore.cli.demo.sources import Sources
from hostcore.contract.messages import Payload
from hostcore.errors import HostcoreError
from hostcore.system import ModuleSystem

CLIENTS = 8
PLAN = 400
AFTER = 40


class Symbol(msgspec.Struct):
    """What the demo wants to know of a symbol; modules and hosts share a message's shape, never its class."""

    kind: str


class Parsed(msgspec.Struct):
    """What the demo wants to know of the parser's reply."""

    symbols: list[Symbol]
    errors: list[Any]
    lines: int


class ParseSource(Payload[Parsed], topic="parser.parse"):
    """Asks for one file to be parsed."""

    path: str
    source: str


class Load:
    """Requests for all files to be parsed.

    Args:
        system: A running system with a module that provides "parser:python".
        sources: The files.
        seconds: When to end although not every file had its turn.
        moved: Told how many requests were answered, and how many there will be, after each.

    Attributes:
        half: Set when half of the requests, or half of the time, is over.
        found: What the parser found, each file counted once.
    """

    def __init__(
        self, system: ModuleSystem, sources: Sources, seconds: float, moved: Callable[[int, int], None]
    ) -> None:
        self.half = asyncio.Event()
        self.found = Found()
        self._system = system
        self._sources = sources
        self._seconds = seconds
        self._moved = moved
        self._planned = max(PLAN, len(sources.files))
        self._enough: int | None = None  # sent requests with which it may end; None: not before the reload
        self._asked = Requests()
        self._times: list[tuple[float, float]] = []
        self._reload = (0.0, 0.0)
        self._turns = 0
        self._seen: set[str] = set()
        self._began = time.perf_counter()
        self._left = self._texts()

    @property
    def complete(self) -> bool:
        """Whether every file had its turn."""
        return self._turns >= len(self._sources.files)

    @property
    def rounds(self) -> float:
        """How often each file was sent, on average."""
        return round(self._asked.sent / max(1, len(self._seen)), 1)

    async def run(self) -> None:
        """Send everything."""
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(CLIENTS):
                    group.create_task(self._client())
        finally:
            self.half.set()

    def reloaded(self, began: float) -> None:
        """Note that a reload has ended, which began at `began` of `time.perf_counter()`."""
        self._reload = (began, time.perf_counter())
        self._enough = self._asked.sent + AFTER
        self._planned = max(self._planned, self._enough)

    def result(self) -> Requests:
        """Return the figures."""
        asked = self._asked
        lasted = sorted(end - start for start, end in self._times)
        if lasted:
            asked.p50_ms = round(lasted[len(lasted) // 2] * 1000, 3)
            asked.p99_ms = round(lasted[int(len(lasted) * 0.99)] * 1000, 3)
        began, ended = self._reload
        asked.during_reload = sum(start < ended and end > began for start, end in self._times)
        return asked

    async def _client(self) -> None:
        for name, text in self._left:
            await asyncio.sleep(0)  # a request to an idle module is answered at once: let the other clients ask too
            await self._ask(ParseSource(name, text))

    async def _ask(self, payload: ParseSource) -> None:
        asked = self._asked
        asked.sent += 1
        start = time.perf_counter()
        try:
            parsed = await self._system.request("parser:python", payload)
        except HostcoreError as error:
            asked.failed += 1
            if len(asked.errors) < 5:
                asked.errors.append(str(error))
            return
        self._times.append((start, time.perf_counter()))
        asked.answered += 1
        if payload.path not in self._seen:
            self._seen.add(payload.path)
            self._add(parsed)
        self._moved(asked.answered, max(self._planned, asked.answered))

    def _add(self, parsed: Parsed) -> None:
        symbols = Counter(self.found.symbols)
        symbols.update(symbol.kind for symbol in parsed.symbols)
        self.found = Found(
            files=self.found.files + 1,
            lines=self.found.lines + parsed.lines,
            symbols=dict(sorted(symbols.items())),
            errors=self.found.errors + len(parsed.errors),
        )

    def _texts(self) -> Iterator[tuple[str, str]]:
        """Yield what to send next; all clients draw from it."""
        useless = 0  # files in a row that could not be read: with all of them, there is nothing left to send
        for file in itertools.cycle(self._sources.files):
            if self._over() or useless > len(self._sources.files):
                return
            text = self._sources.read(file)
            self._turns += 1
            useless = 0 if text is not None else useless + 1
            if text is not None:
                yield self._sources.name(file), text

    def _over(self) -> bool:
        spent = time.perf_counter() - self._began
        sent = self._asked.sent
        if sent >= self._planned // 2 or spent > self._seconds / 2:
            self.half.set()
        if self._enough is None or sent < self._enough:
            return False
        return spent > self._seconds or (sent >= self._planned and self.complete)
