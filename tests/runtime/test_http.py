"""HTTP for modules, against real servers: what is sent, what comes back, and what is not let out."""

from __future__ import annotations

import asyncio
import base64
import gzip
import ssl
import time
import zlib
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from math import inf
from pathlib import Path
from typing import Any

import pytest
from support import certificates
from support.webserver import Reply, Seen, web_server

from hostcore.contract.grants import ModuleGrants
from hostcore.contract.permissions import Permission
from hostcore.errors import ContractError, DeadlineError, EgressError, LimitError, NetworkError, StoppedError
from hostcore.messaging.current import current
from hostcore.runtime import http
from hostcore.runtime.http import HttpClient

PATIENCE = 20.0


class Names:
    """A resolver that gives these addresses, the last again and again, and counts how often it is asked."""

    def __init__(self, *answers: Iterable[str]) -> None:
        self._answers = [list(answer) for answer in answers]
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> list[str]:
        self.asked.append(host)
        return self._answers[min(len(self.asked), len(self._answers)) - 1]


@asynccontextmanager
async def client(
    *granted: str, limit: int = 1 << 20, timeout: float = PATIENCE, names: Any = None
) -> AsyncIterator[HttpClient]:
    """A module's client; by default every name stands for this machine."""
    grants = ModuleGrants(map(Permission, granted), everything=False)
    made = HttpClient("m", grants, limit=limit, timeout=timeout, resolve=names or Names(["127.0.0.1"]))
    try:
        yield made
    finally:
        await made.close()


async def get(made: HttpClient, url: str, **more: Any) -> dict[str, Any]:
    return await made.service.request(url=url, **more)


def echo(seen: Seen) -> Reply:
    return 200, {"Content-Type": "text/plain", "X-Method": seen.method, "X-Path": seen.path}, seen.body


HERE = "net:127.0.0.1"


# --- what is sent and what comes back ------------------------------------------------------------------------------


async def test_a_request_and_its_reply() -> None:
    """Method, path, headers and body arrive as given, and status, headers, body and URL come back as plain data."""
    async with web_server(echo) as server, client(HERE) as made:
        reply = await get(made, f"http://127.0.0.1:{server.port}/a%20b?c=d%2Fe#part", method="put",
                          headers={"X-Own": "caf\xe9 "}, body="h\u00e9llo")  # fmt: skip
        assert (reply["status"], reply["body"]) == (200, "h\u00e9llo")
        assert reply["url"] == f"http://127.0.0.1:{server.port}/a%20b?c=d%2Fe"
        assert (reply["headers"]["x-method"], reply["headers"]["x-path"]) == ("PUT", "/a%20b?c=d%2Fe")
        (seen,) = server.requests
        assert (seen.body, seen.headers["x-own"]) == ("h\u00e9llo".encode(), "caf\xe9")
        assert seen.headers["host"] == f"127.0.0.1:{server.port}"
        assert seen.headers["content-type"] == "text/plain; charset=utf-8"
        assert seen.headers["user-agent"].startswith("hostcore/")


@pytest.mark.parametrize(
    ("arguments", "body", "kind"),
    [
        ({"json": {"a": [1, None]}}, b'{"a":[1,null]}', "application/json"),
        ({"json": None}, b"null", "application/json"),
        ({"json": 1, "headers": {"content-type": "application/x"}}, b"1", "application/x"),
        ({"body_base64": "AP8="}, b"\0\xff", None),
        ({"body": ""}, b"", "text/plain; charset=utf-8"),
        ({}, b"", None),
    ],
)
async def test_bodies(arguments: dict[str, Any], body: bytes, kind: str | None) -> None:
    """A body is text, base64 or a value for JSON; its type is said unless the module says another."""
    async with web_server(echo) as server, client(HERE) as made:
        await get(made, f"http://127.0.0.1:{server.port}/", method="POST", **arguments)
        assert server.requests[0].body == body
        assert server.requests[0].headers.get("content-type") == kind


