"""The bus: find the receiver, encode, hand over, wait.

`request` is the fast path of the whole product.  To an idle module it runs the handler in the asker's own turn,
without a task, a future or a timer; every hop of the event loop costs more than all the rest.  At most `BUDGET`
such direct calls run in one pass of the loop, so that a tight loop of requests cannot starve it.

Every sender presents its `Sender`: a name, and the grants that decide what it may say to whom.
"""

from __future__ import annotations

import itertools
import time
from collections import deque
from contextvars import Context
from math import inf
from typing import Any, NamedTuple, Protocol

from hostcore.contract.grants import reserved
from hostcore.contract.messages import Envelope, Message, Payload
from hostcore.contract.topics import RESERVED, is_topic
from hostcore.errors import (
    CallCycleError,
    ContractError,
)
from hostcore.messaging import wire
from hostcore.messaging.addresses import Addresses
from hostcore.messaging.cell import Cell
from hostcore.messaging.current import Delivery, current, waiting_path
from hostcore.messaging.deadlines import Deadlines
from hostcore.messaging.pending import Pending, deadline_error
from hostcore.messaging.schemas import read_plain, reply_reader
from hostcore.messaging.seams import Observer
from hostcore.messaging.topics import Listener
from hostcore.messaging.wire import Reply

BUDGET = 64
HOST = "host"
EVENTS = RESERVED.rstrip(".")
_now = time.monotonic


class Grants(Protocol):
    """What one sender may do."""

    def require(self, kind: str, target: str) -> None:
        """Make sure that it may do `kind:target`; raises DeniedError."""
        ...


class Sender(NamedTuple):
    """Who sends."""

    name: str
    grants: Grants


class DeadLetter(NamedTuple):
    """A message that nobody handled, and why."""

    envelope: Envelope
    reason: str
    when: float


