"""What a guest may ask of its host: the functions behind its imports.

They go through the module's context, like those of a native module, so that each is checked where all are.  What
goes wrong is answered as data; nothing raises into the guest, except for what ends the host itself.

A function that is no coroutine runs on the guest's fiber, whose stack is small.  So whatever reads or writes JSON is
a coroutine, also where nothing is waited for: a guest may nest its JSON as deep as Python's own limit, which is made
for the stack of a thread, and overflowing that of a fiber ends the process.
"""

from __future__ import annotations

import asyncio
import logging
import random
import secrets
import time
from collections.abc import Awaitable, Callable, Coroutine
from math import inf
from typing import Any

import msgspec

from hostcore.contract.context import Context, Store
from hostcore.errors import (
    CallCycleError,
    ContractError,
    DeadlineError,
    DeniedError,
    HookError,
    HostcoreError,
    LimitError,
    MailboxFullError,
    StoppedError,
    UnknownModuleError,
)
from hostcore.hosts import faults
from hostcore.hosts.base import Grants
from hostcore.hosts.lines import RateLimit
from hostcore.hosts.wasm.outcomes import Refused
from hostcore.messaging.current import current
from hostcore.messaging.wire import ENCODE_ERRORS

LEVELS = {"trace": 5, "debug": logging.DEBUG, "info": logging.INFO, "warn": logging.WARNING, "error": logging.ERROR}
_RANDOM_AT_ONCE = 1 << 16
_LONGEST = (1 << 53) - 1
"""The most milliseconds that are told or taken: JSON's largest whole number that is exact everywhere."""
_CODES: tuple[tuple[type[HostcoreError], str], ...] = (
    (DeniedError, "denied"),
    (UnknownModuleError, "not-found"),
    (DeadlineError, "deadline"),
    (MailboxFullError, "full"),
    (CallCycleError, "cycle"),
    (StoppedError, "stopped"),
    (LimitError, "too-large"),
    (ContractError, "invalid-argument"),
    (HookError, "failed"),
)


def refusal(error: HostcoreError) -> Refused:
    """Return an error of the host's as a guest gets it."""
    code = next((word for kind, word in _CODES if isinstance(error, kind)), "internal")
    details = msgspec.json.encode({"code": error.problems[0].code or error.code, "hint": error.hint}).decode()
    return Refused({"code": code, "message": error.message, "details": details})


def _bad(message: str) -> Refused:
    return Refused({"code": "invalid-argument", "message": message, "details": None})


def too_large(size: int, limit: int) -> Refused:
    """Return the error for JSON of `size` bytes where at most `limit` are allowed."""
    message = f"this is {size:,} bytes of JSON; at most {limit:,} are allowed"
    return Refused({"code": "too-large", "message": message, "details": None})


def parse(text: str) -> Any:
    """Return JSON text as data; an empty one stands for nothing.

    Raises:
        Refused: It is not JSON.
    """
    if not text:
        return None
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, ValueError) as exc:
        raise _bad(f"this is not JSON: {exc}") from None


def unparse(value: Any) -> str:
    """Return data as JSON text; raises Refused where it holds what JSON does not, or is nested too deeply."""
    try:
        return msgspec.json.encode(value).decode()
    except RecursionError:
        raise _bad("this is nested too deeply for JSON") from None
    except ENCODE_ERRORS as exc:
        raise _bad(f"this does not fit into JSON: {exc}") from None


