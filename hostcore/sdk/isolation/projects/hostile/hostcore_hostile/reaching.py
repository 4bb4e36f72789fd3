"""Acts that reach for what was not granted: files, the network, the environment."""

from __future__ import annotations

import ctypes
import os
import socket
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .trying import LIBC, Stage, Tries, call

Found = dict[str, dict[str, str]]


def _read(path: str) -> bytes:
    with open(path, "rb") as file:  # noqa: PTH123 - as plainly as code does it
        return file.read(200)


def file_secret(stage: Stage) -> Found:
    """Read a file of the user's."""
    secret, tries = stage.facts["secret_file"], Tries()
    tries.one("open", lambda: _read(secret))
    tries.one("by C", lambda: _read_by_c(secret))
    tries.one("by /proc/self/root", lambda: _read(f"/proc/self/root{secret}"))
    tries.one("by ..", lambda: _read(f"{Path.cwd()}/../../../../../../../..{secret}"))
    tries.one("list its directory", lambda: os.listdir(Path(secret).parent))  # noqa: PTH208
    return tries.found


def _read_by_c(path: str) -> bytes:
    file = call("open", path.encode(), os.O_RDONLY)
    room = ctypes.create_string_buffer(200)
    LIBC.read(file, room, 200)
    return room.value


def file_links(stage: Stage) -> Found:
    """Get at the same file by links and renames in its own folder."""
    secret, tries = stage.facts["secret_file"], Tries()

    def by(link: Callable[[str, str], Any], name: str) -> bytes:
        link(secret, name)
        return _read(name)

    tries.one("symlink", lambda: by(os.symlink, "symbolic"))
    tries.one("hard link", lambda: by(os.link, "hard"))
    tries.one("rename", lambda: by(os.rename, "moved"))
    tries.one("symlink to its directory", lambda: _by_directory(secret))
    return tries.found


def _by_directory(secret: str) -> bytes:
    Path("directory").symlink_to(Path(secret).parent)
    return _read(f"directory/{Path(secret).name}")


def file_write(stage: Stage) -> Found:
    """Write where it must not: beside the secret, over it, and over its own code and hostcore's."""
    facts, tries = stage.facts, Tries()

    def write(path: str) -> str:
        with Path(path).open("ab") as file:
            file.write(b"# hostile was here\n")
        return path

    for path in (*facts["plants"], facts["secret_file"]):
        tries.one(path, write, path)
    tries.one("delete the secret", lambda: os.unlink(facts["secret_file"]))  # noqa: PTH108
    tries.one("truncate it", lambda: os.truncate(facts["secret_file"], 0))
    tries.one("its mode", lambda: os.chmod(facts["secret_file"], 0o777))  # noqa: PTH101
    return tries.found


def environment(stage: Stage) -> Found:
    """Look for the host's secrets in environments: its own, and those of the processes above it."""
    facts, tries = stage.facts, Tries()
    tries.one("os.environ", lambda: os.environ[facts["variable"]])
    tries.one("by C", lambda: _variable_by_c(facts["variable"]))
    marker = facts["variable"].encode()
    for name, pid in (("its own", "self"), ("its parent's", os.getppid()), ("the host's", facts["host"])):
        tries.one(f"/proc: {name}", _look_into, f"/proc/{pid}/environ", marker)
    return tries.found


def _variable_by_c(name: str) -> bytes:
    LIBC.getenv.restype = ctypes.c_char_p
    value: bytes | None = LIBC.getenv(name.encode())
    if value is None:
        raise KeyError(name)
    return value


def _look_into(path: str, marker: bytes) -> bytes:
    with open(path, "rb") as file:  # noqa: PTH123
        data = file.read()
    if marker not in data:
        raise KeyError(marker)
    return data[data.index(marker) :][:200]


def network(stage: Stage) -> Found:
    """Reach the listeners that wait for it: TCP, UDP, a socket with a path, one without."""
    facts, tries = stage.facts, Tries()
    tcp, udp = ("127.0.0.1", facts["tcp"]), ("127.0.0.1", facts["udp"])

    def send(family: int, kind: int, address: Any) -> str:
        with socket.socket(family, kind) as made:
            made.settimeout(1.0)
            made.connect(address)
            made.send(b"hostile")
        return "sent"

    tries.one("tcp", lambda: send(socket.AF_INET, socket.SOCK_STREAM, tcp))
    tries.one("tcp, by C", _connect_by_c, facts["tcp"])
    tries.one("udp", lambda: send(socket.AF_INET, socket.SOCK_DGRAM, udp))
    tries.one("unix, by path", lambda: send(socket.AF_UNIX, socket.SOCK_STREAM, facts["unix"]))
    tries.one("unix, datagrams", lambda: send(socket.AF_UNIX, socket.SOCK_DGRAM, facts["unix_datagrams"]))
    tries.one("unix, abstract", lambda: send(socket.AF_UNIX, socket.SOCK_STREAM, "\0" + facts["abstract"]))
    tries.one("netlink", lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW).close())
    tries.one("raw packets", lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW).close())
    tries.one("be a server", _serve)
    return tries.found


def _connect_by_c(port: int) -> str:
    """Connect past whatever stands in the place of Python's own functions."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as made:
        address = struct.pack("=HHI8x", socket.AF_INET, socket.htons(port), int.from_bytes(b"\x7f\0\0\1", "little"))
        call("connect", made.fileno(), address, len(address))
        made.send(b"hostile")
    return "sent"


def _serve() -> str:
    """Listen where the outside could connect to."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as made:
        made.bind(("0.0.0.0", 0))
        made.listen()
        return f"listens on {made.getsockname()}"


async def services(stage: Stage) -> Found:
    """Ask the host for what was not granted."""
    context, target = stage.context, stage.facts["target"]
    asked = {
        "request": context.request(target, {}, topic="hello"),
        "send": context.send(target, {}, topic="hello"),
        "publish": context.publish("flood.publish", {}),
        "invoke": context.invoke("secrets", "tell"),
        "http": context.invoke("http", "request", url=f"http://127.0.0.1:{stage.facts['tcp']}/"),
    }
    found: Found = {}
    for way, answer in asked.items():
        try:
            found[way] = {"got": repr(await answer)[:200]}
        except Exception as exc:  # noqa: BLE001 - whatever keeps it from getting there
            found[way] = {"refused": getattr(exc, "code", "") or type(exc).__name__}
    tries = Tries()
    tries.one("kv", lambda: context.kv.set("planted", 1))
    tries.one("subscribe", lambda: context.subscribe("#"))
    return {**found, **tries.found}
