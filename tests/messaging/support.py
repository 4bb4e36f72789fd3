"""A small world for messaging tests: real buses and cells, and an instance whose handlers are given as functions.

    world = World()
    echo = world.cell("echo", lambda message: message.payload)
    assert await world.request("echo", 1) == 1

The instance is a test double for the seam that hosts fill: it decodes, calls, encodes and names errors, no more.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
from collections.abc import AsyncIterator, Callable
from math import inf
from typing import Any

from hostcore.contract.grants import ALL, ModuleGrants
from hostcore.contract.messages import Envelope, Message
from hostcore.contract.permissions import Permission
from hostcore.errors import ContractError, HookError, HostcoreError
from hostcore.messaging import wire
from hostcore.messaging.bus import HOST, Bus, Sender
from hostcore.messaging.cell import Cell
from hostcore.messaging.current import current
from hostcore.messaging.guard import Guard, NoGuard, Overrun
from hostcore.messaging.wire import Reply

LIMIT = 1 << 20
ids = iter(range(1, 1 << 60))


def only(*granted: str, module: str = "m") -> ModuleGrants:
    """Return grants of what is listed, as "kind:target"."""
    return ModuleGrants(map(Permission, granted), everything=False, module=module)


class Refused(Exception):
    """Carries an error of the seam's own past the handler, as hosts do."""

    def __init__(self, error: HostcoreError) -> None:
        self.error = error


class Plain:
    """An instance with one handler, a function of a message."""

    def __init__(self, name: str, handler: Callable[[Message[Any]], Any], *, limit: float = inf,
                 guard: Guard | None = None) -> None:  # fmt: skip
        self.name = name
        self.handler = handler
        self.context = contextvars.Context()
        self.seconds = limit
        self.guard = guard or NoGuard()

    def start(self, envelope: Envelope) -> Any:
        e = envelope
        try:
            payload = wire.decode_raw(e.payload)
        except wire.DECODE_ERRORS as exc:
            raise Refused(ContractError(self.name, f"undecodable: {exc}")) from None
        message = Message(e.id, e.topic, payload, e.sender, e.schema, e.deadline, e.trace)
        return self.guard.call(self.handler, message, e.deadline)

    def step(self, resume: Callable[[Any], Any], value: Any, deadline: float) -> Any:
        return self.guard.call(resume, value, deadline)

    def finish(self, envelope: Envelope, result: Any) -> Reply:
        try:
            return wire.reply_of(result, module=self.name, what="the reply", limit=LIMIT)
        except HostcoreError as exc:
            raise Refused(exc) from None

    def translate(self, envelope: Envelope, error: BaseException) -> Exception:
        if isinstance(error, Refused):
            return error.error
        what = "overran" if isinstance(error, Overrun) else f"raised {type(error).__name__}: {error}"
        return HookError(self.name, what, hook=envelope.hook, exception=type(error).__name__)

    def limit(self, envelope: Envelope) -> float:
        return self.seconds


class Witness:
    """Hears what cells and bus report."""

    def __init__(self) -> None:
        self.failures: list[tuple[str, Exception]] = []
        self.dead_letters: list[tuple[str, str]] = []  # topic, reason
        self.blocks: list[tuple[str, str, float]] = []  # cell, topic, seconds
        self.overruns: list[tuple[str, float]] = []
        self.heard = asyncio.Event()

    def failed(self, cell: Cell, envelope: Envelope, error: Exception) -> None:
        self.failures.append((cell.name, error))
        self.heard.set()

    def dead(self, envelope: Envelope, reason: str) -> None:
        self.dead_letters.append((envelope.topic, reason))
        self.heard.set()

    def blocked(self, cell: Cell, envelope: Envelope, seconds: float) -> None:
        self.blocks.append((cell.name, envelope.topic, seconds))
        self.heard.set()

    def overran(self, cell: Cell, envelope: Envelope, seconds: float) -> None:
        self.overruns.append((cell.name, seconds))
        self.heard.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for a report that makes `condition` true."""
        while not condition():
            self.heard.clear()
            await self.heard.wait()


class CellEar:
    """Hears what cells report: their dead letters are kept by the bus, which reports them."""

    def __init__(self, witness: Witness, bus: Bus) -> None:
        self.failed, self.blocked, self.overran, self.dead = witness.failed, witness.blocked, witness.overran, bus.dead


class World:
    """A bus with cells on the running loop."""

    def __init__(self, *, request_timeout: float = 30.0, message_limit: int = LIMIT, dead_letters: int = 1000) -> None:
        self.witness = Witness()
        self.bus = Bus(
            self.witness, request_timeout=request_timeout, message_limit=message_limit, dead_letters=dead_letters
        )
        self.ear = CellEar(self.witness, self.bus)
        self.host = Sender(HOST, ALL)

    def cell(self, name: str, handler: Callable[[Message[Any]], Any], *, capacity: int = 1000, limit: float = inf,
             blocked_after: float = inf, guard: Guard | None = None) -> Cell:  # fmt: skip
        """Return a running cell behind which `handler` stands."""
        cell = Cell(name, self.bus.loop, self.bus.deadlines, self.ear, capacity=capacity, blocked_after=blocked_after)
        self.bus.add(cell)
        cell.swap(Plain(name, handler, limit=limit, guard=guard))
        cell.resume()
        return cell

    async def request(self, target: str, payload: Any = None, **options: Any) -> Any:
        """Request as the host."""
        return await self.bus.request(self.host, target, payload, **options)

    async def send(self, target: str, payload: Any = None, **options: Any) -> None:
        """Send as the host."""
        await self.bus.send(self.host, target, payload, **options)

    async def ask(self, name: str, target: str, payload: Any = None, **options: Any) -> Any:
        """Request as module `name`; within its handler."""
        return await self.bus.request(Sender(name, ALL), target, payload, **options)

    def start(self, target: str, payload: Any = None, **options: Any) -> asyncio.Task[Any]:
        """Request as the host, in a task of its own."""
        return asyncio.create_task(self.request(target, payload, **options))

    def close(self) -> None:
        """Stop every cell and the bus."""
        for name in list(self.bus.cells):
            self.bus.remove(name, f"{name!r} was stopped")
        self.bus.close()


@contextlib.asynccontextmanager
async def swarm(*tasks: asyncio.Task[Any]) -> AsyncIterator[None]:
    """Cancel `tasks` at the end of the block, and wait for them."""
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def passes(count: int = 3) -> None:
    """Let the event loop make `count` full passes, so that everything that is ready has run."""
    for _ in range(count):
        await asyncio.sleep(0)


def envelope(payload: Any = None, *, topic: str = "", deadline: float = inf, sender: str = HOST) -> Envelope:
    """Return an envelope with a number of its own."""
    number = str(next(ids))
    return Envelope(number, sender, "cell", topic, "", wire.encode_raw(payload), deadline, (), number)


def active() -> bool:
    """Tell whether the code runs under a delivery that has not ended."""
    delivery = current.get()
    return delivery is not None and delivery.active
