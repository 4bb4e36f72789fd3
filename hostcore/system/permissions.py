"""The verbs for what modules may do: look at it, grant, revoke, and see what was refused."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from hostcore.contract.permissions import Permission
from hostcore.errors import HostcoreError
from hostcore.hosts.ending import to_its_end
from hostcore.runtime.loading import Described
from hostcore.runtime.permits import GrantReport
from hostcore.runtime.refusals import Attempt
from hostcore.runtime.registry import Record, Wish
from hostcore.runtime.reload import Orders
from hostcore.runtime.reports import GrantChange
from hostcore.system.core import Core

AT_ONCE, RELOADED, KEPT, UNLOADED, NOT_LOADED = "at once", "reloaded", "kept", "unloaded", "not loaded"
"""What a change meant for the running copy; see `GrantChange`."""


class Permissions(Core):
    """What modules may do."""

    async def grants(self, name: str) -> GrantReport:
        """Return what a module asks for and has, and what is new since somebody agreed to it.

        Raises:
            LoadError, ManifestError: Its release cannot be had.
            ConfigError, DeniedError: The file of consents cannot be used.
        """
        release, manifest = described = await self._described(name)
        return await asyncio.to_thread(self.permits.report, release, manifest, self._host_of(name, described))

    async def grant(
        self, name: str, permissions: Iterable[str | Permission] | None = None, *, digest: str = ""
    ) -> GrantChange:  # fmt: skip
        """Agree to what a module asks for, as its release is now.  Cancelling does not stop it half-way.

        Args:
            name: The module.
            permissions: What it gets of that; None: all.  The rest is declined, except for what was granted before.
            digest: The digest in the report that was looked at, to agree to no other release.

        Raises:
            ValueError: A permission does not parse.
            DeniedError: It does not ask for one of them, or has changed since; or the file is not safe to use.
            LoadError, ManifestError, ConfigError: As for `grants`.
        """
        chosen = None if permissions is None else _parsed(permissions)
        return await to_its_end(self._grant(name, chosen, digest))

    async def _grant(self, name: str, chosen: tuple[Permission, ...] | None, digest: str) -> GrantChange:
        release, manifest = await self._described(name)
        consent = await asyncio.to_thread(self.permits.give, release, manifest, chosen, digest)
        effect, reason = await self._apply(name, KEPT)
        return GrantChange(module=name, granted=tuple(map(str, consent.granted)), effect=effect, reason=reason)

    async def revoke(self, name: str, permissions: Iterable[str | Permission] | None = None) -> GrantChange:
        """Take back what a module was granted; a running copy is refused from the next check on.

        Cancelling does not stop it half-way.

        Args:
            name: The module.
            permissions: What; None: everything, and the consent itself: it has to be asked for anew.

        Raises:
            ValueError: A permission does not parse.
            LifecycleError: There is nothing of that to take back.
            ConfigError, DeniedError: The file of consents cannot be used.
        """
        chosen = None if permissions is None else _parsed(permissions)
        return await to_its_end(self._revoke(name, chosen))

    async def _revoke(self, name: str, chosen: tuple[Permission, ...] | None) -> GrantChange:
        taken = await asyncio.to_thread(self.permits.take, name, chosen)
        effect, reason = await self._apply(name, UNLOADED)
        return GrantChange(module=name, taken=tuple(map(str, taken)), effect=effect, reason=reason)

    def refusals(self, name: str | None = None) -> list[Attempt]:
        """Return what a module, or all, tried and was refused, or would have been if it were not observed."""
        return self.permits.refusals.of(name)

    # --- applying ----------------------------------------------------------------------------------------------

    async def _apply(self, name: str, otherwise: str) -> tuple[str, str]:
        """Have what runs of a module go by the consents of this moment; return the effect and a reason.

        Some takes a new copy; where that cannot be had, `otherwise` says what becomes of the old one.
        """
        if self._parts is None or self._stopped or name not in self._registry:
            return NOT_LOADED, ""
        record = self._registry.record(name)
        copy = record.copy
        self.permits.refresh(name)
        self._drop_subscriptions(record)
        if copy is None:
            return NOT_LOADED, ""
        if copy.grants.set_up() == copy.set_up or copy.host == "native":
            return AT_ONCE, ""
        return await self._remake(name, otherwise)

    def _drop_subscriptions(self, record: Record) -> None:
        """Take back what the module listens to and may not any more."""
        copy, cell, subscriptions = record.copy, record.cell, self._bus.subscriptions
        for pattern in subscriptions.of(cell) if copy is not None and cell is not None else ():
            assert copy is not None
            assert cell is not None
            if not copy.grants.has("bus.subscribe", pattern):
                subscriptions.remove(pattern, cell)
                copy.subscribed.discard(pattern)

    async def _remake(self, name: str, otherwise: str) -> tuple[str, str]:
        """Replace the running copy by one that is set up anew."""
        _, modules = self._running()
        try:
            report = await modules.reload(name, None, await self._look(), Orders(why="what it may do has changed"))
            reason = report.reason if report.rolled_back else ""
        except HostcoreError as error:
            reason = str(error)
        if not reason:
            return RELOADED, ""
        if otherwise == UNLOADED and name in self._registry and self._registry.record(name).copy is not None:
            await modules.unload(name, force=True)
        return otherwise, reason

    async def _described(self, name: str) -> Described:
        """Return the release of a module that a load would take, asked for as it was last."""
        self._running()
        assert self._loader is not None
        wish = self._registry.record(name).wish if name in self._registry else Wish()
        return self._loader.describe(name, wish, await self._look())

    def _host_of(self, name: str, described: Described) -> str:
        record = self._registry.record(name) if name in self._registry else None
        if record is not None and record.copy is not None:
            return record.copy.host
        assert self._loader is not None
        asked = (record.wish.isolation if record is not None else None) or self._loader.settings(name).isolation
        return self.permits.host_for(*described, asked)


def _parsed(permissions: Iterable[str | Permission]) -> tuple[Permission, ...]:
    return tuple(each if isinstance(each, Permission) else Permission(each) for each in permissions)
