"""The host's side of the zygote: start it, have it fork workers, hear how they ended."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from hostcore.errors import HostError
from hostcore.hosts.worker.child import Order
from hostcore.hosts.worker.zygote import PACKET, Answer, Request

_PACKET = 1 << 16
_KEPT = frozenset(
    {
        "PATH",
        "HOME",
        "USER",
        "LOGNAME",
        "LANG",
        "LANGUAGE",
        "TZ",
        "LD_LIBRARY_PATH",
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
    }
)
"""The variables that workers get from the host's environment without being granted them; and those of the locale."""
_START = (
    "import json, socket, sys; control = socket.socket(fileno=int(sys.argv[1])); "
    "told = json.loads(control.recv(1 << 20)); del sys.argv[1:]; "
    "sys.path[:] = told['path']; sys.prefix, sys.exec_prefix = told['prefix'], told['exec_prefix']; "
    "from hostcore.hosts.worker.zygote import main; main(control, told['preload'])"
)
"""What the zygote begins with: its search path, which comes over the connection, before it can import anything."""
_encode = msgspec.msgpack.Encoder().encode
_read_answer = msgspec.msgpack.Decoder(Answer).decode


class Born(NamedTuple):
    """A worker that was forked: its number, a handle on it that no other process can get, and how it will have ended.

    `status` is its exit code, negative for a signal; None if nobody can tell.
    """

    pid: int
    handle: int
    status: asyncio.Future[int | None]


class Nursery:
    """Starts workers.

    Args:
        loop: The event loop.
        preload: What to import before any worker is forked.
        seconds: How long starting the zygote may take.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, preload: Sequence[str], seconds: float) -> None:
        self._loop, self._preload, self._seconds = loop, list(preload), seconds
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._starting: asyncio.Future[None] | None = None
        self._forks: dict[int, asyncio.Future[Born]] = {}
        self._statuses: dict[int, asyncio.Future[int | None]] = {}
        self._tokens = itertools.count(1)
        self._turn = asyncio.Lock()

    async def fork(self, order: Order, descriptors: Sequence[int]) -> Born:
        """Have a worker forked.

        Args:
            order: What it is to be.
            descriptors: Those of `child.Descriptors`; they stay the caller's to close.

        Raises:
            HostError: It cannot be (HC513).
        """
        async with self._turn:  # forks come one by one in any case, and the socket has no room for many orders
            return await self._fork(order, descriptors)

    async def _fork(self, order: Order, descriptors: Sequence[int]) -> Born:
        await self._started()
        assert self._control is not None
        token = next(self._tokens)
        request = _encode(Request(token, order))
        if len(request) > PACKET:
            raise _failed(f"its order has {len(request):,} bytes", "grant fewer files, or directories instead")
        future: asyncio.Future[Born] = self._loop.create_future()
        self._forks[token] = future
        try:
            socket.send_fds(self._control, [request], descriptors)
            async with asyncio.timeout(self._seconds):
                born = await future
        except (TimeoutError, asyncio.CancelledError) as exc:
            if future.done() and not future.cancelled() and future.exception() is None:
                os.close(future.result().handle)  # it was born in this very moment, and nobody takes it
            if isinstance(exc, TimeoutError):
                raise _failed(f"it was not forked within {self._seconds:.3g} s") from None
            raise
        except OSError as exc:
            raise _failed(f"its parent cannot be asked ({exc.strerror})") from None
        finally:
            self._forks.pop(token, None)
        return born

    async def _started(self) -> None:
        if self._starting is None:
            self._starting = self._loop.create_future()
            try:
                self._start()
            except OSError as exc:
                self._lost(f"the process that workers are forked from cannot be started: {exc.strerror}")
                raise _failed(f"Python cannot be started: {exc.strerror}") from None
        try:
            async with asyncio.timeout(self._seconds):
                await asyncio.shield(self._starting)
        except TimeoutError:
            self.close()
            raise _failed(f"its parent did not start within {self._seconds:.3g} s", "raise worker.start_time") from None

    def _start(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            told = {
                "path": [os.path.abspath(path) for path in sys.path], "prefix": sys.prefix,  # noqa: PTH100
                "exec_prefix": sys.exec_prefix, "preload": self._preload,
            }  # fmt: skip
            # Isolated and without `site`: what .pth files do was done in the host, whose sys.path this is.
            command = [sys.executable or "", "-I", "-S", "-c", _START, str(theirs.fileno()), "hostcore: zygote"]
            try:
                ours.send(json.dumps(told).encode())
                self._process = subprocess.Popen(
                    command, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, env=_environment(),
                    start_new_session=True, cwd="/",
                )  # fmt: skip
            except BaseException:
                ours.close()
                raise
        ours.setblocking(False)
        self._control = ours
        self._loop.add_reader(ours, self._hear)

    def _hear(self) -> None:
        assert self._control is not None
        try:
            data, descriptors, _, _ = socket.recv_fds(self._control, _PACKET, 1)
        except BlockingIOError:
            return
        except OSError:
            data, descriptors = b"", []
        if not data:
            self._lost("the process that workers are forked from has ended")
            return
        self._understand(_read_answer(data), descriptors)

    def _understand(self, answer: Answer, descriptors: list[int]) -> None:
        if answer.ready and self._starting is not None and not self._starting.done():
            self._starting.set_result(None)
        elif answer.status is not None:
            status = self._statuses.pop(answer.pid, None)
            if status is not None and not status.done():
                status.set_result(answer.status)
        elif answer.token:
            future = self._forks.pop(answer.token, None)
            if future is None or future.done():
                for descriptor in descriptors:  # nobody waits for it: it sees its connection closed, and ends
                    os.close(descriptor)
            elif answer.error or not descriptors:
                future.set_exception(_failed(answer.error or "its handle did not come along"))
            else:
                status = self._statuses[answer.pid] = self._loop.create_future()
                future.set_result(Born(answer.pid, descriptors[0], status))

    def _lost(self, reason: str) -> None:
        """Let all know that the zygote is gone; the next fork starts another."""
        if self._control is not None:
            self._loop.remove_reader(self._control)
            self._control.close()
            self._control = None
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
        starting, self._starting = self._starting, None
        waiting: list[asyncio.Future[Any]] = [*self._forks.values()]
        if starting is not None:
            waiting.append(starting)
        self._forks.clear()
        for future in waiting:
            if not future.done():
                future.set_exception(_failed(reason))
                future.exception()  # looked at: perhaps nobody waits
        statuses, self._statuses = self._statuses, {}
        for status in statuses.values():
            if not status.done():
                status.set_result(None)

    def close(self) -> None:
        """End the zygote, and with it every worker that is left."""
        self._lost("the system is being stopped")


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name in _KEPT or name.startswith("LC_")}


def _failed(reason: str, hint: str = "") -> HostError:
    hint = hint or "look at the host's standard error, and at its limits of processes and memory"
    return HostError(f"a worker process cannot be started: {reason}", code="HC513", hint=hint)