async def test_headers_that_are_the_hosts_business_are_left_out() -> None:
    """A module can set neither Host nor what concerns one connection; nor does it see a server's."""
    names = ["Host", "Connection", "Content-Length", "Transfer-Encoding", "Upgrade", "TE", "Proxy-Authorization",
             "Accept-Encoding", "Keep-Alive", "expect"]  # fmt: skip

    def handle(seen: Seen) -> Reply:
        return 200, {"Connection": "close", "Keep-Alive": "timeout=5", "X-A": "1"}, b""

    async with web_server(handle) as server, client(HERE) as made:
        reply = await get(made, f"http://127.0.0.1:{server.port}/", headers=dict.fromkeys(names, "evil"))
        assert "evil" not in server.requests[0].headers.values()
        assert server.requests[0].headers["accept-encoding"] == "gzip, deflate"
        assert reply["headers"] == {"x-a": "1", "content-length": "0"}


async def test_several_headers_of_one_name_are_joined() -> None:
    """What a server says twice comes back as one text."""
    raw = b"HTTP/1.1 200 OK\r\nX-A: 1\r\nx-a: 2\r\nContent-Length: 0\r\n\r\n"
    async with web_server(lambda _: raw) as server, client(HERE) as made:
        assert (await get(made, f"http://127.0.0.1:{server.port}/"))["headers"]["x-a"] == "1, 2"


@pytest.mark.parametrize("status", [204, 304, 404, 500])
async def test_any_status_is_a_result(status: int) -> None:
    """Whether a status is good or bad is for the module to say."""
    raw = f"HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n".encode()
    async with web_server(lambda _: raw) as server, client(HERE) as made:
        reply = await get(made, f"http://127.0.0.1:{server.port}/")
        assert (reply["status"], reply["body"]) == (status, "")


@pytest.mark.parametrize(
    ("kind", "body", "expected"),
    [
        ("text/html; charset=iso-8859-1", b"caf\xe9", {"body": "caf\u00e9"}),
        ("application/json", '"\u20ac"'.encode(), {"body": '"\u20ac"'}),
        ("", b"plain", {"body": "plain"}),
        ("image/png", b"\x89PNG\r\n\0", {"body_base64": base64.b64encode(b"\x89PNG\r\n\0").decode()}),
        ("text/plain", b"nul\0", {"body_base64": "bnVsAA=="}),
        ("text/plain; charset=hex", b"zz", {"body": "zz"}),
        ("text/plain; charset=unicode_escape", b"\\x41", {"body": "\\x41"}),
    ],
)
async def test_text_comes_as_text_and_the_rest_as_base64(kind: str, body: bytes, expected: dict[str, str]) -> None:
    """A body is decoded by the character set that is told, if it is one; what is no text stays as it is."""
    async with web_server(lambda _: (200, {"Content-Type": kind}, body)) as server, client(HERE) as made:
        reply = await get(made, f"http://127.0.0.1:{server.port}/")
        assert {key: reply[key] for key in reply if key.startswith("body")} == expected


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


@pytest.mark.parametrize(
    ("coding", "pack"), [("gzip", gzip.compress), ("deflate", zlib.compress), ("deflate", raw_deflate)]
)
async def test_packed_bodies_are_unpacked(coding: str, pack: Any) -> None:
    """What a server packs comes back unpacked, and the headers do not say otherwise."""
    packed = pack(b"hello" * 100)
    async with web_server(lambda _: (200, {"Content-Encoding": coding}, packed)) as server, client(HERE) as made:
        reply = await get(made, f"http://127.0.0.1:{server.port}/")
        assert (reply["body"], reply["headers"]) == ("hello" * 100, {})


@pytest.mark.parametrize(
    "packed", [gzip.compress(b"x" * 1000)[:-9], b"no gzip", b"\x1f\x8b\x08"], ids=["cut", "none", "head"]
)
async def test_a_damaged_body_is_the_networks_error(packed: bytes) -> None:
    """A body that cannot be unpacked is told as such."""
    async with web_server(lambda _: (200, {"Content-Encoding": "gzip"}, packed)) as server, client(HERE) as made:
        with pytest.raises(NetworkError, match="the reply's body"):
            await get(made, f"http://127.0.0.1:{server.port}/")


