"""What runs in a worker: the same host that would run the module in the program's own process, behind a connection.

A message goes through a cell here as it does there: one at a time, under the guard, with the module's own limits.  What
the module asks of the system goes over the connection; what has to be answered on the spot, such as a value of its
store, over a second one (`sideways`).
"""

from __future__ import annotations

import asyncio
import atexit
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Coroutine, Mapping
from math import inf
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import msgspec

from hostcore.config import load_config
from hostcore.contract.context import Context
from hostcore.contract.grants import ModuleGrants
from hostcore.contract.manifest import Limits
from hostcore.contract.messages import Envelope
from hostcore.contract.permissions import Permission
from hostcore.contract.spec import HOOKS
from hostcore.errors import HostError
from hostcore.generations import stop_watching
from hostcore.generations.keeping import KeptCode
from hostcore.hosts.base import Crash, Host, HostedInstance, Job, Tools
from hostcore.hosts.native import NativeHost, NativeInstance
from hostcore.hosts.worker import messages, network
from hostcore.hosts.worker.asking import WorkerPorts
from hostcore.hosts.worker.carrying import carried
from hostcore.hosts.worker.frames import OVERHEAD, Frame
from hostcore.hosts.worker.link import Link
from hostcore.hosts.worker.logs import send_logs
from hostcore.hosts.worker.packing import pack_code, unpack_code
from hostcore.hosts.worker.sandbox.cage import Cage, Layer
from hostcore.hosts.worker.sandbox.confining import confine
from hostcore.hosts.worker.sideways import SideDoor
from hostcore.messaging import wire
from hostcore.messaging.cell import Cell
from hostcore.messaging.deadlines import Deadlines
from hostcore.messaging.guard import NoGuard, ThreadGuard, make_guard
from hostcore.messaging.wire import Reply

_ABOUT = 16 * 1024**2
"""Bytes that the host's frames may have beyond the limit of those that it takes: code that was kept comes back together
with all that is said of a module."""
_STUCK_TIME = 0.5
"""Seconds that a blocking hook has to end once it was broken and its caller told."""
_NO_RESULT = frozenset({"initialize", "shutdown", "restore_state"})


class Descriptors(NamedTuple):
    """The descriptors that a worker is born with: its two connections, and where its output goes."""

    main: int
    side: int
    stdout: int
    stderr: int


class Order(msgspec.Struct):
    """What a worker is to be.

    Attributes:
        name: The module.
        cage: What its process may reach.
        folder: A directory of its own, to work in.
        nice: How much it gives way to others.
        path: Directories that its imports are looked for in before any others.
        limit: The most bytes of a frame that the host takes.
    """

    name: str
    cage: Cage
    folder: str
    nice: int
    path: tuple[str, ...]
    limit: int


def run(order: Order, descriptors: Descriptors) -> NoReturn:
    """Be the worker, until the host has no more use for it."""
    _settle_in(order, descriptors)
    layers = confine(order.cage)
    stop_watching()
    main, side = socket.socket(fileno=descriptors.main), socket.socket(fileno=descriptors.side)
    door = SideDoor(side, order.name)
    network.install(door, order.name)
    asyncio.run(_serve(order, main, door, layers))
    leave(0)


def leave(code: int) -> NoReturn:
    """End the process at once, whatever threads the module has left in it."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except Exception:  # noqa: BLE001 - whatever the module has put in its place
            continue
    os._exit(code)


def _settle_in(order: Order, descriptors: Descriptors) -> None:
    """Make the fork a process of its own: its output, its directory, its variables, its place in the queue."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    os.dup2(descriptors.stdout, 1)
    os.dup2(descriptors.stderr, 2)
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    os.close(descriptors.stdout)
    os.close(descriptors.stderr)
    os.environ["TMPDIR"] = order.folder
    os.chdir(order.folder)
    os.nice(order.nice)
    sys.path[:0] = [path for path in order.path if path not in sys.path]


async def _serve(order: Order, main: socket.socket, side: SideDoor, layers: Mapping[str, Layer]) -> None:
    loop = asyncio.get_running_loop()
    worker = Worker(order, side)
    main.setblocking(False)
    _, worker.link = await loop.create_unix_connection(lambda: Link(worker, order.limit + _ABOUT), sock=main)
    worker.link.tell("ready", messages.encode(layers))
    await loop.create_future()  # the end of the connection is the end of the process


