"""What the tests of a whole system share."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import hostcore

SETTINGS = {
    "index": False, "handler_timeout": 5.0, "load_timeout": 5.0, "request_timeout": 10.0,
    "policy": {"default": "allow"},
}  # fmt: skip
PATIENCE = 20.0
"""Seconds after which a test gives up on what ought to come; no test waits for it to pass."""


class Gate:
    """A host service at which modules wait until the test opens it."""

    def __init__(self) -> None:
        self.arrived = asyncio.Event()
        self.opened = asyncio.Event()

    async def wait(self) -> None:
        """Say that somebody is here and wait."""
        self.arrived.set()
        await self.opened.wait()


class Notes:
    """A host service that writes down what modules tell it."""

    def __init__(self) -> None:
        self.taken: list[Any] = []

    def take(self, what: Any) -> None:
        """Write down `what`."""
        self.taken.append(what)


@asynccontextmanager
async def running(services: dict[str, Any] | None = None, **settings: Any) -> AsyncIterator[hostcore.ModuleSystem]:
    """A system with other settings than the fixture's."""
    async with hostcore.ModuleSystem({**SETTINGS, **settings}, services=services) as system:
        yield system


async def soon(awaitable: Any) -> Any:
    """Await with the test's patience."""
    async with asyncio.timeout(PATIENCE):
        return await awaitable


async def until(condition: Callable[[], object]) -> None:
    """Let everything else go on until `condition` holds."""
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - nothing else tells of it
            await asyncio.sleep(0)


async def next_event(events: Any, event_topic: str, /, **facts: Any) -> Any:
    """Return the payload of the next event under that topic that has these facts."""
    async with asyncio.timeout(PATIENCE):
        async for event in events:
            if event.topic == event_topic and all(event.payload.get(key) == value for key, value in facts.items()):
                return event.payload
    raise AssertionError(f"no {event_topic} came")


async def arrived_so_far(system: hostcore.ModuleSystem, events: Any) -> list[Any]:
    """Return the events that have come by now."""
    found = []
    await system.publish("test.mark")
    async for event in events:
        if event.topic == "test.mark":
            return found
        found.append(event)
    return found
