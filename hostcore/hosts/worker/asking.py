"""What a module in a worker reaches of the system: the ports of its context, over the connections.

Nothing is decided here.  The host knows which worker it is that asks, so who sends cannot be forged, and it checks each
permission itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Generator
from typing import Any

from hostcore.contract.messages import Payload
from hostcore.errors import HostcoreError
from hostcore.hosts.worker import messages
from hostcore.hosts.worker.carrying import made_again
from hostcore.hosts.worker.link import Link, RemoteError
from hostcore.hosts.worker.sideways import SideDoor
from hostcore.messaging import wire
from hostcore.messaging.current import current
from hostcore.messaging.schemas import read_plain, reply_reader
from hostcore.messaging.wire import Reply


class WorkerPorts:
    """The `Ports` of a module in a worker."""

    def __init__(self, name: str, link: Link, side: SideDoor, message_limit: int) -> None:
        self._name, self._link, self._side, self._limit = name, link, side, message_limit

    async def request(self, target: str, payload: Any, *, topic: str, timeout: float | None) -> Any:
        """See `Context.request`."""
        schema, data = await self.forward(target, payload, topic=topic, timeout=timeout)
        reader = reply_reader(type(payload)) if isinstance(payload, Payload) else None
        if reader is not None:
            return reader.read(data, schema, reader=self._name, sender=target)
        return read_plain(data, reader=self._name, sender=target)

    async def forward(self, target: str, payload: Any, *, topic: str, timeout: float | None) -> Reply:
        """Send a request and return its reply, encoded."""
        asked = self._asked(target, payload, topic)
        return Reply(*await self._call("request", asked, -1.0 if timeout is None else timeout))

    def send(self, target: str, payload: Any, *, topic: str) -> Awaitable[None]:
        """See `Context.send`."""
        return Sent(self._link, "send", self._asked(target, payload, topic))

    def publish(self, topic: str, payload: Any) -> Awaitable[None]:
        """See `Context.publish`."""
        return Sent(self._link, "publish", self._asked("", payload, topic))

    def subscribe(self, pattern: str) -> None:
        """See `Context.subscribe`."""
        self._side.ask("subscribe", pattern)

    def unsubscribe(self, pattern: str) -> None:
        """See `Context.unsubscribe`."""
        self._side.ask("unsubscribe", pattern)

    def granted(self, permission: str) -> bool:
        """See `Context.granted`."""
        return bool(self._side.ask("granted", permission))

    async def invoke(self, capability: str, operation: str, arguments: dict[str, Any]) -> Any:
        """See `Context.invoke`."""
        what = f"the arguments of {capability}.{operation}"
        data = wire.encode(arguments, module=self._name, what=what, limit=self._limit)
        asked = messages.Invoked(capability, operation, data)
        return wire.decode_raw((await self._call("invoke", messages.encode(asked), -1.0))[1])

    def open_store(self) -> WorkerStore:
        """See `Context.kv`."""
        self._side.ask("kv.open")
        return WorkerStore(self._side, self._name)

    def _asked(self, target: str, payload: Any, topic: str) -> bytes:
        schema = ""
        if isinstance(payload, Payload):
            schema = payload.__schema__
            topic = topic or payload.__topic__
        what = f"the payload of {topic!r}" if topic else f"the payload for {target!r}"
        data = wire.encode(payload, module=self._name, what=what, limit=self._limit)
        delivery = current.get()
        within = delivery.envelope.id if delivery is not None and delivery.active else ""
        return messages.encode(messages.Asked(target, topic, schema, data, within))

    async def _call(self, name: str, body: bytes, seconds: float) -> tuple[str, bytes]:
        try:
            return await self._link.call(name, body, seconds)
        except RemoteError as exc:
            error = made_again(exc.data)
        raise error


class Sent:
    """A message on its way, or already there: awaiting it waits for the host's word and raises its error."""

    def __init__(self, link: Link, name: str, body: bytes) -> None:
        self._link = link
        self._number, self._future = link.ask(name, body)
        self._future.add_done_callback(_look_at)

    def __await__(self) -> Generator[Any, None, None]:
        try:
            yield from self._future.__await__()
            return
        except RemoteError as exc:
            error: HostcoreError = made_again(exc.data)
        except asyncio.CancelledError:
            self._link.forget(self._number)
            raise
        raise error


def _look_at(future: asyncio.Future[Any]) -> None:
    """Take note of an error that perhaps nobody waits for: `def` hooks cannot, and it is no mistake of theirs."""
    if not future.cancelled():
        future.exception()


class WorkerStore:
    """The module's key-value store, which the host keeps."""

    def __init__(self, side: SideDoor, name: str) -> None:
        self._side, self._name = side, name

    def get(self, key: str, default: Any = None) -> Any:
        """Return the value under `key`, or `default`."""
        found = self._side.ask("kv.get", key)
        return found[0] if found else default

    def set(self, key: str, value: Any) -> None:
        """Put plain data under `key`; see `runtime.kv`."""
        data = wire.encode(value, module=self._name, what=f"the value of key {key!r}", limit=1024 * 1024)
        self._side.ask("kv.set", key, data)

    def delete(self, key: str) -> None:
        """Remove `key`, if it is there."""
        self._side.ask("kv.delete", key)

    def keys(self) -> list[str]:
        """Return all keys, sorted."""
        return list(self._side.ask("kv.keys"))
