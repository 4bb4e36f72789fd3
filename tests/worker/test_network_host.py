"""The host's side of a worker's network: what it takes back, what it bounds, what it makes of nonsense."""

from __future__ import annotations

import asyncio
import textwrap

import pytest
from support.modules import ECHO, ModuleWriter
from support.webserver import web_server
from system.support import running, soon, until
from worker.puppet import PUPPET, descriptors, run
from worker.reaching import DOOR, hello, reaching, tries

from hostcore import errors
from hostcore.hosts.worker.lookups import AT_A_TIME, MOST, LookUps
from hostcore.messaging import wire


async def test_what_is_revoked(write: ModuleWriter) -> None:
    """The next connection is refused; one that is open goes on until it is closed."""
    async with web_server(hello) as server, running(policy={"default": "ask"}) as system:
        source = write(PUPPET, "puppet", manifest=f"permissions = ['net:127.0.0.1:{server.port}', 'clock']")
        with pytest.raises(errors.ConsentError):
            await system.load("puppet", source=source, isolation="worker")
        await system.grant("puppet")
        await system.reload("puppet", strict=True)
        connect = f"import socket\nstate['open'] = socket.create_connection(('127.0.0.1', {server.port}))"
        await run(system, connect)
        assert (await system.revoke("puppet", [f"net:127.0.0.1:{server.port}"])).effect == "at once"
        told = await tries(system, f"socket.create_connection(('127.0.0.1', {server.port}))")
        assert told[0] == "NotGrantedError" and f"hostcore grant puppet net:127.0.0.1:{server.port}" in told[2]
        code = "state['open'].sendall(b'GET / HTTP/1.1\\r\\n\\r\\n')\nreturn state.pop('open').recv(1000)[-5:]"
        assert await run(system, code) == b"hello"
        assert server.connections == 1
        await system.unload("puppet")


async def test_connections_end_with_the_worker(write: ModuleWriter) -> None:
    """When the module goes, so does what it left open; the host itself holds none of it."""
    async with web_server(hello) as server, reaching(write, [f"net:127.0.0.1:{server.port}"]) as system:
        before = len(descriptors())
        code = f"state['x'] = [socket.create_connection(('127.0.0.1', {server.port})) for _ in range(20)]"
        await run(system, f"import socket\n{code}")
        await until(lambda: server.connections == 20)
        assert len(descriptors()) == before + 20  # the server's ends
        await system.unload("puppet")
        await until(lambda: not server.open)


async def test_flood(write: ModuleWriter) -> None:
    """A module that connects without end waits for its turn, and others are served meanwhile."""
    async with web_server(hello) as server, reaching(write, [f"net:127.0.0.1:{server.port}"]) as system:
        await system.load("echo", source=write(ECHO))
        code = f"import socket\nfor _ in range(260): socket.create_connection(('127.0.0.1', {server.port})).close()"
        flood = asyncio.ensure_future(run(system, code, timeout=30))
        answered = 0
        while not flood.done():
            assert await system.request("echo", 1) == 1
            answered += 1
            await asyncio.sleep(0)
        await flood
        assert answered > 100


async def test_flood_of_look_ups(write: ModuleWriter) -> None:
    """Many threads that look names up at once all get their answers."""
    async with reaching(write, ["net:localhost"]) as system:
        code = textwrap.dedent("""
            import socket
            from concurrent.futures import ThreadPoolExecutor
            with ThreadPoolExecutor(50) as pool:
                found = list(pool.map(lambda _: socket.gethostbyname("localhost"), range(100)))
            return [len(found), *set(found)]
        """).strip()
        assert await run(system, code) == [100, "127.0.0.1"]


async def test_nonsense_on_the_side(write: ModuleWriter) -> None:
    """Whatever a worker asks for on its side connection, it gets an error, and nobody else notices."""
    async with web_server(hello) as server, reaching(write, ["kv", f"net:127.0.0.1:{server.port}"]) as system:
        asked = [
            ("net.connect",), ("net.connect", None, 1), ("net.connect", "127.0.0.1", "x"),
            ("net.connect", "a" * 10**6, 1), ("net.connect", "localhost", server.port),
            ("net.connect", "127.0.0.1", 1, 2), ("net.forget",), ("net.resolve",), ("net.resolve", "localhost"),
            ("kv.get",), ("granted", 5), ("subscribe", 5), ("subscribe",),
        ]  # fmt: skip
        for arguments in asked:
            told = await tries(system, f"door.ask_for_descriptor(*{arguments!r})", DOOR)
            assert told[0] in ("ContractError", "HostError", "NetworkError", "DeniedError"), told
        for arguments in ((None, None), ("x" * 10**5, 1), ("localhost", b"80")):
            code = f"_, number = door.ask_for_descriptor('net.resolve', *{arguments!r})\n"
            told = await run(system, f"{DOOR}{code}import socket\nreturn socket.socket(fileno=number).recv(10000)")
            assert wire.decode_raw(told)[0] is False
        assert await run(system, "context.kv.set('a', 1)\nreturn context.kv.get('a')") == 1
        assert not server.connections


async def test_an_answer_that_nobody_waits_for(write: ModuleWriter) -> None:
    """What a deadline broke off while it waited for its answer does not put the next answer in the wrong place."""
    async with web_server(hello) as server, reaching(write, ["kv", f"net:127.0.0.1:{server.port}"]) as system:
        code = DOOR + textwrap.dedent(f"""
            from hostcore.hosts.worker.frames import CALL, Frame, pack
            from hostcore.messaging.wire import encode_raw
            context.kv.set("a", 1)
            for name, asked in (("net.connect", ["127.0.0.1", {server.port}]), ("kv.keys", []), ("kv.rule", [])):
                door._number += 1
                door._connection.sendall(pack(Frame(CALL, door._number, name, encode_raw(asked))))
            return context.kv.get("a")
        """)
        assert await run(system, code) == 1


async def test_look_ups_are_bounded() -> None:
    """So many are looked up at a time, so many wait, and who asks for more is not answered yet; closing ends all."""
    loop = asyncio.get_running_loop()
    look_ups, opened, going = LookUps(loop), asyncio.Event(), 0

    async def look_up() -> list[str]:
        nonlocal going
        going += 1
        await opened.wait()
        return ["127.0.0.1"]

    taken = [await look_ups.begin(look_up) for _ in range(MOST)]
    more = asyncio.ensure_future(look_ups.begin(look_up))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert going == AT_A_TIME and not more.done()
    opened.set()
    taken.append(await soon(more))
    for sock in taken:
        sock.setblocking(False)
        assert wire.decode_raw(await soon(loop.sock_recv(sock, 1000))) == [True, ["127.0.0.1"]]
        assert await soon(loop.sock_recv(sock, 1)) == b""
        sock.close()
    opened.clear()
    last = await look_ups.begin(look_up)
    look_ups.close()
    last.setblocking(False)
    assert await soon(loop.sock_recv(last, 1)) == b""
    last.close()