class Outcome:
    """Where the reply to one message goes: over the connection.  See `messaging.pending.Pending`."""

    __slots__ = ("_link", "_number", "settled")

    def __init__(self, link: Link, number: int) -> None:
        self._link, self._number, self.settled = link, number, False

    def resolve(self, value: Reply) -> None:
        """Give the reply."""
        if not self.settled:
            self.settled = True
            self._link.reply(self._number, value.data, value.schema)

    def fail(self, error: BaseException) -> None:
        """Give an error instead of a reply."""
        if not self.settled:
            self.settled = True
            self._link.fail(self._number, carried(error))

    def expire(self) -> None:
        """Say nothing: the host knows the time itself."""
        self.settled = True


class Watch:
    """Hears what happens in the cell, most of which the host notices itself; `stuck` is for what it cannot."""

    def __init__(self, stuck: Callable[[], None]) -> None:
        self._stuck = stuck

    def failed(self, cell: Cell, envelope: Envelope, error: Exception) -> None:
        """See later whether it has left a blocking hook behind; the error itself is the reply."""
        instance = cell.instance
        if isinstance(instance, NativeInstance) and instance.is_stuck_since(inf):
            cell.loop.call_later(_STUCK_TIME, self._look, instance, time.monotonic())

    def _look(self, instance: NativeInstance, when: float) -> None:
        if instance.is_stuck_since(when):
            self._stuck()

    def dead(self, envelope: Envelope, reason: str) -> None:
        """Do nothing: the host asks."""

    def blocked(self, cell: Cell, envelope: Envelope, seconds: float) -> None:
        """Do nothing: a worker may hold its own loop."""

    def overran(self, cell: Cell, envelope: Envelope, seconds: float) -> None:
        """Do nothing: the host counts the time too, and ends what does not end."""


