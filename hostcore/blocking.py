"""The system for a synchronous program: the same calls, without `await`.

The event loop runs in a thread of its own (anyio's blocking portal).  A handler is broken there by the thread
guard, which cannot interrupt C code; see `messaging.guard`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Self, TypeVar, overload

from hostcore.contract.messages import Message, Payload
from hostcore.errors import LifecycleError

if TYPE_CHECKING:
    from anyio.from_thread import BlockingPortal

    from hostcore.contract.permissions import Permission
    from hostcore.messaging.bus import DeadLetter
    from hostcore.packages.discovery import Scan
    from hostcore.runtime.history import HistoryEntry
    from hostcore.runtime.modules import LoadOutcome
    from hostcore.runtime.permits import GrantReport
    from hostcore.runtime.refusals import Attempt
    from hostcore.runtime.reports import GrantChange, ModuleInfo, ReloadReport
    from hostcore.runtime.supervision.crashes import CrashEntry
    from hostcore.system import ModuleSystem

R = TypeVar("R")


class BlockingModuleSystem:
    """`ModuleSystem` for synchronous programs; every method does what its namesake there does."""

    def __init__(self, make: Callable[[], ModuleSystem]) -> None:
        self._system = make()
        self._stack = ExitStack()
        self._running: BlockingPortal | None = None

    def __enter__(self) -> Self:
        from anyio.from_thread import start_blocking_portal

        with ExitStack() as stack:
            self._running = stack.enter_context(start_blocking_portal("asyncio"))
            stack.enter_context(self._running.wrap_async_context_manager(self._system))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exc: Any) -> None:
        self._stack.__exit__(*exc)
        self._running = None

    @property
    def _portal(self) -> BlockingPortal:
        if self._running is None:
            raise LifecycleError(
                "the system is not running", hint="with hostcore.ModuleSystem.blocking() as system: ..."
            )
        return self._running

    @property
    def modules(self) -> Mapping[str, ModuleInfo]:
        """Name -> `ModuleInfo`, as they stand at this moment."""
        return self._portal.call(lambda: dict(self._system.modules))

    @property
    def disabled(self) -> frozenset[str]:
        """The modules that do not load; see `ModuleSystem.disabled`."""
        return self._system.disabled

    @property
    def dead_letters(self) -> list[DeadLetter]:
        """The latest messages that nobody handled; see `ModuleSystem.dead_letters`."""
        return self._portal.call(lambda: self._system.dead_letters)

    def discover(self) -> Scan:
        """Return what is installed; see `ModuleSystem.discover`."""
        return self._system.discover()

    def enable(self, name: str) -> None:
        """Let a module load again; see `ModuleSystem.enable`."""
        self._system.enable(name)

    def disable(self, name: str) -> None:
        """Keep a module from loading; see `ModuleSystem.disable`."""
        self._system.disable(name)

    def load(
        self, name: str, *, source: str | os.PathLike[str] | None = None, isolation: str | None = None,
        config: Mapping[str, Any] | None = None, limits: Mapping[str, Any] | None = None,
    ) -> ModuleInfo:  # fmt: skip
        """Load a module; see `ModuleSystem.load`."""
        return self._portal.call(
            lambda: self._system.load(name, source=source, isolation=isolation, config=config, limits=limits)
        )

    def load_all(self, names: list[str] | None = None) -> LoadOutcome:
        """Load several modules; see `ModuleSystem.load_all`."""
        return self._portal.call(self._system.load_all, names)

    def reload(
        self, name: str, *, source: str | os.PathLike[str] | None = None, isolation: str | None = None,
        cascade: bool = False, state: str = "current", strict: bool = False, why: str = "asked",
    ) -> ReloadReport:  # fmt: skip
        """Replace a running module; see `ModuleSystem.reload`."""
        return self._portal.call(
            lambda: self._system.reload(
                name, source=source, isolation=isolation, cascade=cascade, state=state, strict=strict, why=why
            )
        )

    def rollback(
        self, name: str, *, to: int | None = None, state: str | None = None, strict: bool = False
    ) -> ReloadReport:
        """Go back to a generation that served before; see `ModuleSystem.rollback`."""
        return self._portal.call(lambda: self._system.rollback(name, to=to, state=state, strict=strict))

    def history(self, name: str) -> list[HistoryEntry]:
        """Return what became of a module's generations; see `ModuleSystem.history`."""
        return self._portal.call(self._system.history, name)

    def crashes(self, name: str | None = None) -> list[CrashEntry]:
        """Return the latest crashes; see `ModuleSystem.crashes`."""
        return self._portal.call(self._system.crashes, name)

    def revive(self, name: str, *, state: str = "last", strict: bool = False) -> ReloadReport:
        """Start a module that is down; see `ModuleSystem.revive`."""
        return self._portal.call(lambda: self._system.revive(name, state=state, strict=strict))

    def leaks(self, name: str) -> list[dict[str, Any]]:
        """Look for what is still alive of old generations; see `ModuleSystem.leaks`."""
        return self._portal.call(self._system.leaks, name)

    def unload(self, name: str, *, force: bool = False) -> tuple[str, ...]:
        """Stop a module; see `ModuleSystem.unload`."""
        return self._portal.call(lambda: self._system.unload(name, force=force))

    def grants(self, name: str) -> GrantReport:
        """Return what a module asks for and has; see `ModuleSystem.grants`."""
        return self._portal.call(lambda: self._system.grants(name))

    def grant(
        self, name: str, permissions: Iterable[str | Permission] | None = None, *, digest: str = ""
    ) -> GrantChange:  # fmt: skip
        """Agree to what a module asks for; see `ModuleSystem.grant`."""
        return self._portal.call(lambda: self._system.grant(name, permissions, digest=digest))

    def revoke(self, name: str, permissions: Iterable[str | Permission] | None = None) -> GrantChange:
        """Take back what a module was granted; see `ModuleSystem.revoke`."""
        return self._portal.call(lambda: self._system.revoke(name, permissions))

    def refusals(self, name: str | None = None) -> list[Attempt]:
        """Return what was refused, or would have been; see `ModuleSystem.refusals`."""
        return self._system.refusals(name)

    @overload
    def request(self, target: str, payload: Payload[R], *, timeout: float | None = ...) -> R: ...
    @overload
    def request(self, target: str, payload: Any = ..., *, topic: str = ..., timeout: float | None = ...) -> Any: ...

    def request(self, target: str, payload: Any = None, *, topic: str = "", timeout: float | None = None) -> Any:
        """Send a message and return the reply; see `ModuleSystem.request`."""

        async def ask() -> Any:
            return await self._system.request(target, payload, topic=topic, timeout=timeout)

        return self._portal.call(ask)

    def send(self, target: str, payload: Any = None, *, topic: str = "", timeout: float | None = None) -> None:
        """Send a message that needs no reply; see `ModuleSystem.send`."""
        self._portal.call(lambda: self._system.send(target, payload, topic=topic, timeout=timeout))

    def publish(self, topic: str, payload: Any = None) -> int:
        """Hand a message to every subscriber; see `ModuleSystem.publish`."""
        return self._portal.call(lambda: self._system.publish(topic, payload))

    def execute(self, target: str, request: Any = None, *, timeout: float | None = None) -> Any:
        """Call a module's `execute` hook; see `ModuleSystem.execute`."""
        return self._portal.call(lambda: self._system.execute(target, request, timeout=timeout))

    def call_hook(self, name: str, *, first: bool = False, **arguments: Any) -> Any:
        """Call a third-party hook: as `await system.hooks.NAME(...)`, or `system.first.NAME(...)`."""
        caller = self._system.first if first else self._system.hooks
        return self._portal.call(lambda: getattr(caller, name)(**arguments))

    @contextmanager
    def subscribe(self, pattern: str, *, capacity: int = 10_000) -> Iterator[Iterator[Message[Any]]]:
        """Listen to a topic or pattern: `with system.subscribe("repo.*") as events: for event in events: ...`."""
        context: AbstractContextManager[Any] = self._portal.wrap_async_context_manager(
            self._system.subscribe(pattern, capacity=capacity)
        )
        with context as listener:
            yield self._messages(listener)

    def _messages(self, listener: Any) -> Iterator[Message[Any]]:
        while True:
            try:
                yield self._portal.call(listener.__anext__)
            except StopAsyncIteration:
                return