class HostCalls:
    """The host, as one guest sees it.

    Args:
        name: The module's name.
        version: Its release's version.
        generation: The number of its copy.
        grants: What it may do.
        lines: Admits lines to its log.
        limit: The most bytes of JSON that it may hand over at once.

    Attributes:
        context: The module's context, from `initialize` on.
        limit: As given.
    """

    def __init__(
        self, name: str, version: str, generation: int, grants: Grants, lines: RateLimit, limit: int = 16 << 20
    ) -> None:
        self.context: Context | None = None
        self.limit = limit
        self._about = {"name": name, "version": version, "generation": generation}
        self._grants = grants
        self._lines = lines
        self._log = logging.getLogger(f"hostcore.module.{name}")
        self._began = time.monotonic_ns()
        self._same = random.Random(0)

    def _open(self) -> Context:
        if self.context is None:
            raise StoppedError("the module is not initialised yet, or has been shut down")
        return self.context

    def _done(self, work: Callable[[], Any]) -> Any:
        """Do what takes no time."""
        try:
            return work()
        except HostcoreError as error:
            return refusal(error)
        except Refused as refused:
            return refused

    def _read(self, text: str) -> Any:
        """Return JSON text as data; raises Refused."""
        if len(text) > self.limit:
            raise too_large(len(text), self.limit)
        return parse(text)

    async def _awaited(self, work: Callable[[], Awaitable[Any]]) -> Any:
        try:
            return await work()
        except HostcoreError as error:
            return refusal(error)
        except Refused as refused:
            return refused

    # --- log, context ------------------------------------------------------------------------------------------

    def log(self, level: str, message: str, fields: str | None = None) -> None:
        """Write to the module's log, each line for itself: none looks as if somebody else had written it.

        What goes beyond the limit is counted and dropped.
        """
        number = LEVELS.get(level, logging.INFO)
        if not self._log.isEnabledFor(number):
            return
        lines = [self._lines.shown(line) for line in self._lines.split(message, self._log)]
        if fields and lines:
            lines[-1] += f" {self._lines.shown(fields)}"
        for line in lines:
            self._log.log(number, "%s", line)

    @property
    def line(self) -> int:
        """How many characters of a line of the log are shown."""
        return self._lines.longest

    def module(self) -> dict[str, Any]:
        """Return what the guest is."""
        return self._about

    def message(self) -> dict[str, Any] | None:
        """Return what the guest is handling."""
        delivery = current.get()
        if delivery is None or not delivery.active:
            return None
        e = delivery.envelope
        left = None if e.deadline == inf else min(max(0, int((e.deadline - time.monotonic()) * 1000)), _LONGEST)
        return {"id": e.id, "sender": e.sender, "schema": e.schema, "trace": e.trace, "remaining_ms": left}

    # --- bus ---------------------------------------------------------------------------------------------------

    def send(self, target: str, topic: str, payload: str) -> Coroutine[Any, Any, Any]:
        """Send a message; waits while the target's mailbox is full."""
        return self._awaited(lambda: self._open().send(target, self._read(payload), topic=topic))

    def request(self, target: str, topic: str, payload: str, timeout_ms: int) -> Coroutine[Any, Any, Any]:
        """Return the reply of another module."""

        async def ask() -> str | None:
            timeout = min(timeout_ms, _LONGEST) / 1000 if timeout_ms else None
            reply = await self._open().request(target, self._read(payload), topic=topic, timeout=timeout)
            return None if reply is None else unparse(reply)

        return self._awaited(ask)

    def publish(self, topic: str, payload: str) -> Coroutine[Any, Any, Any]:
        """Hand a message to every subscriber."""

        async def tell() -> None:
            await self._open().publish(topic, self._read(payload))

        return self._awaited(tell)

    def subscribe(self, pattern: str) -> Any:
        """Have messages that match delivered."""
        return self._done(lambda: self._open().subscribe(pattern))

    def unsubscribe(self, pattern: str) -> Any:
        """Take back a `subscribe`."""
        return self._done(lambda: self._open().unsubscribe(pattern))

    # --- kv ----------------------------------------------------------------------------------------------------

    def kv_get(self, key: str) -> Coroutine[Any, Any, Any]:
        """Return the value under `key`, as JSON."""

        async def get() -> str | None:
            value = self._open().kv.get(key)
            return None if value is None else unparse(value)

        return self._awaited(get)

    def kv_set(self, key: str, value: str) -> Coroutine[Any, Any, Any]:
        """Keep a value, given as JSON."""

        async def keep() -> None:
            self._open().kv.set(key, self._read(value))

        return self._awaited(keep)

    def kv_delete(self, key: str) -> Coroutine[Any, Any, Any]:
        """Remove `key`; tell whether it was there."""

        async def delete() -> bool:
            store = self._open().kv
            there = store.get(key) is not None
            store.delete(key)
            return there

        return self._awaited(delete)

    def kv_keys(self, prefix: str) -> Coroutine[Any, Any, Any]:
        """Return the keys that begin with `prefix`, sorted."""

        async def keys() -> list[str]:
            return sorted(key for key in _keys(self._open().kv) if key.startswith(prefix))

        return self._awaited(keys)

    # --- capabilities, timers ----------------------------------------------------------------------------------

    def granted(self, permission: str) -> bool:
        """Tell whether the module has a permission; what is none is not granted."""
        try:
            return self._open().granted(permission)
        except HostcoreError:
            return False

    def invoke(self, capability: str, operation: str, args: str) -> Coroutine[Any, Any, Any]:
        """Call a host service."""

        async def call() -> str:
            arguments = self._read(args) or {}
            if not isinstance(arguments, dict):
                raise _bad("the arguments of a service are a JSON object")
            try:
                return unparse(await self._open().invoke(capability, operation, **arguments))
            except (HostcoreError, Refused):
                raise
            except (TypeError, ValueError) as exc:
                raise _bad(f"{capability}.{operation}: {exc}") from None
            except Exception as exc:  # noqa: BLE001 - whatever the program's service raises
                message = f"{capability}.{operation} raised {faults.summary_of(exc)}"
                raise Refused({"code": "failed", "message": message, "details": None}) from None

        return self._awaited(call)

    def sleep(self, milliseconds: int) -> Coroutine[Any, Any, Any]:
        """Let time pass."""

        async def wait() -> None:
            self._grants.require("clock", "")
            await asyncio.sleep(milliseconds / 1000)

        return self._awaited(wait)

    # --- WASI --------------------------------------------------------------------------------------------------

    def monotonic(self) -> int:
        """Return the nanoseconds since the guest began; without the permission `clock`, time stands still."""
        return time.monotonic_ns() - self._began + 1 if self._grants.allows("clock", "") else 1

    def resolution(self) -> int:
        """Return the nanoseconds between two readings that differ."""
        return 1_000

    def wall(self) -> dict[str, int]:
        """Return the time of day; 1970 without the permission `clock`."""
        now = time.time_ns() if self._grants.allows("clock", "") else 0
        return {"seconds": now // 1_000_000_000, "nanoseconds": now % 1_000_000_000}

    def wall_resolution(self) -> dict[str, int]:
        """Return the resolution of `wall`."""
        return {"seconds": 0, "nanoseconds": 1_000}

    def no_sleep(self, _: int) -> None:
        """End a guest that wants to sleep by WASI, which would hold the whole host."""
        raise HeldHost

    def random_bytes(self, count: int) -> bytes:
        """Return random bytes; without the permission `random`, the same ones at each start.

        Runtimes ask for some before any of the module's code runs, so that they cannot be refused.
        """
        count = min(count, _RANDOM_AT_ONCE)
        return secrets.token_bytes(count) if self._grants.allows("random", "") else self._same.randbytes(count)

    def random_number(self) -> int:
        """Return a random 64-bit number; see `random_bytes`."""
        return int.from_bytes(self.random_bytes(8))

    def insecure_seed(self) -> tuple[int, int]:
        """Return a seed for hash tables."""
        return self.random_number(), self.random_number()


class HeldHost(Exception):
    """A guest sleeps through WASI, where there is no way to refuse it: it is ended."""

    reason = "it sleeps through WASI, which would hold the whole host; have it wait by `timers.sleep`"


def _keys(store: Store) -> list[str]:
    return store.keys()
