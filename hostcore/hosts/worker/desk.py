"""The host's side of what a module in a worker asks for: its context's ports, behind the connections.

Who asks is known from the connection, and every permission is checked by the module's own ports, as for any module.  A
worker that asks faster than it can be answered is not read from meanwhile.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import socket
from collections.abc import Callable, Coroutine
from contextvars import Context as Variables
from typing import Any, Protocol, cast

from hostcore.contract.context import Context, Ports, Store
from hostcore.errors import ContractError, HostcoreError, HostError, StoppedError
from hostcore.hosts.faults import summary_of
from hostcore.hosts.lines import RateLimit
from hostcore.hosts.text import one_line
from hostcore.hosts.worker import messages
from hostcore.hosts.worker.carrying import carried
from hostcore.hosts.worker.frames import Frame
from hostcore.hosts.worker.link import Link
from hostcore.hosts.worker.lookups import LookUps
from hostcore.messaging import wire
from hostcore.messaging.current import Delivery, current
from hostcore.messaging.wire import Reply

MOST = 1024
"""How many of a worker's requests may be out before it is not read from."""
MOST_BYTES = 64 * 1024**2
"""How many bytes they may have together."""
MOST_WAITING = 4 * MOST_BYTES
"""How many bytes of answers it may leave lying; one that leaves more is ended."""
Work = Coroutine[Any, Any, tuple[str, bytes] | None]
"""What a request waits for: the answer, a name and a body, or None for an empty one."""
_MISSING = object()
_read_asked = messages.reader(messages.Asked).decode
_read_invoked = messages.reader(messages.Invoked).decode
_read_line = messages.reader(messages.Line).decode


class Forwarding(Ports, Protocol):
    """Ports that can pass on what is encoded already."""

    async def forward(self, target: str, payload: Reply, *, topic: str, timeout: float | None) -> Reply:
        """As `request`."""
        ...

    async def resolve(self, host: str, port: int) -> list[str]:
        """Return the addresses of a name that the module may connect to."""
        ...

    async def connect(self, address: str, port: int) -> tuple[int, socket.socket | None]:
        """Begin a connection; return the errno of its beginning, and the socket."""
        ...


