"""The `Ports` of a context inside a guest: each call is an import of the interface, in JSON.

For the guest a call of the host is synchronous: it stands still until the host has the answer, while the host goes on.
"""

from __future__ import annotations

import math
import time
from collections.abc import Awaitable, Generator
from typing import Any, Protocol

from hostcore.contract.permissions import Permission
from hostcore.errors import ContractError, DeniedError, HostcoreError, MailboxFullError
from hostcore.guest.inside.encoding import decode, encode_for
from hostcore.guest.inside.messages import Facts

_MOST = 2**32 - 1
"""The most milliseconds that the interface can say."""


class Imports(Protocol):
    """The imports of the interface, errors being `hostcore.errors` already; see `wit`."""

    def request(self, target: str, topic: str, payload: str, timeout_ms: int) -> str | None: ...  # noqa: D102
    def send(self, target: str, topic: str, payload: str) -> None: ...  # noqa: D102
    def publish(self, topic: str, payload: str) -> None: ...  # noqa: D102
    def subscribe(self, pattern: str) -> None: ...  # noqa: D102
    def unsubscribe(self, pattern: str) -> None: ...  # noqa: D102
    def granted(self, permission: str) -> bool: ...  # noqa: D102
    def invoke(self, capability: str, operation: str, args: str) -> str: ...  # noqa: D102
    def get(self, key: str) -> str | None: ...  # noqa: D102
    def set(self, key: str, value: str) -> None: ...  # noqa: D102
    def delete(self, key: str) -> bool: ...  # noqa: D102
    def keys(self, prefix: str) -> list[str]: ...  # noqa: D102
    def module(self) -> tuple[str, str, int]: ...  # noqa: D102
    def message(self) -> tuple[str, str, str, str, int | None] | None: ...  # noqa: D102
    def log(self, level: int, message: str, fields: str | None) -> None: ...  # noqa: D102
    def sleep(self, milliseconds: int) -> None: ...  # noqa: D102


class _Done:
    """Something to await that has happened already, or failed."""

    def __init__(self, error: HostcoreError | None = None) -> None:
        self._error = error

    def __await__(self) -> Generator[None, None, None]:
        if self._error is not None:
            raise self._error
        yield from ()


class GuestPorts:
    """What a guest asks its host for."""

    def __init__(self, module: str, imports: Imports) -> None:
        self._module = module
        self._imports = imports
        self._store: GuestStore | None = None
        self.log = imports.log

    async def request(self, target: str, payload: Any, *, topic: str, timeout: float | None) -> Any:
        """See `Context.request`."""
        text = encode_for(payload, self._module, f"the payload of {topic or target!r}")
        reply = self._imports.request(target, topic, text, _milliseconds(timeout))
        return None if reply is None else decode(reply)

    def send(self, target: str, payload: Any, *, topic: str) -> Awaitable[None]:
        """See `Context.send`.  It does not wait for room: who awaits it is told that the mailbox is full."""
        text = encode_for(payload, self._module, f"the payload of {topic or target!r}")
        try:
            self._imports.send(target, topic, text)
        except MailboxFullError as exc:
            return _Done(exc)
        return _Done()

    def publish(self, topic: str, payload: Any) -> Awaitable[None]:
        """See `Context.publish`."""
        self._imports.publish(topic, encode_for(payload, self._module, f"the payload of {topic!r}"))
        return _Done()

    def subscribe(self, pattern: str) -> None:
        """See `Context.subscribe`."""
        self._imports.subscribe(pattern)

    def unsubscribe(self, pattern: str) -> None:
        """See `Context.unsubscribe`."""
        self._imports.unsubscribe(pattern)

    def granted(self, permission: str) -> bool:
        """See `Context.granted`."""
        try:
            asked = Permission(permission)
        except ValueError as exc:
            raise ContractError(self._module, str(exc)) from None
        return self._imports.granted(str(asked))

    async def invoke(self, capability: str, operation: str, arguments: dict[str, Any]) -> Any:
        """See `Context.invoke`."""
        text = encode_for(arguments, self._module, f"the arguments of {capability}.{operation}")
        return decode(self._imports.invoke(capability, operation, text))

    def open_store(self) -> GuestStore:
        """Return the module's key-value store."""
        if not self._imports.granted("kv"):
            raise DeniedError(f"{self._module!r} has no permission 'kv'",
                              hint='ask for it in module.toml: permissions = ["kv"], and have it granted')  # fmt: skip
        return GuestStore(self._module, self._imports)

    # --- what is not the context's -----------------------------------------------------------------------------

    def module(self) -> tuple[str, str, int]:
        """Return the module's name, version and generation."""
        name, version, generation = self._imports.module()
        self._module = name
        return name, version, generation

    def look(self) -> Facts:
        """Return what the host knows of the message in hand."""
        told = self._imports.message()
        if told is None:
            return Facts("", "", "", "", math.inf)
        identity, sender, schema, trace, remaining = told
        deadline = math.inf if remaining is None else time.monotonic() + remaining / 1000
        return Facts(identity, sender, schema, trace, deadline)

    def sleep(self, seconds: float) -> None:
        """Wait; the host goes on."""
        left = math.ceil(seconds * 1000)
        while left > 0:
            step = min(left, _MOST)
            self._imports.sleep(step)
            left -= step


class GuestStore:
    """The module's own persistent store; values are plain data, kept as JSON."""

    def __init__(self, module: str, imports: Imports) -> None:
        self._module = module
        self._imports = imports

    def get(self, key: str, default: Any = None) -> Any:
        """Return the value under `key`, or `default`."""
        text = self._imports.get(self._checked(key))
        return default if text is None else decode(text)

    def set(self, key: str, value: Any) -> None:
        """Put plain data under `key`."""
        self._imports.set(self._checked(key), encode_for(value, self._module, f"the value of key {key!r}"))

    def delete(self, key: str) -> None:
        """Remove `key`, if it is there."""
        self._imports.delete(self._checked(key))

    def keys(self) -> list[str]:
        """Return all keys, sorted."""
        return sorted(self._imports.keys(""))

    def _checked(self, key: str) -> str:
        if not isinstance(key, str) or not key:
            raise ContractError(self._module, f"a key is text of 1 to 512 characters, not {key!r:.80}")
        return key


def _milliseconds(timeout: float | None) -> int:
    """Return a time limit as the interface has it: 0 for the host's own, at least 1 for any other."""
    if timeout is None:
        return 0
    if not timeout < _MOST / 1000:  # infinity and what is no number too
        return _MOST
    return max(1, math.ceil(timeout * 1000))
