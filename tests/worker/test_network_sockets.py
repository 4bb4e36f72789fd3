"""Sockets and names in a worker behave as Python's do everywhere, though the host makes the connections."""

from __future__ import annotations

import errno
import socket
import textwrap

from support.modules import ModuleWriter
from support.webserver import web_server
from system.support import running
from worker.puppet import run
from worker.reaching import hello, reaching, tries


async def test_a_connection_that_nobody_takes(write: ModuleWriter) -> None:
    """A refused connection is the same error as without a host in between."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    async with reaching(write, [f"net:127.0.0.1:{port}"]) as system:
        told = await tries(system, f"socket.create_connection(('127.0.0.1', {port}))")
        assert told[:2] == ["ConnectionRefusedError", errno.ECONNREFUSED]
        assert await tries(system, f"socket.socket().connect_ex(('127.0.0.1', {port}))") == errno.ECONNREFUSED
        code = f"try: await asyncio.open_connection('127.0.0.1', {port})\nexcept ConnectionRefusedError: return True"
        assert await run(system, code)


async def test_a_connection_that_does_not_come(write: ModuleWriter) -> None:
    """How long to wait is the socket's own affair; meanwhile the host answers other things, and others."""
    with (
        socket.create_server(("127.0.0.1", 0), backlog=0) as server,
        socket.socket() as first,
        socket.socket() as second,
    ):
        for each in (first, second):  # the queue is full with them, and the kernel drops what comes further
            each.setblocking(False)
            each.connect_ex(server.getsockname())
        place = server.getsockname()
        async with reaching(write, ["kv", f"net:127.0.0.1:{place[1]}"]) as system:
            code = f"sock = socket.socket()\nsock.settimeout(0.05)\nplace = {place!r}"
            assert await tries(system, "sock.connect(place)", code) == ["TimeoutError", None, "timed out"]
            assert await tries(system, "sock.connect_ex(place)", code) == errno.EAGAIN
            code = f"place, sock = {place!r}, socket.socket()\nsock.setblocking(False)"
            assert (await tries(system, "sock.connect(place)", code))[:2] == ["BlockingIOError", errno.EINPROGRESS]
            twice = "[sock.connect_ex(place), sock.connect_ex(place)]"
            assert await tries(system, twice, code) == [errno.EINPROGRESS, errno.EALREADY]
            code = textwrap.dedent(f"""
                from socket import create_connection
                waiting = asyncio.create_task(asyncio.open_connection(*{place!r}))
                in_thread = asyncio.create_task(asyncio.to_thread(create_connection, {place!r}, 0.2))
                await asyncio.sleep(0.05)
                context.kv.set("a", 1)
                waiting.cancel()
                return [context.kv.get("a"), waiting.done(), isinstance(await asyncio.gather(
                    in_thread, return_exceptions=True), list)]
            """).strip()
            assert await run(system, code) == [1, False, True]


async def test_a_socket_stays_as_it_was_set(write: ModuleWriter) -> None:
    """Descriptor, waiting, inheritance and options that were set before it connected are the same afterwards."""
    async with web_server(hello) as server, reaching(write, [f"net:127.0.0.1:{server.port}"]) as system:
        code = textwrap.dedent(f"""
            import os, socket
            T, S = socket.IPPROTO_TCP, socket.SOL_SOCKET
            numbers = {{(T, socket.TCP_NODELAY): 1, (S, socket.SO_KEEPALIVE): 1, (T, socket.TCP_KEEPIDLE): 77}}
            options = [*numbers, (S, socket.SO_RCVBUF)]
            def settings(sock):
                return [sock.fileno(), sock.gettimeout(), os.get_blocking(sock.fileno()), sock.get_inheritable(),
                        [sock.getsockopt(*option) for option in options], sock.getsockopt(S, socket.SO_LINGER, 8)]
            found = []
            for timeout in (None, 5.0):
                sock = socket.socket()
                sock.settimeout(timeout)
                sock.set_inheritable(timeout is None)
                for option, value in numbers.items():
                    sock.setsockopt(*option, value)
                sock.setsockopt(S, socket.SO_RCVBUF, 20_000)
                sock.setsockopt(S, socket.SO_LINGER, b"\\1\\0\\0\\0\\7\\0\\0\\0")
                before = settings(sock)
                sock.connect(("127.0.0.1", {server.port}))
                found.append([before == settings(sock), sock.getpeername()[1], sock.connect_ex(("127.0.0.1", 1))])
            return found
        """).strip()
        assert await run(system, code) == [[True, server.port, errno.EISCONN]] * 2


