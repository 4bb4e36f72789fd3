"""A connection that calls go over, in both directions; the same class on either side.

Each side hands in who does what the other asks for.  Frames are handled in the order in which they come, a limited
time in one turn of the event loop, so that a side which floods the other holds up nobody else.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from contextvars import Context
from math import inf
from typing import Protocol

from hostcore.hosts.worker.frames import CALL, CANCEL, ERROR, REPLY, TELL, BadFrame, Frame, Splitter, pack

_now = time.monotonic
_ANSWERS = frozenset({REPLY, ERROR})
TURN = 0.00025
"""Seconds of one turn of the loop that go into one connection's frames."""


class Gone(Exception):
    """The connection is closed; its text says why."""


class RemoteError(Exception):
    """The other side answered with an error; `data` is it, encoded."""

    def __init__(self, data: bytes) -> None:
        super().__init__()
        self.data = data


class Answers(Protocol):
    """Who does what the other side asks for."""

    def called(self, link: Link, frame: Frame) -> None:
        """Begin what a CALL asks for; `link.reply` or `link.fail` with its number answers it."""

    def cancelled(self, number: int) -> None:
        """Hear that nobody waits for call `number` any more."""

    def told(self, frame: Frame) -> None:
        """Hear a TELL."""

    def closed(self, reason: str) -> None:
        """Hear, once, that the connection is closed."""