async def test_a_coding_that_nobody_asked_for_is_handed_on() -> None:
    """A body in another coding comes as it is, with the header that names it."""
    async with web_server(lambda _: (200, {"Content-Encoding": "br"}, b"abc")) as server, client(HERE) as made:
        reply = await get(made, f"http://127.0.0.1:{server.port}/")
        assert (reply["body_base64"], reply["headers"]["content-encoding"]) == ("YWJj", "br")


async def test_head_has_headers_and_no_body() -> None:
    """The reply to HEAD tells the length of what it does not have."""
    async with web_server(lambda _: (200, {}, b"12345")) as server, client(HERE) as made:
        reply = await get(made, f"http://127.0.0.1:{server.port}/", method="HEAD")
        assert (reply["body"], reply["headers"]) == ("", {"content-length": "5"})


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({}, "'url' is missing"), ({"url": 5}, "'url' is"), ({"url": "http://a/", "method": "CONNECT"}, "'method' is"),
        ({"url": "http://a/", "metod": "GET"}, "did you mean 'method'"),
        ({"url": "http://a/", "body": "x", "json": 1}, "body and json are given together"),
        ({"url": "http://a/", "body_base64": "???"}, "is not base64"),
        ({"url": "http://a/", "headers": {"A B": "x"}}, "header 'A B' cannot be sent"),
        ({"url": "http://a/", "headers": {"A": "x\r\nEvil: 1"}}, "header 'A' cannot be sent"),
        ({"url": "http://a/", "headers": {"A": "\u20ac"}}, "header 'A' cannot be sent"),
        ({"url": "http://a/", "headers": {"A": "x" * 70_000}}, "more than 65,536 characters"),
        ({"url": "http://a/", "timeout": "soon"}, "is not a duration"), ({"url": "http://a/", "timeout": -1}, "range"),
        ({"url": "no url"}, "is not a URL"), ({"url": "http:///x"}, "names no host"), ({"url": "/x"}, "names no host"),
        ({"url": "http://a:99999/"}, "no such port"), ({"url": "http://a:0/"}, "no such port"),
        ({"url": "http://a\\@b/"}, "is not a URL"),
        ({"url": "http://a/\n"}, "is not a URL"), ({"url": "http://a/" + "x" * 9000}, "too long"),
        ({"url": "file:///etc/passwd"}, "names no host"), ({"url": "http://[::g]/"}, "is not a URL"),
        ({"url": "http://a/", "self": 1}, "unknown key 'self'"),
    ],
)  # fmt: skip
async def test_wrong_arguments_are_the_modules_mistake(arguments: dict[str, Any], said: str) -> None:
    """Each mistake is named, before anything is looked up or sent."""
    names = Names(["127.0.0.1"])
    async with client("net:*", names=names) as made:
        with pytest.raises(ContractError) as caught:
            await made.service.request(**arguments)
        assert said in str(caught.value)
    assert not names.asked


# --- what is not let out -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://127.0.0.1:{port}/", "127.0.0.1 is a loopback address"),
        ("http://api.test:{port}/", "127.0.0.1 is a loopback address"),
        ("http://localhost:{port}/", "is a loopback address"), ("http://LOCALHOST.:{port}/", "is a loopback address"),
        ("http://127.1:{port}/", "127.0.0.1 is a loopback address"),
        ("http://[::1]:{port}/", "::1 is a loopback address"),
        ("http://[::ffff:127.0.0.1]:{port}/", "IPv4 address in an IPv6 one"),
        ("http://169.254.169.254/latest/meta-data/", "169.254.169.254 is a link-local address"),
        ("http://0.0.0.0:{port}/", "unspecified"),
        ("ftp://127.0.0.1:{port}/", "only http and https"), ("gopher://x:{port}/", "only http and https"),
        ("http://user:secret@127.0.0.1:{port}/", "holds a name and password"),
    ],
)  # fmt: skip
async def test_everything_does_not_include_the_inside(url: str, said: str) -> None:
    """`net:*` reaches neither this machine nor the metadata address nor what speaks no HTTP; no server is asked."""
    async with web_server(echo) as server, client("net:*") as made:
        with pytest.raises(EgressError) as caught:
            await get(made, url.format(port=server.port))
        assert said in str(caught.value)
        assert "secret" not in str(caught.value)
        assert not server.connections