async def test_names(write: ModuleWriter) -> None:
    """Look-ups take and give what Python's own do, and an address is read without anybody being asked."""
    async with reaching(write, ["net:localhost", "net:nowhere.invalid:80"]) as system:
        stream = "socket.SOCK_STREAM"
        for work, result in (
            (f"socket.getaddrinfo('localhost', 80, socket.AF_INET, {stream})", [[2, 1, 6, "", ["127.0.0.1", 80]]]),
            (f"socket.getaddrinfo(b'LOCALHOST.', '80', socket.AF_INET, {stream}, 6, socket.AI_CANONNAME)",
             [[2, 1, 6, "LOCALHOST.", ["127.0.0.1", 80]]]),
            (f"socket.getaddrinfo('localhost', 'https', socket.AF_INET, {stream})[0][4][1]", 443),
            (f"socket.getaddrinfo('::1', 80, 0, {stream})", [[10, 1, 6, "", ["::1", 80, 0, 0]]]),
            (f"socket.getaddrinfo(None, 80, socket.AF_INET, {stream})[0][4]", ["127.0.0.1", 80]),
            (f"socket.getaddrinfo(None, 80, socket.AF_INET, {stream}, 0, socket.AI_PASSIVE)[0][4]", ["0.0.0.0", 80]),
            ("socket.gethostbyname('')", "0.0.0.0"),
            ("socket.gethostbyname('localhost')", "127.0.0.1"),
            ("socket.gethostbyname('10.1.2.3')", "10.1.2.3"),
            ("socket.gethostbyname_ex('localhost')", ["localhost", [], ["127.0.0.1"]]),
            ("socket.getnameinfo(('10.1.2.3', 443), 0)", ["10.1.2.3", "https"]),
            ("socket.getnameinfo(('10.1.2.3', 443), socket.NI_NUMERICSERV)", ["10.1.2.3", "443"]),
        ):  # fmt: skip
            assert await tries(system, work) == result, work
        for work, kind in (
            ("socket.getaddrinfo('nowhere.invalid', 80)", "gaierror"),
            ("socket.getaddrinfo('', 80)", "gaierror"),
            ("socket.getaddrinfo('localhost', 80, flags=socket.AI_NUMERICHOST)", "gaierror"),
            ("socket.getaddrinfo('localhost', 'no such service')", "gaierror"),
            ("socket.getaddrinfo('a' * 300, 80)", "gaierror"),
            ("socket.getaddrinfo(1, 80)", "TypeError"),
            ("socket.gethostbyaddr('127.0.0.1')", "herror"),
            ("socket.getnameinfo(('127.0.0.1', 80), socket.NI_NAMEREQD)", "gaierror"),
            ("socket.socket().connect('127.0.0.1')", "TypeError"),
            ("socket.socket().connect(('127.0.0.1', 'x'))", "TypeError"),
            ("socket.socket().connect(('127.0.0.1', 70000))", "OverflowError"),
        ):
            assert (await tries(system, work))[0] == kind, work
        assert await tries(system, "bool(socket.getfqdn())") is True


async def test_before_initialize(write: ModuleWriter) -> None:
    """A module that connects while it is imported is told that it is too early, and can be loaded all the same."""
    top = """
    import socket
    try:
        socket.create_connection(("127.0.0.1", 1))
    except OSError as exc:
        said = str(exc)
    """
    body = "@hookimpl\ndef handle_message(self, message): return said"
    async with running(policy={"grants": {"early": ["net:127.0.0.1:1"]}}) as system:
        await system.load("early", source=write(body, "early", top=top), isolation="worker")
        assert "before its initialize(context)" in await system.request("early")
