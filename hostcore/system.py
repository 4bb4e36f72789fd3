"""`ModuleSystem`: builds the parts, owns their lifetime, and is what a program talks to."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar, overload

from hostcore.config import HostConfig, cache_dir, load_config, state_dir
from hostcore.contract.messages import Payload
from hostcore.errors import ConfigError, LifecycleError, ReloadError
from hostcore.hosts.base import Tools
from hostcore.messaging.bus import HOST, Bus, DeadLetter, Sender
from hostcore.messaging.guard import ThreadGuard, make_guard
from hostcore.messaging.topics import Listener
from hostcore.packages.discovery import Discovery, Scan
from hostcore.runtime.calling import HookCaller
from hostcore.runtime.enabling import Switches
from hostcore.runtime.events import Events, LagWatch
from hostcore.runtime.history import Histories, HistoryEntry
from hostcore.runtime.hookspecs import DeclaredHooks
from hostcore.runtime.loading import Loader, to_its_end
from hostcore.runtime.modules import LoadOutcome, Modules
from hostcore.runtime.parts import Parts
from hostcore.runtime.policy import ALL, Policy
from hostcore.runtime.registry import Record, Registry, Wish
from hostcore.runtime.reload import Orders, StateFrom
from hostcore.runtime.reports import ModuleInfo, ReloadReport

if TYPE_CHECKING:
    from hostcore.blocking import BlockingModuleSystem

R = TypeVar("R")
Config = HostConfig | Mapping[str, Any] | str | os.PathLike[str] | None


class ModuleSystem:
    """Modules in a running program.  Use it as an async context manager; leaving it unloads everything.

    Args:
        config: A `hostcore.toml` (or `pyproject.toml`), the same keys as a mapping, or None for the defaults.
        policy: What modules may do; None: as configured.
        services: Name -> object whose public methods modules may call through `context.invoke`.

    Raises:
        ConfigError: The configuration is wrong; every mistake is listed.
    """

    def __init__(
        self, config: Config = None, *, policy: Policy | None = None, services: Mapping[str, Any] | None = None
    ) -> None:
        self.config = load_config(config)
        configured = self.config.policy
        self.policy = policy or Policy(configured.default, configured.grants, configured.ceiling)
        self._services = dict(services or {})
        self._registry = Registry()
        self._histories = Histories()
        self._events = Events()
        self._declared = DeclaredHooks()
        self._sender = Sender(HOST, ALL)
        self._parts: Parts | None = None
        self._modules: Modules | None = None
        self._lag: LagWatch | None = None
        self._stopped = False
        self._stopping: asyncio.Future[None] | None = None
        index = cache_dir() / "index.msgpack" if self.config.index else None
        self._discovery = Discovery(index=index)
        self._switches = Switches(self._state_dir)
        self.hooks = HookCaller(self._declared, lambda: self._running()[0], self._sender, first=False)
        self.first = HookCaller(self._declared, lambda: self._running()[0], self._sender, first=True)

    def __repr__(self) -> str:
        state = "stopped" if self._stopped else "running" if self._parts else "not started"
        return f"<ModuleSystem {self.config.name} {state}, {len(self._registry)} modules>"

    @classmethod
    def blocking(
        cls, config: Config = None, *, policy: Policy | None = None, services: Mapping[str, Any] | None = None
    ) -> BlockingModuleSystem:
        """Return the same system for a synchronous program: `with ModuleSystem.blocking() as system: ...`."""
        from hostcore.blocking import BlockingModuleSystem

        return BlockingModuleSystem(lambda: cls(config, policy=policy, services=services))

    # --- lifetime ----------------------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Begin; no module is loaded yet.

        Raises:
            LifecycleError: It was started before.
            ConfigError: The guard that was asked for does not work on this thread.
        """
        if self._parts is not None or self._stopped:
            raise LifecycleError("a ModuleSystem is started once; make a new one")
        config = self.config
        try:
            guard = make_guard(config.guard)
        except ValueError as exc:
            raise ConfigError(str(exc), where="guard") from None
        bus = Bus(self._events, request_timeout=config.request_timeout, message_limit=config.message_limit)
        self._events.announce = bus.announce
        bus.activate = self._activate
        tools = Tools(bus.loop, guard, ThreadGuard(), {}, config)
        self._parts = Parts(
            config=config, bus=bus, events=self._events, policy=self.policy, registry=self._registry,
            histories=self._histories, discovery=self._discovery, tools=tools, services=self._services,
            kv_directory=lambda: self._state_dir() / "kv", disabled=self._disabled,
        )  # fmt: skip
        loader = Loader(self._parts, self._declared.arguments)
        self._modules = Modules(self._parts, loader)
        self._lag = LagWatch(bus.loop, config.blocked_after, self._events.held)
        self._lag.start()

    async def stop(self) -> None:
        """Unload every module, answer every waiter, let go of everything.

        Cancelling does not stop it half-way: it comes to its end first.  A second call waits for the first.
        """
        if self._parts is None or self._modules is None:
            return
        if self._stopping is None:
            self._stopped = True
            self._stopping = asyncio.ensure_future(self._stop(self._parts, self._modules))
        await to_its_end(self._stopping)

    async def _stop(self, parts: Parts, modules: Modules) -> None:
        try:
            await modules.unload_all()
        finally:
            parts.bus.close()
            parts.tools.guard.close()
            parts.tools.thread_guard.close()
            if self._lag is not None:
                self._lag.stop()

    def _running(self) -> tuple[Parts, Modules]:
        if self._parts is None or self._modules is None:
            raise LifecycleError("the system has not been started", hint="async with hostcore.ModuleSystem() as system")
        if self._stopped:
            raise LifecycleError("the system has been stopped")
        return self._parts, self._modules

    @property
    def _bus(self) -> Bus:
        return self._running()[0].bus

    def _state_dir(self) -> Path:
        return state_dir(self.config)

    def _disabled(self) -> frozenset[str]:
        return (
            frozenset(self.config.disabled)
            | self._switches.disabled()
            | {name for name, module in self.config.modules.items() if not module.enabled}
        )

    # --- modules -----------------------------------------------------------------------------------------------

    @property
    def modules(self) -> Mapping[str, ModuleInfo]:
        """Name -> `ModuleInfo` of every module that was asked for, as they stand at this moment."""
        return self._registry

    def discover(self) -> Scan:
        """Return what is installed, found anew; imports nothing."""
        return self._discovery.scan()

    @property
    def disabled(self) -> frozenset[str]:
        """The modules that do not load, by configuration or `disable`."""
        return self._disabled()

    def enable(self, name: str) -> None:
        """Let module `name` load again, from now on and in later runs."""
        self._switches.enable(name)

    def disable(self, name: str) -> None:
        """Keep module `name` from loading, from now on and in later runs; a loaded one goes on."""
        self._switches.disable(name)

    async def load(
        self, name: str, *, source: str | os.PathLike[str] | None = None, isolation: str | None = None,
        config: Mapping[str, Any] | None = None, limits: Mapping[str, Any] | None = None,
    ) -> ModuleInfo:  # fmt: skip
        """Load a module and what it requires.

        Args:
            name: The name of its entry point.
            source: A project directory, a wheel or a `.wasm` file to load it from, not installed anywhere.
            isolation: The host that runs it: "native", "worker", "wasm" or "wasm+worker"; it cannot be weaker than the
                manifest asks.  None: as configured, or else what it needs.
            config: Its options, over those of the host's configuration.
            limits: Its limits, in place of the manifest's, as in {"handle_message": "200ms"}.

        Raises:
            LifecycleError: It is loaded already.
            LoadError: It cannot be found, imported or initialised.
            HookError: Its hooks are declared wrongly, or `initialize` raised.
            ManifestError, ConfigError: Its manifest, or its configuration here, is wrong.
            ResolutionError: What it requires cannot be had.
        """
        _, modules = self._running()
        _check_wish(name, isolation, config, limits)
        wish = Wish(os.fspath(source) if source is not None else None, isolation, config, limits)
        await modules.load(name, wish, await self._look())
        return self._registry.record(name).info()  # unless somebody has unloaded it by now

    async def load_all(self, names: list[str] | None = None) -> LoadOutcome:
        """Load several modules, and what they require, in order; one that fails never stops the others.

        Args:
            names: Which; None: all that are installed or configured, and not disabled.
        """
        _, modules = self._running()
        scan = await self._look()
        if names is None:
            names = sorted({*scan.modules, *self.config.modules} - self._disabled())
        return await modules.load_all(names, scan)

    async def reload(
        self, name: str, *, source: str | os.PathLike[str] | None = None, isolation: str | None = None,
        cascade: bool = False, state: str = "current", strict: bool = False, why: str = "asked",
    ) -> ReloadReport:  # fmt: skip
        """Replace a running module by its newest release, keeping its state and its mailbox.

        Args:
            name: The module.
            source: Load the new copy from here; None: from where it came from before, found anew.
            isolation: Move it to this host, as for `load`, also for later reloads; None: as before.
            cascade: Reload the modules that require it too, in order: all or none.
            state: What the new copy gets: "current", the state that the old one gives; "last", the last good snapshot,
                for an old copy that is stuck or cannot give its state; "fresh", none.  The latter two give up on a
                message that does not end.
            strict: Raise if the old copy had to serve on.
            why: What caused it, for the history.

        Raises:
            UnknownModuleError: It is not loaded.
            LifecycleError: It asks for it itself, in a handler; or too many reloads of it wait already.
            ReloadError: `strict`, and the reload failed; the report is in it.
        """
        _, modules = self._running()
        _check_wish(name, isolation, None, None)
        orders = Orders(_state(state), why, isolation=isolation)
        self._registry.record(name)
        place = None if source is None else os.fspath(source)
        return _judged(await modules.reload(name, place, await self._look(), orders, cascade=cascade), strict)

    async def rollback(
        self, name: str, *, to: int | None = None, state: str | None = None, strict: bool = False
    ) -> ReloadReport:
        """Go back to a generation that served before; it is made anew from what was kept of it, files aside.

        Args:
            name: The module.
            to: The number of the generation; None: the one before.
            state: As for `reload`, "last" being the state that it had when it was replaced.  None: the present state
                if it can be had and the older release reads it, else "last".
            strict: Raise if the present copy had to serve on.

        Raises:
            UnknownModuleError: It is not loaded.
            LifecycleError: No such generation is kept; or as for `reload`.
            ReloadError: `strict`, and it failed; the report is in it.
        """
        _, modules = self._running()
        chosen = None if state is None else _state(state)
        self._registry.record(name)
        return _judged(await modules.reloads.rollback(name, to, chosen), strict)

    def history(self, name: str) -> list[HistoryEntry]:
        """Return what became of a module's generations since the system started, oldest first.

        Raises:
            UnknownModuleError: Nothing is known of it.
        """
        if name not in self._histories:
            self._registry.record(name)
        return self._histories[name].entries()

    async def leaks(self, name: str) -> list[dict[str, Any]]:
        """Look for what is still alive of a module's generations that were let go of, and what holds it.

        Returns:
            Plain data for each generation of which something lives: `generation`, `version`, `alive` (its modules,
            classes and functions that live), and `holders`, each with `what`, `root` and `chain`.

        Raises:
            UnknownModuleError: Nothing is known of it.
        """
        self.history(name)
        return await self._running()[1].leaks(name)

    async def unload(self, name: str, *, force: bool = False) -> tuple[str, ...]:
        """Stop a module and drop everything of it; return what is still alive of it, by name.

        Args:
            name: The module.
            force: Unload it although running modules require it.

        Raises:
            UnknownModuleError: It is not loaded.
            LifecycleError: Running modules require it.
        """
        _, modules = self._running()
        return await modules.unload(name, force=force)

    async def _activate(self, name: str) -> None:
        _, modules = self._running()
        await modules.activate(name)

    def record(self, name: str) -> Record:
        """Return the living entry of a module, for `why`; raises UnknownModuleError."""
        return self._registry.record(name)

    # --- messages ----------------------------------------------------------------------------------------------

    @overload
    def request(self, target: str, payload: Payload[R], *, timeout: float | None = ...) -> Awaitable[R]: ...
    @overload
    def request(
        self, target: str, payload: Any = ..., *, topic: str = ..., timeout: float | None = ...
    ) -> Awaitable[Any]: ...

    def request(
        self, target: str, payload: Any = None, *, topic: str = "", timeout: float | None = None
    ) -> Awaitable[Any]:
        """Send a message to a module, or to the best provider of a capability, and return the reply.

        Raises as `Context.request` does; `timeout` is in seconds.
        """
        return self._bus.request(self._sender, target, payload, topic=topic, timeout=timeout)

    async def send(self, target: str, payload: Any = None, *, topic: str = "", timeout: float | None = None) -> None:
        """Send a message that needs no reply; waits, at most `timeout` seconds, while the mailbox is full."""
        await self._bus.send(self._sender, target, payload, topic=topic, timeout=timeout)

    async def publish(self, topic: str, payload: Any = None) -> int:
        """Hand a message to every subscriber of `topic`; return how many got it."""
        return self._bus.publish(self._sender, topic, payload)

    async def execute(self, target: str, request: Any = None, *, timeout: float | None = None) -> Any:
        """Call a module's `execute` hook and return its result."""
        return await self._bus.request(self._sender, target, request, timeout=timeout, hook="execute")

    @asynccontextmanager
    async def subscribe(self, pattern: str, *, capacity: int = 10_000) -> AsyncIterator[Listener]:
        """Listen to a topic or pattern: `async with system.subscribe("repo.*") as events: async for e in events`.

        Whoever does not keep up loses the oldest beyond `capacity`; `events.lost` counts them.
        """
        bus = self._bus
        listener = Listener(pattern, capacity)
        bus.subscriptions.add(pattern, listener)
        try:
            yield listener
        finally:
            bus.subscriptions.remove(pattern, listener)
            listener.close()

    @property
    def dead_letters(self) -> list[DeadLetter]:
        """The latest messages that nobody handled, with the reasons."""
        return list(self._bus.dead_letters)

    # --- third-party hooks -------------------------------------------------------------------------------------

    async def _look(self) -> Scan:
        """Return what is installed now, for one operation, and take note of the hooks that it declares."""
        parts, _ = self._running()
        scan = self._discovery.scan()
        if scan.hookspecs or self._declared.arguments():
            await self._declared.refresh(scan.hookspecs, parts.tools, self.config.load_timeout)
        return scan


def _check_wish(name: object, isolation: object, config: object, limits: object) -> None:
    """Refuse what can only be a mistake of the calling program."""
    if not isinstance(name, str) or not name:
        raise TypeError(f"a module's name is text, not {name!r}")
    if not isinstance(isolation, str | None):
        raise TypeError(f"isolation is text, as in 'native', not {isolation!r}")
    for what, value in (("config", config), ("limits", limits)):
        if not isinstance(value, Mapping | None):
            raise TypeError(f"{what} is a mapping, not {type(value).__name__}")


def _state(text: str) -> StateFrom:
    try:
        return StateFrom(text)
    except ValueError:
        known = ", ".join(repr(each.value) for each in StateFrom)
        raise ValueError(f"state is one of {known}, not {text!r}") from None


def _judged(report: ReloadReport, strict: bool) -> ReloadReport:
    if report.rolled_back and strict:
        raise ReloadError(report)
    return report