async def test_a_grant_without_a_port_covers_every_port_and_one_with_a_port_only_that() -> None:
    """The port of the URL is part of what is asked for, the scheme's own where it says none."""
    async with web_server(echo) as server, client(f"{HERE}:{server.port}") as made:
        assert (await get(made, f"http://127.0.0.1:{server.port}/"))["status"] == 200
        with pytest.raises(EgressError, match=r"no permission 'net:127\.0\.0\.1:80'"):
            await get(made, "http://127.0.0.1/")
        with pytest.raises(EgressError, match=r"no permission 'net:127\.0\.0\.1:443'"):
            await get(made, "https://127.0.0.1/")
        with pytest.raises(EgressError, match=r"no permission 'net:\[::1\]:443'"):
            await get(made, "https://[::1]/")


async def test_localhost_works_if_it_is_granted_by_its_name() -> None:
    """The system's own resolver knows localhost; the server sees that name."""
    async with web_server(echo) as server:
        grants = ModuleGrants([Permission(f"net:localhost:{server.port}")], everything=False)
        made = HttpClient("m", grants, limit=1000, timeout=PATIENCE)
        assert (await get(made, f"http://localhost:{server.port}/"))["status"] == 200
        assert server.requests[0].headers["host"] == f"localhost:{server.port}"
        await made.close()


def redirects(*places: str, status: int = 302) -> Any:
    """Answer the path /N with a redirect to the Nth place, and all else with its path."""

    def handle(seen: Seen) -> Reply:
        number = seen.path.strip("/")
        if number.isdigit() and int(number) < len(places):
            return status, {"Location": places[int(number)]}, b"moved"
        return echo(seen)

    return handle


async def test_redirects_are_followed() -> None:
    """A relative and an absolute redirect lead on; the reply tells where it came from in the end."""
    async with web_server(redirects("/1", "2?x=1")) as server, client(HERE) as made:
        reply = await get(made, f"http://127.0.0.1:{server.port}/0")
        assert (reply["status"], reply["url"]) == (200, f"http://127.0.0.1:{server.port}/2?x=1")


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("http://127.0.0.2:{port}/", "no permission 'net:127.0.0.2"), ("http://[::1]:{port}/", "no permission"),
        ("http://inside.test:{port}/", "no permission 'net:inside.test"),
        ("//169.254.169.254/latest/meta-data", "no permission 'net:169.254.169.254:80'"),
        ("http://other.test:{port}/", "10.0.0.7 is a private address"), ("ftp://127.0.0.1/", "only http and https"),
        ("http://u:p@127.0.0.1:{port}/", "holds a name and password"),
    ],
)  # fmt: skip
async def test_a_redirect_is_no_way_in(place: str, said: str) -> None:
    """Each hop is checked as the first is: a server that is granted cannot lead to one that is not."""

    async def names(host: str, port: int) -> list[str]:
        return ["10.0.0.7"]

    async with (
        web_server(lambda seen: (302, {"Location": place.format(port=server.port)}, b"")) as server,
        web_server(echo, host="127.0.0.2", port=server.port) as inside,
        client(HERE, "net:other.test", names=names) as made,
    ):
        with pytest.raises(EgressError) as caught:
            await get(made, f"http://127.0.0.1:{server.port}/")
        assert said in str(caught.value)
        assert (len(server.requests), inside.connections) == (1, 0)


async def test_redirects_end() -> None:
    """A circle of redirects is broken off after the fifth."""
    async with web_server(lambda seen: (302, {"Location": "/"}, b"")) as server, client(HERE) as made:
        with pytest.raises(NetworkError, match="redirects more than 5 times"):
            await get(made, f"http://127.0.0.1:{server.port}/?secret")
        assert len(server.requests) == http.REDIRECTS + 1


