"""The bus: find the receiver, encode, hand over, wait.

`request` is the fast path of the whole product.  To an idle module it runs the handler in the asker's own turn,
without a task, a future or a timer; every hop of the event loop costs more than all the rest.  At most `BUDGET`
such direct calls run in one pass of the loop, so that a tight loop of requests cannot starve it.

Every sender presents its `Sender`: a name, and the grants that decide what it may say to whom.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context
from math import inf
from typing import Any, NamedTuple, Protocol

from packaging.version import Version

from hostcore.contract.grants import reserved
from hostcore.contract.messages import Envelope, Message, Payload
from hostcore.contract.topics import RESERVED, is_topic
from hostcore.contract.versions import Capability
from hostcore.errors import (
    CallCycleError,
    ContractError,
    StoppedError,
    UnknownModuleError,
    did_you_mean,
)
from hostcore.messaging import wire
from hostcore.messaging.cell import Cell
from hostcore.messaging.current import Delivery, current, waiting_path
from hostcore.messaging.deadlines import Deadlines
from hostcore.messaging.pending import Pending, deadline_error
from hostcore.messaging.schemas import read_plain, reply_reader
from hostcore.messaging.seams import Observer
from hostcore.messaging.topics import Listener, Subscriptions
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


class Bus:
    """The addresses of one system and the messages between them."""

    def __init__(
        self, observer: Observer, *, request_timeout: float, message_limit: int, dead_letters: int = 1000
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self.deadlines = Deadlines(self.loop)
        self.observer = observer
        self.cells: dict[str, Cell] = {}
        self.gone: dict[str, str] = {}  # name -> why there is no cell of that name any more, or not yet
        self.subscriptions = Subscriptions()
        self.dead_letters: deque[DeadLetter] = deque(maxlen=dead_letters)
        self.dead_count = 0
        self.message_limit = message_limit
        self.request_timeout = request_timeout
        self.activate: Callable[[str], Coroutine[Any, Any, None]] | None = None
        self._activating: dict[str, asyncio.Task[None]] = {}
        self._expected: dict[str, tuple[str, ...]] = {}  # modules that load with their first message -> capabilities
        self._providers: dict[str, list[tuple[Version, str]]] = {}
        self._ids = itertools.count(1)
        self._direct_left = BUDGET
        self._refilling = False
        self._context = Context()

    # --- addresses ---------------------------------------------------------------------------------------------

    def add(self, cell: Cell) -> None:
        """Make `cell` reachable under its name."""
        self.cells[cell.name] = cell
        self.gone.pop(cell.name, None)
        self._expected.pop(cell.name, None)

    def expect(self, name: str, provides: tuple[Capability, ...]) -> None:
        """Have module `name` activated by the first message to it, or to something it provides."""
        self._expected[name] = tuple(capability.name for capability in provides)
        self.gone.pop(name, None)

    def remove(self, name: str, reason: str) -> None:
        """Make `name` unreachable; later messages get `reason`."""
        cell = self.cells.pop(name, None)
        self.gone[name] = reason
        self._expected.pop(name, None)
        if cell is not None:
            self.subscriptions.remove_all(cell)
            cell.stop(reason)
        self.provide(name, ())

    def provide(self, name: str, capabilities: tuple[Capability, ...]) -> None:
        """Say what module `name` provides, in place of what it provided before."""
        for entries in self._providers.values():
            entries[:] = [entry for entry in entries if entry[1] != name]
        for capability in capabilities:
            entries = self._providers.setdefault(capability.name, [])
            entries.append((capability.version, name))
            entries.sort(key=lambda entry: (_Descending(entry[0]), entry[1]))
        self._providers = {key: entries for key, entries in self._providers.items() if entries}

    def providers(self, capability: str) -> list[str]:
        """Return the modules that provide `capability`: the highest version first, then by name."""
        return [name for _, name in self._providers.get(capability, ())]

    def find(self, target: str) -> Cell:
        """Return the cell for a module's name or a capability.

        Raises:
            StoppedError: A module of that name was there and has stopped or failed.
            UnknownModuleError: Nobody has that name, and nobody provides that capability.
        """
        cell = self.cells.get(target)
        if cell is not None:
            return cell
        for name in self.providers(target):
            if name in self.cells:
                return self.cells[name]
        if target in self.gone:
            raise StoppedError(self.gone[target], hint=f"hostcore modules why {target}")
        known = [*self.cells, *self._providers]
        raise UnknownModuleError(
            f"no module is named {target!r} and none provides it",
            hint=did_you_mean(target, known) or "hostcore modules list shows what there is",
        )

    async def _locate(self, target: str, timeout: float, delivery: Delivery | None) -> Cell:
        """Return the cell for `target`, loading a module that waits for its first message, in the asker's time."""
        if not isinstance(target, str):
            raise TypeError(f"a module's name or a capability is text, not {type(target).__name__}")
        if self._expected and self.activate is not None and not self.providers(target):
            for name, capabilities in list(self._expected.items()):
                if target == name or target in capabilities:
                    await self._activate(name, timeout, delivery)
                    break
        return self.find(target)

    async def _activate(self, name: str, timeout: float, delivery: Delivery | None) -> None:
        assert self.activate is not None
        task = self._activating.get(name)
        if task is None:
            # Nobody's in particular: an asker that gives up, or is unloaded, must not undo it for the others.
            work = self.activate(name)
            task = asyncio.Task(work, loop=self.loop, name=f"hostcore:activate {name}", context=Context())
            self._activating[name] = task
            task.add_done_callback(self._activated)
        if delivery is not None and delivery.active:
            timeout = min(timeout, delivery.envelope.deadline - _now())
        done, _ = await asyncio.wait({task}, timeout=None if timeout == inf else max(0.0, timeout))
        if not done:
            raise deadline_error(name, "", timeout)
        if not task.cancelled() and task.exception() is not None:
            self.find(name)  # it has failed: this says so

    def _activated(self, task: asyncio.Task[None]) -> None:
        self._activating = {name: other for name, other in self._activating.items() if other is not task}
        if not task.cancelled():
            task.exception()  # looked at: the module's record tells it to whoever asks

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


class _Descending:
    """Sorts versions from the highest down."""

    __slots__ = ("version",)

    def __init__(self, version: Version) -> None:
        self.version = version

    def __lt__(self, other: _Descending) -> bool:
        return other.version < self.version

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Descending) and self.version == other.version

    __hash__ = None  # type: ignore[assignment]


def _addressed(e: Envelope, target: str) -> Envelope:
    return Envelope(e.id, e.sender, target, e.topic, e.schema, e.payload, e.deadline, e.trail, e.trace, e.hook)
