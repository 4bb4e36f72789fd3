"""The intake of a cell: its bounded mailbox, the senders that wait for room in it, and what is refused."""

from __future__ import annotations

import asyncio
import contextvars
import enum
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from math import inf

from hostcore.contract.messages import Envelope
from hostcore.errors import MailboxFullError, StoppedError
from hostcore.messaging.pending import Pending
from hostcore.messaging.seams import Observer
from hostcore.messaging.tally import Tally


class Work(enum.Enum):
    """What a cell is doing."""

    IDLE = "idle"
    QUEUED = "queued"
    RUNNING = "running"


IDLE, QUEUED, RUNNING = Work.IDLE, Work.QUEUED, Work.RUNNING
Entry = tuple[Envelope, Pending | None]


class Mailbox:
    """What a cell takes in; `_drain` of the class above takes it out again.

    Attributes:
        work: What the cell is doing.
        paused: How many have paused it; at 0 messages are handled.
        stopped: Why it takes no messages, or "".
        refusal: Makes the error that messages are refused with then.
    """

    def __init__(self, name: str, loop: asyncio.AbstractEventLoop, observer: Observer, capacity: int) -> None:
        self.name = name
        self.loop = loop
        self.observer = observer
        self.capacity = capacity
        self.work = IDLE
        self.paused = 1  # until an instance is there
        self.stopped = ""
        self.tally = Tally()
        self.refusal: Callable[[str], StoppedError] = StoppedError
        # Of its own for scheduled drains: a sender's would be kept alive, with its module, from drain to drain.
        self._context = contextvars.Context()
        self._box: deque[Entry] = deque()
        self._room: deque[tuple[Entry, asyncio.Future[None]]] = deque()

    def __repr__(self) -> str:
        state = "stopped" if self.stopped else "paused" if self.paused else self.work.value
        return f"<Cell {self.name} {state} {len(self._box)} waiting>"

    @property
    def depth(self) -> int:
        """How many messages wait."""
        return len(self._box) + len(self._room)

    @property
    def has_room(self) -> bool:
        """Whether the mailbox takes a message at once."""
        return not self._room and len(self._box) < self.capacity

    @property
    def free(self) -> bool:
        """Whether a request may run at once."""
        return self.work is IDLE and not self.paused and not self._box and not self.stopped

    def put(self, envelope: Envelope, pending: Pending | None) -> bool:
        """Put a message into the mailbox; False if there is no room.

        Raises:
            StoppedError: The module has stopped.
        """
        if self.stopped:
            raise self.refusal(self.stopped)
        if not self.has_room:
            return False
        self._box.append((envelope, pending))
        if self.work is IDLE and not self.paused:
            self.work = QUEUED
            self.loop.call_soon(self._drain, context=self._context)
        return True

    async def put_wait(self, envelope: Envelope, pending: Pending | None, timeout: float) -> None:
        """Wait for room, first come first served.

        Raises:
            MailboxFullError: There was none within `timeout` seconds.
            StoppedError: The module stopped meanwhile.
        """
        admitted: asyncio.Future[None] = self.loop.create_future()
        place = ((envelope, pending), admitted)
        self._room.append(place)
        try:
            async with asyncio.timeout(None if timeout == inf else timeout):
                await admitted
        except TimeoutError:
            if admitted.done() and not admitted.cancelled():  # let in, or refused, at the last moment
                return admitted.result()
            raise MailboxFullError(
                f"the mailbox of {self.name!r} is full ({self.capacity} messages) and stayed so for {timeout:.3g} s",
                hint="send less, raise limits.mailbox, or look at what the module is doing",
            ) from None
        finally:
            if admitted.cancelled() or not admitted.done():  # withdrawn: it must not count, nor take up memory
                with suppress(ValueError):
                    self._room.remove(place)

    def _admit(self) -> None:
        while self._room and len(self._box) < self.capacity:
            entry, admitted = self._room.popleft()
            if not admitted.done():  # else its sender gave up: withdrawn
                self._box.append(entry)
                admitted.set_result(None)

    def _take(self, now: float) -> Entry | None:
        envelope, pending = self._box.popleft()
        if self._room:
            self._admit()
        if pending is not None and pending.settled:
            self.tally.dropped += 1
        elif envelope.deadline < now:
            self.tally.dropped += 1
            if pending is not None:
                pending.expire()
            else:
                self.observer.dead(envelope, "expired in the mailbox")
        else:
            return envelope, pending
        return None

    # --- refusing ----------------------------------------------------------------------------------------------

    def shut(self, reason: str, refusal: Callable[[str], StoppedError] = StoppedError) -> None:
        """Refuse all that waits, and every later message, with `reason`; what is in hand goes on."""
        self.stopped, self.refusal = reason, refusal
        self.refuse_waiting(reason)

    def reopen(self) -> None:
        """Take messages again after `shut`."""
        self.stopped, self.refusal = "", StoppedError

    def refuse_waiting(self, reason: str) -> None:
        """Answer everything in the mailbox with a StoppedError, or what `shut` was given in its place."""
        box, self._box = self._box, deque()  # a refusal can put a new message, an event, into it
        for entry in box:
            self._refuse(*entry, reason)
        while self._room:
            _, admitted = self._room.popleft()
            if not admitted.done():
                admitted.set_exception(self.refusal(reason))

    def _refuse(self, envelope: Envelope, pending: Pending | None, reason: str) -> None:
        if pending is not None:
            pending.fail(self.refusal(reason))
        else:
            self.observer.dead(envelope, reason)

    def _drain(self) -> None:
        """Handle what waits."""
        raise NotImplementedError