async def test_a_redirect_to_nonsense_is_the_networks_error() -> None:
    """A redirect to what is no URL is not followed, and is not the module's mistake."""
    async with web_server(lambda seen: (302, {"Location": "http://[::g/ x"}, b"")) as server, client(HERE) as made:
        with pytest.raises(NetworkError, match="redirects to what is not a URL"):
            await get(made, f"http://127.0.0.1:{server.port}/")


@pytest.mark.parametrize(
    ("status", "method", "after", "body"),
    [
        (301, "POST", "GET", b""), (302, "POST", "GET", b""), (303, "PUT", "GET", b""), (303, "HEAD", "HEAD", b"x"),
        (307, "POST", "POST", b"x"), (308, "PUT", "PUT", b"x"), (302, "PUT", "PUT", b"x"), (301, "GET", "GET", b"x"),
    ],
)  # fmt: skip
async def test_methods_of_redirects(status: int, method: str, after: str, body: bytes) -> None:
    """A redirect keeps method and body, or turns into a GET without them, as browsers do it."""
    async with web_server(redirects("/end", status=status)) as server, client(HERE) as made:
        await get(made, f"http://127.0.0.1:{server.port}/0", method=method, body="x")
        assert (server.requests[1].method, server.requests[1].body) == (after, body)
        assert ("content-type" in server.requests[1].headers) is (body != b"" or after == method)


@pytest.mark.parametrize("elsewhere", [True, False])
async def test_secrets_do_not_go_elsewhere(elsewhere: bool) -> None:
    """Authorization and cookies stay with the server that they were meant for."""
    headers = {"Authorization": "Bearer x", "Cookie": "a=b", "X-Own": "1"}
    async with web_server(echo) as other, web_server(lambda seen: (302, {"Location": target}, b"")) as server:
        target = f"http://127.0.0.1:{other.port}/"
        async with client(HERE) as made:
            if elsewhere:
                await get(made, f"http://127.0.0.1:{server.port}/", headers=headers)
            else:
                await get(made, target, headers=headers)
        seen = other.requests[0].headers
        assert ("authorization" in seen, "cookie" in seen, seen["x-own"]) == (not elsewhere, not elsewhere, "1")


async def test_the_address_that_was_checked_is_the_one_that_is_connected_to() -> None:
    """A name that changes its answer gains nothing: it is looked up once a request, and that answer is used."""
    names = Names(["127.0.0.1"], ["127.0.0.2"])
    async with (
        web_server(lambda _: (200, {}, b"granted")) as server,
        web_server(lambda _: (200, {}, b"inside"), host="127.0.0.2", port=server.port) as inside,
        client(HERE, "net:rebind.test", names=names) as made,
    ):
        assert (await get(made, f"http://rebind.test:{server.port}/"))["body"] == "granted"
        assert names.asked == ["rebind.test"]
        assert server.requests[0].headers["host"] == f"rebind.test:{server.port}"
        with pytest.raises(EgressError, match=r"127\.0\.0\.2 is a loopback address"):
            await get(made, f"http://rebind.test:{server.port}/")
        assert inside.connections == 0


