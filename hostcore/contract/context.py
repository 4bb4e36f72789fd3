"""The context that `initialize` gets: a module's only way to the rest of the system.

It is bound to one generation.  Every call goes through the ports that the system hands in, where permissions are
checked; once the generation has stopped, calls raise.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Mapping
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, overload

from hostcore.errors import StoppedError

if TYPE_CHECKING:
    from hostcore.contract.messages import Payload

R = TypeVar("R")


class Store(Protocol):
    """A small persistent store of one module's own."""

    def get(self, key: str, default: Any = None) -> Any: ...  # noqa: D102
    def set(self, key: str, value: Any) -> None: ...  # noqa: D102
    def delete(self, key: str) -> None: ...  # noqa: D102
    def keys(self) -> list[str]: ...  # noqa: D102


class Ports(Protocol):
    """What the system does for a context."""

    async def request(self, target: str, payload: Any, *, topic: str, timeout: float | None) -> Any: ...  # noqa: D102
    def send(self, target: str, payload: Any, *, topic: str) -> Awaitable[None]: ...  # noqa: D102
    def publish(self, topic: str, payload: Any) -> Awaitable[None]: ...  # noqa: D102
    def subscribe(self, pattern: str) -> None: ...  # noqa: D102
    def unsubscribe(self, pattern: str) -> None: ...  # noqa: D102
    def granted(self, permission: str) -> bool: ...  # noqa: D102
    async def invoke(self, capability: str, operation: str, arguments: dict[str, Any]) -> Any: ...  # noqa: D102
    def open_store(self) -> Store: ...  # noqa: D102


class Context:
    """A module's view of the system.

    Attributes:
        name: The module's name.
        version: Its release's version.
        generation: The number of this loaded copy.
        config: The module's configuration, validated against its manifest, defaults filled in.
        log: A logger named `hostcore.module.NAME`.
    """

    def __init__(self, name: str, version: str, generation: int, config: Mapping[str, Any], ports: Ports) -> None:
        self.name = name
        self.version = version
        self.generation = generation
        self.config = dict(config)
        self.log = logging.getLogger(f"hostcore.module.{name}")
        self._ports: Ports | None = ports

    def __repr__(self) -> str:
        return f"<Context {self.name} {self.version} #{self.generation}{'' if self._ports else ' closed'}>"

    @property
    def ports(self) -> Ports:
        """What it reaches the system through, for hosts; raises StoppedError once it is closed."""
        return self._open()

    def _open(self) -> Ports:
        if self._ports is None:
            raise StoppedError(f"generation {self.generation} of {self.name!r} has been shut down")
        return self._ports

    @overload
    async def request(self, target: str, payload: Payload[R], *, timeout: float | None = ...) -> R: ...
    @overload
    async def request(
        self, target: str, payload: Any = ..., *, topic: str = ..., timeout: float | None = ...
    ) -> Any: ...

    async def request(self, target: str, payload: Any = None, *, topic: str = "", timeout: float | None = None) -> Any:
        """Send a message and return the reply.

        Args:
            target: A module's name or a capability such as "parser:python".
            payload: Plain data, or a `Payload`, whose topic and reply type are then used.
            topic: The topic, for plain data.
            timeout: Seconds; the deadline of the message being handled is kept in any case.

        Raises:
            UnknownModuleError: Nobody has that name or capability.
            DeadlineError: No reply in time.
            CallCycleError: The target waits for this module.
            MailboxFullError: No room in the target's mailbox until the deadline.
            HookError: The target's handler raised.
            ContractError: A payload or reply does not fit.
            DeniedError: No permission.
        """
        return await self._open().request(target, payload, topic=topic, timeout=timeout)

    def send(self, target: str, payload: Any = None, *, topic: str = "") -> Awaitable[None]:
        """Send a message that needs no reply.

        It is sent at once, so a `def` hook can call this too.  What is returned is to be awaited by an `async def`
        hook: it waits while the target's mailbox is full.  A `def` hook cannot, and loses the message then.
        """
        return self._open().send(target, payload, topic=topic)

    def publish(self, topic: str, payload: Any = None) -> Awaitable[None]:
        """Hand a message to every subscriber of `topic`; one whose mailbox is full loses it.

        It is published at once, so a `def` hook can call this too; awaiting what is returned is allowed.
        """
        return self._open().publish(topic, payload)

    def subscribe(self, pattern: str) -> None:
        """Have messages whose topic matches `pattern` delivered to `handle_message`."""
        self._open().subscribe(pattern)

    def unsubscribe(self, pattern: str) -> None:
        """Take back a `subscribe`."""
        self._open().unsubscribe(pattern)

    def granted(self, permission: str) -> bool:
        """Tell whether the module has `permission`, as in "net:api.example.org:443"."""
        return self._open().granted(permission)

    async def invoke(self, capability: str, operation: str, **arguments: Any) -> Any:
        """Call an operation of a host service, such as `invoke("clock", "now")`."""
        return await self._open().invoke(capability, operation, arguments)

    @property
    def kv(self) -> Store:
        """The module's own persistent store: small plain values that outlive reloads and restarts."""
        return self._open().open_store()

    def close(self) -> None:
        """Cut the context off; the host calls this when the generation has shut down."""
        self._ports = None
