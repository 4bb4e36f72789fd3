"""The network of a module in a worker: Python's own sockets, as far as it was granted, and nothing else."""

from __future__ import annotations

import errno
import textwrap
from pathlib import Path

from support.certificates import certificate
from support.modules import ModuleWriter
from support.webserver import web_server
from worker.puppet import run
from worker.reaching import hello, reaching, tries

CLIENTS = {
    "urllib": "import urllib.request\nreturn urllib.request.urlopen(url, timeout=5).read().decode()",
    "http.client": """
        import http.client
        connection = http.client.HTTPConnection(host, port)
        connection.request("GET", "/")
        return connection.getresponse().read().decode()
    """,
    "httpx": "import httpx\nreturn httpx.get(url).text",
    "httpx.AsyncClient": """
        import httpx
        async with httpx.AsyncClient() as client:
            return (await client.get(url)).text
    """,
    "httpx from any address": """
        import httpx
        async with httpx.AsyncClient(transport=httpx.AsyncHTTPTransport(local_address="0.0.0.0")) as client:
            return (await client.get(url)).text
    """,
    "asyncio streams": """
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(b"GET / HTTP/1.1\\r\\n\\r\\n")
        data = await reader.readuntil(b"hello")
        writer.close()
        return data[-5:].decode()
    """,
    "asyncio in a thread": """
        import urllib.request
        return await asyncio.to_thread(lambda: urllib.request.urlopen(url).read().decode())
    """,
    "a socket": """
        import socket
        with socket.socket() as sock:
            sock.settimeout(5)
            sock.connect((host, port))
            sock.sendall(b"GET / HTTP/1.1\\r\\n\\r\\n")
            return sock.recv(1000)[-5:].decode()
    """,
    "the loop's sock_connect": """
        import socket
        with socket.socket() as sock:
            sock.setblocking(False)
            loop = asyncio.get_running_loop()
            await loop.sock_connect(sock, (host, port))
            await loop.sock_sendall(sock, b"GET / HTTP/1.1\\r\\n\\r\\n")
            return (await loop.sock_recv(sock, 1000))[-5:].decode()
    """,
}


async def test_what_is_built_on_pythons_sockets_works(write: ModuleWriter) -> None:
    """Libraries connect as ever, blocking or not, to a granted address and to a granted name."""
    async with web_server(hello) as server:
        grants = [f"net:127.0.0.1:{server.port}", f"net:localhost:{server.port}"]
        async with reaching(write, grants) as system:
            for host in ("127.0.0.1", "localhost"):
                told = {}
                for name, code in CLIENTS.items():
                    top = f"host, port, url = {host!r}, {server.port}, 'http://{host}:{server.port}/'\n"
                    told[name] = await run(system, top + textwrap.dedent(code).strip())
                assert told == dict.fromkeys(CLIENTS, "hello")
        assert server.connections == 2 * len(CLIENTS)


async def test_tls(write: ModuleWriter, tmp_path: Path) -> None:
    """TLS is spoken by the module itself, and the certificate is checked there against the name."""
    path, context = certificate(tmp_path, "localhost")
    top = f"import ssl, urllib.request, httpx\ntrust = ssl.create_default_context(cadata={path.read_text()!r})\n"
    async with web_server(hello, tls=context) as server:
        async with reaching(write, [f"net:127.0.0.1:{server.port}", f"net:localhost:{server.port}"]) as system:
            url = f"https://localhost:{server.port}/"
            code = f"{top}return urllib.request.urlopen({url!r}, context=trust).read().decode()"
            assert await run(system, code) == "hello"
            code = f"{top}async with httpx.AsyncClient(verify=trust) as client: return (await client.get({url!r})).text"
            assert await run(system, code) == "hello"
            sock = (
                f"trust.wrap_socket(socket.socket(), server_hostname='localhost').connect(('localhost', {server.port}))"
            )
            assert await tries(system, sock, top) is None
            other = await tries(
                system, f"urllib.request.urlopen('https://127.0.0.1:{server.port}/', context=trust)", top
            )
            assert other[0] == "URLError" and "CERTIFICATE_VERIFY_FAILED" in other[2]
        assert [seen.headers["host"] for seen in server.requests] == [f"localhost:{server.port}"] * 2


# --- what is refused -----------------------------------------------------------------------------------------------


async def test_nothing_is_granted(write: ModuleWriter) -> None:
    """Without a grant every way out is refused with an error that names the permission, and no server is asked."""
    async with web_server(hello) as server, reaching(write, []) as system:
        place = f"127.0.0.1:{server.port}"
        for work, kind in (
            (f"socket.create_connection(('127.0.0.1', {server.port}))", "NotGrantedError"),
            (f"socket.socket().connect_ex(('127.0.0.1', {server.port}))", "NotGrantedError"),
            (f"__import__('urllib.request').request.urlopen('http://{place}/')", "URLError"),
            (f"__import__('httpx').get('http://{place}/')", "ConnectError"),
        ):
            told = await tries(system, work)
            assert told[0] == kind, told
            assert f"'puppet' may not connect to {place}: it has no permission 'net:{place}'" in told[2]
        code = "import socket\nfrom hostcore.errors import DeniedError\n"
        code += f"try: await asyncio.open_connection('127.0.0.1', {server.port})\n"
        code += "except PermissionError as exc: return [isinstance(exc, DeniedError), exc.errno, exc.code, exc.hint]"
        told = await run(system, code)
        assert told[:3] == [True, errno.EACCES, "HC602"] and f"net:{place}" in told[3]
        for lookup in ("getaddrinfo('localhost', 80)", "gethostbyname('localhost')", "gethostbyname_ex('a.org')"):
            told = await tries(system, f"socket.{lookup}")
            assert told[0] == "NotGrantedError" and "has no permission 'net:" in told[2]
        assert not server.connections
        refused = {attempt.permission for attempt in system.refusals("puppet")}
        assert {f"net:{place}", "net:localhost:80", "net:a.org"} <= refused


