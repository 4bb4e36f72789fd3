"""What a module is compared with: the least that asyncio and pluggy take for the same.

Both hand the object itself over, where hostcore encodes and decodes it on the way there and back.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pluggy

_PROJECT = "hostcore-bench"
_spec = pluggy.HookspecMarker(_PROJECT)
_impl = pluggy.HookimplMarker(_PROJECT)


class QueueEcho:
    """A task that takes messages from a queue and answers by a future: an actor in its barest form."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[tuple[Any, asyncio.Future[Any] | None]] = asyncio.Queue(1024)
        self._loop = asyncio.get_running_loop()

    async def ask(self, payload: Any) -> Any:
        """Return the reply: `payload` itself."""
        reply = self._loop.create_future()
        await self._queue.put((payload, reply))
        return await reply

    async def tell(self, payload: Any) -> None:
        """Put `payload` into the queue."""
        await self._queue.put((payload, None))

    async def serve(self) -> None:
        """Answer, for ever."""
        while True:
            payload, reply = await self._queue.get()
            if reply is not None:
                reply.set_result(payload)


@asynccontextmanager
async def queue_echo() -> AsyncIterator[QueueEcho]:
    """Run a `QueueEcho` while the block lasts."""
    echo = QueueEcho()
    server = asyncio.create_task(echo.serve())
    try:
        yield echo
    finally:
        server.cancel()


class _Spec:
    @_spec(firstresult=True)
    def handle_message(self, message: Any) -> Any:
        """Answer."""


class _Echo:
    @_impl
    def handle_message(self, message: Any) -> Any:
        return message


class PluggyEcho:
    """A pluggy plugin whose hook returns what it is given."""

    def __init__(self) -> None:
        manager = pluggy.PluginManager(_PROJECT)
        manager.add_hookspecs(_Spec)
        manager.register(_Echo())
        self._hook = manager.hook.handle_message

    async def ask(self, payload: Any) -> Any:
        """Call the hook."""
        return self._hook(message=payload)
