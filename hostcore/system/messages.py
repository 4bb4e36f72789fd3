"""Request, send, publish, execute, subscribe: what a program says to modules."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar, overload

from hostcore.contract.messages import Payload
from hostcore.messaging.bus import DeadLetter
from hostcore.messaging.topics import Listener
from hostcore.system.core import Core

if TYPE_CHECKING:
    pass

R = TypeVar("R")


class Messages(Core):
    """The verbs for messages."""

    @overload
    def request(self, target: str, payload: Payload[R], *, timeout: float | None = ...) -> Awaitable[R]: ...
    @overload
    def request(
        self, target: str, payload: Any = ..., *, topic: str = ..., timeout: float | None = ...
    ) -> Awaitable[Any]: ...

    def request(
        self, target: str, payload: Any = None, *, topic: str = "", timeout: float | None = None
    ) -> Awaitable[Any]:
        """Send a message to a module, or to the best provider of a capability, and return the reply.

        Raises as `Context.request` does; `timeout` is in seconds.
        """
        return self._bus.request(self._sender, target, payload, topic=topic, timeout=timeout)

    async def send(self, target: str, payload: Any = None, *, topic: str = "", timeout: float | None = None) -> None:
        """Send a message that needs no reply; waits, at most `timeout` seconds, while the mailbox is full."""
        await self._bus.send(self._sender, target, payload, topic=topic, timeout=timeout)

    async def publish(self, topic: str, payload: Any = None) -> int:
        """Hand a message to every subscriber of `topic`; return how many got it."""
        return self._bus.publish(self._sender, topic, payload)

    async def execute(self, target: str, request: Any = None, *, timeout: float | None = None) -> Any:
        """Call a module's `execute` hook and return its result."""
        return await self._bus.request(self._sender, target, request, timeout=timeout, hook="execute")

    @asynccontextmanager
    async def subscribe(self, pattern: str, *, capacity: int = 10_000) -> AsyncIterator[Listener]:
        """Listen to a topic or pattern: `async with system.subscribe("repo.*") as events: async for e in events`.

        Whoever does not keep up loses the oldest beyond `capacity`; `events.lost` counts them.
        """
        bus = self._bus
        listener = Listener(pattern, capacity)
        bus.subscriptions.add(pattern, listener)
        try:
            yield listener
        finally:
            bus.subscriptions.remove(pattern, listener)
            listener.close()

    @property
    def dead_letters(self) -> list[DeadLetter]:
        """The latest messages that nobody handled, with the reasons."""
        return list(self._bus.dead_letters)
