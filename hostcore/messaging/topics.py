"""Who listens to which topic.

Receivers of a topic are looked up once and kept until a subscription changes.  They come in a fixed order: cells
by the time of their first subscription, then listeners outside of modules.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator
from typing import Any

from hostcore.contract.messages import Message
from hostcore.contract.topics import is_pattern, is_wild, matches
from hostcore.errors import ContractError
from hostcore.messaging.cell import Cell

_CACHED_TOPICS = 4096


class Listener:
    """A subscription of the embedding program: an async iterator over messages.

    Attributes:
        lost: How many messages were dropped because the program did not keep up (the oldest go first).
    """

    def __init__(self, pattern: str, capacity: int) -> None:
        if capacity < 1:
            raise ValueError(f"capacity must be at least 1, not {capacity}")
        self.pattern = pattern
        self.lost = 0
        self._queue: deque[Message[Any]] = deque()
        self._capacity = capacity
        self._arrived = asyncio.Event()
        self._closed = False

    def put(self, message: Message[Any]) -> None:
        """Hand over a message."""
        if len(self._queue) >= self._capacity:
            self._queue.popleft()
            self.lost += 1
        self._queue.append(message)
        self._arrived.set()

    def close(self) -> None:
        """End the iteration after what has arrived."""
        self._closed = True
        self._arrived.set()

    def __aiter__(self) -> AsyncIterator[Message[Any]]:
        return self

    async def __anext__(self) -> Message[Any]:
        while not self._queue:
            if self._closed:
                raise StopAsyncIteration
            self._arrived.clear()
            await self._arrived.wait()
        return self._queue.popleft()


Receiver = Cell | Listener


def bad_pattern(module: str, pattern: str) -> ContractError:
    """Return the error for a malformed topic pattern."""
    return ContractError(
        module,
        f"{pattern!r} is not a topic pattern",
        hint="words with dots between; '*' stands for one word, a last '>' for the rest",
    )


class Subscriptions:
    """All subscriptions of one bus."""

    def __init__(self) -> None:
        self._exact: dict[str, dict[Receiver, None]] = {}
        self._wild: dict[str, dict[Receiver, None]] = {}
        self._routes: dict[str, tuple[Receiver, ...]] = {}
        self._counts: Counter[Receiver] = Counter()

    def add(self, pattern: str, receiver: Receiver) -> None:
        """Subscribe `receiver`; a second time changes nothing.

        Raises:
            ContractError: `pattern` is malformed.
        """
        if not is_pattern(pattern):
            raise bad_pattern(receiver.name if isinstance(receiver, Cell) else "host", pattern)
        receivers = self._table(pattern).setdefault(pattern, {})
        if receiver not in receivers:
            receivers[receiver] = None
            self._counts[receiver] += 1
            self._routes.clear()

    def remove(self, pattern: str, receiver: Receiver) -> None:
        """Take back one subscription, if it is there."""
        table = self._table(pattern)
        receivers = table.get(pattern, {})
        if receiver not in receivers:
            return
        del receivers[receiver]
        if not receivers:
            del table[pattern]
        self._counts[receiver] -= 1
        if not self._counts[receiver]:
            del self._counts[receiver]
        self._routes.clear()

    def count(self, receiver: Receiver) -> int:
        """Return how many patterns `receiver` listens to."""
        return self._counts.get(receiver, 0)

    def remove_all(self, receiver: Receiver) -> None:
        """Take back every subscription of `receiver`."""
        for pattern in self.of(receiver):
            self.remove(pattern, receiver)

    def of(self, receiver: Receiver) -> list[str]:
        """Return the patterns that `receiver` listens to."""
        return [p for table in (self._exact, self._wild) for p, receivers in table.items() if receiver in receivers]

    def listeners(self) -> list[Listener]:
        """Return every listener outside of modules."""
        tables = (*self._exact.values(), *self._wild.values())
        return [receiver for receivers in tables for receiver in receivers if isinstance(receiver, Listener)]

    def receivers(self, topic: str) -> tuple[Receiver, ...]:
        """Return who gets a message under `topic`, each once."""
        found = self._routes.get(topic)
        if found is None:
            if len(self._routes) >= _CACHED_TOPICS:
                self._routes.clear()
            found = self._routes[topic] = self._match(topic)
        return found

    def _match(self, topic: str) -> tuple[Receiver, ...]:
        merged = dict(self._exact.get(topic, {}))
        for pattern, receivers in self._wild.items():
            if matches(pattern, topic):
                merged |= receivers
        return tuple(merged)

    def _table(self, pattern: str) -> dict[str, dict[Receiver, None]]:
        return self._wild if is_wild(pattern) else self._exact
