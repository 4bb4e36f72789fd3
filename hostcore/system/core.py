"""What every part of the system's face stands on: its parts, built once, and their lifetime."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from hostcore.config import HostConfig, cache_dir, load_config, state_dir
from hostcore.contract.grants import ALL
from hostcore.errors import ConfigError, LifecycleError
from hostcore.hosts.base import Tools
from hostcore.hosts.ending import to_its_end
from hostcore.messaging.bus import HOST, Bus, Sender
from hostcore.messaging.guard import ThreadGuard, make_guard
from hostcore.packages.discovery import Discovery, Scan
from hostcore.runtime.calling import HookCaller
from hostcore.runtime.consents import Consents
from hostcore.runtime.enabling import Switches
from hostcore.runtime.events import Events, LagWatch
from hostcore.runtime.gate import Gate
from hostcore.runtime.history import Histories
from hostcore.runtime.hookspecs import DeclaredHooks
from hostcore.runtime.loading import Loader
from hostcore.runtime.modules import Modules
from hostcore.runtime.parts import Parts
from hostcore.runtime.permits import Permits
from hostcore.runtime.policy import Policy
from hostcore.runtime.refusals import Refusals
from hostcore.runtime.registry import Registry
from hostcore.runtime.supervision.timing import Timing

if TYPE_CHECKING:
    pass

Config = HostConfig | Mapping[str, Any] | str | os.PathLike[str] | None


class Core:
    """The parts of a system and their lifetime; what a program can do with them is in the classes above."""

    def __init__(
        self, config: Config = None, *, policy: Policy | None = None, services: Mapping[str, Any] | None = None
    ) -> None:
        self.config = load_config(config)
        self.policy = policy or Policy.configured(self.config.policy)
        self.permits = Permits(self.policy, Consents(self._state_dir), Refusals())
        self._services = dict(services or {})
        self._registry = Registry()
        self._histories = Histories()
        self._events = Events()
        self._declared = DeclaredHooks()
        self._sender = Sender(HOST, ALL)
        self._parts: Parts | None = None
        self._modules: Modules | None = None
        self._loader: Loader | None = None
        self._lag: LagWatch | None = None
        self._timing: Timing | None = None  # of supervision; a test's own
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
            config=config, bus=bus, events=self._events, policy=self.policy, permits=self.permits,
            registry=self._registry, histories=self._histories, discovery=self._discovery, tools=tools,
            services=self._services, kv_directory=lambda: self._state_dir() / "kv",
            gate=Gate(config, self.policy.gate, self._state_dir), disabled=self._disabled,
        )  # fmt: skip
        self._loader = Loader(self._parts, self._declared.arguments)
        self._modules = Modules(self._parts, self._loader, self._timing)
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

    async def _activate(self, name: str) -> None:
        _, modules = self._running()
        await modules.activate(name)

    async def _look(self) -> Scan:
        """Return what is installed now, for one operation, and take note of the hooks that it declares."""
        parts, _ = self._running()
        scan = self._discovery.scan()
        if scan.hookspecs or self._declared.arguments():
            await self._declared.refresh(scan.hookspecs, parts.tools, self.config.load_timeout)
        return scan