class Link(asyncio.BufferedProtocol):
    """One side of a connection.

    Args:
        answers: Who does what the other side asks for.
        limit: The most bytes of one frame that comes in.
        most: The most bytes of answers that may wait until the other side takes them, and as long as any bytes wait,
            nothing is read; so a side that asks and does not listen costs little.  None: neither.  Only one side may
            bound this, else each could wait for the other.

    Attributes:
        reason: Why it is closed, or "".
    """

    def __init__(self, answers: Answers, limit: int, most: int | None = None) -> None:
        self.reason = ""
        self._most = most
        self._answers = answers
        self._splitter = Splitter(limit)
        self.loop = self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._calls: dict[int, asyncio.Future[tuple[str, bytes]]] = {}
        self._numbers = itertools.count(1)
        self._last = 0
        self._backlog: bytearray | None = None  # what waits until the transport has room; None: it has
        self._held = 0  # reasons not to read
        self._listening = True

    # --- what goes out -----------------------------------------------------------------------------------------

    def ask(self, name: str, body: bytes, seconds: float = inf) -> tuple[int, asyncio.Future[tuple[str, bytes]]]:
        """Make a call; return its number, and where its reply will be: a name and a body.

        Raises:
            Gone: The connection is closed.
        """
        self._last = number = next(self._numbers)
        future: asyncio.Future[tuple[str, bytes]] = self._loop.create_future()
        self._write(Frame(CALL, number, name, body, seconds))
        self._calls[number] = future
        return number, future

    async def call(self, name: str, body: bytes, seconds: float = inf) -> tuple[str, bytes]:
        """Make a call and return what it is answered with.

        Raises:
            RemoteError: With an error.
            Gone: The connection is closed.
        """
        number, future = self.ask(name, body, seconds)
        try:
            return await future
        finally:
            self.forget(number)

    def forget(self, number: int) -> None:
        """Wait no longer for call `number`; the other side is told, unless it has answered."""
        future = self._calls.pop(number, None)
        if future is not None and not self.reason and (not future.done() or future.cancelled()):
            self._write(Frame(CANCEL, number))

    def cancel(self, number: int) -> None:
        """Tell the other side to come to an end with call `number`, and go on waiting for its answer."""
        if number in self._calls and not self.reason:
            self._write(Frame(CANCEL, number))

    def tell(self, name: str, body: bytes) -> None:
        """Say something that needs no answer; raises Gone."""
        self._write(Frame(TELL, 0, name, body))

    def reply(self, number: int, body: bytes, name: str = "") -> None:
        """Answer call `number` of the other side; nobody hears it if the connection is closed."""
        if not self.reason:
            self._write(Frame(REPLY, number, name, body))
            self._bound()

    def fail(self, number: int, error: bytes) -> None:
        """Answer call `number` of the other side with an error."""
        if not self.reason:
            self._write(Frame(ERROR, number, "", error))
            self._bound()

    def _bound(self) -> None:
        if self._most is not None and self._backlog is not None and len(self._backlog) > self._most:
            self.close("asked for more than it takes")

    def _write(self, frame: Frame) -> None:
        if self._transport is None or self.reason:
            raise Gone(self.reason or "it is not open yet")
        data = pack(frame)
        if self._backlog is None:
            self._transport.write(data)
        else:  # a transport that holds many pieces looks at each of them whenever it gets one more
            self._backlog += data

    def pause_writing(self) -> None:
        """See `asyncio.BaseProtocol`: keep what goes out from now on."""
        self._backlog = bytearray()
        if self._most is not None:
            self.hold()

    def resume_writing(self) -> None:
        """See `asyncio.BaseProtocol`: write what was kept."""
        backlog, self._backlog = self._backlog, None
        if backlog and self._transport is not None and not self.reason:
            self._transport.write(backlog)
        if self._most is not None:
            self.release()

    # --- what comes in -----------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.BaseProtocol`."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def get_buffer(self, sizehint: int) -> memoryview:
        """See `asyncio.BufferedProtocol`."""
        return self._splitter.space()

    def buffer_updated(self, nbytes: int) -> None:
        """See `asyncio.BufferedProtocol`."""
        self._splitter.fed(nbytes)
        self._read()

    def _read(self) -> None:
        """Handle the frames that are there, those that there is no time for in the next turn of the loop."""
        until = _now() + TURN
        try:
            while not self.reason and not self._held:
                frame = self._splitter.next()
                if frame is None:
                    self._listen(True)
                    return
                self._handle(frame)
                if _now() > until and not self._held:
                    self._listen(False)
                    self._loop.call_soon(self._read, context=Context())
                    return
        except BadFrame as exc:
            self.close(f"sent {exc}")

    def _listen(self, wanted: bool) -> None:
        if wanted != self._listening and self._transport is not None and not self.reason:
            self._listening = wanted
            if wanted:
                self._transport.resume_reading()
            else:
                self._transport.pause_reading()

    def hold(self) -> None:
        """Read nothing more until `release`: who answers has enough in hand."""
        self._held += 1
        self._listen(False)

    def release(self) -> None:
        """Undo one `hold`."""
        self._held -= 1
        if not self._held:
            self._loop.call_soon(self._read, context=Context())

    def _handle(self, frame: Frame) -> None:
        kind = frame.kind
        if kind in _ANSWERS:
            future = self._calls.pop(frame.number, None)
            if future is None:
                self._check_late(frame.number)
            elif not future.done():
                if kind == REPLY:
                    future.set_result((frame.name, frame.body))
                else:
                    future.set_exception(RemoteError(frame.body))
        elif kind == CALL:
            self._answers.called(self, frame)
        elif kind == TELL:
            self._answers.told(frame)
        elif kind == CANCEL:
            self._answers.cancelled(frame.number)
        else:
            raise BadFrame(f"a frame of an unknown kind, {kind}")

    def _check_late(self, number: int) -> None:
        """Let a reply pass that nobody waits for any more; one to a call that was never made is a forgery."""
        if not 0 < number <= self._last:
            raise BadFrame(f"a reply to call {number}, which was never made")

    # --- the end -----------------------------------------------------------------------------------------------

    def eof_received(self) -> bool:
        """See `asyncio.BaseProtocol`."""
        self.close(
            "closed its connection in the middle of a frame" if self._splitter.partial else "closed its connection"
        )
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.BaseProtocol`."""
        self.close(f"broke its connection ({exc})" if exc is not None else "closed its connection")

    def close(self, reason: str) -> None:
        """Close the connection and answer all calls that wait; a second call does nothing."""
        if self.reason:
            return
        self.reason = reason
        if self._transport is not None:
            self._transport.abort()
        calls, self._calls = self._calls, {}
        for future in calls.values():
            if not future.done():
                future.set_exception(Gone(reason))
        self._answers.closed(reason)