async def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy would look names up itself, past the check."""
    async with web_server(lambda _: (200, {}, b"proxy")) as proxy, web_server(lambda _: (200, {}, b"server")) as server:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        async with client(HERE) as made:
            assert (await get(made, f"http://127.0.0.1:{server.port}/"))["body"] == "server"


# --- networks that fail, and bounds --------------------------------------------------------------------------------


async def test_a_refused_connection_names_the_addresses() -> None:
    """Every address of a name is tried, and each failure is told."""
    async with web_server(echo) as server:
        port = server.port
    async with client("net:a.test", HERE, "net:127.0.0.2", names=Names(["127.0.0.1", "127.0.0.2"])) as made:
        with pytest.raises(
            NetworkError, match=r"no connection to 'a\.test': 127\.0\.0\.1: .*; 127\.0\.0\.2: "
        ) as caught:
            await get(made, f"http://a.test:{port}/")
        assert caught.value.code == "HC406"


async def test_the_next_address_is_tried() -> None:
    """An address at which nobody answers does not stand in the way of the next."""
    names = Names(["127.0.0.1", "127.0.0.2"])
    async with (
        web_server(echo, host="127.0.0.2") as server,
        client("net:a.test", HERE, "net:127.0.0.2", names=names) as made,
    ):
        assert (await get(made, f"http://a.test:{server.port}/"))["status"] == 200


CUT_OFF = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort"
LONG_HEAD = b"HTTP/1.1 200 OK\r\nA: " + b"x" * 200_000


@pytest.mark.parametrize("raw", [b"nonsense\r\n\r\n", b"", CUT_OFF, LONG_HEAD], ids=["no HTTP", "none", "cut", "long"])
async def test_a_broken_reply_is_the_networks_error(raw: bytes) -> None:
    """What is no HTTP, or ends too early, or has headers without end, is told as such."""
    async with web_server(lambda _: raw) as server, client(HERE) as made:
        with pytest.raises(NetworkError, match=r"no proper reply|broke off"):
            await get(made, f"http://127.0.0.1:{server.port}/")


def endless(seen: Seen) -> bytes:
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk + b"10000\r\n"


@pytest.mark.parametrize(
    "handle",
    [
        lambda _: (200, {}, b"x" * 1001), endless,
        lambda _: (200, {"Content-Encoding": "gzip"}, gzip.compress(b"\0" * 50_000_000)[:900_000]),
        lambda _: (200, {"Content-Encoding": "gzip"}, gzip.compress(b"\0" * 1001)),
        lambda _: (200, {"Content-Encoding": "deflate"}, zlib.compress(b"\0" * 1001)),
    ],
)  # fmt: skip
async def test_a_reply_has_a_largest_size(handle: Any) -> None:
    """A body that is too large, or would be when it is unpacked, is not read to its end."""
    async with web_server(handle) as server, client(HERE, limit=1000) as made:
        with pytest.raises(LimitError, match="more than 1,000 bytes"):
            await get(made, f"http://127.0.0.1:{server.port}/")
    async with web_server(lambda _: (200, {}, b"x" * 1000)) as server, client(HERE, limit=1000) as made:
        assert len((await get(made, f"http://127.0.0.1:{server.port}/"))["body"]) == 1000


async def test_a_slow_server_is_given_up_on() -> None:
    """A server that does not answer in time is left, and the error names what was asked without its query."""
    async with web_server(lambda _: None) as server, client(HERE) as made:
        with pytest.raises(DeadlineError, match=r"GET http://127\.0\.0\.1:\d+/x did not end within 0\.1 s") as caught:
            await get(made, f"http://127.0.0.1:{server.port}/x?token=secret", timeout="100ms")
        assert "secret" not in str(caught.value)
    async with web_server(lambda _: None) as server, client(HERE, timeout=0.1) as made:
        with pytest.raises(DeadlineError, match=r"0\.1 s"):
            await get(made, f"http://127.0.0.1:{server.port}/")


class Envelope:
    """What the client looks at of the message in hand."""

    def __init__(self, deadline: float) -> None:
        self.deadline = deadline


class Delivery:
    """A message in hand."""

    def __init__(self, deadline: float, active: bool = True) -> None:
        self.envelope = Envelope(deadline)
        self.active = active


@pytest.mark.parametrize(("left", "timeout"), [(0.1, 60), (inf, 0.1), (-1.0, 60)])
async def test_the_message_in_hand_has_the_last_word(left: float, timeout: float) -> None:
    """A request ends with the deadline of the message being handled, however long it may take by itself."""
    async with web_server(lambda _: None) as server, client(HERE) as made:
        token = current.set(Delivery(time.monotonic() + left))  # type: ignore[arg-type]
        try:
            with pytest.raises(DeadlineError):
                await get(made, f"http://127.0.0.1:{server.port}/", timeout=timeout)
        finally:
            current.reset(token)


async def test_at_most_so_many_requests_at_once() -> None:
    """More than sixteen requests of one module wait for each other; all are answered."""
    together = 0
    most = 0
    gate = asyncio.Event()

    async def names(host: str, port: int) -> list[str]:
        nonlocal together, most
        together += 1
        most = max(most, together)
        if together == http.CONCURRENT:
            gate.set()
        await gate.wait()
        together -= 1
        return ["127.0.0.1"]

    async with web_server(echo) as server, client(HERE, "net:a.test", names=names) as made:
        replies = await asyncio.gather(*(get(made, f"http://a.test:{server.port}/{n}") for n in range(40)))
        assert [reply["headers"]["x-path"] for reply in replies] == [f"/{n}" for n in range(40)]
    assert most == http.CONCURRENT


async def test_connections_are_kept_for_a_host_and_not_for_an_address() -> None:
    """Two requests to one host share a connection; another host at the same address gets its own."""
    async with web_server(echo) as server, client(HERE, "net:a.test", "net:b.test") as made:
        for _ in range(3):
            await get(made, f"http://a.test:{server.port}/")
        assert server.connections == 1
        await get(made, f"http://b.test:{server.port}/")
        assert server.connections == 2


async def test_many_hosts_do_not_keep_many_connections() -> None:
    """Beyond some hosts a connection is closed with its reply."""
    async with web_server(echo) as server, client(HERE, "net:*") as made:
        for number in range(http._HOSTS + 8):
            await get(made, f"http://h{number}.test:{server.port}/")
        async with asyncio.timeout(PATIENCE):
            while len(server.open) > http._HOSTS:  # noqa: ASYNC110 - the server notices a little later
                await asyncio.sleep(0)


async def test_closing_ends_what_is_under_way() -> None:
    """A request that waits when its module goes is answered, its connection closed, and later ones are refused."""
    async with web_server(lambda _: None) as server, client(HERE) as made:
        asking = asyncio.create_task(get(made, f"http://127.0.0.1:{server.port}/"))
        await server.stuck.wait()
        await made.close()
        with pytest.raises(StoppedError, match="has been shut down"):
            await asking
        with pytest.raises(StoppedError):
            await get(made, f"http://127.0.0.1:{server.port}/")
        async with asyncio.timeout(PATIENCE):
            await server.closed.wait()


async def test_cancelling_ends_the_request() -> None:
    """Whoever asked may go away: the connection is closed."""
    async with web_server(lambda _: None) as server, client(HERE) as made:
        asking = asyncio.create_task(get(made, f"http://127.0.0.1:{server.port}/"))
        await server.stuck.wait()
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        async with asyncio.timeout(PATIENCE):
            await server.closed.wait()


# --- TLS -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ssl.SSLContext]:
    """A certificate for "secure.test", and a server's settings with it."""
    return certificates.certificate(tmp_path_factory.mktemp("tls"), "secure.test")


async def test_certificates_are_checked_against_the_name(
    certificate: tuple[Path, ssl.SSLContext], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though the connection goes to an address, the certificate must be the name's; one that is not trusted ends it."""
    path, context = certificate
    async with web_server(echo, tls=context) as server:
        granted = (HERE, "net:secure.test", "net:other.test")
        async with client(*granted) as made:
            with pytest.raises(NetworkError, match="self-signed certificate"):
                await get(made, f"https://secure.test:{server.port}/")
        monkeypatch.setenv("SSL_CERT_FILE", str(path))
        async with client(*granted) as made:
            assert (await get(made, f"https://secure.test:{server.port}/"))["status"] == 200
            with pytest.raises(NetworkError, match="Hostname mismatch"):
                await get(made, f"https://other.test:{server.port}/")
            with pytest.raises(NetworkError, match="IP address mismatch"):
                await get(made, f"https://127.0.0.1:{server.port}/")
    assert [seen.headers["host"] for seen in server.requests] == [f"secure.test:{server.port}"]
