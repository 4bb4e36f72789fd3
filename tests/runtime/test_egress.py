"""Where a module may connect to: names that are granted, addresses that are public or granted by themselves."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hostcore.contract.grants import ALL, ModuleGrants
from hostcore.contract.permissions import Permission
from hostcore.errors import DeniedError, EgressError, NetworkError
from hostcore.runtime.egress import Gate, not_public

PUBLIC, OTHER = "93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c"


class Names:
    """A resolver that knows these addresses of every name, and counts how often it is asked."""

    def __init__(self, *answers: Iterable[str]) -> None:
        self._answers = [list(answer) for answer in answers]
        self.asked: list[tuple[str, int]] = []

    async def __call__(self, host: str, port: int) -> list[str]:
        self.asked.append((host, port))
        return self._answers[min(len(self.asked), len(self._answers)) - 1]


def gate(*granted: str, names: Names | None = None) -> Gate:
    return Gate("m", ModuleGrants(map(Permission, granted), everything=False), names or Names([PUBLIC]))


# --- names ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("granted", ["net:a.org:443", "net:a.org", "net:*", "net:A.ORG:443"])
async def test_a_granted_name_is_let_out(granted: str) -> None:
    """A grant of the host and port, of the host with all its ports, or of everything is enough for a public address."""
    assert await gate(granted).addresses("a.org", 443) == [PUBLIC]


@pytest.mark.parametrize("granted", ["net:a.org:80", "net:b.org:443", "net:www.a.org", "cap:http", f"net:{PUBLIC}"])
async def test_a_name_that_is_not_granted_is_not_even_looked_up(granted: str) -> None:
    """Another port, host or subdomain, or the address that the name stands for, is not that name."""
    names = Names([PUBLIC])
    with pytest.raises(
        EgressError, match=r"may not connect to a\.org:443: it has no permission 'net:a\.org:443'"
    ) as caught:
        await gate(granted, names=names).addresses("a.org", 443)
    assert (caught.value.code, caught.value.host, caught.value.port) == ("HC602", "a.org", 443)
    assert isinstance(caught.value, DeniedError)
    assert not names.asked


async def test_unknown_names_are_the_networks_error() -> None:
    """A name that nobody knows, or that has no address, is not a question of permission."""

    async def nobody(host: str, port: int) -> list[str]:
        raise OSError(-2, "Name or service not known")

    grants = ModuleGrants([Permission("net:*")], everything=False)
    with pytest.raises(NetworkError, match=r"'a\.org' is not known: Name or service not known"):
        await Gate("m", grants, nobody).addresses("a.org", 80)
    for answer in ([], ["no address"]):
        with pytest.raises(NetworkError, match="has no address"):
            await gate("net:*", names=Names(answer)).addresses("a.org", 80)


# --- addresses -----------------------------------------------------------------------------------------------------

INSIDE = [
    ("127.0.0.1", "loopback"), ("127.255.0.9", "loopback"), ("::1", "loopback"), ("10.1.2.3", "private"),
    ("172.16.0.1", "private"), ("192.168.1.1", "private"), ("fd00::1", "private"), ("fec0::1", "private"),
    ("169.254.169.254", "link-local"), ("fe80::1", "link-local"), ("fe80::1%eth0", "link-local"),
    ("100.64.0.1", "carrier"), ("0.0.0.0", "unspecified"), ("::", "unspecified"), ("0.1.2.3", "unspecified"),
    ("224.0.0.1", "multicast"), ("ff02::1", "multicast"), ("255.255.255.255", "reserved"), ("240.0.0.1", "reserved"),
    ("192.0.2.1", "reserved"), ("198.18.0.1", "reserved"), ("2001:db8::1", "reserved"), ("100::1", "reserved"),
    ("::ffff:127.0.0.1", "IPv4 address in an IPv6 one"), ("::ffff:93.184.215.14", "IPv4 address in an IPv6 one"),
    ("64:ff9b::7f00:1", "IPv4 address in an IPv6 one"), ("64:ff9b:1::a00:1", "IPv4 address in an IPv6 one"),
    ("2002:7f00:1::", "IPv4 address in an IPv6 one"), ("::127.0.0.1", "IPv4 address in an IPv6 one"),
    ("4000::1", "reserved"),
]  # fmt: skip


@pytest.mark.parametrize(("address", "kind"), INSIDE)
@pytest.mark.parametrize("granted", ["net:*", "net:inside.org", "net:inside.org:80"])
async def test_a_name_that_leads_inside_is_refused(address: str, kind: str, granted: str) -> None:
    """A granted name that stands for an address which is not public is refused, with the address and what it is."""
    with pytest.raises(EgressError, match=kind) as caught:
        await gate(granted, names=Names([address])).addresses("inside.org", 80)
    shown = str(ip_address(address))
    assert caught.value.address == shown
    assert f"({shown})" in caught.value.message
    assert f"net:{'[' if ':' in address else ''}{shown}" in caught.value.hint


@pytest.mark.parametrize(("address", "kind"), INSIDE)
async def test_an_address_that_is_not_public_is_refused_in_a_url_too(address: str, kind: str) -> None:
    """Everything being granted does not include the addresses of this machine and of the networks around it."""
    with pytest.raises(EgressError):
        await gate("net:*").addresses(address, 80)


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "10.1.2.3", "169.254.169.254", "::ffff:7f00:1"])
async def test_an_address_that_is_granted_by_itself_is_let_out(address: str) -> None:
    """A grant that names the address allows it, for its port or for all; in a URL, and where a granted name leads."""
    shown = f"[{address}]" if ":" in address else address
    for granted in (f"net:{shown}:80", f"net:{shown}"):
        found = [str(ip_address(address))]
        assert await gate(granted).addresses(address, 80) == found
        assert await gate(granted, "net:in.org", names=Names([address])).addresses("in.org", 80) == found
    with pytest.raises(EgressError):
        await gate(f"net:{shown}:80", "net:*", names=Names([address])).addresses("in.org", 81)


async def test_localhost_is_granted_by_its_name() -> None:
    """A grant for localhost allows that name's loopback addresses, and neither another name nor another address."""
    names = Names(["::1", "127.0.0.1"])
    assert await gate("net:localhost:80", names=names).addresses("localhost", 80) == ["::1", "127.0.0.1"]
    for granted in ("net:*", "net:127.0.0.2", "net:localhost:81"):
        with pytest.raises(EgressError):
            await gate(granted, names=names).addresses("localhost", 80)
    with pytest.raises(EgressError, match="loopback"):
        await gate("net:localhost", "net:a.org", names=names).addresses("a.org", 80)
    with pytest.raises(EgressError, match="private"):
        await gate("net:localhost", names=Names(["10.0.0.1"])).addresses("localhost", 80)
    with pytest.raises(EgressError, match="no permission"):
        await gate("net:localhost").addresses("127.0.0.1", 80)


