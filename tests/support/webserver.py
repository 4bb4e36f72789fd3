"""Web servers for tests: real ones, on this machine's loopback addresses.

async with web_server(handle) as server:
    server.port, server.requests          # Seen(method, path, headers, body), in order

`handle(seen)` returns (status, headers, body), or the bytes of a whole reply, or None to never answer.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import NamedTuple

Reply = tuple[int, dict[str, str], bytes] | bytes | None


class Seen(NamedTuple):
    """A request as it arrived; header names are in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class WebServer:
    """One server; `connections` counts those that were made to it."""

    def __init__(self, handle: Callable[[Seen], Reply]) -> None:
        self._handle = handle
        self.port = 0
        self.requests: list[Seen] = []
        self.connections = 0
        self.open: set[asyncio.StreamWriter] = set()
        self.stuck = asyncio.Event()  # set when somebody waits for an answer that does not come
        self.closed = asyncio.Event()  # set when a client has gone away

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open.add(writer)
        try:
            while await self._answer(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self.open.discard(writer)
            self.closed.set()
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, path, _ = head[0].split(" ", 2)
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        seen = Seen(method, path, headers, body)
        self.requests.append(seen)
        reply = self._handle(seen)
        if reply is None:
            self.stuck.set()
            await reader.read()
            return False
        if isinstance(reply, bytes):
            writer.write(reply)
            await writer.drain()
            return False
        status, own, content = reply
        lines = [f"HTTP/1.1 {status} OK", f"Content-Length: {len(content)}", *(f"{k}: {v}" for k, v in own.items())]
        writer.write("\r\n".join([*lines, "", ""]).encode("latin-1") + (b"" if method == "HEAD" else content))
        await writer.drain()
        return True


@asynccontextmanager
async def web_server(
    handle: Callable[[Seen], Reply], *, host: str = "127.0.0.1", port: int = 0, tls: ssl.SSLContext | None = None
) -> AsyncIterator[WebServer]:
    """Run a server while the block runs."""
    server = WebServer(handle)
    listening = await asyncio.start_server(server.serve, host, port, ssl=tls)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listening.close()
        for writer in list(server.open):
            writer.transport.abort()
        while server.open:  # noqa: ASYNC110 - each goes when it notices
            await asyncio.sleep(0)
