"""HTTP for modules, as the service "http": `context.invoke("http", "request", url="https://api.example.org/x")`.

The host does the request, so that a module in a sandbox needs no sockets and a policy is the one place that says where
modules reach.  Each hop, the first and every redirect, goes through the `egress` gate, and connects to the address that
was checked there; the name travels in the Host header and in the TLS handshake alone.  The environment's proxies are
not used: they would do the look-up of names again.

A request runs in a task of its own with an empty context: nothing that the libraries leave behind, such as an open
connection, is taken for the module's.  Connections are kept by name, not by address alone, or a request to one host
could go out on a connection that was made, and its certificate checked, for another at the same address.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from contextvars import Context
from typing import TYPE_CHECKING, Any

from hostcore.errors import ContractError, DeadlineError, EgressError, NetworkError, StoppedError
from hostcore.hosts.base import Grants
from hostcore.messaging.current import current
from hostcore.runtime import egress, httpdata
from hostcore.runtime.httpdata import Call

if TYPE_CHECKING:
    import ssl
    from types import ModuleType

    import httpx

CAPABILITY = "http"
REDIRECTS = 5
CONCURRENT = 16
"""How many requests of one module are under way at a time; further ones wait."""
CONNECT_TIME = 10.0
"""The most seconds for a connection to one address; then the next one is tried."""
_HOSTS = 32
"""For how many hosts connections are kept."""
_LONGEST_URL = 8192
_SMALL = 4096
"""Bytes of a body that are unpacked and decoded on the event loop; they cannot become more than a few megabytes."""
_MOVED = frozenset({301, 302, 303, 307, 308})
_PORTS = {"http": 80, "https": 443}


class HttpService:
    """What a module sees of the service: its one operation."""

    def __init__(self, client: HttpClient) -> None:
        self.__client = client

    async def request(self, /, **arguments: Any) -> dict[str, Any]:
        """Do an HTTP request; see `HttpClient.request`."""
        return await self.__client.request(arguments)


class HttpClient:
    """The requests of one copy of a module.

    Args:
        module: The module's name.
        grants: What it may do.
        limit: The most bytes of a reply's body.
        timeout: The seconds that a request may take where the module says nothing.
        resolve: Who knows the addresses of names.
    """

    def __init__(
        self, module: str, grants: Grants, *, limit: int, timeout: float, resolve: egress.Resolve = egress.resolve
    ) -> None:
        self.service = HttpService(self)
        self._module = module
        self._gate = egress.Gate(module, grants, resolve)
        self._limit = limit
        self._timeout = timeout
        self._room = asyncio.Semaphore(CONCURRENT)
        self._transports: dict[tuple[str, str], httpx.AsyncHTTPTransport] = {}
        self._library: ModuleType | None = None
        self._certificates: ssl.SSLContext | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._closed = False

    async def request(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Do an HTTP request, following redirects; a reply with any status is a result.

        Args:
            arguments: `url`, and if wanted `method`, `headers`, `timeout` (seconds; the deadline of the message in hand
                is kept in any case), and one of `body` (text), `body_base64` and `json`.

        Returns:
            `status`, `headers` (names in lower case), `url` (after redirects), and `body`, or `body_base64` if it is
            no text.

        Raises:
            ContractError: The arguments are wrong; every mistake is listed.
            EgressError: The module may not connect there, or to where it was redirected.
            NetworkError: There is no such host, no connection, or no proper reply.
            DeadlineError: It took too long.
            LimitError: The reply is too large.
        """
        if self._closed:
            raise self._stopped()
        asked, call = httpdata.read_arguments(arguments, self._module)
        seconds = self._timeout if asked.timeout is None else asked.timeout
        delivery = current.get()
        if delivery is not None and delivery.active:
            seconds = min(seconds, delivery.envelope.deadline - time.monotonic())
        work = self._within(seconds, call, asked.url)
        task = asyncio.Task(work, name=f"hostcore:http {self._module}", context=Context())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            return await task
        except asyncio.CancelledError:
            asker = asyncio.current_task()
            if self._closed and (asker is None or not asker.cancelling()):
                raise self._stopped() from None
            raise
        finally:
            task.cancel()  # whoever drives the asker may have stopped it where no task is told

    async def close(self) -> None:
        """End what is under way and close every connection."""
        self._closed = True
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(list(self._tasks))
        while self._transports:
            await self._transports.popitem()[1].aclose()

    def _stopped(self) -> StoppedError:
        return StoppedError(f"{self._module!r} has been shut down")

    # --- one request -------------------------------------------------------------------------------------------

    async def _within(self, seconds: float, call: Call, url: str) -> dict[str, Any]:
        try:
            async with asyncio.timeout(seconds) as scope, self._room:
                if self._library is None:  # in a thread: it takes a tenth of a second
                    self._library = await asyncio.to_thread(_import)
                return await self._follow(self._library, call, url)
        except TimeoutError:
            if not scope.expired():
                raise
            shown = f"{call.method} {url.partition('?')[0][:200]}"
            raise DeadlineError(f"{shown} did not end within {max(seconds, 0):.3g} s") from None

    async def _follow(self, library: ModuleType, call: Call, url: str) -> dict[str, Any]:
        place = self._read(library, url)
        for _ in range(REDIRECTS + 1):
            async with self._send(library, call, place) as response:
                status, headers = response.status_code, response.headers
                location = headers.get("location") if status in _MOVED else None
                if location is None:
                    body = b"" if call.method == "HEAD" else await self._body(library, response)
                    told = status, headers.multi_items(), body, str(place), self._limit
                    if len(body) <= _SMALL:
                        return httpdata.answer(*told)
                    return await asyncio.to_thread(httpdata.answer, *told)
            origin, place = _origin(place), self._read(library, location, place)
            call = call.redirected(status, elsewhere=_origin(place) != origin)
        raise NetworkError(f"{url.partition('?')[0][:200]} redirects more than {REDIRECTS} times")

    def _read(self, library: ModuleType, text: str, base: httpx.URL | None = None) -> httpx.URL:
        """Return the URL in `text`, which may be relative to `base`, where a redirect came from."""
        try:
            if len(text) > _LONGEST_URL or "\\" in text or any(not c.isprintable() or c.isspace() for c in text):
                raise ValueError("it is too long, or has characters that a URL must not have")
            url: httpx.URL = library.URL(text) if base is None else base.join(text)
            host, port = _origin(url)[1:]
            if not host or not 0 <= port <= 65535 or url.port == 0:
                raise ValueError("it names no host" if not host else "there is no such port")
        except (ValueError, TypeError, library.InvalidURL) as error:
            if base is None:
                raise ContractError(self._module, f"{text[:200]!r} is not a URL: {error}") from None
            raise NetworkError(f"{base.host!r} redirects to what is not a URL: {error}") from None
        if url.scheme not in _PORTS:
            raise EgressError(self._module, host, port, "only http and https are spoken")
        if url.userinfo:
            raise EgressError(self._module, host, port, "the URL holds a name and password", hint="use a header")
        return url.copy_with(fragment=None)

    @asynccontextmanager
    async def _send(self, library: ModuleType, call: Call, url: httpx.URL) -> AsyncIterator[httpx.Response]:
        """Send the request to the first address of the URL's host that takes it; the reply's body is to be read."""
        scheme, host, port = _origin(url)
        addresses = await self._gate.addresses(host, port)
        named = egress.authority(host, port) if port != _PORTS[scheme] else f"[{host}]" if ":" in host else host
        headers = _encoded([("Host", named), *call.headers, ("Accept-Encoding", "gzip, deflate")])
        extensions = {"timeout": {"connect": CONNECT_TIME}, "sni_hostname": host}
        reasons = []
        async with self._transport(library, scheme, host) as transport:
            for address in addresses:
                request = library.Request(
                    call.method, url.copy_with(host=address), headers=headers, content=call.body or None,
                    extensions=extensions,
                )  # fmt: skip
                try:
                    response = await transport.handle_async_request(request)
                except (library.ConnectError, library.ConnectTimeout) as error:
                    reasons.append(f"{address}: {_reason(error)}")
                    continue
                except library.TransportError as error:
                    raise NetworkError(f"{host!r} gave no proper reply: {_reason(error)}") from None
                async with aclosing(response):
                    yield response
                return
        raise NetworkError(f"no connection to {host!r}: {'; '.join(reasons)}")

    async def _body(self, library: ModuleType, response: httpx.Response) -> bytes:
        body = bytearray()
        try:
            async for chunk in response.aiter_raw():
                body += chunk
                if len(body) > self._limit:
                    raise httpdata.too_large(self._limit)
        except library.TransportError as error:
            raise NetworkError(f"the reply broke off: {_reason(error)}") from None
        return bytes(body)

    @asynccontextmanager
    async def _transport(self, library: ModuleType, scheme: str, host: str) -> AsyncIterator[httpx.AsyncHTTPTransport]:
        """Give the connections to a host; they are kept for the next request, unless there are many hosts."""
        if self._certificates is None:
            self._certificates = await asyncio.to_thread(library.create_ssl_context)
        key = (scheme, host)
        kept = self._transports.get(key)
        if kept is not None:
            yield kept
            return
        limits = library.Limits(max_connections=CONCURRENT, max_keepalive_connections=2, keepalive_expiry=15.0)
        made: httpx.AsyncHTTPTransport = library.AsyncHTTPTransport(verify=self._certificates, limits=limits)
        if len(self._transports) < _HOSTS:
            self._transports[key] = made
            yield made
        else:
            async with made:
                yield made


def _encoded(headers: httpdata.Headers) -> list[tuple[bytes, bytes]]:
    return [(name.encode("ascii"), value.encode("latin-1")) for name, value in headers]


def _origin(url: httpx.URL) -> tuple[str, str, int]:
    """Return scheme, host and port: the host in lower case, without a final dot, a name in its ASCII form."""
    host = url.raw_host.decode("ascii").lower().removesuffix(".")
    return url.scheme, host, _PORTS.get(url.scheme, 0) if url.port is None else url.port


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__


def _import() -> ModuleType:
    import httpcore  # noqa: F401 - httpx imports it with its first request
    import httpx

    return httpx