async def test_another_port_and_another_host(write: ModuleWriter) -> None:
    """A grant is of one host and one port; an address is not its name, nor the name its address."""
    async with web_server(hello) as server, web_server(hello) as other:
        async with reaching(write, [f"net:127.0.0.1:{server.port}", f"net:localhost:{other.port}"]) as system:
            for host, port in (("127.0.0.1", other.port), ("localhost", server.port), ("127.0.0.2", server.port),
                               ("127.1", other.port), ("::1", server.port), ("a.org", server.port)):  # fmt: skip
                told = await tries(system, f"socket.create_connection(({host!r}, {port}))")
                assert (told[0], told[1]) == ("NotGrantedError", errno.EACCES), told
            assert await tries(system, f"socket.create_connection(('127.1', {server.port})).close()") is None
        assert (server.connections, other.connections) == (1, 0)


async def test_a_name_that_leads_inside(write: ModuleWriter) -> None:
    """`net:*` covers every name, and no address of this machine or of a cloud's secrets that a name leads to."""
    async with web_server(hello) as server, reaching(write, ["net:*"]) as system:
        for host, kind in (("localhost", "a loopback"), ("127.0.0.1", "a loopback"), ("0.0.0.0", "an unspecified"),
                           ("169.254.169.254", "a link-local"), ("::1", "a loopback")):  # fmt: skip
            told = await tries(system, f"socket.create_connection(({host!r}, {server.port}))")
            assert told[0] == "NotGrantedError" and f"is {kind}" in told[2], told
        told = await tries(system, f"socket.socket().connect(('', {server.port}))")
        assert "0.0.0.0 is an unspecified address" in told[2]
        told = await tries(system, f"socket.socket().connect((socket.gethostbyname('localhost'), {server.port}))")
        assert f"localhost:{server.port} (127.0.0.1): 127.0.0.1 is a loopback address" in told[2]
        assert not server.connections


async def test_a_redirect_to_another_host(write: ModuleWriter) -> None:
    """A client that follows a redirect makes a new connection, which is checked like the first."""
    async with web_server(hello) as inside:
        moved = {"Location": f"http://127.0.0.1:{inside.port}/secret"}
        async with (
            web_server(lambda _: (302, moved, b"")) as server,
            reaching(write, [f"net:127.0.0.1:{server.port}"]) as system,
        ):
            url = f"http://127.0.0.1:{server.port}/"
            told = await tries(system, f"__import__('httpx').get({url!r}, follow_redirects=True)")
            assert told[0] == "ConnectError" and f"'net:127.0.0.1:{inside.port}'" in told[2]
            assert (server.connections, inside.connections) == (1, 0)


async def test_all_that_is_not_tcp_to_a_granted_place(write: ModuleWriter, tmp_path: Path) -> None:
    """Datagrams, other processes' sockets and listening are refused in words; so is taking an address."""
    async with reaching(write, ["net:*", "net:127.0.0.1"]) as system:
        for work, said in (
            ("socket.socket(socket.AF_INET, socket.SOCK_DGRAM)", "family AF_INET and type SOCK_DGRAM"),
            ("socket.socket(socket.AF_UNIX)", "family AF_UNIX"),
            ("socket.socketpair()[0].connect('/run/x')", "to no socket by its path"),
            ("socket.socket().bind(('127.0.0.1', 8080))", r"may not take the address ('127.0.0.1', 8080)"),
            ("socket.socket().bind(('', 80))", "may not take the address"),
            ("socket.socketpair()[0].bind('/tmp/x')", "may not take the address '/tmp/x'"),
            ("socket.socket().listen()", "may not listen"),
        ):
            kind, number, text = await tries(system, work)
            assert (kind, number) == ("NotGrantedError", errno.EACCES)
            assert said in text and "'puppet'" in text and 'isolation = "native"' in text
        told = await tries(system, "socket.create_server(('127.0.0.1', 0))")
        assert told[0] == "PermissionError" and "may not take the address" in told[2]


async def test_past_python(write: ModuleWriter) -> None:
    """A module that calls the C library, or the old function, gets the kernel's refusal."""
    async with web_server(hello) as server, reaching(write, [f"net:127.0.0.1:{server.port}"]) as system:
        code = "import _socket\nsock = socket.socket()"
        told = await tries(system, f"_socket.socket.connect(sock, ('127.0.0.1', {server.port}))", code)
        assert told[:2] == ["PermissionError", errno.EPERM]
        code = textwrap.dedent(f"""
            import ctypes, socket, struct
            library = ctypes.CDLL(None, use_errno=True)
            place = struct.pack("=H", socket.AF_INET) + struct.pack("!H4B8x", {server.port}, 127, 0, 0, 1)
            return [library.connect(socket.socket().fileno(), place, len(place)), ctypes.get_errno()]
        """).strip()
        assert await run(system, code) == [-1, errno.EPERM]
        assert not server.connections
