"""Egress: where a module may connect to, decided by names and by addresses.

Two questions, and both must be answered with yes.  Is the *name* granted: `net:HOST:PORT`.  And is the *address* that
the name stands for at this moment one of the public internet?  A name is its owner's to point anywhere: at this
machine, at the network around it, at the address where clouds hand out credentials.  So an address that is not public
is refused, unless a grant names that very address, or the module asks for "localhost" and a grant says so; `net:*`
names none.

Whoever connects connects to the address that was checked, and to no name: a second look-up could answer otherwise.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from hostcore.errors import DeniedError, EgressError, NetworkError
from hostcore.hosts.base import Grants

Resolve = Callable[[str, int], Awaitable[Iterable[str]]]
"""From a host's name and a port to its addresses, best first; raises OSError if there are none."""
Address = IPv4Address | IPv6Address

LOCALHOST = "localhost"
_LOOK_UPS = 16
"""How many names are looked up at a time, for all modules together."""
_KINDS = {
    "a loopback address": ("127.0.0.0/8", "::1/128"),
    "a link-local address": ("169.254.0.0/16", "fe80::/10"),
    "a private address": ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7", "fec0::/10"),
    "an address of a carrier's network": ("100.64.0.0/10",),
    "an unspecified address": ("0.0.0.0/8", "::/128"),
    "a multicast address": ("224.0.0.0/4", "ff00::/8"),
    "an IPv4 address in an IPv6 one": ("::ffff:0:0/96", "::/96", "64:ff9b::/96", "64:ff9b:1::/48", "2002::/16",
                                       "2001::/32", "::ffff:0:0:0/96"),
    "a reserved address": ("192.0.0.0/24", "192.0.2.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
                           "192.88.99.0/24", "240.0.0.0/4", "100::/64", "2001:db8::/32", "3fff::/20", "5f00::/16"),
}  # fmt: skip
"""What is not the public internet, by what it is called; an address is the first kind that it belongs to."""


@cache
def _networks() -> list[tuple[IPv4Network | IPv6Network, str]]:
    return [(ip_network(network), kind) for kind, networks in _KINDS.items() for network in networks]


def not_public(address: Address) -> str:
    """Return what kind of address that is not public this is, as in "a loopback address"; "" if it is public."""
    for network, kind in _networks():
        if address.version == network.version and address in network:
            return kind
    return "" if address.is_global and not address.is_reserved else "a reserved address"


def authority(host: str, port: int) -> str:
    """Return host and port as a permission names them."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


async def resolve(host: str, port: int) -> list[str]:
    """Return the addresses of `host`, as the system's resolver has them."""
    look_up = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
    found = await asyncio.get_running_loop().run_in_executor(_threads(), look_up)
    return [str(entry[4][0]) for entry in found]


@cache
def _threads() -> ThreadPoolExecutor:
    """Return the threads of look-ups: not the loop's own, which a module's slow names would take from all others."""
    return ThreadPoolExecutor(_LOOK_UPS, "hostcore:look-up")


class Gate:
    """Lets one module out to where it may go.

    Args:
        module: Its name.
        grants: What it may do.  One that may do everything is bound by nothing: it could open sockets itself.
        resolve: Who knows the addresses of names.
    """

    def __init__(self, module: str, grants: Grants, resolve: Resolve = resolve) -> None:
        self._module = module
        self._grants = grants
        self._resolve = resolve

    async def addresses(self, host: str, port: int) -> list[str]:
        """Return the addresses of `host` that the module may connect to, best first; at least one.

        Args:
            host: A name or an address, in lower case, an IPv6 address without brackets.
            port: The port.

        Raises:
            EgressError: The name is not granted, or no address of it is.
            NetworkError: It has no address.
        """
        self.require(host, port)
        found = await self.look_up(host, port)
        allowed = [str(address) for address in found if not self._why_not(host, address, port)]
        if not allowed:
            raise self._refused(host, found[0], port)
        return allowed

    def require(self, host: str, port: int) -> None:
        """Make sure that the name is granted; port 0: with any port.

        Raises:
            EgressError: It is not.
        """
        target = authority(host, port)
        if not port:
            target = target.removesuffix(":0")
            if self._grants.reaches(target):
                return
        try:
            self._grants.require("net", target)
        except DeniedError as error:
            hint = error.hint
        else:
            return
        raise EgressError(self._module, host, port, f"it has no permission 'net:{target}'", hint=hint)

    def permits(self, host: str, address: Address, port: int) -> bool:
        """Tell whether `check` would let it pass by what is granted; nothing is noted."""
        return self._grants.given("net", authority(host, port)) and not self._why_not(host, address, port)

    def check(self, host: str, address: Address, port: int) -> None:
        """Make sure that the module may connect to `address`, which is one of `host`'s.

        Raises:
            EgressError: The name is not granted, or the address is not.
        """
        self.require(host, port)
        if self._why_not(host, address, port):
            raise self._refused(host, address, port)

    def _refused(self, host: str, address: Address, port: int) -> EgressError:
        return EgressError(
            self._module, host, port, f"{address} is {self._why_not(host, address, port)}", address=str(address),
            hint=f"if that is meant, grant that address by itself: net:{authority(str(address), port)}",
        )  # fmt: skip

    async def look_up(self, host: str, port: int) -> list[Address]:
        """Return the addresses of `host`, at least one; an address stands for itself.

        Raises:
            NetworkError: It has none.
        """
        literal = read_address(host)
        if literal is not None:
            return [literal]
        try:
            told = await self._resolve(host, port)
        except (OSError, UnicodeError) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            raise NetworkError(f"the host {host!r} is not known: {reason}") from None
        found = list(dict.fromkeys(address for text in told if (address := read_address(text)) is not None))
        if not found:
            raise NetworkError(f"the host {host!r} has no address")
        return found

    def _why_not(self, host: str, address: Address, port: int) -> str:
        """Return what kind of address it is that the module may not connect to, or ""."""
        kind = "" if self._grants.everything else not_public(address)
        if not kind or self._grants.names("net", authority(str(address), port)):
            return ""
        if host == LOCALHOST and address.is_loopback and self._grants.names("net", authority(host, port)):
            return ""
        return kind


def read_address(text: str) -> Address | None:
    """Return the address that `text` is, or None."""
    try:
        return ip_address(text)
    except ValueError:
        return None
