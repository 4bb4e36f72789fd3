"""The server of the control socket: many clients at once, none of which can harm the host.

Each connection has one reader.  A request becomes a task, so a slow one holds up no other; at most `IN_HAND` of a
connection run at a time, further lines stay unread, and the kernel's buffer makes the client wait.  Replies go out one
after the other; a client that does not take its own within `WRITE_TIME` is cut off.  So what a client can make the
host keep is bounded: one line, and the replies in hand.

A client that goes away does not undo what it asked for: a reload that has begun is brought to its end.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from hostcore.control.protocol import (
    BAD_REQUEST,
    LINE_LIMIT,
    UNKNOWN_METHOD,
    encode_error,
    encode_result,
    internal_error,
)
from hostcore.control.requests import Request, read_request
from hostcore.errors import ControlError, HostcoreError, Problem, StoppedError, did_you_mean

IN_HAND = 32
CONNECTIONS = 500
WRITE_TIME = 30.0
"""Seconds that a client has to take a reply."""
_LEAVE_TIME = 2.0
"""Seconds that the last replies have when the server stops."""
_CHUNK = 64 * 1024

Method = Callable[[dict[str, Any]], Awaitable[Any]]
log = logging.getLogger("hostcore.control")


class ControlServer:
    """Answers requests by calling `methods`: name -> coroutine function of the parameters."""

    def __init__(
        self, methods: Mapping[str, Method], *, line_limit: int = LINE_LIMIT, write_time: float = WRITE_TIME
    ) -> None:
        self.methods = methods
        self.line_limit = line_limit
        self.write_time = write_time
        self.stopping = False
        self._working: set[asyncio.Task[Any]] = set()
        self._connections: set[_Connection] = set()
        self._server: asyncio.Server | None = None

    async def start(self, listener: socket.socket) -> None:
        """Begin to serve on `listener`, which the server closes when it stops."""
        self._server = await asyncio.start_unix_server(self._connected, sock=listener, limit=_CHUNK)

    async def stop(self) -> None:
        """Take no more connections, answer what is in hand with an error, and close all.  It takes 2 s at most."""
        self.stopping = True
        if self._server is not None:
            self._server.close()
        for task in list(self._working):
            task.cancel()
        connections = list(self._connections)
        await asyncio.gather(*(connection.finish(_LEAVE_TIME) for connection in connections))

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = _Connection(self, reader, writer)
        if self.stopping or len(self._connections) >= CONNECTIONS:
            await connection.refuse(f"{CONNECTIONS} clients are connected already" if not self.stopping else "stopping")
            return
        self._connections.add(connection)
        try:
            await connection.serve()
        finally:
            self._connections.discard(connection)

    async def work(self, request: Request) -> Any:
        """Do what `request` asks and return the result.

        Raises:
            HostcoreError: What the method raised; or there is no such method, or the host is stopping.
        """
        method = self.methods.get(request.method)
        if method is None:
            hint = did_you_mean(request.method, self.methods) or f"known: {', '.join(sorted(self.methods))}"
            raise ControlError(problems=[Problem(f"no method {request.method[:100]!r}", UNKNOWN_METHOD, hint=hint)])
        if self.stopping:
            raise _stopping()
        task = asyncio.ensure_future(method(request.params))
        self._working.add(task)
        try:
            return await task
        except asyncio.CancelledError:
            if self.stopping and task.cancelled():
                raise _stopping() from None
            task.cancel()
            raise
        finally:
            self._working.discard(task)


class _Connection:
    """One client."""

    def __init__(self, server: ControlServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._server = server
        self._reader = reader
        self._writer = writer
        self._writing = asyncio.Lock()
        self._room = asyncio.Semaphore(IN_HAND)
        self._answers: set[asyncio.Task[None]] = set()
        self._buffer = bytearray()
        self._serving: asyncio.Task[Any] | None = None

    async def serve(self) -> None:
        """Answer requests until the client closes its side, then send what is still owed."""
        self._serving = asyncio.current_task()
        try:
            while (line := await self._line()) is not None:
                if line.strip():
                    await self._room.acquire()
                    self._begin(line)
            if self._answers:
                await asyncio.wait(self._answers)
        except (ConnectionError, TimeoutError):
            pass
        except asyncio.CancelledError:
            if not self._server.stopping:
                raise
        finally:
            self._writer.close()

    def _begin(self, line: bytes) -> None:
        task = asyncio.get_running_loop().create_task(self._answer(line), name="hostcore:control")
        self._answers.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._answers.discard(task)
        self._room.release()

    async def refuse(self, reason: str) -> None:
        """Say why the connection is closed, and close it."""
        await self._write(encode_error(None, ControlError(f"the host takes no connection: {reason}").as_data()))
        self._writer.close()

    async def finish(self, seconds: float) -> None:
        """Let the replies in hand go out, for at most `seconds`; then close."""
        if self._answers:
            await asyncio.wait(self._answers, timeout=seconds)
        for task in list(self._answers):
            task.cancel()
        if self._serving is not None:
            self._serving.cancel()
            await asyncio.wait([self._serving], timeout=seconds)
        self._writer.transport.abort()

    # --- reading -----------------------------------------------------------------------------------------------

    async def _line(self) -> bytes | None:
        """Return the next line, None when the client has closed its side.  One that is too long is skipped."""
        buffer, seen, skipping = self._buffer, 0, False
        while True:
            end = buffer.find(b"\n", seen)
            if end >= 0:
                line = bytes(buffer[:end])
                del buffer[: end + 1]
                if skipping or len(line) > self._server.line_limit:
                    await self._complain(f"the line is longer than {self._server.line_limit:,} bytes; it was skipped")
                    line = b""
                return line
            if len(buffer) > self._server.line_limit:
                skipping = True
                buffer.clear()
            seen = len(buffer)
            chunk = await self._reader.read(_CHUNK)
            if not chunk:
                if buffer.strip():
                    await self._complain("the last line has no end; it was not looked at")
                buffer.clear()
                return None
            buffer += chunk

    async def _complain(self, message: str) -> None:
        problem = Problem(message, BAD_REQUEST, hint="end each request with a newline")
        await self._write(encode_error(None, ControlError(problems=[problem]).as_data()))

    # --- answering ---------------------------------------------------------------------------------------------

    async def _answer(self, line: bytes) -> None:
        identity, request = read_request(line)
        try:
            if isinstance(request, ControlError):
                raise request
            reply = encode_result(identity, await self._server.work(request))
        except HostcoreError as error:
            reply = encode_error(identity, error.as_data())
        except Exception as error:
            log.exception("a control request failed inside hostcore")
            reply = encode_error(
                identity, internal_error(error, "the host's own output has the traceback; please report it")
            )
        await self._write(reply)

    async def _write(self, data: bytes) -> None:
        """Send a line; a client that is gone, or does not read, is no error of ours."""
        try:
            async with self._writing, asyncio.timeout(self._server.write_time):
                self._writer.write(data)
                await self._writer.drain()
        except (ConnectionError, TimeoutError):
            self._writer.transport.abort()


def _stopping() -> StoppedError:
    return StoppedError("the host is being stopped", hint="what was asked for may be half done")
