"""Names of the network in a worker: the host looks them up, as far as a `net` permission covers them.

An address needs no look-up, so whatever is one already, in any way of writing it, is read here.  For the names of
services there is a file.  All that the module asks for by `socket.getaddrinfo` and its older kin comes through here.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

from hostcore.errors import HostcoreError
from hostcore.hosts.worker.carrying import made_again
from hostcore.hosts.worker.outside import as_os_error, ask
from hostcore.hosts.worker.sideways import SideDoor
from hostcore.messaging import wire

_system = socket.getaddrinfo
_names_of = socket.getnameinfo
_LOOPBACK = frozenset({"", None})
_NAMELESS = "a worker's module cannot have addresses looked up"


class Names:
    """What stands in the place of the functions of `socket` of the same names; `door` leads to the host."""

    def __init__(self, door: SideDoor) -> None:
        self._door = door

    def install(self) -> None:
        """Put it there."""
        for name in ("getaddrinfo", "gethostbyname", "gethostbyname_ex", "gethostbyaddr", "getnameinfo"):
            setattr(socket, name, getattr(self, name))

    def getaddrinfo(
        self, host: Any, port: Any, family: int = 0, type: int = 0, proto: int = 0, flags: int = 0
    ) -> list[Any]:  # fmt: skip
        """See `socket.getaddrinfo`; a name's addresses come from the host."""
        text = _text(host)
        if text in _LOOPBACK or flags & socket.AI_NUMERICHOST:
            return _system(host, port, family, type, proto, flags)
        if is_address(text):
            return _system(host, port, family, type, proto, flags | socket.AI_NUMERICHOST)
        # The port, by number or by name; this raises what is wrong with any of the others, too.
        number = _system(None, port, 0, type or socket.SOCK_STREAM, proto, flags & socket.AI_NUMERICSERV)[0][4][1]
        numeric = (flags | socket.AI_NUMERICHOST) & ~socket.AI_CANONNAME
        found = list(self._entries(self._resolved(text, int(number)), (number, family, type, proto, numeric)))
        if not found:
            raise socket.gaierror(socket.EAI_NONAME, f"the host {text!r} has no address of that family")
        if flags & socket.AI_CANONNAME:
            found[0] = (*found[0][:3], text, found[0][4])
        return found

    def _entries(self, addresses: list[str], told: tuple[Any, ...]) -> Iterator[Any]:
        for address in addresses:
            try:
                yield from _system(address, *told)
            except socket.gaierror:
                continue  # of another family than was asked for

    def _resolved(self, host: str, port: int) -> list[str]:
        """Have the host look `host` up; other threads can go on meanwhile, whatever they ask the host for."""
        _, descriptor = ask(self._door, "net.resolve", host, port)
        with socket.socket(fileno=descriptor) as answer:
            data = b"".join(iter(lambda: answer.recv(65536), b""))
        try:
            found, told = wire.decode_raw(data)
        except wire.DECODE_ERRORS:
            raise socket.gaierror(socket.EAI_AGAIN, f"the look-up of {host!r} was broken off") from None
        if found:
            return list(told)
        error: HostcoreError = made_again(told)
        raise as_os_error(error)

    def gethostbyname(self, host: str) -> str:
        """See `socket.gethostbyname`."""
        return str(self.getaddrinfo(host or "0.0.0.0", 0, socket.AF_INET, socket.SOCK_STREAM)[0][4][0])

    def gethostbyname_ex(self, host: str) -> tuple[str, list[str], list[str]]:
        """See `socket.gethostbyname_ex`."""
        found = self.getaddrinfo(host or "0.0.0.0", 0, socket.AF_INET, socket.SOCK_STREAM)
        return host, [], [str(entry[4][0]) for entry in found]

    def gethostbyaddr(self, address: str) -> tuple[str, list[str], list[str]]:
        """Refuse: no permission is about the names of addresses."""
        raise socket.herror(1, _NAMELESS)  # HOST_NOT_FOUND

    def getnameinfo(self, address: tuple[Any, ...], flags: int) -> tuple[str, str]:
        """See `socket.getnameinfo`; an address has no name here."""
        if flags & socket.NI_NAMEREQD:
            raise socket.gaierror(socket.EAI_NONAME, _NAMELESS)
        return _names_of(address, flags | socket.NI_NUMERICHOST)


def is_address(host: str) -> bool:
    """Tell whether `host` is an address, in any way that the system reads."""
    try:
        _system(host, None, 0, socket.SOCK_STREAM, 0, socket.AI_NUMERICHOST)
    except (socket.gaierror, UnicodeError):
        return False
    return True


def _text(host: Any) -> Any:
    """Return a host's name as text; what is none is left for the system to refuse."""
    if isinstance(host, bytes | bytearray):
        return bytes(host).decode("ascii", "replace")
    if host is not None and not isinstance(host, str):
        raise TypeError("getaddrinfo() argument 1 must be string or None")
    return host
