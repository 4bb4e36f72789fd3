"""The network as a worker's module finds it: Python's own sockets, whose connections the host begins.

The process cannot connect: it is in a network of its own without a way out, and `connect` is denied to it.  So in the
place of `socket.socket.connect` stands a function that asks the host.  If that is granted, the host begins a connection
and hands it over, and it is put under the module's socket, with the same descriptor.  From there on all is as ever:
whether it blocks, how long it waits, what it was set to.  Whatever is built on Python's sockets works unchanged,
`asyncio` and `ssl` included; what calls the C library by itself does not get out.

This is a convenience, not a guard: a module that puts the old function back gets an error from the kernel.
"""

from __future__ import annotations

import errno
import os
import select
import socket
from functools import cache
from typing import Any, Final

from hostcore.hosts.worker.names import Names
from hostcore.hosts.worker.outside import NATIVE, NotGrantedError, ask
from hostcore.hosts.worker.sideways import SideDoor

_INET: Final = frozenset({socket.AF_INET, socket.AF_INET6})
_ANY: Final = frozenset({"", "0.0.0.0", "::"})
_ESTABLISHED, _SYN_SENT = 1, 2
_TIMED_OUT: Final = errno.EAGAIN
"""What `connect_ex` says of a connection that took too long."""
_OPTIONS: Final = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 0), (socket.SOL_SOCKET, socket.SO_OOBINLINE, 0),
    (socket.SOL_SOCKET, socket.SO_RCVBUF, 0), (socket.SOL_SOCKET, socket.SO_SNDBUF, 0),
    (socket.SOL_SOCKET, socket.SO_RCVLOWAT, 0), (socket.SOL_SOCKET, socket.SO_LINGER, 8),
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 0), (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 0),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 0), (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 0),
    (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 0), (socket.IPPROTO_IP, socket.IP_TOS, 0),
    (socket.IPPROTO_IP, socket.IP_TTL, 0),
)  # fmt: skip
"""What may be set before connecting: level, option, and its size if it is no number."""
_DOUBLED: Final = frozenset({socket.SO_RCVBUF, socket.SO_SNDBUF})
"""The kernel doubles what these are set to."""


def install(door: SideDoor, module: str) -> None:
    """Put all of it in its place, in this process.

    Args:
        door: The way to the host.
        module: The name of the module, for errors.
    """
    network = Network(door, module)
    network.names.install()
    made = socket.socket.__init__

    def init(self: socket.socket, family: int = -1, type: int = -1, proto: int = -1, fileno: int | None = None) -> None:
        try:
            made(self, family, type, proto, fileno)
        except PermissionError:
            raise network.not_that_kind(family, type) from None

    def connect(self: socket.socket, address: Any, /) -> None:
        network.connect(self, address)

    def connect_ex(self: socket.socket, address: Any, /) -> int:
        return network.connect_ex(self, address)

    def bind(self: socket.socket, address: Any, /) -> None:
        network.bind(self, address)

    def listen(self: socket.socket, backlog: int = 0, /) -> None:
        network.listen()

    replaced = {"__init__": init, "connect": connect, "connect_ex": connect_ex, "bind": bind, "listen": listen}
    for name, function in replaced.items():
        setattr(socket.socket, name, function)


