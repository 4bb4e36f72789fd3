"""Names that a worker has looked up, on the host's side: each answer goes over a socket of its own.

A look-up takes as long as a name server likes.  The side connection answers one request after the other, and whoever
asks for a value of its store must not wait for a name server.  So a look-up is answered at once, with one end of a pair
of sockets, and what was found is written into the other end when it is known.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable
from contextvars import Context

from hostcore.errors import HostcoreError
from hostcore.hosts.worker.carrying import carried
from hostcore.messaging import wire

AT_A_TIME = 4
"""How many names of a worker are looked up at a time; further ones wait for their turn."""
MOST = 32
"""How many of its look-ups there may be; who asks for more is not answered until there are fewer."""


class LookUps:
    """The look-ups of one worker."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._room, self._turn = asyncio.Semaphore(MOST), asyncio.Semaphore(AT_A_TIME)
        self._tasks: set[asyncio.Task[None]] = set()

    async def begin(self, look_up: Callable[[], Awaitable[list[str]]]) -> socket.socket:
        """Begin a look-up; return the socket over which its outcome will come, as MessagePack: [found, addresses].

        If nothing was found, the second is an error, as `carrying` has it.
        """
        await self._room.acquire()
        try:
            ours, theirs = socket.socketpair()
        except OSError:
            self._room.release()
            raise
        ours.setblocking(False)
        # Nothing that the look-up leaves behind, such as a thread, is taken for a module's.
        task = self._loop.create_task(self._answer(ours, look_up), context=Context())
        self._tasks.add(task)
        task.add_done_callback(lambda done: self._over(done, ours), context=Context())
        return theirs

    async def _answer(self, ours: socket.socket, look_up: Callable[[], Awaitable[list[str]]]) -> None:
        async with self._turn:
            try:
                outcome = wire.encode_raw((True, await look_up()))
            except HostcoreError as exc:
                outcome = wire.encode_raw((False, carried(exc)))
        with contextlib.suppress(OSError):  # nobody waits for it any more
            ours.send(outcome)

    def _over(self, task: asyncio.Task[None], ours: socket.socket) -> None:
        self._tasks.discard(task)
        self._room.release()
        ours.close()

    def close(self) -> None:
        """Look nothing up any more."""
        for task in list(self._tasks):
            task.cancel()
