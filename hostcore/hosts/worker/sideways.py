"""The second connection: for what a worker has to know on the spot, in whatever thread, without giving way.

`context.kv.get(...)` and `context.subscribe(...)` return what they return, so they cannot wait for the event loop that
they hold.  The worker sends one request and blocks until the answer is there; the host answers from its loop.  A
connection to the outside world, which the worker cannot make itself, comes back this way too, as a descriptor.
"""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from collections.abc import Awaitable, Callable
from typing import Any

from hostcore.errors import HostcoreError, HostError, StoppedError
from hostcore.hosts.faults import summary_of
from hostcore.hosts.worker.carrying import carried, made_again
from hostcore.hosts.worker.frames import CALL, ERROR, REPLY, BadFrame, Frame, Splitter, pack
from hostcore.messaging import wire

_CHUNK = 1 << 16
LIMIT = 2 * 1024**2
"""The most bytes of a request: a value of the store, and what is about it."""
_ANY = 2**32 - 1
"""The most bytes of an answer; the host is believed, and the keys of a store are as many as the module has made."""


class SideDoor:
    """The worker's end; `name` is its module's."""

    def __init__(self, connection: socket.socket, name: str) -> None:
        connection.setblocking(True)
        self._connection, self._name = connection, name
        self._lock = threading.Lock()
        self._splitter = Splitter(_ANY)
        self._number = 0

    def ask(self, name: str, *arguments: Any) -> Any:
        """Return what the host answers.

        Raises:
            HostcoreError: What the host raised, or that the arguments are no data.
            StoppedError: There is no host any more.
        """
        return self.ask_for_descriptor(name, *arguments)[0]

    def ask_for_descriptor(self, name: str, *arguments: Any) -> tuple[Any, int]:
        """Return what the host answers, and the descriptor that came with it, or -1; raises as `ask`."""
        data = wire.encode(arguments, module=self._name, what=f"what it asks of the host ({name})", limit=LIMIT - 64)
        with self._lock:
            self._number += 1
            try:
                self._connection.sendall(pack(Frame(CALL, self._number, name, data)))
                frame, descriptor = self._receive()
            except OSError:
                raise StoppedError("the host is gone") from None
        if frame.kind == ERROR:
            raise made_again(frame.body)
        return wire.decode_raw(frame.body), descriptor

    def _receive(self) -> tuple[Frame, int]:
        descriptor = -1
        while True:
            frame = self._splitter.next()
            if frame is not None and frame.number == self._number:
                return frame, descriptor
            if frame is not None:
                # The answer to a request that was broken off while it waited, by a deadline.
                descriptor = _closed(descriptor)
                continue
            data, descriptors, _, _ = socket.recv_fds(self._connection, _CHUNK, 1)
            if not data:
                raise ConnectionResetError
            self._splitter.space()[: len(data)] = data
            self._splitter.fed(len(data))
            descriptor = descriptors[0] if descriptors else descriptor


def _closed(descriptor: int) -> int:
    if descriptor >= 0:
        os.close(descriptor)
    return -1


Answer = Callable[[str, list[Any]], Awaitable[tuple[Any, socket.socket | None]]]


class SideDesk:
    """The host's end: answers one request after the other.

    Args:
        loop: The event loop.
        connection: The host's socket, which is its own from now on.
        answer: Returns the answer to a request, and a socket to go with it, or None.
        broken: Called with what is wrong, if the worker sends what is no request.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, connection: socket.socket, answer: Answer, broken: Callable[[str], None]
    ) -> None:
        connection.setblocking(False)
        self._loop, self._connection, self._answer, self._broken = loop, connection, answer, broken
        self._splitter = Splitter(LIMIT)
        self._task: asyncio.Task[None] | None = None
        self._closed = False
        loop.add_reader(connection, self._readable)

    def _readable(self) -> None:
        try:
            count = self._connection.recv_into(self._splitter.space(), _CHUNK)
        except BlockingIOError:
            return
        except OSError:
            count = 0
        if not count:
            self.close()
            return
        self._splitter.fed(count)
        self._begin_next()

    def _begin_next(self) -> None:
        """Begin to answer the next request, if there is one; meanwhile nothing is read."""
        try:
            frame = self._splitter.next()
        except BadFrame as exc:
            self.close()
            self._broken(f"sent {exc}")
            return
        if frame is None:
            return
        self._loop.remove_reader(self._connection)
        self._task = self._loop.create_task(self._serve(frame))

    async def _serve(self, frame: Frame) -> None:
        passed: socket.socket | None = None
        try:
            answer, passed = await self._answered(frame)
            await self._send(answer, passed)
        except OSError:
            self.close()
        finally:
            if passed is not None:
                passed.close()
        if not self._closed:
            self._loop.add_reader(self._connection, self._readable)
            self._begin_next()

    async def _answered(self, frame: Frame) -> tuple[bytearray, socket.socket | None]:
        try:
            arguments = wire.decode_raw(frame.body)
            result, passed = await self._answer(frame.name, arguments if isinstance(arguments, list) else [])
        except HostcoreError as exc:
            error: HostcoreError = exc
        except Exception as exc:  # noqa: BLE001 - the arguments may be anything, and too few
            error = HostError(f"the host cannot answer {frame.name[:40]!r}: {summary_of(exc)}")
        else:
            return pack(Frame(REPLY, frame.number, "", wire.encode_raw(result))), passed
        return pack(Frame(ERROR, frame.number, "", carried(error))), None

    async def _send(self, data: bytearray, passed: socket.socket | None) -> None:
        """Send an answer; a descriptor goes with its first byte."""
        rest = memoryview(data)
        if passed is not None:
            await self._writable()
            sent = socket.send_fds(self._connection, [rest], [passed.fileno()])
            rest = rest[sent:]
        if rest:
            await self._loop.sock_sendall(self._connection, rest)

    async def _writable(self) -> None:
        ready: asyncio.Future[None] = self._loop.create_future()
        self._loop.add_writer(self._connection, _settle, ready)
        try:
            await ready
        finally:
            self._loop.remove_writer(self._connection)

    def close(self) -> None:
        """Close the connection; a second call does nothing."""
        if self._closed:
            return
        self._closed = True
        self._loop.remove_reader(self._connection)
        if self._task is not None and self._task is not asyncio.current_task(self._loop):
            self._task.cancel()
        self._connection.close()


def _settle(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