class Bus(Addresses):
    """The messages between the modules of one system."""

    def __init__(
        self, observer: Observer, *, request_timeout: float, message_limit: int, dead_letters: int = 1000
    ) -> None:
        super().__init__()
        self.deadlines = Deadlines(self.loop)
        self.observer = observer
        self.dead_letters: deque[DeadLetter] = deque(maxlen=dead_letters)
        self.dead_count = 0
        self.message_limit = message_limit
        self.request_timeout = request_timeout
        self._ids = itertools.count(1)
        self._direct_left = BUDGET
        self._refilling = False
        self._context = Context()

    # --- request -----------------------------------------------------------------------------------------------

    async def request(
        self, sender: Sender, target: str, payload: Any = None, *, topic: str = "", timeout: float | None = None,
        hook: str = "handle_message", raw: bool = False,
    ) -> Any:  # fmt: skip
        """Send a message to `target` and return the reply; see `Context.request` for what it raises.

        A payload that is a `Reply` is encoded already; with `raw`, so is what is returned.
        """
        timeout = self.request_timeout if timeout is None else timeout
        delivery = current.get()
        now = _now()
        deadline = now + timeout
        cell = self.cells.get(target)
        if cell is None:
            cell = await self._locate(target, timeout, delivery)
            now = _now()
            timeout = deadline - now
        sender.grants.require("bus.request", cell.name)
        if delivery is not None and not delivery.active:
            delivery = None
        if delivery is not None and delivery.envelope.deadline < deadline:
            deadline = delivery.envelope.deadline
            timeout = deadline - now
        envelope = self._seal(sender, cell.name, payload, topic, deadline, delivery, hook)
        if not timeout > 0:  # nor is NaN
            raise deadline_error(cell.name, envelope.topic, timeout)
        pending = Pending(cell.name, envelope.topic, timeout)
        reader = reply_reader(type(payload)) if isinstance(payload, Payload) else None
        if delivery is None:
            reply = await self._deliver(cell, envelope, pending, timeout)
        else:
            reply = await self._deliver_nested(delivery, cell, envelope, pending, timeout)
        if raw:
            return reply
        if reader is None:
            return read_plain(reply.data, reader=sender.name, sender=cell.name)
        return reader.read(reply.data, reply.schema, reader=sender.name, sender=cell.name)

    async def ask(self, sender: Sender, cell: Cell, payload: Any, *, topic: str, timeout: float) -> Any:
        """Send a message to a cell that has no address, that of a copy on trial, and return the reply."""
        envelope = self._seal(sender, cell.name, payload, topic, _now() + timeout, None, "handle_message")
        reply = await self._deliver(cell, envelope, Pending(cell.name, topic, timeout), timeout)
        return read_plain(reply.data, reader=sender.name, sender=cell.name)

    async def _deliver(self, cell: Cell, envelope: Envelope, pending: Pending, timeout: float) -> Reply:
        if cell.free and self._take_turn():
            cell.run_now(envelope, pending)
            if pending.settled:
                return pending.outcome()  # type: ignore[no-any-return]
        slot = self.deadlines.add(pending, envelope.deadline) if timeout != inf else None
        try:
            if not (cell.delivery is not None and cell.delivery.envelope is envelope):
                await self._enqueue(cell, envelope, pending, timeout)
            return await pending.wait(self.loop)  # type: ignore[no-any-return]
        finally:
            pending.settled = True
            if slot is not None:
                slot.discard(pending)

    async def _deliver_nested(
        self, delivery: Delivery, cell: Cell, envelope: Envelope, pending: Pending, timeout: float
    ) -> Reply:
        asker = delivery.cell
        circle = waiting_path(cell, asker)
        if circle is not None:
            trail = (asker.name, *circle)
            raise CallCycleError(
                f"{asker.name!r} cannot wait for {cell.name!r}, which waits for it: {' -> '.join(trail)}",
                trail=trail,
                hint="use send() one way round, or answer from what you have",
            )
        waits = delivery.waits = {} if delivery.waits is None else delivery.waits
        waits[cell] = waits.get(cell, 0) + 1
        try:
            return await self._deliver(cell, envelope, pending, timeout)
        finally:
            waits[cell] -= 1
            if not waits[cell]:
                del waits[cell]

    def _take_turn(self) -> bool:
        if self._direct_left:
            self._direct_left -= 1
            if not self._refilling:
                self._refilling = True
                self.loop.call_soon(self._refill, context=self._context)
            return True
        return False

    def _refill(self) -> None:
        self._direct_left = BUDGET
        self._refilling = False

    # --- send, publish -----------------------------------------------------------------------------------------

    async def send(
        self, sender: Sender, target: str, payload: Any = None, *, topic: str = "", timeout: float | None = None
    ) -> None:
        """Put a message into a mailbox; waits while there is no room, at most `timeout` seconds."""
        timeout = self.request_timeout if timeout is None else timeout
        delivery = current.get()
        cell = self.cells.get(target) or await self._locate(target, timeout, delivery)
        sender.grants.require("bus.send", cell.name)
        envelope = self._seal(sender, cell.name, payload, topic, inf, delivery, "handle_message")
        await self._enqueue(cell, envelope, None, timeout)

    def send_at_once(self, sender: Sender, target: str, payload: Any = None, *, topic: str = "") -> bool:
        """Put a message into a mailbox; False if the target is not loaded yet, or its mailbox is full."""
        cell = self.cells.get(target)
        if cell is None or not cell.has_room:
            return False
        sender.grants.require("bus.send", cell.name)
        envelope = self._seal(sender, cell.name, payload, topic, inf, current.get(), "handle_message")
        return cell.put(envelope, None)

    async def _enqueue(self, cell: Cell, envelope: Envelope, pending: Pending | None, timeout: float) -> None:
        if not cell.put(envelope, pending):
            await cell.put_wait(envelope, pending, timeout)

    def publish(self, sender: Sender, topic: str, payload: Any = None) -> int:
        """Hand a message to every subscriber of `topic` and return how many got it.

        It is encoded once.  A subscriber whose mailbox is full loses it: a dead letter.

        Raises:
            ContractError: The topic or payload is not valid.
            DeniedError: The sender may not publish under it.
        """
        if not isinstance(topic, str):
            raise TypeError(f"a topic is text, not {type(topic).__name__}")
        if topic.startswith(RESERVED):
            raise reserved(sender.name, topic)
        sender.grants.require("bus.send", topic)
        if not is_topic(topic):
            raise ContractError(sender.name, f"{topic!r} is not a topic", hint="words with dots between, no wildcards")
        return self._fan_out(self._seal(sender, topic, payload, topic, inf, current.get(), "handle_message"))

    def announce(self, topic: str, payload: Any) -> None:
        """Publish one of the host's own events; never raises, for it is called where nothing may fail."""
        if not self.subscriptions.receivers(topic):
            return
        try:
            data = wire.encode_raw(payload)
        except wire.ENCODE_ERRORS as exc:  # such as an error text with half a surrogate pair in it
            data = wire.encode_raw({"problem": f"this event cannot be encoded: {exc}"})
        number = str(next(self._ids))
        self._fan_out(Envelope(number, EVENTS, topic, topic, "", data, inf, (), number))

    def _fan_out(self, template: Envelope) -> int:
        got, receivers = 0, self.subscriptions.receivers(template.topic)
        opened = self._open(template) if any(isinstance(r, Listener) for r in receivers) else None
        for receiver in receivers:
            if isinstance(receiver, Listener):
                assert opened is not None
                receiver.put(opened)
                got += 1
                continue
            envelope = _addressed(template, receiver.name)
            if receiver.stopped:
                self.dead(envelope, receiver.stopped)
            elif not receiver.put(envelope, None):
                self.dead(envelope, f"the mailbox of {receiver.name!r} is full")
            else:
                got += 1
        return got

    def _open(self, e: Envelope) -> Message[Any]:
        payload = read_plain(e.payload, reader=HOST, sender=e.sender)
        return Message(e.id, e.topic, payload, e.sender, e.schema, e.deadline, e.trace)

    def dead(self, envelope: Envelope, reason: str) -> None:
        """Keep a message that nobody will handle, with the reason.

        The loss of an event makes no event: it would be lost in the same full mailbox.
        """
        self.dead_count += 1
        self.dead_letters.append(DeadLetter(envelope, reason, time.time()))
        if envelope.sender != EVENTS:
            self.observer.dead(envelope, reason)

    # --- envelopes ---------------------------------------------------------------------------------------------

    def _seal(
        self, sender: Sender, target: str, payload: Any, topic: str, deadline: float, delivery: Delivery | None,
        hook: str,
    ) -> Envelope:  # fmt: skip
        schema = ""
        if isinstance(payload, Payload):
            schema = payload.__schema__
            topic = topic or payload.__topic__
        try:
            if type(payload) is Reply:
                schema, data = payload
            else:
                data = wire.encode_raw(payload)
            if len(data) > self.message_limit:
                raise ValueError
        except wire.ENCODE_ERRORS:
            what = f"the payload of {topic!r}" if topic else f"the payload for {target!r}"
            data = wire.encode(payload, module=sender.name, what=what, limit=self.message_limit)
        number = str(next(self._ids))
        if delivery is None:
            return Envelope(number, sender.name, target, topic, schema, data, deadline, (), number, hook)
        parent = delivery.envelope
        trail = (*parent.trail, parent.target) if delivery.active else ()
        return Envelope(number, sender.name, target, topic, schema, data, deadline, trail, parent.trace, hook)

    def close(self) -> None:
        """Answer everybody who still waits, stop the timer, and end every listener's iteration."""
        for task in list(self._activating.values()):
            task.cancel()
        for name in list(self.cells):
            self.remove(name, "the system was stopped")
        self.deadlines.close()
        for listener in self.subscriptions.listeners():
            listener.close()


def _addressed(e: Envelope, target: str) -> Envelope:
    return Envelope(e.id, e.sender, target, e.topic, e.schema, e.payload, e.deadline, e.trail, e.trace, e.hook)
