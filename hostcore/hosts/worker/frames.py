"""Frames between the host and a worker: a length of four bytes, then a MessagePack array.

Both sides speak the same: a CALL is answered by a REPLY or an ERROR with its number, or taken back by a CANCEL; a TELL
is not answered.  Times travel as seconds that are left, since nothing says that two processes share a clock.

Whoever reads does not trust who writes: a frame that is too long or is none ends the connection.
"""

from __future__ import annotations

import struct

import msgspec

CALL, REPLY, ERROR, CANCEL, TELL = range(5)
HEADER = struct.Struct("<I")
_ROOM = 1 << 16
"""Bytes that there is always room for, so that a frame of that size takes one read."""
OVERHEAD = 4096
"""Bytes of a frame beyond the payload in it."""


class Frame(msgspec.Struct, array_like=True, gc=False):
    """One frame.

    Attributes:
        kind: One of CALL, REPLY, ERROR, CANCEL, TELL.
        number: Which call it is, or is about; each side counts its own calls.  0 for a TELL.
        name: What is to be done; of a REPLY, the schema of its payload.
        body: What belongs to it, encoded by itself.
        seconds: How long the caller will wait; infinite: for ever.
    """

    kind: int
    number: int
    name: str = ""
    body: bytes = b""
    seconds: float = 0.0


class BadFrame(Exception):
    """What came is no frame."""


_encode_into = msgspec.msgpack.Encoder().encode_into
_decode = msgspec.msgpack.Decoder(Frame).decode


def pack(frame: Frame) -> bytearray:
    """Return a frame as it travels."""
    data = bytearray(HEADER.size)
    _encode_into(frame, data, HEADER.size)
    HEADER.pack_into(data, 0, len(data) - HEADER.size)
    return data


class Splitter:
    """Takes bytes as they come and gives frames; copies nothing but what a frame keeps.

    Args:
        limit: The most bytes of one frame.
    """

    __slots__ = ("_data", "_end", "_start", "limit")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._data = bytearray(2 * _ROOM)
        self._start = self._end = 0

    @property
    def partial(self) -> bool:
        """Whether a part of a frame is there."""
        return self._start != self._end

    def space(self) -> memoryview:
        """Return where to put the bytes that come next."""
        held = self._end - self._start
        if not held:
            self._start = self._end = 0
            if len(self._data) > 16 * _ROOM:  # one large frame must not cost its room for ever
                self._data = bytearray(2 * _ROOM)
        wanted = max(held + _ROOM, self._length() + HEADER.size)
        if len(self._data) - self._start < wanted:
            data = self._data if len(self._data) >= wanted else bytearray(wanted)
            data[:held] = self._data[self._start : self._end]
            self._data, self._start, self._end = data, 0, held
        return memoryview(self._data)[self._end :]

    def _length(self) -> int:
        """Return the length of the frame that has begun, 0 if that is not known yet."""
        if self._end - self._start < HEADER.size:
            return 0
        length: int = HEADER.unpack_from(self._data, self._start)[0]
        return length if length <= self.limit else 0

    def fed(self, count: int) -> None:
        """Take note that `count` bytes were put into `space`."""
        self._end += count

    def next(self) -> Frame | None:
        """Return the next whole frame, or None if there is none yet.

        Raises:
            BadFrame: It is longer than the limit, or no frame.
        """
        if self._end - self._start < HEADER.size:
            return None
        (length,) = HEADER.unpack_from(self._data, self._start)
        if length > self.limit:
            raise BadFrame(f"a frame of {length:,} bytes; at most {self.limit:,} are allowed")
        first = self._start + HEADER.size
        if self._end < first + length:
            return None
        self._start = first + length
        try:
            with memoryview(self._data)[first : first + length] as view:
                return _decode(view)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
            raise BadFrame(f"what is no frame ({exc})") from None
