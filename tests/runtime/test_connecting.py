"""Connections that the host begins for a module: what is checked is what is connected to, whatever names are said."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hostcore.contract.grants import ModuleGrants
from hostcore.contract.permissions import Permission
from hostcore.errors import ContractError, EgressError, HostcoreError, NetworkError
from hostcore.runtime.connecting import Connector, Pace

PUBLIC = "93.184.215.14"


class Names:
    """A resolver whose answers change: the first, the second, and from then on the last."""

    def __init__(self, *answers: Iterable[str]) -> None:
        self._answers = [list(answer) for answer in answers]
        self.asked: list[tuple[str, int]] = []

    async def __call__(self, host: str, port: int) -> list[str]:
        self.asked.append((host, port))
        return self._answers[min(len(self.asked), len(self._answers)) - 1]


def connector(*granted: str, names: Names | None = None) -> Connector:
    return Connector("m", grants(*granted), names or Names([PUBLIC]))


def grants(*granted: str) -> ModuleGrants:
    return ModuleGrants(map(Permission, granted), everything=False, module="m")


@asynccontextmanager
async def listening(host: str = "127.0.0.1") -> AsyncIterator[int]:
    """A server that takes connections; gives its port."""
    server = await asyncio.start_server(lambda _, writer: writer.close(), host, 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def connects(made: Connector, address: str, port: int) -> bool:
    """Connect, and tell whether the other side is that address."""
    code, sock = await made.connect(address, port)
    assert sock is not None and code in (0, errno.EINPROGRESS)
    with sock:
        assert not sock.getblocking()
        reader, writer = await asyncio.open_connection(sock=sock)
        there = writer.get_extra_info("peername")[:2]
        assert await reader.read() == b""
        writer.close()
    return bool(there == (address, port))


async def test_a_granted_address_is_connected_to() -> None:
    """The address that is named is the one on the other side."""
    async with listening() as port:
        assert await connects(connector(f"net:127.0.0.1:{port}"), "127.0.0.1", port)


async def test_a_name_stands_for_the_addresses_that_the_host_found_for_it() -> None:
    """A grant of a name lets its addresses through, once the host has looked it up and not before."""
    async with listening() as port:
        made = connector(f"net:localhost:{port}", names=Names(["127.0.0.1"]))
        with pytest.raises(EgressError, match=rf"127\.0\.0\.1:{port}: it has no permission"):
            await made.connect("127.0.0.1", port)
        assert await made.resolve("LOCALHOST.", port) == ["127.0.0.1"]
        assert await connects(made, "127.0.0.1", port)
        with pytest.raises(EgressError, match=r"localhost:1 \(127\.0\.0\.1\): it has no permission 'net:localhost:1'"):
            await made.connect("127.0.0.1", 1)


async def test_any_name_of_an_address_will_do() -> None:
    """Of several names that share an address, one that is granted for the port is enough."""
    async with listening() as port:
        made = connector("net:a.org:1", "net:127.0.0.1:1", f"net:localhost:{port}", names=Names(["127.0.0.1"]))
        assert await made.resolve("localhost", 0) == ["127.0.0.1"]
        assert await made.resolve("a.org", 1) == ["127.0.0.1"]
        assert await connects(made, "127.0.0.1", port)


@pytest.mark.parametrize("inside", ["127.0.0.1", "169.254.169.254", "10.0.0.5", "::1", "::ffff:127.0.0.1"])
async def test_a_name_that_changes_its_answer_gains_nothing(inside: str) -> None:
    """A name that was public and turns to an address inside is refused, at the look-up and at the connection."""
    made = connector("net:a.org:80", "net:*", names=Names([PUBLIC], [inside]))
    assert await made.resolve("a.org", 80) == [PUBLIC]
    with pytest.raises(EgressError, match=r"is an? "):
        await made.resolve("a.org", 80)
    [found] = await made.resolve("a.org", 0)
    assert ip_address(found) == ip_address(inside)  # the port is not known yet, so all is still to be checked
    with pytest.raises(EgressError) as caught:
        await made.connect(inside, 80)
    assert (caught.value.host, caught.value.address) == ("a.org", found)


async def test_what_is_revoked_is_refused_at_the_next_connection() -> None:
    """Each connection is checked against what is granted at that moment."""
    async with listening() as port:
        given_now = grants(f"net:127.0.0.1:{port}")
        made = Connector("m", given_now)
        assert await connects(made, "127.0.0.1", port)
        given_now.change(())
        with pytest.raises(EgressError, match="has no permission"):
            await made.connect("127.0.0.1", port)


async def test_a_port_that_is_not_known_yet() -> None:
    """A name may be looked up without a port if any port of it is granted, and else not at all."""
    names = Names([PUBLIC])
    assert await connector("net:a.org:443", names=names).resolve("a.org", 0) == [PUBLIC]
    with pytest.raises(EgressError, match=r"no permission 'net:b\.org'"):
        await connector("net:a.org:443", "cap:http", names=names).resolve("b.org", 0)
    assert names.asked == [("a.org", 0)]


async def test_a_connection_that_cannot_begin() -> None:
    """What the system says against it is an errno, with no socket."""
    code, sock = await connector("net:255.255.255.255:1").connect("255.255.255.255", 1)
    assert code in (errno.EACCES, errno.ENETUNREACH, errno.EINVAL)
    assert sock is None


@pytest.mark.parametrize(
    ("host", "port"),
    [(None, 1), (1, 1), (b"127.0.0.1", 1), ("127.0.0.1", "1"), ("127.0.0.1", -1), ("127.0.0.1", 65536),
     ("127.0.0.1", True), ("127.0.0.1", 1.0), ("a.org", 1), ("127.1", 1), ("0x7f000001", 1), ("[::1]", 1)],
)  # fmt: skip
async def test_what_is_no_address(host: object, port: object) -> None:
    """A worker may send anything; only an address and a port are connected to, never a name."""
    with pytest.raises(ContractError):
        await connector("net:*").connect(host, port)  # type: ignore[arg-type]


@pytest.mark.parametrize("host", ["", ".", "a" * 254, "a\0b", "a\nb", "\ud800", "a" * 64 + "ä"])
async def test_what_is_no_name(host: str) -> None:
    """A name that cannot be one is not looked up."""
    names = Names([PUBLIC])
    with pytest.raises(NetworkError):
        await connector("net:*", names=names).resolve(host, 1)
    assert not names.asked


async def test_names_in_other_letters_are_what_they_stand_for() -> None:
    """A name is compared as the resolver reads it: digits of another script are an address like any other."""
    with pytest.raises(EgressError, match=r"127\.0\.0\.1 is a loopback address"):
        await connector("net:*").resolve("１２７.0.0.1", 80)  # noqa: RUF001
    with pytest.raises(EgressError, match="zone"):
        await connector("net:*").connect("fe80::1%lo", 80)


@given(st.text(max_size=300) | st.integers() | st.none(), st.integers() | st.text(max_size=5))
def test_anything(host: object, port: object) -> None:
    """Whatever is asked for, nothing is connected to without a grant, and the error is one of ours."""

    async def ask() -> None:
        made = connector("net:a.org:443", names=Names(["127.0.0.1"]))
        for ask in (made.resolve, made.connect):
            with pytest.raises(HostcoreError):
                await ask(host, port)  # type: ignore[operator]

    asyncio.run(ask())


@given(st.lists(st.floats(0, 0.5), max_size=200), st.integers(1, 50))
def test_pace(gaps: list[float], burst: int) -> None:
    """In any stretch of time no more get through than the rate and the burst allow, and who is slow never waits."""
    pace, now, through = Pace(10.0, burst), 100.0, []
    for gap in gaps:
        now += gap
        delay = pace.delay(now)
        through.append(now + delay)
        assert delay >= 0
    for first, start in enumerate(through):
        within = sum(1 for moment in through[first:] if moment <= start + 1.0)
        assert within <= 10 + burst + 1
    assert Pace(10.0, burst).delay(5.0) == 0


async def test_the_memory_of_names_is_bounded() -> None:
    """However many names and addresses a module has looked up, so many are remembered."""
    answers = [[f"93.184.{number >> 8}.{number & 255}"] for number in range(1100)]
    made = connector("net:*", names=Names(*answers))
    made._pace = Pace(1e9, 1)
    for number in range(1100):
        await made.resolve(f"n{number}.org", 80)
    assert len(made._names) == 1024
    fixed = connector("net:*", names=Names([PUBLIC]))
    for number in range(50):
        await fixed.resolve(f"n{number}.org", 80)
    assert list(fixed._names[PUBLIC])[-1] == "n49.org"
    assert len(fixed._names[PUBLIC]) == 16


async def test_who_asks_too_often_waits() -> None:
    """Beyond the burst each connection is let through in its turn."""
    async with listening() as port:
        made = connector(f"net:127.0.0.1:{port}")
        made._pace = Pace(50.0, 2)
        loop = asyncio.get_running_loop()
        began = loop.time()
        for _ in range(6):
            _, sock = await made.connect("127.0.0.1", port)
            assert isinstance(sock, socket.socket)
            sock.close()
        assert loop.time() - began >= 0.05
