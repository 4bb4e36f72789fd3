"""A worker behind a cell: what makes a module in another process like any other.

A message goes out as a frame and comes back as one; in between, the module's cell waits.  When the worker dies, whoever
waits is told at once how, and what it was doing; a new instance is the supervisor's to make.
"""

from __future__ import annotations

import asyncio
import contextvars
import time
from collections.abc import Callable
from math import inf
from signal import SIGKILL
from typing import TYPE_CHECKING, Any, NamedTuple

from hostcore.contract.messages import Envelope
from hostcore.contract.spec import HOOKS
from hostcore.errors import ContractError, HookError, HostcoreError, HostError, LimitError, WorkerDiedError
from hostcore.hosts.apart import InstanceApart
from hostcore.hosts.base import Crash, Job, Refusal
from hostcore.hosts.worker import messages
from hostcore.hosts.worker.carrying import made_again
from hostcore.hosts.worker.desk import Desk
from hostcore.hosts.worker.link import Gone, RemoteError
from hostcore.hosts.worker.patience import Meter, Patience
from hostcore.hosts.worker.process import End, WorkerProcess
from hostcore.messaging import wire
from hostcore.messaging.current import current
from hostcore.messaging.deadlines import Deadlines
from hostcore.messaging.wire import Reply

if TYPE_CHECKING:
    pass

_now = time.monotonic
_LEAVE_TIME = 2.0
"""Seconds that a closing worker gets to take its module down."""
_GUEST_CRASHES = frozenset({"trapped", "hung", "limit"})
_read_crashed = messages.reader(messages.Crashed).decode
_MAPS = frozenset({*range(0x80, 0x90), 0xDE, 0xDF})
"""The first bytes of a table in MessagePack."""


class _Doing(NamedTuple):
    """What a worker is doing: a hook, with the topic and the id of the message, if it is for one."""

    hook: str = ""
    topic: str = ""
    message: str = ""

    def __str__(self) -> str:
        if not self.hook:
            return "while it had nothing to do"
        return f"in {self.hook!r}" + (f", handling {self.topic!r}" if self.topic else "")


