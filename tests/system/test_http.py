"""The service "http" as modules see it: built in, checked against their grants, gone with them."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import Any

import pytest
from support.modules import ModuleWriter
from support.webserver import Reply, Seen, web_server
from system.support import PATIENCE, running, soon

import hostcore
from hostcore import errors

FETCH = """
@hookimpl
def initialize(self, context):
    self.context = context

@hookimpl
async def handle_message(self, message):
    return await self.context.invoke("http", message.topic or "request", **message.payload)
"""


def hello(seen: Seen) -> Reply:
    return 200, {"Content-Type": "text/plain"}, b"hello"


async def test_a_module_fetches_and_goes_without_a_trace(system: hostcore.ModuleSystem, write: ModuleWriter) -> None:
    """A native module without grants reaches any server; when it goes, its connections do and nothing of it is left."""
    async with web_server(hello) as server:
        await system.load("fetch", source=write(FETCH, "fetch"))
        for _ in range(2):
            reply = await system.request("fetch", {"url": f"http://127.0.0.1:{server.port}/"})
            assert (reply["status"], reply["body"]) == (200, "hello")
        assert len(server.open) == 1
        report = await system.reload("fetch", strict=True)
        assert report.leaks == ()
        await system.request("fetch", {"url": f"http://127.0.0.1:{server.port}/"})
        assert await system.unload("fetch") == ()
        async with asyncio.timeout(PATIENCE):
            while server.open:  # noqa: ASYNC110 - the server notices a little later
                await asyncio.sleep(0)
        assert server.connections == 2


@pytest.mark.parametrize(
    ("grants", "code"),
    [([], "HC601"), (["net:*"], "HC601"), (["cap:http"], "HC602"), (["cap:http", "net:*"], "HC602"),
     (["cap:http", "net:127.0.0.1:1"], "HC602")],
)  # fmt: skip
async def test_both_permissions_are_needed(write: ModuleWriter, grants: list[str], code: str) -> None:
    """A module needs the service and the host; without either no server hears of it."""
    async with web_server(hello) as server, running(policy={"grants": {"fetch": grants}}) as system:
        await system.load("fetch", source=write(FETCH, "fetch"))
        with pytest.raises(errors.HookError, match=code) as caught:
            await system.request("fetch", {"url": f"http://127.0.0.1:{server.port}/"})
        assert caught.value.exception == ("DeniedError" if code == "HC601" else "EgressError")
        assert not server.connections


async def test_what_is_granted_is_reached(write: ModuleWriter) -> None:
    """With the service and the very address granted, a module gets its reply."""
    async with web_server(hello) as server:
        grants = ["cap:http", f"net:127.0.0.1:{server.port}"]
        async with running(policy={"default": "deny", "grants": {"fetch": grants}}) as system:
            await system.load("fetch", source=write(FETCH, "fetch"))
            assert (await system.request("fetch", {"url": f"http://127.0.0.1:{server.port}/"}))["body"] == "hello"


async def test_the_deadline_of_the_message_ends_the_request(system: hostcore.ModuleSystem, write: ModuleWriter) -> None:
    """Who asks the module waits no longer than it said, though the server never answers."""
    async with web_server(lambda _: None) as server:
        await system.load("fetch", source=write(FETCH, "fetch"))
        with pytest.raises((errors.DeadlineError, errors.HookError)):
            await system.request("fetch", {"url": f"http://127.0.0.1:{server.port}/"}, timeout=0.3)
        assert await soon(system.unload("fetch")) == ()


async def test_a_request_that_never_ends_goes_with_the_module(write: ModuleWriter) -> None:
    """A module that is replaced while it waits for a server is not held by it, and its connection is closed."""
    async with web_server(lambda _: None) as server, running(reload={"drain": "20ms"}) as system:
        await system.load("fetch", source=write(FETCH, "fetch"))
        asking = asyncio.create_task(system.request("fetch", {"url": f"http://127.0.0.1:{server.port}/"}))
        await soon(server.stuck.wait())
        report = await soon(system.reload("fetch", state="fresh", strict=True))
        assert report.leaks == ()
        with pytest.raises(errors.HostcoreError):
            await soon(asking)
        await soon(server.closed.wait())


class OwnHttp:
    """A program's own service of that name."""

    def request(self, url: str) -> str:
        """Tell the URL."""
        return f"own {url}"


async def test_a_programs_own_service_comes_first(write: ModuleWriter) -> None:
    """A program that offers "http" itself replaces what is built in."""
    async with running({"http": OwnHttp()}) as system:
        await system.load("fetch", source=write(FETCH, "fetch"))
        assert await system.request("fetch", {"url": "x"}) == "own x"


@pytest.mark.parametrize(
    ("topic", "payload", "said"),
    [
        ("reqest", {}, "did you mean 'request'"), ("_client", {}, "no operation '_client'"),
        ("_HttpService__client", {}, "no operation"), ("request", {"urll": "x"}, "did you mean 'url'"),
        ("request", {"url": "http://127.0.0.1:1/", "timeout": 0}, "out of range"),
    ],
)  # fmt: skip
async def test_wrong_calls_say_what_is_right(
    system: hostcore.ModuleSystem, write: ModuleWriter, topic: str, payload: Any, said: str
) -> None:
    """The service has one operation and the arguments that it names; nothing else of it can be reached."""
    await system.load("fetch", source=write(FETCH, "fetch"))
    with pytest.raises(errors.HookError, match=said):
        await system.request("fetch", payload, topic=topic)


async def test_a_reply_fits_into_a_message(write: ModuleWriter) -> None:
    """A reply is no larger than any other message may be."""
    async with web_server(lambda _: (200, {}, b"x" * 20_000)) as server, running(message_limit="10kB") as system:
        await system.load("fetch", source=write(FETCH, "fetch"))
        with pytest.raises(errors.HookError, match=r"HC503.*more than 10,000 bytes"):
            await system.request("fetch", {"url": f"http://127.0.0.1:{server.port}/"})


def test_the_library_is_imported_when_it_is_needed() -> None:
    """A host whose modules fetch nothing does not pay for HTTP."""
    program = "import sys, hostcore, hostcore.system, hostcore.runtime.http; sys.exit('httpx' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
