"""The host's side of hostcore-core-1: three imports, and the operations behind `call`."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Protocol

import msgspec

from hostcore.hosts.wasm.imports import HostCalls, parse, too_large, unparse
from hostcore.hosts.wasm.outcomes import Refused

LEVELS = ("trace", "debug", "info", "warn", "error")
MASK = 0xFFFF_FFFF
"""The bits of a number that i32 stands for."""
FAILED, NONE = 1 << 63, 1 << 62
_CLOCK_WALL, _ERRNO_INVAL = 0, 28
_OP = 64
"""Bytes of an operation's name that are looked at."""
_FRAME = 4096
"""Bytes of an argument beyond its payload."""


class Memory(Protocol):
    """A guest's memory; both raise where the place leaves it."""

    def read(self, pointer: int, length: int) -> bytes: ...  # noqa: D102
    def write(self, pointer: int, data: bytes) -> None: ...  # noqa: D102


class NoMemory(Exception):
    """It calls the host before it is there, from its start function."""

    reason = "it calls the host from its start function, before its memory can be reached"


class HostAbi:
    """The host, as one core guest sees it.

    Attributes:
        memory: The guest's, once it is instantiated.
    """

    def __init__(self, calls: HostCalls) -> None:
        self.calls = calls
        self.memory: Memory | None = None
        self._last = b""

    def _memory(self) -> Memory:
        if self.memory is None:
            raise NoMemory
        return self.memory

    def _text(self, pointer: int, length: int, most: int = MASK) -> str:
        """Return text of the guest's, of a longer one its first `most` bytes; raises where any of it leaves memory."""
        memory = self._memory()
        memory.read(pointer + length, 0)
        return memory.read(pointer, min(length, most)).decode("utf-8", "replace")

    # --- imports -----------------------------------------------------------------------------------------------

    def log(self, level: int, pointer: int, length: int) -> None:
        """Write to the module's log."""
        text = self._text(pointer, length, 4 * self.calls.line + 4)  # at most 4 bytes make a character
        self.calls.log(LEVELS[level] if level < len(LEVELS) else "info", text)

    def call(self, op: int, op_length: int, arg: int, arg_length: int, out: int, capacity: int) -> Any:
        """Do an operation; returns the result's length and what it is."""
        name, most = self._text(op, op_length, _OP), self.calls.limit + _FRAME
        argument = self._text(arg, arg_length, most)
        do = OPERATIONS.get(name)
        if arg_length > most:
            result: Any = too_large(arg_length, self.calls.limit)
        else:
            result = do(self.calls, argument) if do is not None else _unknown(name)
        if isinstance(result, Coroutine):
            return self._later(result, out, capacity)
        return self._give(result, out, capacity)

    async def _later(self, work: Coroutine[Any, Any, Any], out: int, capacity: int) -> int:
        try:
            result = await work
        except Refused as refused:
            result = refused
        return self._give(result, out, capacity)

    def _give(self, result: Any, out: int, capacity: int) -> int:
        if result is None:
            return _signed(NONE)
        failed = isinstance(result, Refused)
        data = (unparse(dict(result.data)) if failed else result).encode("utf-8", "replace")
        if len(data) <= capacity:
            self._memory().write(out, data)
        else:
            self._last = data
        return _signed((FAILED if failed else 0) | len(data))

    def read(self, out: int, length: int) -> int:
        """Copy the result that did not fit."""
        data, self._last = self._last[:length], b""
        self._memory().write(out, data)
        return len(data)

    # --- WASI --------------------------------------------------------------------------------------------------

    def clock_time(self, clock: int, _precision: int, out: int) -> int:
        """Write the time, in nanoseconds."""
        wall = self.calls.wall()
        now = wall["seconds"] * 10**9 + wall["nanoseconds"] if clock == _CLOCK_WALL else self.calls.monotonic()
        self._memory().write(out, now.to_bytes(8, "little"))
        return 0

    def random(self, pointer: int, length: int) -> int:
        """Write random bytes."""
        count = length
        data = self.calls.random_bytes(count)
        if len(data) < count:
            return _ERRNO_INVAL
        self._memory().write(pointer, data)
        return 0

    def poll(self, _in: int, _out: int, _count: int, _events: int) -> int:
        """End a guest that would hold the host."""
        self.calls.no_sleep(0)
        return 0