class Network:
    """What stands behind the functions of a socket."""

    def __init__(self, door: SideDoor, module: str) -> None:
        self.names = Names(door)
        self._door, self._module = door, module

    def connect(self, sock: socket.socket, address: Any) -> None:
        """See `socket.socket.connect`."""
        code, timed_out = self._connected(sock, address)
        if timed_out:
            raise TimeoutError("timed out")
        if code:
            raise OSError(code, os.strerror(code))

    def connect_ex(self, sock: socket.socket, address: Any) -> int:
        """See `socket.socket.connect_ex`; what is not granted is raised here, too."""
        return self._connected(sock, address)[0]

    def _connected(self, sock: socket.socket, address: Any) -> tuple[int, bool]:
        """Connect; return the errno of that, and whether it took longer than the socket waits."""
        host, port = self._place(sock, address)
        code = _state(sock)
        if code:
            return code, False
        code, descriptor = ask(self._door, "net.connect", host, port)
        if descriptor >= 0:
            try:
                _put_under(sock, descriptor)
            finally:
                os.close(descriptor)
        if code != errno.EINPROGRESS or sock.gettimeout() == 0:
            return code, False
        return _waited(sock)

    def _place(self, sock: socket.socket, address: Any) -> tuple[str, int]:
        """Return the address and port that are meant; a name is looked up."""
        if sock.family not in _INET:
            raise NotGrantedError(
                f"{self._module!r} may not connect to {address!r}: a worker's module connects to what "
                f"'net:HOST:PORT' grants, and to no socket by its path", hint=NATIVE,
            )  # fmt: skip
        if not isinstance(address, tuple) or len(address) < 2:
            raise TypeError(f"connect(): {sock.family.name} address must be tuple, not {type(address).__name__}")
        host, port = address[:2]
        if not isinstance(port, int):
            raise TypeError(f"{type(port).__name__!r} object cannot be interpreted as an integer")
        if not 0 <= port <= 65535:
            raise OverflowError("connect(): port must be 0-65535.")
        if host == "":
            host = "0.0.0.0" if sock.family == socket.AF_INET else "::"
        return str(self.names.getaddrinfo(host, port, sock.family, socket.SOCK_STREAM)[0][4][0]), port

    def bind(self, sock: socket.socket, address: Any) -> None:
        """Let an address pass that leaves the choice to the system, which it makes in any case; refuse all others."""
        if sock.family in _INET and isinstance(address, tuple) and address[0] in _ANY and address[1] == 0:
            return
        raise NotGrantedError(
            f"{self._module!r} may not take the address {address!r}: a worker's module only connects, to what "
            f"'net:HOST:PORT' grants", hint=NATIVE,
        )  # fmt: skip

    def listen(self) -> None:
        """Refuse."""
        raise NotGrantedError(
            f"{self._module!r} may not listen: a worker's module only connects, to what 'net:HOST:PORT' grants",
            hint=NATIVE,
        )

    def not_that_kind(self, family: int, kind: int) -> NotGrantedError:
        """Return the error for a socket that is not of TCP."""
        return NotGrantedError(
            f"{self._module!r} may not make a socket of family {_name(family)} and type {_name(kind)}: a worker's "
            f"module has TCP, to what 'net:HOST:PORT' grants, and nothing else of the network", hint=NATIVE,
        )  # fmt: skip


def _name(number: int) -> str:
    return getattr(number, "name", "") or str(number)


def _state(sock: socket.socket) -> int:
    """Return the errno that connecting a socket in this state has, 0 if it is a new one."""
    state = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]
    if state == _SYN_SENT:
        return errno.EALREADY
    return sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) or (errno.EISCONN if state == _ESTABLISHED else 0)


def _put_under(sock: socket.socket, descriptor: int) -> None:
    """Put a connection under a socket: same descriptor, same settings."""
    own = sock.fileno()
    connection = socket.socket(fileno=descriptor)
    try:
        for (level, option, size), value in _settings(sock).items():
            if value != _defaults(sock.family)[level, option, size]:
                connection.setsockopt(level, option, value // 2 if option in _DOUBLED else value)
    finally:
        connection.detach()
    os.dup2(descriptor, own, inheritable=os.get_inheritable(own))
    os.set_blocking(own, sock.gettimeout() is None)


def _settings(sock: socket.socket) -> dict[tuple[int, int, int], Any]:
    found: dict[tuple[int, int, int], Any] = {}
    for level, option, size in _OPTIONS:
        found[level, option, size] = sock.getsockopt(level, option, size) if size else sock.getsockopt(level, option)
    return found


@cache
def _defaults(family: int) -> dict[tuple[int, int, int], Any]:
    """Return what a new socket is set to in this process, which may be other than in the host."""
    with socket.socket(family, socket.SOCK_STREAM) as fresh:
        return _settings(fresh)


def _waited(sock: socket.socket) -> tuple[int, bool]:
    """Wait for a connection that is being made, for as long as the socket waits for anything."""
    timeout = sock.gettimeout()
    poller = select.poll()
    poller.register(sock, select.POLLOUT)
    if not poller.poll(None if timeout is None else timeout * 1000):
        return _TIMED_OUT, True
    return sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR), False