class WorkerInstance(InstanceApart):
    """A generation of a module in a process of its own; `sandbox` is the level that its process is confined to."""

    def __init__(
        self, job: Job, process: WorkerProcess, desk: Desk, loop: asyncio.AbstractEventLoop, deadlines: Deadlines,
        grace: float,
    ) -> None:  # fmt: skip
        self._died: Callable[[Crash], None] | None = None
        self._untold: Crash | None = None
        super().__init__(job, revives=False)
        self.sandbox = ""
        self._process, self._desk, self._loop = process, desk, loop
        self._deadlines, self._grace = deadlines, grace
        self._arguments: dict[str, list[str]] = {}
        self._doing = _Doing()
        self._watches: list[Patience | Meter] = []
        self._verdict = ""
        self._over_limit = False
        self._error: HostError | None = None
        self._kept: bytes | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        process.ended.add_done_callback(self._ended)
        desk.stuck = self._stuck

    def __repr__(self) -> str:
        state = "closed" if self._closed else "dead" if self._error is not None else "alive"
        return f"<WorkerInstance {self._job.release.label} #{self._job.number} {state}>"

    async def load(self, told: messages.Load) -> None:
        """Have the module imported.

        Raises:
            LoadError, HookError: As `Host.load`.
            WorkerDiedError: It died of it.
        """
        self._doing = _Doing("load")
        seconds = told.load_time + 2.0  # the worker itself gives up earlier, and says more
        _, body = await self._call("load", messages.encode(told), _now() + seconds)
        try:
            loaded = messages.reader(messages.Loaded).decode(body)
        except messages.READ_ERRORS:
            raise self._nonsense("what it says of its hooks") from None
        self.hooks, self._arguments = loaded.hooks, loaded.arguments
        self._doing = _Doing()

    # --- messages ----------------------------------------------------------------------------------------------

    def start(self, envelope: Envelope) -> Any:
        """Begin to handle a message: a coroutine that returns the reply, encoded."""
        hook = envelope.hook
        if self._error is not None:
            raise Refusal(self._error_for(self._process.ended.result()))
        if hook not in self.hooks:
            raise Refusal(self._unhandled(hook))
        if hook not in HOOKS and envelope.payload[0] not in _MAPS:
            raise Refusal(HookError(
                self.name, f"hook {hook!r} takes live objects, which do not reach another process", hook=hook,
                code="HC312", label=self._job.release.label, hint="run the module natively",
            ))  # fmt: skip
        self._doing = _Doing(hook, envelope.topic, envelope.id)  # here: the coroutine may begin a turn later
        return self._handle(envelope)

    async def _handle(self, envelope: Envelope) -> Reply:
        told = messages.Delivered(
            envelope.id, envelope.sender, envelope.topic, envelope.schema, envelope.payload, envelope.trace,
            envelope.hook,
        )  # fmt: skip
        self._desk.delivery = current.get()
        hard = _now() + self._limit_of(envelope.hook)
        try:
            schema, data = await self._call("message", messages.encode(told), hard, envelope.deadline)
        finally:
            self._desk.delivery = None
            self._doing = _Doing() if self._error is None else self._doing
        return Reply(schema, data)

    async def _call(self, name: str, body: bytes, limit: float, deadline: float = inf) -> tuple[str, bytes]:
        """Make a call, and see to it that it ends.

        Args:
            name: What is to be done.
            body: What belongs to it.
            limit: When it has to have ended, in seconds of `time.monotonic()`.
            deadline: When nobody waits for it any more, which does not end it unless it hangs.

        Raises:
            Refusal: Of the error that it was answered with, or of the worker's death.
        """
        link, process, cpu = self._process.link, self._process, self._job.limits.cpu
        try:
            number, future = link.ask(name, body, deadline - _now())
        except Gone:
            raise Refusal(await self._death()) from None
        patience = Patience(process, self._deadlines, number, min(deadline, limit), limit, self._grace)
        watches = self._watches = [patience] if cpu is None else [patience, Meter(process, self._loop, cpu)]
        try:
            return await future
        except RemoteError as exc:
            error: HostcoreError = made_again(exc.data, module=self.name, label=self._job.release.label)
        except Gone:
            error = await self._death()
        finally:
            link.forget(number)
            for watch in watches:
                watch.over()
        raise Refusal(error)

    def finish(self, envelope: Envelope, result: Reply) -> Reply:
        """Return the reply, which is encoded already."""
        if len(result.data) > self._job.message_limit:
            what = f"the reply of {envelope.hook!r}"
            raise Refusal(LimitError(f"{what} from {self.name!r} is {len(result.data):,} bytes; at most "
                                     f"{self._job.message_limit:,} are allowed"))  # fmt: skip
        return result

    def translate(self, envelope: Envelope, error: BaseException) -> Exception:
        """Return the named error for how a call ended."""
        if isinstance(error, Refusal):
            return error.error
        return HostError(f"the call of {self.name!r} was interrupted: {type(error).__name__}")

    def limit(self, envelope: Envelope) -> float:
        """Return infinity: calls are watched here, and the worker ended if need be."""
        return inf

    def _nonsense(self, what: str) -> ContractError:
        return ContractError(self.name, f"{what} cannot be read", label=self._job.release.label)

    # --- lifecycle hooks ---------------------------------------------------------------------------------------

    def accepts(self, hook: str, argument: str) -> bool:
        """Tell whether the hook is implemented and takes that argument."""
        return argument in self._arguments.get(hook, ())

    async def call(self, hook: str, within: float = inf, /, **arguments: Any) -> Any:
        """Call a lifecycle hook, if it is implemented; see `HostedInstance.call`."""
        if hook == "initialize":
            self._desk.context = context = arguments["context"]
            arguments = {"version": context.version, "number": context.generation, "config": context.config}
        if hook not in self.hooks or (hook == "shutdown" and self._error is not None):
            return None
        body = messages.encode(messages.Hook(hook, wire.encode_raw(arguments)))
        until = _now() + min(self._limit_of(hook), within)
        self._doing = _Doing(hook)
        try:
            _, data = await self._call("hook", body, until, until)
            result = wire.decode_raw(data)
        except Refusal as refusal:
            error = refusal.error
        except wire.DECODE_ERRORS:
            error = self._nonsense(f"the result of {hook!r}")
        else:
            self._doing = _Doing()
            if hook == "initialize":
                self._spawn(self._fetch_kept())
            return result
        raise error

    def _spawn(self, work: Any) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _fetch_kept(self) -> None:
        """Ask what it is made of, so that it can be made again; when it is asked for, nobody can wait."""
        try:
            _, self._kept = await self._process.link.call("keep", b"")
        except (Gone, RemoteError):
            return  # then it can be made again from its files

    def guest_crashed(self, body: bytes) -> None:
        """Tell of a guest that has died in its worker, and has been or will be replaced there."""
        told = _read_crashed(body)
        error = made_again(told.error, module=self.name, label=self._job.release.label)
        if self.died is not None and not self._closed and isinstance(error, HostError) and told.kind in _GUEST_CRASHES:
            hook, topic, message = self._doing  # the worker's own word is not needed
            self.died(Crash(told.kind, error, hook, topic, message, revived=True))

    def _stuck(self) -> None:
        """End a worker of which a thread is stuck: it could call no other blocking hook."""
        self._verdict = "left a blocking hook that does not end"
        self._process.signal(SIGKILL)

    # --- the end -----------------------------------------------------------------------------------------------

    def _ended(self, ended: asyncio.Future[End]) -> None:
        """Take note that the process has ended, and tell of it, unless it was to."""
        if self._closed or self._error is not None or ended.cancelled():
            return
        error = self._error = self._error_for(ended.result())
        kind = "limit" if self._over_limit else "hung" if self._verdict else "died"
        self._untold = Crash(kind, error, *self._doing)
        self._tell()

    @property
    def died(self) -> Callable[[Crash], None] | None:
        """Who is told of its death; who comes too late for that is told as well, as soon as the swap is done."""
        return self._died

    @died.setter
    def died(self, listener: Callable[[Crash], None] | None) -> None:
        self._died = listener
        if self._untold is not None:
            self._loop.call_soon(self._tell, context=contextvars.Context())

    def _tell(self) -> None:
        if self._untold is not None and self._died is not None and not self._closed:
            crash, self._untold = self._untold, None
            self._died(crash)

    def _error_for(self, end: End) -> HostError:
        for watch in self._watches:
            if watch.verdict and not self._verdict:
                self._verdict, self._over_limit = watch.verdict, isinstance(watch, Meter)
        link = self._process.link
        how = f"{self._verdict} and {end.text}" if self._verdict else end.text
        if link.reason.startswith(("sent", "asked")):
            how = f"{link.reason}, and was ended"
        message = f"{self.name!r} {how}, {self._doing}"
        if self._over_limit:
            return LimitError(message, code="HC512", hint="raise limits.cpu of the module, or look at what it does")
        return WorkerDiedError(
            message, code="HC511" if link.reason.startswith(("sent", "asked")) else "", signal=end.signal,
            status=end.status if end.status is not None and end.status >= 0 else None, lines=end.lines,
            hint=f"hostcore modules crashes {self.name}",
        )  # fmt: skip

    async def _death(self) -> HostError:
        """Return how it died; whoever has lost its connection is dead, or killed soon."""
        ended = self._process.ended
        if not ended.done():
            await asyncio.wait({ended})
        self._ended(ended)  # first of all: what is in hand is not to fail before its crash is known
        return self._error_for(ended.result())  # anew for each: an error keeps the frames that it passes

    def keep(self) -> Any:
        """Return what the worker has said it is made of, or None."""
        return self._kept

    async def close(self) -> tuple[str, ...]:
        """Have it take the module down, and end the process."""
        if self._closed:
            return ()
        self._closed = True
        for task in self._tasks:
            task.cancel()
        if self._error is None:
            try:
                async with asyncio.timeout(_LEAVE_TIME):
                    await self._process.link.call("close", b"")
            except (Gone, RemoteError, TimeoutError):
                pass  # it is ended in any case
        self._desk.close()
        await self._process.close(self._grace)
        self.context = contextvars.Context()
        return ()
