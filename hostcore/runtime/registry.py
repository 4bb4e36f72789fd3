"""The registry: every module that was asked for, and where it stands.

The only place that assigns a module's state.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from hostcore.contract.context import Context
from hostcore.contract.grants import ModuleGrants
from hostcore.contract.lifecycle import DOWN, Signal, State, advance
from hostcore.contract.manifest import Limits, Manifest
from hostcore.errors import HostcoreError, UnknownModuleError, did_you_mean
from hostcore.hosts.base import HostedInstance
from hostcore.messaging.cell import Cell
from hostcore.packages.locating import Release
from hostcore.runtime.permits import Permit
from hostcore.runtime.reports import ModuleInfo
from hostcore.runtime.snapshots import Snapshot


class Wish:
    """How a module was asked for; a reload asks the same way again."""

    __slots__ = ("config", "isolation", "limits", "source")

    def __init__(
        self, source: str | None = None, isolation: str | None = None, config: Mapping[str, Any] | None = None,
        limits: Mapping[str, Any] | None = None,
    ) -> None:  # fmt: skip
        self.source = source
        self.isolation = isolation
        self.config = dict(config or {})
        self.limits = dict(limits or {})

    def taken_from(self, source: str | None, isolation: str | None = None) -> Wish:
        """Return the same wish with another source and isolation; None: with its own.

        That no isolation was wanted ("native") goes with the source that it was said of: another may need one.
        """
        if source is None and isolation is None:
            return self
        kept = None if source is not None and self.isolation == "native" else self.isolation
        return Wish(source or self.source, isolation or kept, self.config, self.limits)


class Copy:
    """A module's loaded copy: the generation that serves, or one that is being prepared."""

    def __init__(
        self, number: int, wish: Wish, release: Release, manifest: Manifest, limits: Limits, host: str, permit: Permit
    ) -> None:
        self.number = number
        self.wish = wish
        self.release = release
        self.manifest = manifest
        self.limits = limits
        self.host = host
        self.permit = permit
        self.set_up = permit.grants.set_up()  # its host gives it that before any of its code runs
        self.instance: HostedInstance | None = None
        self.context: Context | None = None
        self.initialized = False
        self.provides: tuple[str, ...] = ()
        self.subscribed: set[str] = set()  # during initialize: the next copy makes its own
        self.set_aside: dict[str, Any] = {}  # fields of the state that its release does not know
        self.code: Any = None  # what its host needs to make it again, once it has been taken down

    @property
    def grants(self) -> ModuleGrants:
        """What it may do."""
        return self.permit.grants

    @property
    def hooks(self) -> Mapping[str, int]:
        """The hooks that its instance implements."""
        return self.instance.hooks if self.instance is not None else {}

    def keep(self) -> Any:
        """Return what its host needs to make it again, also when the instance has been taken down."""
        if self.instance is not None:
            self.code = self.instance.keep()
        return self.code


class Kept(NamedTuple):
    """A generation that served before and can be gone back to: how to make it again, and the state that it had.

    `together` names the modules that were replaced in the same transaction, with their generations: they go back
    together too, since each may need the others as they were.
    """

    number: int
    wish: Wish
    release: Release
    manifest: Manifest
    code: Any
    snapshot: Snapshot | None
    together: Mapping[str, int]
    digest: str = ""


class Record:
    """All that the system knows of one module."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.state = State.WAITING
        self.wish = Wish()
        self.copy: Copy | None = None
        self.cell: Cell | None = None
        self.error: HostcoreError | None = None
        self.generations = 0
        self.ordered_after: tuple[str, ...] = ()
        self.on_demand = False
        self.busy = asyncio.Lock()  # one load, reload or unload of a module at a time
        self.waiting = 0  # reloads that wait for `busy`
        self.loads = 0  # loads that were asked for and have not ended
        self.snapshot: Snapshot | None = None  # the last good one
        self.kept: list[Kept] = []  # oldest first
        self.end_probation: Callable[[], None] | None = None
        self.restarts = 0  # how often it was brought back after a crash
        self.next_try = 0.0  # when it is started again, in seconds since 1970; 0: not by a clock

    def __repr__(self) -> str:
        number = f"#{self.copy.number}" if self.copy else ""
        return f"<Module {self.name}{number} {self.state.name}>"

    @property
    def down(self) -> bool:
        """Whether it has crashed, and no copy of it serves."""
        return self.state in DOWN

    def signal(self, signal: Signal) -> None:
        """Move on in the lifecycle.

        Raises:
            LifecycleError: The state does not know the signal; nothing changed.
        """
        self.state = advance(self.state, signal, module=self.name)

    def info(self) -> ModuleInfo:
        """Return the module as it stands."""
        copy, cell = self.copy, self.cell
        tally = cell.tally if cell is not None else None
        samples = sorted(tally.samples) if tally is not None else []
        return ModuleInfo(
            name=self.name,
            state=self.state,
            generation=copy.number if copy else self.generations,
            version=copy.release.version if copy else "",
            distribution=copy.release.distribution if copy else "",
            source=copy.release.source if copy else (self.wish.source or ""),
            trust=copy.permit.trust if copy else "",
            host=copy.host if copy else (self.wish.isolation or "native"),
            provides=copy.provides if copy else (),
            requires=tuple(map(str, copy.manifest.requires)) if copy else (),
            mailbox=cell.depth if cell else 0,
            handled=tally.handled if tally else 0,
            failed=tally.failed if tally else 0,
            dropped=tally.dropped if tally else 0,
            latency_p50_us=_percentile(samples, 0.50),
            latency_p99_us=_percentile(samples, 0.99),
            restarts=self.restarts,
            next_try=self.next_try,
            error=str(self.error) if self.error is not None else "",
            sandbox=getattr(copy.instance, "sandbox", "") if copy else "",
        )


def _percentile(samples: list[float], share: float) -> float:
    return round(samples[min(len(samples) - 1, int(len(samples) * share))] * 1e6, 2) if samples else 0.0


class Registry(Mapping[str, ModuleInfo]):
    """Name -> `ModuleInfo`, made anew at each look; `record` gives the living entry."""

    def __init__(self) -> None:
        self._records: dict[str, Record] = {}

    def record(self, name: str) -> Record:
        """Return the entry of a module that was asked for.

        Raises:
            UnknownModuleError: It never was, or has been unloaded.
        """
        try:
            return self._records[name]
        except KeyError:
            hint = did_you_mean(name, self._records) or "hostcore modules list shows what there is"
            raise UnknownModuleError(f"no module {name!r} is loaded", hint=hint) from None

    def obtain(self, name: str) -> Record:
        """Return the entry of `name`, a new one if there is none."""
        return self._records.setdefault(name, Record(name))

    def forget(self, name: str) -> None:
        """Remove the entry of a module that has stopped."""
        self._records.pop(name, None)

    def records(self) -> list[Record]:
        """Return all entries, in the order in which they were asked for."""
        return list(self._records.values())

    def __getitem__(self, name: str) -> ModuleInfo:
        return self._records[name].info()

    def __iter__(self) -> Iterator[str]:
        return iter(self._records)

    def __len__(self) -> int:
        return len(self._records)
