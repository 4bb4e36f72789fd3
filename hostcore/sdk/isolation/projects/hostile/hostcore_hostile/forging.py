"""Acts on its own connections to the host: what is no frame, half of one, one too many, one that lies."""

from __future__ import annotations

import contextlib
import os
import random
import socket
import stat
import struct
from collections.abc import Iterator
from typing import Any

import msgspec

from .trying import Stage

_CALL, _REPLY, _ERROR, _CANCEL, _TELL = range(5)
_encode = msgspec.msgpack.encode


def _connections() -> Iterator[int]:
    """Yield the descriptors of its sockets; the connections to the host are among them."""
    for number in range(3, 64):
        with contextlib.suppress(OSError):
            if stat.S_ISSOCK(os.fstat(number).st_mode):
                yield number


def _write(data: bytes) -> int:
    """Write to every connection; return to how many."""
    written = 0
    for number in _connections():
        with contextlib.suppress(OSError), socket.socket(fileno=os.dup(number)) as copy:
            copy.setblocking(True)
            copy.settimeout(1.0)
            copy.sendall(data)
            written += 1
    return written


def _frame(*fields: Any) -> bytes:
    body = _encode(list(fields))
    return struct.pack("<I", len(body)) + body


def forge_garbage(stage: Stage) -> int:
    """Write random bytes to its connections."""
    return _write(random.Random(1).randbytes(4096))


def forge_long(stage: Stage) -> int:
    """Announce a frame of four gigabytes."""
    return _write(b"\xff\xff\xff\xff")


def forge_half(stage: Stage) -> None:
    """Write half a frame and exit."""
    _write(_frame(_REPLY, 1, "", b"x" * 200)[:100])
    os._exit(0)


def forge_stall(stage: Stage) -> None:
    """Write half a frame and wait."""
    _write(_frame(_REPLY, 1, "", b"x" * 200)[:100])
    os.pause() if hasattr(os, "pause") else _sleep()


def _sleep() -> None:
    import threading

    threading.Event().wait()


def forge_close(stage: Stage) -> None:
    """Close its connections and go on."""
    for number in list(_connections()):
        os.close(number)
    _sleep()


def forge_replies(stage: Stage) -> int:
    """Answer calls that are not its own to answer, before it replies itself."""
    return _write(b"".join(_frame(_REPLY, number, "", _encode({"forged": True})) for number in range(1, 1000)))


async def forge_sender(stage: Stage) -> int:
    """Ask another module in somebody else's name: with more fields, other fields, and the name as the topic."""
    target = stage.facts["target"]
    payload = _encode({"token": -1})
    for asked in (
        [target, "who", "", payload, "", "system"],
        [target, "who", "", payload, "system"],
        {"target": target, "topic": "who", "schema": "", "payload": payload, "within": "", "sender": "system"},
    ):
        _write(_frame(_CALL, 900_000, "request", _encode(asked), 5.0))
    await stage.context.request(target, {"token": -1}, topic="who")
    return 0


def forge_ready(stage: Stage) -> int:
    """Say that it is confined otherwise than it is, and call what only the host may call."""
    lies = [
        _frame(_TELL, 0, "ready", _encode({})),
        _frame(_CALL, 1, "load", _encode({})),
        _frame(_CALL, 1, "close", b""),
        _frame(_CANCEL, 2**40),
    ]
    return sum(_write(lie) for lie in lies)


def forge_flood(stage: Stage) -> int:
    """Ask for things faster than they can be answered, and read no answer."""
    frame = _frame(_CALL, 1, "publish", _encode(["", "flood.publish", "", _encode(1), ""]), 5.0)
    return _write(frame * 5_000)
