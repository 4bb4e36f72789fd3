"""Where hostile guests are let loose: a system in which another module, the bystander, must go on answering."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from wasm.hosting import hosted, ready, soon

import hostcore
from hostcore.errors import HostcoreError

GRANTS = ["bus.send:>", "bus.request:*", "bus.subscribe:>", "cap:*", "kv", "clock"]
_numbers = itertools.count(1)


class Arena:
    """A system with a bystander.

    Attributes:
        system: The system.
        calls: The call path.
    """

    def __init__(self, system: hostcore.ModuleSystem, directory: Path, calls: str) -> None:
        self.system, self.calls = system, calls
        self._directory = directory

    def file(self, data: bytes) -> Path:
        """Write a guest to a file of its own, and return that."""
        path = self._directory / f"guest-{next(_numbers)}.wasm"
        path.write_bytes(data)
        return path

    async def load(self, data: bytes, name: str = "evil", **more: Any) -> hostcore.ModuleInfo:
        """Load a guest."""
        return await soon(self.system.load(name, source=self.file(data), **more))

    async def refused(self, data: bytes, **more: Any) -> HostcoreError:
        """Return the error with which a guest is not loaded."""
        with pytest.raises(HostcoreError) as caught:
            await self.load(data, **more)
        return caught.value

    async def ask(self, topic: str = "x", payload: Any = None, name: str = "evil", **more: Any) -> Any:
        """Return what a guest answers."""
        return await soon(self.system.request(name, payload, topic=topic, **more))

    async def failing(self, topic: str = "x", payload: Any = None, name: str = "evil", **more: Any) -> HostcoreError:
        """Return the error that a message ends with."""
        with pytest.raises(HostcoreError) as caught:
            await self.ask(topic, payload, name, **more)
        return caught.value

    async def bystander(self) -> None:
        """See that the bystander answers."""
        assert await self.ask("echo", ["still", "here"], "bystander") == ["still", "here"]

    async def answers_during(self, work: Any) -> tuple[Any, int]:
        """Return what became of `work`, and how often the bystander answered meanwhile."""
        task = asyncio.ensure_future(work)
        count = 0
        while not task.done():
            await self.bystander()
            count += not task.done()
            await asyncio.sleep(0.002)
        return await task, count


@asynccontextmanager
async def arena(directory: Path, calls: str = "fast", **settings: Any) -> AsyncIterator[Arena]:
    """An arena; in the end the bystander is asked once more."""
    source = ready("c")
    settings = {"grants": dict.fromkeys(("evil", "other", "g"), GRANTS), **settings}
    async with hosted(calls, **settings) as system:
        await system.load("bystander", source=source)
        made = Arena(system, directory, calls)
        yield made
        await made.bystander()
