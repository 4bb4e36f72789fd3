"""One worker process, as the host has it: its connections, its output, and its end.

It is signalled through its handle only, since its number may be another's by then.  Its end is noticed by that handle
and by its connections, whichever comes first.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import tempfile
from contextvars import Context
from pathlib import Path

import msgspec

from hostcore.hosts.lines import Output, RateLimit
from hostcore.hosts.text import printable
from hostcore.hosts.worker.child import Order
from hostcore.hosts.worker.desk import MOST_WAITING, Desk
from hostcore.hosts.worker.folders import PREFIX, remove
from hostcore.hosts.worker.frames import Frame
from hostcore.hosts.worker.link import Gone, Link
from hostcore.hosts.worker.messages import READ_ERRORS
from hostcore.hosts.worker.nursery import Nursery
from hostcore.hosts.worker.sandbox.cage import Layer
from hostcore.hosts.worker.sideways import SideDesk

_CHUNK = 1 << 16
_TAIL = 4096
_STATUS_TIME = 0.1
"""Seconds that its parent has to tell how it ended, once it is known to have."""
_LINES = 10
_CLOSED_TIME = 0.1
"""Seconds that a worker has to end once its connection is closed; until then it may be ending, with a code to tell."""
_read_layers = msgspec.msgpack.Decoder(dict[str, Layer]).decode


class End:
    """How a worker ended: its exit code, negative for a signal, or None; and the last lines that it wrote."""

    def __init__(self, status: int | None, lines: tuple[str, ...]) -> None:
        self.status = status
        self.lines = lines

    @property
    def signal(self) -> str:
        """The name of the signal that ended it, or ""."""
        if self.status is None or self.status >= 0:
            return ""
        try:
            return signal.Signals(-self.status).name
        except ValueError:
            return f"signal {-self.status}"

    @property
    def text(self) -> str:
        """The end in words."""
        if self.signal:
            return f"was ended by {self.signal}"
        return "ended" if self.status is None else f"exited with code {self.status}"


class Tail:
    """The last of what a worker wrote, kept for the case that it dies."""

    def __init__(self) -> None:
        self._data = b""

    def add(self, data: bytes) -> None:
        """Take note of what it wrote."""
        self._data = (self._data + data[-_TAIL:])[-_TAIL:]

    def lines(self) -> tuple[str, ...]:
        """Return the last lines."""
        text = printable(self._data.decode("utf-8", "replace"))
        return tuple(line for line in text.splitlines() if line.strip())[-_LINES:]


class WorkerProcess:
    """A worker that runs.  `start` makes one.

    Args:
        loop: The event loop.
        desk: Who answers what its module asks for.
        log: Where its output goes.
        limit: How many lines of it.

    Attributes:
        ready: Once it is confined: what holds it, by layer.
        ended: How it ended.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, desk: Desk, log: logging.Logger, limit: RateLimit) -> None:
        self.ready: asyncio.Future[dict[str, Layer]] = loop.create_future()
        self.ended: asyncio.Future[End] = loop.create_future()
        self.tail = Tail()
        self.link: Link
        self.pid = 0
        self._loop, self._desk = loop, desk
        self._outputs = {level: Output(log, level, limit) for level in (logging.INFO, logging.WARNING)}
        self._pipes: dict[int, Output] = {}
        self._side: SideDesk | None = None
        self._handle = -1
        self.folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-"))

    def __repr__(self) -> str:
        return f"<WorkerProcess {self.pid} {'ended' if self.ended.done() else 'runs'}>"

    async def start(self, nursery: Nursery, order: Order, limit: int) -> None:
        """Have it forked and connect to it.

        Args:
            nursery: Who forks it.
            order: What it is to be.
            limit: The most bytes of a frame that it sends.

        Raises:
            HostError: It cannot be started; nothing of it is left.
        """
        ours: list[socket.socket] = []
        theirs: list[int] = []
        try:
            main, side_socket = self._pair(ours, theirs), self._pair(ours, theirs)
            for level in (logging.INFO, logging.WARNING):
                self._pipe(theirs, self._outputs[level])
            _, self.link = await self._loop.create_unix_connection(lambda: Link(self, limit, MOST_WAITING), sock=main)
            self._side = SideDesk(self._loop, side_socket, self._desk.answer, self.link.close)
            born = await nursery.fork(order, theirs)
        except BaseException:
            await self._clean_up()
            for each in ours:
                each.close()
            raise
        finally:
            for descriptor in theirs:
                os.close(descriptor)
        self.pid, self._handle = born.pid, born.handle
        self._loop.add_reader(self._handle, self._gone, born.status)

    def _pair(self, ours: list[socket.socket], theirs: list[int]) -> socket.socket:
        one, other = socket.socketpair()
        ours.append(one)
        theirs.append(other.detach())
        one.setblocking(False)
        return one

    def _pipe(self, theirs: list[int], output: Output) -> None:
        reader, writer = os.pipe2(os.O_CLOEXEC)
        theirs.append(writer)
        os.set_blocking(reader, False)
        self._pipes[reader] = output
        self._loop.add_reader(reader, self._take_output, reader)

    def _take_output(self, reader: int) -> bool:
        """Read a piece of output, so that a flood of it takes its turn like all else; False: there is no more."""
        try:
            data = os.read(reader, _CHUNK)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        if not data:
            self._close_pipe(reader)
            return False
        self.tail.add(data)
        self._pipes[reader].write(data)
        return True

    def _close_pipe(self, reader: int) -> None:
        self._loop.remove_reader(reader)
        self._pipes.pop(reader).close()
        os.close(reader)

    # --- what it says; see `link.Answers` ------------------------------------------------------------------------

    def called(self, link: Link, frame: Frame) -> None:
        """Have the desk answer it."""
        self._desk.called(link, frame)

    def cancelled(self, number: int) -> None:
        """Have the desk stop."""
        self._desk.cancelled(number)

    def told(self, frame: Frame) -> None:
        """Hear that it is ready, or a line of its log."""
        try:
            if frame.name == "log":
                self.tail.add(f"{self._desk.log(frame.body)}\n".encode())
            elif frame.name == "stuck":
                self._desk.stuck()
            elif frame.name == "crashed":
                self._desk.crashed(frame.body)
            elif frame.name == "ready" and not self.ready.done():
                self.ready.set_result(_read_layers(frame.body))
        except READ_ERRORS:
            self.link.close(f"sent a {frame.name[:40]!r} that cannot be read")

    def closed(self, reason: str) -> None:
        """See to it that it ends."""
        if not self.ready.done():
            self.ready.set_exception(Gone(reason))
            self.ready.exception()  # looked at: perhaps nobody waits
        self._loop.call_later(_CLOSED_TIME, self.signal, signal.SIGKILL, context=Context())

    # --- its end -----------------------------------------------------------------------------------------------

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal; nothing happens if it has ended."""
        if self._handle >= 0 and not self.ended.done():
            try:
                signal.pidfd_send_signal(self._handle, number)
            except ProcessLookupError:
                pass

    def give_way(self) -> None:
        """Have it run only when nobody else wants to: it is past its time."""
        if not self.ended.done():
            try:
                os.sched_setscheduler(self.pid, os.SCHED_IDLE, os.sched_param(0))
            except OSError:
                pass  # it has ended, or the platform does not let us: the others then share with it

    def _gone(self, status: asyncio.Future[int | None]) -> None:
        """Hear that it has ended; how, its parent will say.  No task does this: a program may cancel all it finds."""
        self._loop.remove_reader(self._handle)
        self._loop.call_later(_STATUS_TIME, self._end, status, context=Context())
        status.add_done_callback(self._end, context=Context())

    def _end(self, status: asyncio.Future[int | None]) -> None:
        """Take note of its end, once."""
        if self.ended.done():
            return
        for reader in list(self._pipes):
            for _ in range(16):  # what it wrote last; another that holds the pipe may write for ever
                if not self._take_output(reader):
                    break
        known = status.result() if status.done() and not status.cancelled() else None
        self.ended.set_result(End(known, self.tail.lines()))
        self.link.close("ended")

    async def close(self, seconds: float) -> None:
        """End it, at once if it does not end by itself within `seconds`, and let go of all that belongs to it."""
        self.link.close("is not needed any more")
        if self._handle >= 0 and not self.ended.done():
            await asyncio.wait({self.ended}, timeout=seconds)
            self.signal(signal.SIGKILL)
            await asyncio.wait({self.ended})
        await self._clean_up()

    async def _clean_up(self) -> None:
        if hasattr(self, "link"):
            self.link.close("is not needed any more")
        if self._side is not None:
            self._side.close()
        for reader in list(self._pipes):
            self._close_pipe(reader)
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1
        try:
            self.folder.rmdir()
        except OSError:  # it has left something in it
            await asyncio.to_thread(remove, self.folder)