async def test_of_several_addresses_those_that_are_public_are_left() -> None:
    """A name that leads outside and inside leads outside; each address once, in the resolver's order."""
    names = Names(["10.0.0.1", PUBLIC, "127.0.0.1", OTHER, PUBLIC])
    assert await gate("net:a.org", names=names).addresses("a.org", 80) == [PUBLIC, OTHER]


@pytest.mark.parametrize("spelling", ["127.1", "2130706433", "0x7f.0.0.1", "0177.0.0.1"])
async def test_odd_spellings_of_an_address_are_names(spelling: str) -> None:
    """What only a resolver takes for an address is looked up like a name, and its answer is checked."""
    names = Names(["127.0.0.1"])
    with pytest.raises(EgressError, match=r"127\.0\.0\.1 is a loopback address"):
        await gate("net:*", names=names).addresses(spelling, 80)
    assert names.asked == [(spelling, 80)]


async def test_who_may_do_everything_is_bound_by_nothing() -> None:
    """A native module without grants could open sockets itself: the gate lets it go anywhere."""
    assert await Gate("m", ALL, Names(["10.0.0.1"])).addresses("in.org", 80) == ["10.0.0.1"]
    assert await Gate("m", ALL).addresses("169.254.169.254", 80) == ["169.254.169.254"]


@given(st.ip_addresses())
def test_whatever_is_public_is_global(address) -> None:
    """No address is let out that the address registries do not call globally reachable."""
    if not not_public(address):
        assert address.is_global
        assert not any((address.is_private, address.is_loopback, address.is_link_local, address.is_multicast,
                        address.is_reserved, address.is_unspecified))  # fmt: skip


@pytest.mark.parametrize("address", [PUBLIC, OTHER, "1.1.1.1", "8.8.8.8", "2a00:1450:4001:830::200e"])
def test_the_public_internet_is_public(address: str) -> None:
    """Ordinary servers' addresses are none of the kinds that are refused."""
    assert not_public(ip_address(address)) == ""


async def test_a_host_that_is_revoked_is_refused_from_the_next_request_on() -> None:
    """Grants that change while a module runs hold for its next connection."""
    grants = ModuleGrants([Permission("net:api.example.org:443")], everything=False, module="m")
    gate = Gate("m", grants, Names([PUBLIC]))
    assert await gate.addresses("api.example.org", 443)
    grants.change(())
    with pytest.raises(EgressError, match="no permission"):
        await gate.addresses("api.example.org", 443)
