"""What a context reaches of the system, bound to one copy of a module and checked against its grants."""

from __future__ import annotations

import inspect
import socket
from collections.abc import Awaitable, Callable, Generator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from hostcore.contract.permissions import Permission
from hostcore.contract.topics import is_pattern
from hostcore.errors import ContractError, LimitError, UnknownModuleError, did_you_mean
from hostcore.hosts.base import Grants
from hostcore.messaging import wire
from hostcore.messaging.bus import Bus, Sender
from hostcore.messaging.cell import Cell
from hostcore.messaging.topics import bad_pattern
from hostcore.runtime import http
from hostcore.runtime.connecting import Connector
from hostcore.runtime.http import HttpClient
from hostcore.runtime.kv import KeyValueStore

_SUBSCRIPTIONS = 1000
"""How many patterns a module may listen to: each is looked at for every new topic, by everybody who publishes."""


class _Done:
    """Something to await that has happened already."""

    def __await__(self) -> Generator[None, None, None]:
        yield from ()


DONE = _Done()


class ModulePorts:
    """The `Ports` of one copy."""

    def __init__(
        self, name: str, bus: Bus, cell: Cell, grants: Grants, subscribed: set[str],
        services: Mapping[str, Any], kv_directory: Callable[[], Path],
    ) -> None:  # fmt: skip
        self._sender = Sender(name, grants)
        self._grants = grants
        self._bus = bus
        self._cell = cell
        self._subscribed = subscribed
        self._services = services
        self._kv_directory = kv_directory
        self._store: KeyValueStore | None = None
        self._http: HttpClient | None = None
        self._connector: Connector | None = None
        self.serving = False

    async def request(self, target: str, payload: Any, *, topic: str, timeout: float | None) -> Any:
        """See `Context.request`."""
        return await self._bus.request(self._sender, target, payload, topic=topic, timeout=timeout)

    async def forward(self, target: str, payload: Any, *, topic: str, timeout: float | None) -> Any:
        """Pass on a request whose payload is encoded, as a `Reply`, and return its reply as one."""
        return await self._bus.request(self._sender, target, payload, topic=topic, timeout=timeout, raw=True)

    def send(self, target: str, payload: Any, *, topic: str) -> Awaitable[None]:
        """See `Context.send`."""
        if self._bus.send_at_once(self._sender, target, payload, topic=topic):
            return DONE
        return self._bus.send(self._sender, target, payload, topic=topic)

    def publish(self, topic: str, payload: Any) -> Awaitable[None]:
        """See `Context.publish`."""
        self._bus.publish(self._sender, topic, payload)
        return DONE

    def subscribe(self, pattern: str) -> None:
        """See `Context.subscribe`.

        What is subscribed in `initialize` belongs to this copy and takes effect when it begins to serve; what is
        subscribed later belongs to the module and outlives a reload.
        """
        self._grants.require("bus.subscribe", pattern)
        if (self._bus.subscriptions.count(self._cell) if self.serving else len(self._subscribed)) >= _SUBSCRIPTIONS:
            raise LimitError(
                f"{self._sender.name!r} listens to {_SUBSCRIPTIONS:,} patterns already, and to no more",
                hint="subscribe to a pattern with wildcards, or unsubscribe from what is not needed any more",
            )
        if self.serving:
            self._bus.subscriptions.add(pattern, self._cell)
        elif is_pattern(pattern):
            self._subscribed.add(pattern)
        else:
            raise bad_pattern(self._sender.name, pattern)

    def unsubscribe(self, pattern: str) -> None:
        """See `Context.unsubscribe`."""
        self._subscribed.discard(pattern)
        if self.serving:  # else the copy that serves now would lose it
            self._bus.subscriptions.remove(pattern, self._cell)

    def granted(self, permission: str) -> bool:
        """See `Context.granted`."""
        try:
            asked = Permission(permission)
        except ValueError as exc:
            raise ContractError(self._sender.name, str(exc)) from None
        return self._grants.has(asked.kind, asked.target)

    async def invoke(self, capability: str, operation: str, arguments: dict[str, Any]) -> Any:
        """See `Context.invoke`.  Arguments and result are encoded, as everywhere between modules and host."""
        self._grants.require("cap", capability)
        service = self._service(capability)
        method = None if operation.startswith("_") else getattr(service, operation, None)
        if not callable(method):
            known = [n for n in dir(service) if not n.startswith("_")]
            raise UnknownModuleError(
                f"service {capability!r} has no operation {operation!r}", hint=did_you_mean(operation, known)
            )
        data = wire.encode(arguments, module=self._sender.name, what=f"the arguments of {capability}.{operation}",
                           limit=self._bus.message_limit)  # fmt: skip
        result = method(**wire.decode_raw(data))
        if inspect.isawaitable(result):
            result = await result
        data = wire.encode(result, module="host", what=f"the result of {capability}.{operation}",
                           limit=self._bus.message_limit)  # fmt: skip
        return wire.decode_raw(data)

    def _service(self, capability: str) -> Any:
        """Return the program's service of that name, or else hostcore's own."""
        service = self._services.get(capability)
        if service is not None:
            return service
        if capability != http.CAPABILITY:
            hint = did_you_mean(capability, {*self._services, http.CAPABILITY})
            raise UnknownModuleError(f"the host has no service {capability!r}", hint=hint)
        if self._http is None:
            bus = self._bus
            self._http = HttpClient(
                self._sender.name, self._grants, limit=bus.message_limit, timeout=bus.request_timeout
            )
        return self._http.service

    async def resolve(self, host: str, port: int) -> list[str]:
        """Look a name up for a module that has no network of its own; see `Connector.resolve`."""
        return await self._outside().resolve(host, port)

    async def connect(self, address: str, port: int) -> tuple[int, socket.socket | None]:
        """Begin a connection for a module that has no network of its own; see `Connector.connect`."""
        return await self._outside().connect(address, port)

    def _outside(self) -> Connector:
        if self._connector is None:
            self._connector = Connector(self._sender.name, self._grants)
        return self._connector

    def open_store(self) -> KeyValueStore:
        """Return the module's key-value store."""
        self._grants.require("kv", "")
        if self._store is None:
            self._store = KeyValueStore(
                self._kv_directory(), self._sender.name, partial(self._grants.require, "kv", "")
            )
        return self._store

    async def close(self) -> None:
        """Close what was opened."""
        if self._http is not None:
            await self._http.close()
        if self._store is not None:
            self._store.close()
            self._store = None