def _signed(number: int) -> int:
    return number - (1 << 64) if number >= 1 << 63 else number


def _unknown(name: str) -> Refused:
    message = f"no operation {name[:64]!r}; there are {', '.join(OPERATIONS)}"
    return Refused({"code": "invalid-argument", "message": message, "details": None})


# --- operations --------------------------------------------------------------------------------------------------


def _fields(text: str) -> dict[str, Any]:
    fields = parse(text)
    if not isinstance(fields, dict):
        raise Refused({"code": "invalid-argument", "message": "the argument is a JSON object", "details": None})
    return fields


def _word(fields: dict[str, Any], name: str) -> str:
    value = fields.get(name, "")
    if not isinstance(value, str):
        raise Refused({"code": "invalid-argument", "message": f"{name!r} is text", "details": None})
    return value


def _json(fields: dict[str, Any], name: str) -> str:
    return unparse(fields.get(name))


# These parse JSON, and so are coroutines: see `imports`.


async def _send(host: HostCalls, text: str) -> Any:
    fields = _fields(text)
    return await host.send(_word(fields, "target"), _word(fields, "topic"), _json(fields, "payload"))


async def _request(host: HostCalls, text: str) -> Any:
    fields = _fields(text)
    timeout = fields.get("timeout_ms", 0)
    if not isinstance(timeout, int) or timeout < 0:
        raise Refused({"code": "invalid-argument", "message": "'timeout_ms' is a number", "details": None})
    return await host.request(_word(fields, "target"), _word(fields, "topic"), _json(fields, "payload"), timeout)


async def _publish(host: HostCalls, text: str) -> Any:
    fields = _fields(text)
    return await host.publish(_word(fields, "topic"), _json(fields, "payload"))


async def _kv_set(host: HostCalls, text: str) -> Any:
    fields = _fields(text)
    return await host.kv_set(_word(fields, "key"), _json(fields, "value"))


async def _kv_delete(host: HostCalls, key: str) -> Any:
    return _as_json(await host.kv_delete(key))


async def _kv_keys(host: HostCalls, prefix: str) -> Any:
    return _as_json(await host.kv_keys(prefix))


async def _invoke(host: HostCalls, text: str) -> Any:
    fields = _fields(text)
    return await host.invoke(_word(fields, "capability"), _word(fields, "operation"), _json(fields, "args"))


def _sleep(host: HostCalls, text: str) -> Any:
    if not (text.isascii() and text.isdecimal()) or len(text) > 10:
        message = "the milliseconds are a decimal number"
        return Refused({"code": "invalid-argument", "message": message, "details": None})
    return host.sleep(int(text))


def _message(host: HostCalls, _: str) -> str | None:
    message = host.message()
    return None if message is None else unparse(message)


def _as_json(result: Any) -> Any:
    return result if isinstance(result, Refused) else msgspec.json.encode(result).decode()


OPERATIONS: dict[str, Callable[[HostCalls, str], Any]] = {
    "bus.send": _send,
    "bus.request": _request,
    "bus.publish": _publish,
    "bus.subscribe": HostCalls.subscribe,
    "bus.unsubscribe": HostCalls.unsubscribe,
    "kv.get": HostCalls.kv_get,
    "kv.set": _kv_set,
    "kv.delete": _kv_delete,
    "kv.keys": _kv_keys,
    "cap.granted": lambda host, permission: _as_json(host.granted(permission)),
    "cap.invoke": _invoke,
    "context.module": lambda host, _: unparse(host.module()),
    "context.message": _message,
    "timers.sleep": _sleep,
}
"""Operation -> what the host does for it: text, None, a `Refused`, or a coroutine of one of them."""