class Desk:
    """Answers one worker.

    Attributes:
        context: The module's context, once it is initialised; what it asks for before or after is refused.
        delivery: The message that it is handling.
        crashed: Hears, encoded, of guests that have died in it.
        stuck: Hears that a blocking hook of the module's does not end.
    """

    def __init__(self, name: str, loop: asyncio.AbstractEventLoop, limit: RateLimit) -> None:
        self.context: Context | None = None
        self.delivery: Delivery | None = None
        self.crashed: Callable[[bytes], None] = lambda _: None
        self.stuck: Callable[[], None] = lambda: None
        self._name, self._loop, self._limit = name, loop, limit
        self._log = logging.getLogger(f"hostcore.module.{name}")
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._store: Store | None = None
        self._look_ups = LookUps(loop)
        self._bytes = 0
        self._full = False

    def _ports(self) -> Forwarding:
        if self.context is None:
            raise StoppedError(f"{self._name!r} cannot ask for anything before its initialize(context)")
        return cast(Forwarding, self.context.ports)

    # --- over the main connection ------------------------------------------------------------------------------

    def called(self, link: Link, frame: Frame) -> None:
        """See `link.Answers`."""
        if frame.number in self._tasks:  # neither would be counted, nor could be taken back
            link.close("asked twice under one number")
            return
        variables = Variables()
        try:
            work = variables.run(self._begin, frame)
        except HostcoreError as exc:
            link.fail(frame.number, carried(exc))
        except messages.READ_ERRORS:
            link.close(f"asked for {frame.name[:40]!r} in a way that cannot be read")
        else:
            if work is None:
                link.reply(frame.number, b"")
            else:
                self._go_on(link, frame, work, variables)

    def _go_on(self, link: Link, frame: Frame, work: Work, variables: Variables) -> None:
        task = self._loop.create_task(self._answer(link, frame.number, work), context=variables)
        self._tasks[frame.number] = task
        self._bytes += len(frame.body)
        self._bound(link)
        task.add_done_callback(lambda _: self._done(link, frame.number, len(frame.body), work))

    def _done(self, link: Link, number: int, size: int, work: Work) -> None:
        work.close()  # a task that was cancelled before its first step has not touched it
        self._tasks.pop(number, None)
        self._bytes -= size
        self._bound(link)

    def _bound(self, link: Link) -> None:
        full = len(self._tasks) >= MOST or self._bytes >= MOST_BYTES
        if full != self._full:
            self._full = full
            if full:
                link.hold()
            else:
                link.release()

    async def _answer(self, link: Link, number: int, work: Work) -> None:
        try:
            name, body = await work or ("", b"")
        except HostcoreError as exc:
            link.fail(number, carried(exc))
        else:
            link.reply(number, body, name)

    def _begin(self, frame: Frame) -> Work | None:
        """Do what is asked for; return what it waits for, or None if it is done."""
        ports = self._ports()
        if frame.name == "invoke":
            invoked = _read_invoked(frame.body)
            return _invoke(ports, invoked, wire.decode_raw(invoked.arguments))
        asked = _read_asked(frame.body)
        payload = Reply(asked.schema, asked.payload)
        self._enter(asked.within)
        if frame.name == "request":
            timeout = frame.seconds if frame.seconds >= 0 else None  # also if it is no number at all
            return ports.forward(asked.target, payload, topic=asked.topic, timeout=timeout)
        if frame.name == "send":
            waiting = ports.send(asked.target, payload, topic=asked.topic)
            return waiting if inspect.iscoroutine(waiting) else None
        if frame.name == "publish":
            ports.publish(asked.topic, payload)
            return None
        raise ValueError(frame.name)

    def _enter(self, within: str) -> None:
        """Go on under the message that is being handled, if the worker says that it asks for that."""
        delivery = self.delivery
        if delivery is not None and delivery.active and within == delivery.envelope.id:
            current.set(delivery)

    def cancelled(self, number: int) -> None:
        """See `link.Answers`."""
        task = self._tasks.get(number)
        if task is not None:
            task.cancel()

    def log(self, body: bytes) -> str:
        """Write a line that the module has logged; return its text."""
        line = _read_line(body)
        level = min(max(line.level, logging.DEBUG), logging.CRITICAL)
        name = self._log.name
        if line.logger != name:
            name = f"{name}.{one_line(line.logger[:80])}"
        known = logging.root.manager.loggerDict.get(name)  # one that is made for a name is there for good
        logger = known if isinstance(known, logging.Logger) else self._log
        text = self._limit.shown(line.text)
        if logger.isEnabledFor(level) and self._limit.admit(self._log):
            logger.handle(logger.makeRecord(name, level, self._name, 0, "%s", (text,), None))
        return text

    # --- on the side -------------------------------------------------------------------------------------------

    async def answer(self, name: str, arguments: list[Any]) -> tuple[Any, socket.socket | None]:
        """Answer what has to be answered on the spot; a socket may go with it."""
        ports = self._ports()
        if name == "subscribe":
            ports.subscribe(*arguments)
        elif name == "unsubscribe":
            ports.unsubscribe(*arguments)
        elif name == "granted":
            return ports.granted(*arguments), None
        elif name == "kv.open":
            self._store = ports.open_store()
        elif name.startswith("kv."):
            return self._with_store(name, arguments), None
        elif name == "net.connect":
            return await ports.connect(*arguments)
        elif name == "net.resolve":
            host, port = arguments
            return None, await self._look_ups.begin(lambda: ports.resolve(host, port))
        else:
            raise ContractError(self._name, f"asks the host for {name[:40]!r}, which it does not know")
        return None, None

    def _with_store(self, name: str, arguments: list[Any]) -> Any:
        store = self._store
        if store is None:
            raise ContractError(self._name, "uses its store before it has opened it")
        if name == "kv.get":
            found = store.get(arguments[0], _MISSING)
            return [] if found is _MISSING else [found]
        if name == "kv.set":
            store.set(arguments[0], wire.decode_raw(arguments[1]))
        elif name == "kv.delete":
            store.delete(*arguments)
        elif name == "kv.keys":
            return store.keys()
        return None

    def close(self) -> None:
        """Do nothing more for it."""
        self.context = self._store = self.delivery = None
        self._look_ups.close()
        for task in list(self._tasks.values()):
            task.cancel()


async def _invoke(ports: Ports, invoked: messages.Invoked, arguments: dict[str, Any]) -> tuple[str, bytes]:
    try:
        return "", wire.encode_raw(await ports.invoke(invoked.capability, invoked.operation, arguments))
    except HostcoreError:
        raise
    except Exception as exc:  # noqa: BLE001 - whatever the program's service raises
        what = f"{invoked.capability}.{invoked.operation} raised {summary_of(exc)}"
    raise HostError(what, hint="see what the service takes, and what it logs")