class Worker:
    """Does what the host asks for."""

    def __init__(self, order: Order, side: SideDoor) -> None:
        self.loop = asyncio.get_running_loop()
        self.link: Link
        self._order, self._side = order, side
        self._deadlines = Deadlines(self.loop)
        self._cell = Cell(order.name, self.loop, self._deadlines, Watch(self._stuck), capacity=1024, blocked_after=inf)
        self._instance: HostedInstance | None = None
        self._context: Context | None = None
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._delivered = 0
        self._message_limit = 0
        self._read_message = messages.reader(messages.Delivered).decode
        self._read_hook = messages.reader(messages.Hook).decode
        self._read_load = messages.reader(messages.Load).decode

    # --- what the host asks for --------------------------------------------------------------------------------

    def called(self, link: Link, frame: Frame) -> None:
        """See `link.Answers`."""
        if frame.name == "message":
            self._deliver(frame)
        elif frame.name == "ping":
            link.reply(frame.number, b"")
        elif frame.name == "hook":
            self._begin(frame, self._hook(frame))
        elif frame.name == "load":
            self._begin(frame, self._load(frame))
        elif frame.name == "keep":
            code = self._instance.keep() if self._instance is not None else None
            packed = pack_code(code, self._order.limit - OVERHEAD) if isinstance(code, KeptCode) else b""
            link.reply(frame.number, packed)
        elif frame.name == "close":
            self._begin(frame, self._close())

    def cancelled(self, number: int) -> None:
        """See `link.Answers`."""
        task = self._tasks.get(number)
        if task is not None:
            task.cancel()
        elif number == self._delivered and self._cell.delivery is not None and self._cell.runner is not None:
            self._cell.runner.cancel()

    def told(self, frame: Frame) -> None:
        """See `link.Answers`."""

    def closed(self, reason: str) -> None:
        """End: without its host a worker has no purpose."""
        leave(0)

    def _begin(self, frame: Frame, work: Coroutine[Any, Any, bytes]) -> None:
        task = self.loop.create_task(self._answer(frame.number, work))
        self._tasks[frame.number] = task
        task.add_done_callback(lambda _: self._done(frame.number, work))

    def _done(self, number: int, work: Coroutine[Any, Any, bytes]) -> None:
        work.close()  # a task that was cancelled before its first step has not touched it
        self._tasks.pop(number, None)

    async def _answer(self, number: int, work: Coroutine[Any, Any, bytes]) -> None:
        try:
            self.link.reply(number, await work)
        except asyncio.CancelledError:
            self.link.fail(number, carried(HostError("it was cancelled")))  # the host waits to see that it has ended
            raise
        except Exception as exc:  # noqa: BLE001 - the host gets it, named
            self.link.fail(number, carried(exc))

    def _deliver(self, frame: Frame) -> None:
        told = self._read_message(frame.body)
        deadline = time.monotonic() + frame.seconds
        envelope = Envelope(
            told.id, told.sender, self._order.name, told.topic, told.schema, told.payload, deadline, (), told.trace,
            told.hook,
        )  # fmt: skip
        self._delivered = frame.number
        outcome: Any = Outcome(self.link, frame.number)
        if self._cell.free:
            self._cell.run_now(envelope, outcome)
        else:
            self._cell.put(envelope, outcome)

    # --- the module --------------------------------------------------------------------------------------------

    async def _load(self, frame: Frame) -> bytes:
        told = self._read_load(frame.body)
        self._message_limit = told.message_limit
        os.environ.update(told.environment)
        send_logs(self.link, told.log_level)
        grants = ModuleGrants(
            map(Permission, told.granted), everything=False, module=told.release.name, observed=told.observed
        )
        job = Job(
            release=told.release, number=told.number, limits=Limits(**told.limits), hook_time=told.hook_time,
            load_time=told.load_time, message_limit=told.message_limit, third_party=told.third_party,
            grants=grants, kept=unpack_code(told.kept), state_version=told.state_version,
        )  # fmt: skip
        instance = self._instance = await self._host(told).load(job)
        if told.host != "native":
            instance.died = self._tell_of
        self._cell.swap(instance)
        self._cell.resume()
        known = {**told.third_party, **HOOKS}
        arguments = {
            hook: [name for name in known.get(hook, ()) if instance.accepts(hook, name)] for hook in instance.hooks
        }
        return messages.encode(messages.Loaded(dict(instance.hooks), arguments))

    def _host(self, told: messages.Load) -> Host:
        if told.host == "native":
            return NativeHost(Tools(self.loop, make_guard("signal"), ThreadGuard(), {}), aside=False)
        from hostcore.hosts.wasm.host import WasmHost

        config = load_config({"wasm": told.config["wasm"]})
        return WasmHost(Tools(self.loop, NoGuard(), ThreadGuard(), {}, config), Path(told.config["cache"]))

    def _stuck(self) -> None:
        """Tell that a blocking hook does not end, in C code perhaps: its thread cannot be used again, nor stopped."""
        self.link.tell("stuck", b"")

    def _tell_of(self, crash: Crash) -> None:
        """Tell of a guest that has died: its instance makes another, and the host keeps count."""
        body = messages.Crashed(crash.kind, carried(crash.error), crash.hook, crash.topic, crash.message)
        self.link.tell("crashed", messages.encode(body))

    async def _hook(self, frame: Frame) -> bytes:
        told = self._read_hook(frame.body)
        assert self._instance is not None
        arguments = wire.decode_raw(told.arguments)
        if told.hook == "initialize":
            self._context = self._make_context(arguments)
            arguments = {"context": self._context}
        result = await self._instance.call(told.hook, frame.seconds, **arguments)
        if told.hook == "get_capabilities" and isinstance(result, set | tuple | list):
            result = [str(each) for each in result]
        elif told.hook in _NO_RESULT:
            result = None
        limit = self._order.limit - OVERHEAD
        return wire.encode(result, module=self._order.name, what=f"the result of {told.hook!r}", limit=limit)

    def _make_context(self, told: dict[str, Any]) -> Context:
        ports = WorkerPorts(self._order.name, self.link, self._side, self._message_limit)
        return Context(self._order.name, told["version"], told["number"], told["config"], ports)

    async def _close(self) -> bytes:
        """Do what a program does at its end; all else goes with the process."""
        if self._context is not None:
            self._context.close()
        atexit._run_exitfuncs()
        return b""
