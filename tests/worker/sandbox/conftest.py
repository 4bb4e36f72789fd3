"""A world around the cage: a secret, sockets of a host, and a directory for each thing that may be granted."""

from __future__ import annotations

import os
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from worker.sandbox.caging import Caging

from hostcore.hosts.worker.sandbox.cage import Layer
from hostcore.hosts.worker.sandbox.probing import probe
from hostcore.hosts.worker.sandbox.reading import default_read

NOBODY = 65534


@pytest.fixture(scope="session")
def here() -> dict[str, Layer]:
    """What this platform can enforce."""
    if sys.platform != "linux":
        pytest.skip("the sandbox is made of what Linux has")
    return probe()


@pytest.fixture(scope="session", params=[None, NOBODY], ids=["as-it-is", "as-nobody"])
def uid(request) -> int | None:
    """Attempts are made by the user of the tests, and if that is root, by one without any rights as well."""
    if request.param is not None and os.geteuid() != 0:
        pytest.skip("only root can become another user")
    return request.param


@pytest.fixture(scope="session")
def channel() -> Iterator[tuple[socket.socket, socket.socket]]:
    """A pair of sockets between the host and its workers."""
    mine, theirs = socket.socketpair()
    with mine, theirs:
        mine.settimeout(30)
        yield mine, theirs


@pytest.fixture(scope="session")
def caging(here, channel) -> Iterator[Caging]:
    """The process from which the caged ones are forked."""
    caging = Caging(channel[1].fileno())
    yield caging
    caging.close()


@pytest.fixture(scope="session")
def world() -> Iterator[dict[str, Any]]:
    """Paths, ports and numbers; nothing but the sandbox keeps anybody from them."""
    with ExitStack() as stack:
        base = Path(tempfile.mkdtemp(dir="/tmp"))
        stack.callback(shutil.rmtree, base)
        base.chmod(0o755)
        for name in ("code", "data", "other"):
            (base / name).mkdir()
            (base / name).chmod(0o777)
        for name in ("code/mod.py", "other/secret", "other/decoy"):
            (base / name).write_text("secret")
            (base / name).chmod(0o666)
        shutil.copy("/bin/true", base / "data" / "run-me")
        sockets = _sockets(stack, base)
        yield {
            "code": str(base / "code"), "data": str(base / "data"), "other": str(base / "other"),
            "secret": str(base / "other/secret"), "decoy": str(base / "other/decoy"), "host": os.getpid(), **sockets,
        }  # fmt: skip


def _sockets(stack: ExitStack, base: Path) -> dict[str, Any]:
    tcp = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=64))
    udp, by_path, datagrams, abstract = (
        stack.enter_context(socket.socket(family, kind))
        for family, kind in (
            (socket.AF_INET, socket.SOCK_DGRAM), (socket.AF_UNIX, socket.SOCK_STREAM),
            (socket.AF_UNIX, socket.SOCK_DGRAM), (socket.AF_UNIX, socket.SOCK_STREAM),
        )
    )  # fmt: skip
    udp.bind(("127.0.0.1", 0))
    name = f"hostcore-test-{os.getpid()}"
    for sock, address in ((by_path, f"{base}/stream"), (datagrams, f"{base}/datagrams"), (abstract, f"\0{name}")):
        sock.bind(address)
    for path in ("stream", "datagrams"):
        (base / path).chmod(0o777)
    by_path.listen(64)
    abstract.listen(64)
    return {
        "tcp": tcp.getsockname()[1], "udp": udp.getsockname()[1], "unix": f"{base}/stream",
        "unix_datagrams": f"{base}/datagrams", "abstract": name,
    }  # fmt: skip


@pytest.fixture
def cage(world) -> dict[str, Any]:
    """A full cage for a module without any permission but for its own code and a directory."""
    return {"read": [*default_read(), world["code"]], "write": [world["data"]]}


@pytest.fixture
def fully(here) -> None:
    """Skip where the platform lacks a layer that the tests are about; namespaces, of which only a few are, aside."""
    lacking = {name: layer.detail for name, layer in here.items() if not layer.in_force and name != "namespaces"}
    if lacking:
        pytest.skip(f"not enforced here: {lacking}")


@pytest.fixture
def apart(here) -> None:
    """Skip where a process cannot have namespaces of its own, as in many containers."""
    if not here["namespaces"].in_force:
        pytest.skip(f"not enforced here: {here['namespaces'].detail}")
