"""Make a copy of a module ready to serve: find its release, read its manifest, import it, initialise it.

Used alike for a first load and for the new copy of a reload.  Whatever fails, nothing of the copy is left.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from math import inf
from typing import Any

from hostcore.config import ModuleConfig, cache_dir, usual_limits
from hostcore.contract.context import Context
from hostcore.contract.isolation import GIVES, is_confined
from hostcore.contract.manifest import Manifest, read_manifest
from hostcore.contract.versions import Capability
from hostcore.errors import HookError, HostcoreError, LoadError, did_you_mean
from hostcore.hosts import faults
from hostcore.hosts.base import Crash, Host, HostedInstance, Job
from hostcore.hosts.ending import to_its_end
from hostcore.hosts.native import NativeHost
from hostcore.messaging.cell import Cell
from hostcore.packages.discovery import Scan
from hostcore.packages.locating import Release, locate
from hostcore.packages.sources import from_source
from hostcore.runtime.collecting import Collector
from hostcore.runtime.history import Remains
from hostcore.runtime.parts import Parts
from hostcore.runtime.permits import check_set_up
from hostcore.runtime.ports import ModulePorts
from hostcore.runtime.registry import Copy, Record, Wish

Described = tuple[Release, Manifest]
_MORE_PASSES = 4
"""Bounds the passes of the collector over leaks: beside other threads each may find a little new garbage."""


class Loader:
    """Makes copies of modules, and takes them down."""

    def __init__(self, parts: Parts, third_party: Callable[[], Mapping[str, tuple[str, ...]]]) -> None:
        self._parts = parts
        self._third_party = third_party
        self.collector = Collector()
        self._hosts: dict[str, Host] = {}
        self._ports: dict[Copy, ModulePorts] = {}
        self.crashed: Callable[[Record, Copy, Crash], None] = lambda record, copy, crash: None  # the supervisor's

    # --- finding -----------------------------------------------------------------------------------------------

    def release(self, name: str, wish: Wish, scan: Scan | None) -> Release:
        """Return the release to load for module `name`, of those that `scan` found; None: as it is installed now.

        Raises:
            LoadError: There is none, or it is disabled.
        """
        if name in self._parts.disabled():
            raise LoadError(name, "is disabled", code="HC207", hint=f"hostcore modules enable {name}")
        source = wish.source or self.settings(name).source
        if source is not None:
            return from_source(source, name, cache=cache_dir() / "wheels")
        return locate(self._parts.discovery.find(name, scan))

    def settings(self, name: str) -> ModuleConfig:
        """Return what the host's configuration says of module `name`."""
        return self._parts.config.modules.get(name, ModuleConfig())

    def describe(self, name: str, wish: Wish, scan: Scan | None = None) -> Described:
        """Return a module's release and manifest; imports nothing."""
        release = self.release(name, wish, scan)
        return release, read_manifest(release.manifest, name, release.label)

    # --- making ------------------------------------------------------------------------------------------------

    async def try_out(self, wish: Wish, described: Described) -> None:
        """Have a release tried in a host of its own, if the policy demands that and it has not passed yet.

        Raises:
            DeniedError: It was not contained there.
        """
        release, manifest = described
        settings = self.settings(release.name)
        host = self._parts.permits.host_for(release, manifest, wish.isolation or settings.isolation)
        await self._parts.gate.check(release, host, {**settings.config, **wish.config})

    async def prepare(
        self, record: Record, wish: Wish, described: Described, kept: Any = None, *, digest: str = "",
        trusted: bool = False, dropped: Callable[[Remains], object] = lambda _: None,
    ) -> Copy:  # fmt: skip
        """Import a new copy of a module, check its hooks, and initialise it, beside whatever serves now.

        Args:
            record: The module.
            wish: How it was asked for.
            described: Its release and manifest.
            kept: What a generation before was made of, to be made again.
            digest: The digest of its release, whose files may be others by now.
            trusted: It was trusted in the host's process and is moved out of it: it gets what it asks for.
            dropped: Called with what is left of a copy that was imported and could not be initialised.

        Raises:
            HostcoreError: Named by what went wrong; nothing of the copy is left.
        """
        release, manifest = described
        settings = self.settings(record.name)
        limits = manifest.limits.merged(settings.limits).merged(wish.limits)
        limits = limits.bounded(self._parts.policy.ceiling, usual_limits(self._parts.config))
        config = manifest.configure({**settings.config, **wish.config}, at=("modules", record.name, "config"))
        host = self._parts.permits.host_for(release, manifest, wish.isolation or settings.isolation)
        permit = await self._parts.permits.admit(release, manifest, host, digest, trusted=trusted)
        record.generations += 1
        copy = Copy(record.generations, wish, release, manifest, limits, host, permit)
        copy.instance = await self._host(host, release).load(self._job(copy, kept))
        try:
            await self._initialize(record, copy, config)
        except BaseException:
            dropped(await self.dispose(copy))
            raise
        return copy

    def _job(self, copy: Copy, kept: Any) -> Job:
        config = self._parts.config
        limit = copy.limits.message
        return Job(
            release=copy.release,
            number=copy.number,
            limits=copy.limits,
            hook_time=config.handler_timeout,
            load_time=config.load_timeout,
            message_limit=config.message_limit if limit is None else min(limit, config.message_limit),
            third_party=self._third_party(),
            grants=copy.grants,
            kept=kept,
            state_version=copy.manifest.state_version,
            sandbox=self._parts.policy.sandbox,
        )

    def _host(self, name: str, release: Release) -> Host:
        host: Host | None = self._hosts.get(name)
        if host is None:
            host = NativeHost(self._parts.tools) if name == "native" else self._driver(name, release)
            self._hosts[name] = host
        return host

    def _driver(self, name: str, release: Release) -> Host:
        from stevedore import DriverManager
        from stevedore.exception import NoMatches

        try:
            manager: DriverManager[Host] = DriverManager(
                "hostcore.hosts", name, invoke_on_load=True, invoke_args=(self._parts.tools,)
            )
        except NoMatches:
            raise LoadError(
                release.name,
                f"isolation {name!r} is not available here",
                code="HC209",
                label=release.label,
                hint=did_you_mean(name, GIVES.keys() - {name})
                or "install a distribution that provides this host (entry-point group 'hostcore.hosts')",
            ) from None
        driver: Any = manager.driver
        return driver  # type: ignore[no-any-return]

    def close(self) -> None:
        """Let the hosts go; nothing is loaded any more."""
        for host in self._hosts.values():
            host.close()
        self._hosts.clear()

    async def _initialize(self, record: Record, copy: Copy, config: dict[str, Any]) -> None:
        parts, cell = self._parts, record.cell
        assert cell is not None
        assert copy.instance is not None
        ports = self._ports[copy] = ModulePorts(
            record.name, parts.bus, cell, copy.grants, copy.subscribed, parts.services, parts.kv_directory,
        )  # fmt: skip
        copy.context = Context(record.name, copy.release.version, copy.number, config, ports)
        try:
            async with asyncio.timeout(parts.config.load_timeout):
                await copy.instance.call("initialize", context=copy.context)
                copy.initialized = True
                copy.provides = await self._capabilities(copy)
        except TimeoutError:
            raise LoadError(
                record.name,
                f"initialising did not end within {parts.config.load_timeout:.3g} s",
                code="HC206",
                label=copy.release.label,
                hint="raise load_timeout, or do slow work after initialize()",
            ) from None

    async def _capabilities(self, copy: Copy) -> tuple[str, ...]:
        assert copy.instance is not None
        told = await copy.instance.call("get_capabilities")
        if told is None:
            told = []
        name = copy.release.name
        if not isinstance(told, list | tuple | set) or not all(isinstance(t, str | Capability) for t in told):
            raise HookError(
                name, f"hook 'get_capabilities' returned {faults.repr_of(told)}", hook="get_capabilities", code="HC313",
                label=copy.release.label, expected="a list such as ['parser:python/1.2']",
            )  # fmt: skip
        try:
            found = {Capability(str(t)) for t in told}
        except ValueError as exc:
            raise HookError(name, f"hook 'get_capabilities': {exc}", hook="get_capabilities", code="HC313",
                            label=copy.release.label) from None  # fmt: skip
        return tuple(map(str, sorted({*found, *copy.manifest.provides})))

    # --- serving and not ---------------------------------------------------------------------------------------

    def recheck(self, copy: Copy) -> None:
        """Make sure that a copy which is about to serve has nothing that was taken back while it was made.

        Raises:
            DeniedError: It was set up with more than it may have now.
        """
        if is_confined(copy.host):
            check_set_up(copy.set_up, copy.grants)

    def activate(self, record: Record, copy: Copy) -> None:
        """Put a prepared copy behind the module's paused cell: the swap."""
        cell = record.cell
        assert cell is not None
        old, record.copy = record.copy, copy
        cell.swap(copy.instance)
        cell.capacity = copy.limits.mailbox or self._parts.config.mailbox
        self._parts.bus.provide(record.name, tuple(map(Capability, copy.provides)))
        copy.subscribed = {pattern for pattern in copy.subscribed if copy.grants.has("bus.subscribe", pattern)}
        subscriptions = self._parts.bus.subscriptions
        for pattern in (old.subscribed - copy.subscribed) if old is not None else ():
            subscriptions.remove(pattern, cell)
        for pattern in subscriptions.of(cell):  # what was subscribed while serving outlives a reload, if it may
            if not copy.grants.has("bus.subscribe", pattern):
                subscriptions.remove(pattern, cell)
        for pattern in sorted(copy.subscribed):
            subscriptions.add(pattern, cell)
        if copy.instance is not None:
            copy.instance.died = partial(self.crashed, record, copy)
        if old is not None and old is not copy and old.instance is not None:
            old.instance.died = None
        if copy in self._ports:
            self._ports[copy].serving = True
        if old is not None and old is not copy and old in self._ports:
            self._ports[old].serving = False

    async def dispose(self, copy: Copy, within: float = inf) -> Remains:
        """Take a copy down, calling `shutdown` if it was initialised; return what could not be let go of.

        A `shutdown` that raises is reported as an event; the copy goes all the same.  Nor does cancelling stop it
        half-way: it comes to its end first.

        Args:
            copy: A copy that serves no more, or not yet.
            within: The seconds that `shutdown` may take, besides its own limit.
        """
        instance, copy.instance = copy.instance, None
        if instance is None:
            return Remains(copy.number, copy.release.version)
        instance.died = None  # it is meant to end
        return await to_its_end(self._dispose(copy, instance, within))

    async def _dispose(self, copy: Copy, instance: HostedInstance, within: float) -> Remains:
        if copy.initialized:
            try:
                await instance.call("shutdown", within)
            except HostcoreError as error:
                self._parts.events.tell(
                    "hostcore.handler.failed", module=copy.release.name, hook="shutdown", topic="", sender="host",
                    message="", error=error.as_data(),
                )  # fmt: skip
        ports = self._ports.pop(copy, None)
        if copy.context is not None:
            copy.context.close()
            copy.context = None
        if ports is not None:
            await ports.close()
        return Remains(copy.number, copy.release.version, instance, await instance.close())

    async def leaks(self, gone: Iterable[Remains]) -> list[tuple[str, ...]]:
        """Collect garbage, and return for each copy that was taken down what is still alive of it.

        The collector does not look into all objects (small Structs, for one), so that a class may outlive the first
        pass by its own instances, which go in it; only what outlives a second one is held by something else.  Looking
        for what holds it passes over the whole heap several times: in a thread, and only if something is.  Nothing is
        collected where nothing is left to begin with, as of a guest.
        """
        gone = list(gone)
        if _any_alive(gone):
            await self.collector.collect()
        for _ in range(_MORE_PASSES):
            if not _any_alive(gone) or not gc.collect():
                break
        return [(*remains.left, *await _holders(remains.instance)) for remains in gone]


def _any_alive(gone: Iterable[Remains]) -> bool:
    return any(remains.instance is not None and remains.instance.survivors() for remains in gone)


async def _holders(instance: HostedInstance | None) -> tuple[str, ...]:
    """Return what keeps an instance's survivors alive, as text."""
    if instance is None or not instance.survivors():
        return ()
    held = await asyncio.to_thread(_held, instance)
    gc.collect()  # a thread that was just ending may have held them, and has let go meanwhile
    return held if instance.survivors() else ()


def _held(instance: HostedInstance) -> tuple[str, ...]:
    return tuple(map(str, instance.holders()))


async def drain(cell: Cell, seconds: float) -> bool:
    """Pause `cell` and wait until nothing is in hand; False if that took longer, and the cell is paused still."""
    try:
        async with asyncio.timeout(seconds):
            await cell.pause()
    except TimeoutError:
        return False
    except asyncio.CancelledError:
        cell.resume()
        raise
    return True
