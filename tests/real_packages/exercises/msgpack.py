"""Pack and unpack, with a type of one's own, as a stream, and by the pure fallback."""

import io

import msgpack
from msgpack import fallback


class Point:
    def __init__(self, x):
        self.x = x


def encode(value):
    return msgpack.ExtType(1, str(value.x).encode())


def decode(code, data):
    return Point(int(data))


def exercise():
    data = msgpack.packb({"a": [1, b"x", Point(3)]}, default=encode)
    read = msgpack.unpackb(data, ext_hook=decode)
    stream = msgpack.Unpacker(io.BytesIO(msgpack.packb(1) + msgpack.packb("b")))
    return [data.hex(), read["a"][2].x, list(stream), fallback.Packer(default=encode).pack(Point(4)).hex()]
