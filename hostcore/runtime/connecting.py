"""Connections for modules that have no network of their own: the host begins them, the module goes on with the socket.

What counts is the address that the module asks for: that one is checked, and that one is connected to.  A name enters
into it only where the host itself has looked it up for the module, and so knows whose address it is.  What the module
says of that does not count.

Nothing here waits for the other side.  A connection is begun and handed over while it is still being made; how long to
wait for it is the module's own affair, as are the bytes that go over it.
"""

from __future__ import annotations

import asyncio
import errno
import socket

from hostcore.errors import ContractError, EgressError, NetworkError
from hostcore.hosts.base import Grants
from hostcore.runtime import egress
from hostcore.runtime.egress import Address

RATE = 100.0
"""How many look-ups and connections a module may begin in a second, in the long run; who wants more waits."""
BURST = 200
_ADDRESSES = 1024
"""Of how many addresses it is known whose they are."""
_NAMES = 16
_LONGEST = 253


class Connector:
    """The way out of one copy of a module.

    Args:
        module: The module's name.
        grants: What it may do; each connection is checked against what is granted at that moment.
        resolve: Who knows the addresses of names.
    """

    def __init__(self, module: str, grants: Grants, resolve: egress.Resolve = egress.resolve) -> None:
        self._module = module
        self._gate = egress.Gate(module, grants, resolve)
        self._names: dict[str, dict[str, None]] = {}  # address -> the names that it was given out for, latest last
        self._pace = Pace(RATE, BURST)

    async def resolve(self, host: str, port: int) -> list[str]:
        """Return the addresses of `host` that the module may connect to, best first; at least one.

        Args:
            host: The name.
            port: The port, or 0 if it is not known yet; then the addresses are only checked once that is.

        Raises:
            EgressError: The name is not granted, or no address of it is.
            NetworkError: It has no address.
            ContractError: The arguments are none.
        """
        host, port = self._read(host, port)
        await self._pace.turn()
        if port:
            found = await self._gate.addresses(host, port)
        else:
            self._gate.require(host, 0)
            found = [str(address) for address in await self._gate.look_up(host, 0)]
        for address in found[:_ADDRESSES]:
            self._remember(address, host)
        return found[:_ADDRESSES]

    async def connect(self, address: str, port: int) -> tuple[int, socket.socket | None]:
        """Begin a connection.

        Args:
            address: The address.
            port: The port.

        Returns:
            The errno of the beginning: 0 or EINPROGRESS, with the socket, which does not block; or another, with None.

        Raises:
            EgressError: The module may not connect there.
            ContractError: The arguments are none.
        """
        text, port = self._read(address, port)
        read = egress.read_address(text)
        if read is None:
            raise ContractError(self._module, f"asks for a connection to {text[:80]!r}, which is no address")
        if "%" in text:
            raise EgressError(self._module, text, port, "an address with a zone cannot be granted")
        self._check(read, port)
        await self._pace.turn()
        return _begun(read, port)

    def _check(self, address: Address, port: int) -> None:
        """Make sure that the address may be connected to for its own sake, or for one of the names that it stands for.

        Raises:
            EgressError: About the name that was looked up last, if there is one.
        """
        hosts = [*reversed(self._names.get(str(address), {})), str(address)]
        host = next((host for host in hosts if self._gate.permits(host, address, port)), hosts[0])
        try:
            self._gate.check(host, address, port)
            return
        except EgressError as error:
            reason, hint = error.reason, error.hint
        raise EgressError(self._module, host, port, reason, address=str(address), hint=hint)

    def _remember(self, address: str, host: str) -> None:
        names = self._names.pop(address, {})
        names.pop(host, None)
        names[host] = None
        if len(names) > _NAMES:
            del names[next(iter(names))]
        self._names[address] = names
        if len(self._names) > _ADDRESSES:
            del self._names[next(iter(self._names))]

    def _read(self, host: object, port: object) -> tuple[str, int]:
        """Return a host as grants name it, and a port; both come from a process that may say anything."""
        if not isinstance(host, str) or type(port) is not int or not 0 <= port <= 65535:
            raise ContractError(self._module, "asks for a host or a port of the network that is none")
        try:
            text = host if host.isascii() else host.encode("idna").decode("ascii")
        except UnicodeError:
            text = ""
        text = text.lower().removesuffix(".")
        if not 0 < len(text) <= _LONGEST or not text.isprintable():
            raise NetworkError(f"{host[:80]!r} is no name of a host")
        return text, port


def _begun(address: Address, port: int) -> tuple[int, socket.socket | None]:
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        made = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        return error.errno or errno.EMFILE, None
    made.setblocking(False)
    code = made.connect_ex((str(address), port))
    if code in (0, errno.EINPROGRESS):
        return code, made
    made.close()
    return code, None


class Pace:
    """Lets `rate` through in a second, and `burst` of them at once after a rest."""

    def __init__(self, rate: float, burst: int) -> None:
        self._each, self._rest = 1 / rate, burst / rate
        self._next = 0.0

    def delay(self, now: float) -> float:
        """Return for how many seconds the one that comes now has to wait; it counts as let through."""
        self._next = max(self._next, now - self._rest) + self._each
        return max(0.0, self._next - now)

    async def turn(self) -> None:
        """Wait for one's turn."""
        delay = self.delay(asyncio.get_running_loop().time())
        if delay:
            await asyncio.sleep(delay)
