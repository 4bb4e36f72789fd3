"""A guest behind a cell: what makes a WebAssembly module like any other.

Payloads are MessagePack outside and JSON inside.  A call that ends at once is answered in the asker's own turn;
anything longer is a coroutine, driven like that of a native handler.

A guest that trapped or was stopped is gone, with its memory.  The next message makes another: initialised with the
same configuration, and given the last state that is known (what it was restored from, or last gave).  One that dies
again and again without an answer in between is given up on.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import time
from collections.abc import Awaitable, Callable
from math import inf
from typing import TYPE_CHECKING, Any

from hostcore.contract.messages import Envelope
from hostcore.errors import DeadlineError, GuestTrapError, HookError, HostcoreError, HostError
from hostcore.hosts.apart import InstanceApart
from hostcore.hosts.base import Crash, Job, Refusal
from hostcore.hosts.wasm import payloads
from hostcore.hosts.wasm.guests import Guest, settled
from hostcore.hosts.wasm.imports import HostCalls
from hostcore.hosts.wasm.outcomes import Dead, TimeUp
from hostcore.hosts.wasm.translating import translate
from hostcore.messaging import wire
from hostcore.messaging.guard import Overrun
from hostcore.messaging.wire import Reply

if TYPE_CHECKING:
    pass

_now = time.monotonic
_LIVES = 5
"""Deaths in a row after which a guest is not started again."""
Make = Callable[[HostCalls, float], Awaitable[Guest]]
_log = logging.getLogger("hostcore.wasm")


class WasmInstance(InstanceApart):
    """A generation of a module in the sandbox."""

    def __init__(self, job: Job, make: Make, host: HostCalls, code: Any, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(job, revives=True)
        self._make, self._host, self._code, self._loop = make, host, code, loop
        self._guest: Guest | None = None
        self._arguments: dict[str, tuple[str, ...]] = {}
        self._config = b"{}"
        self._initialized = False
        self._state: tuple[bytes, int] | None = None
        self._deaths = 0
        self._told: Guest | None = None  # the dead guest that `died` was told of, or is not to be
        self._spared = False  # it was stopped because its asker had no more time: no fault of its own

    def __repr__(self) -> str:
        state = "closed" if self._closed else "dead" if self._guest is None or self._guest.dead else "alive"
        return f"<WasmInstance {self._job.release.label} #{self._job.number} {state}>"

    async def open(self, until: float) -> None:
        """Make the first guest, and ask which hooks it has.

        Raises:
            Dead: It did not come up.
        """
        guest = self._guest = await self._make(self._host, until)
        hooks = dict.fromkeys(guest.hooks, 0)
        if guest.tells_hooks:
            told = await settled(guest.call("hooks.implemented", until=until))
            self._arguments = dict(map(_parse_hook, told))
            hooks = {hook: 0 for hook in self._arguments if hook in guest.hooks or self._is_called_by_name(hook)}
        self.hooks = hooks

    def _is_called_by_name(self, hook: str) -> bool:
        return hook in _BY_NAME or hook in self._job.third_party

    # --- messages ----------------------------------------------------------------------------------------------

    def start(self, envelope: Envelope) -> Any:
        """Begin to handle a message: the result as JSON, or a coroutine that returns it."""
        guest = self._guest
        if guest is None or guest.dead is not None:
            return self._start_anew(envelope)
        return self._deliver(guest, envelope)

    def _deliver(self, guest: Guest, envelope: Envelope) -> Any:
        hook = envelope.hook
        if hook not in self.hooks:
            raise Refusal(self._unhandled(hook))
        try:
            payload = payloads.from_wire(envelope.payload, reader=self.name, sender=envelope.sender)
        except HostcoreError as exc:
            raise Refusal(exc) from None
        until = _now() + self._limit_of(hook)
        if envelope.deadline < until:
            until = envelope.deadline
        if hook == "handle_message":
            return guest.call("lifecycle.handle-message", envelope.topic.encode(), payload, until=until)
        if hook == "execute":
            return guest.call("lifecycle.execute", payload, until=until)
        if not payload.startswith(b"{"):
            raise Refusal(HookError(
                self.name, f"hook {hook!r} takes live objects, which do not reach a guest", hook=hook, code="HC312",
                label=self._job.release.label, hint="implement it in a native module",
            ))  # fmt: skip
        chosen = payloads.chosen(payload, self._arguments[hook])
        return guest.call("hooks.call", hook.encode(), chosen, until=until)

    async def _start_anew(self, envelope: Envelope) -> Any:
        return await settled(self._deliver(await self._revive(), envelope))

    def finish(self, envelope: Envelope, result: Any) -> Reply:
        """Encode what the guest returned."""
        self._deaths = 0
        limit = self._job.message_limit
        reply = payloads.reply_of(result, limit=limit)
        return reply if reply is not None else self._refused(envelope, result, limit)

    def _refused(self, envelope: Envelope, result: bytes, limit: int) -> Reply:
        """Say what is wrong with a reply."""
        what = f"the reply of {envelope.hook!r}" + (f" to {envelope.topic!r}" if envelope.topic else "")
        try:
            value = payloads.read(result, module=self.name, what=what, limit=limit)
            return wire.reply_of(value, module=self.name, what=what, limit=limit)
        except HostcoreError as exc:
            raise Refusal(exc) from None

    def limit(self, envelope: Envelope) -> float:
        """Return the seconds that the message's hook may take."""
        return self._limit_of(envelope.hook) if envelope.hook in self.hooks else inf

    def translate(self, envelope: Envelope, error: BaseException) -> Exception:
        """Return the named error for how a call ended."""
        if isinstance(error, Refusal):
            return error.error
        if isinstance(error, (Overrun, TimeUp)) and _now() >= envelope.deadline:
            self._told, self._spared = self._guest, True
            return DeadlineError(f"{self.name!r} did not handle {envelope.topic or envelope.hook!r} in time; stopped")
        named = self._named(envelope.hook, error)
        self._tell(named, envelope.hook, envelope.topic, envelope.id)
        return named

    def _tell(self, error: HostcoreError, hook: str, topic: str = "", message: str = "") -> None:
        """Tell whoever supervises it, if this is how the guest died, or was not made anew; of each death once."""
        guest = self._guest
        if self._closed or self.died is None or (guest is not None and (guest.dead is None or guest is self._told)):
            return
        self._told = guest
        kind = "trapped" if isinstance(error, GuestTrapError) else "limit" if isinstance(error, HostError) else "hung"
        if not isinstance(error, HostError):
            error = HostError(error.message, code=error.code, hint=error.hint)
        self.died(Crash(kind, error, hook, topic, message))

    def _named(self, hook: str, error: BaseException) -> HostcoreError:
        return translate(error, self._job.release, hook, self._limit_of(hook))

    # --- lifecycle hooks ---------------------------------------------------------------------------------------

    def accepts(self, hook: str, argument: str) -> bool:
        """Tell whether the hook is implemented and takes that argument."""
        if hook in self._arguments:
            return argument in self._arguments[hook]
        return hook in self.hooks and (hook, argument) != ("restore_state", "from_version")

    async def call(self, hook: str, within: float = inf, /, **arguments: Any) -> Any:
        """Call a lifecycle hook, if it is implemented; see `HostedInstance.call`."""
        if hook == "initialize":
            self._host.context = arguments["context"]
            self._config = payloads.write(arguments["context"].config)
        if hook not in self.hooks or (hook == "shutdown" and (self._guest is None or self._guest.dead)):
            return None
        limit = min(self._limit_of(hook), within)
        work = self._timed(hook, arguments, limit)
        task = asyncio.Task(work, loop=self._loop, name=f"hostcore:{self.name}.{hook}", context=self.context)
        try:
            result = await task
        except (Exception, asyncio.CancelledError) as exc:
            if task.cancelled():
                raise
            named = exc if isinstance(exc, HostcoreError) else self._named(hook, exc)
            exc.__traceback__ = None
            self._tell(named, hook)
        else:
            self._initialized = self._initialized or hook == "initialize"
            return result
        raise named

    async def _timed(self, hook: str, arguments: dict[str, Any], limit: float) -> Any:
        until = _now() + limit
        try:
            async with asyncio.timeout_at(None if limit == inf else self._loop.time() + limit):
                guest = self._guest
                if guest is None or guest.dead is not None:
                    guest = await self._revive()
                return await self._ask(guest, hook, arguments, until)
        except TimeoutError:
            raise TimeUp from None

    async def _ask(self, guest: Guest, hook: str, arguments: dict[str, Any], until: float) -> Any:
        if hook == "initialize":
            return await settled(guest.call("lifecycle.initialize", self._config, until=until))
        if hook == "get_capabilities":
            told = await settled(guest.call("lifecycle.get-capabilities", until=until))
            return [f"{each['name']}/{each['version']}" if each["version"] else each["name"] for each in told]
        if hook == "restore_state":
            state = payloads.write(arguments["state"])
            await self._restore(guest, state, arguments["from_version"], until)
            return None
        name = f"lifecycle.{hook.replace('_', '-')}"
        if hook in _BY_NAME:
            raw = await settled(guest.call("hooks.call", hook.encode(), payloads.write(arguments), until=until))
        else:
            raw = await settled(guest.call(name, until=until))
        if hook == "get_state":
            self._state = (raw, self._job.state_version)
        what = f"the result of {hook!r}"
        return (
            None if hook == "shutdown" else payloads.read(raw, module=self.name, what=what, limit=self._state_limit())
        )

    def _state_limit(self) -> int:
        return self._job.limits.state or 1 << 31

    async def _restore(self, guest: Guest, state: bytes, version: int, until: float) -> None:
        if "restore_state" in self._arguments:
            told = payloads.joined(
                {"state": state, "from_version": payloads.write(version)}, self._arguments["restore_state"]
            )
            await settled(guest.call("hooks.call", b"restore_state", told, until=until))
        else:
            await settled(guest.call("lifecycle.restore-state", state, until=until))
        self._state = (state, version)

    async def _revive(self) -> Guest:
        """Make another guest in place of the dead one."""
        dead = self._guest.dead if self._guest is not None else None
        if self._closed:
            raise Dead("was closed")
        self._deaths += not self._spared
        self._spared = False
        if self._deaths > _LIVES:
            self._told = None
            raise GuestTrapError(f"{self.name!r} died {_LIVES} times in a row and is not started again", code="HC508",
                                 hint=f"hostcore modules reload {self.name} --state last; last: {dead}")  # fmt: skip
        if self._guest is not None:
            self._guest.close()
            self._guest = None
        _log.warning("%s died (%s) and is started again, %s", self.name, dead,
                     "with its last known state" if self._state else "afresh")  # fmt: skip
        until = _now() + self._limit_of("initialize")
        guest = await self._make(self._host, until)
        try:
            if self._initialized and "initialize" in self.hooks:
                await settled(guest.call("lifecycle.initialize", self._config, until=until))
            if self._state is not None and "restore_state" in self.hooks:
                await self._restore(guest, *self._state, until)
        except BaseException:
            guest.close()
            raise
        self._guest = guest
        return guest

    # --- the end -----------------------------------------------------------------------------------------------

    def keep(self) -> Any:
        """Return the compiled guest."""
        return self._code

    async def close(self) -> tuple[str, ...]:
        """Free the guest."""
        self._closed = True
        if self._guest is not None:
            self._guest.close()
            self._guest = None
        self._host.context = None
        self._code = None
        self.context = contextvars.Context()
        return ()


_BY_NAME = frozenset({"migrate_state", "check_health"})
"""Hooks that are not in the interface `lifecycle`: called by name, with named arguments."""


def _parse_hook(text: str) -> tuple[str, tuple[str, ...]]:
    """Return name and arguments of "restore_state(state, from_version)"."""
    name, _, rest = text.partition("(")
    return name.strip(), tuple(part.strip() for part in rest.rstrip(") ").split(",") if part.strip())
