"""The inventory: every module that there is, put together from what is installed, configured, switched off and loaded.

Made by a host for whoever asks it, and by the command line itself where no host runs; then nothing is loaded, and the
rest is the same.  No module is imported for it: what it tells of a release comes from its metadata and manifest.
"""
# Plain strings: `Path` objects would double the time of a list.
# ruff: noqa: PTH113, PTH120

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from hostcore.config import HostConfig, ModuleConfig, cache_dir, state_dir
from hostcore.contract.isolation import joined
from hostcore.contract.manifest import Manifest, read_manifest
from hostcore.contract.permissions import growth
from hostcore.errors import HostcoreError, UnknownModuleError, did_you_mean
from hostcore.packages.discovery import Scan
from hostcore.packages.entries import Entry
from hostcore.packages.guests import names_guest
from hostcore.packages.locating import Release, find_manifest, locate
from hostcore.runtime.enabling import Switches
from hostcore.runtime.isolating import needed_host
from hostcore.runtime.policy import NOT_GRANTED, OBSERVED, Asker, Policy

if TYPE_CHECKING:
    from hostcore.runtime.consents import Consent

INSTALLED, DISABLED, BROKEN, NOT_FOUND = "installed", "disabled", "broken", "not found"


class Live(NamedTuple):
    """A module that a host was asked for.

    `info` is its `ModuleInfo` as plain data; `release`, `error` and `after` (what it loads after) are the record's;
    `crash` is its last crash as plain data, if it ever crashed.
    """

    info: dict[str, Any]
    release: Release | None
    error: dict[str, Any] | None
    after: tuple[str, ...]
    on_demand: bool
    crash: dict[str, Any] | None = None


class Described(NamedTuple):
    """What a release says of itself, or why it cannot be had."""

    release: Release | None
    manifest: Manifest
    error: HostcoreError | None


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A module, loaded or not.

    Attributes:
        name: Its name.
        state: Its place in the lifecycle if a host was asked for it; else "installed", "disabled" or "broken".
        enabled: Whether it may load.
        version: The loaded release's version, or else the installed one's.
        distribution: The distribution's name.
        summary: One line of its manifest.
        host: What runs it, or would.
        trust: Why it may do what it may, or would: "trusted (in process)", "trusted (policy)", "granted", "observed",
            "confined"; "not granted": somebody has to agree first.
        sandbox: The level to which the process of its worker is confined, "" if it runs in none.
        activate: "startup" or "on-demand".
        provides: Its capabilities.
        requires: What it requires.
        source: The project, wheel or file that it comes from, "" if installed.
        editable: Its code is a working tree.
        generation: The number of its loaded copy, 0 if it is not loaded.
        mailbox: How many messages wait for it.
        handled: How many it has handled, failed ones included.
        failed: How many of those failed.
        dropped: How many expired before it got to them.
        latency_p50_us: Its median handling time, in microseconds.
        latency_p99_us: The 99th percentile of the same.
        restarts: How often it was brought back after a crash.
        next_try: When it is started again, in seconds since 1970, 0 if that is not planned.
        error: Why it failed or cannot load, or "".
    """

    name: str
    state: str
    enabled: bool
    version: str = ""
    distribution: str = ""
    summary: str = ""
    host: str = "native"
    trust: str = ""
    sandbox: str = ""
    activate: str = "startup"
    provides: tuple[str, ...] = ()
    requires: tuple[str, ...] = ()
    source: str = ""
    editable: bool = False
    generation: int = 0
    mailbox: int = 0
    handled: int = 0
    failed: int = 0
    dropped: int = 0
    latency_p50_us: float = 0.0
    latency_p99_us: float = 0.0
    restarts: int = 0
    next_try: float = 0.0
    error: str = ""


class Inventory:
    """What there is at one moment.

    Args:
        config: The host's configuration.
        scan: What is installed.
        live: The modules that a host was asked for, None if no host runs.
        policy: What modules may do; None: as configured.
    """

    def __init__(
        self, config: HostConfig, scan: Scan, live: Mapping[str, Live] | None = None, policy: Policy | None = None
    ) -> None:  # fmt: skip
        self.policy = policy or Policy.configured(config.policy)
        self.config = config
        self.scan = scan
        self.host_runs = live is not None
        self.live = dict(live or {})
        self._described: dict[str, Described] = {}

    @cached_property
    def switched_off(self) -> frozenset[str]:
        """The modules that `hostcore modules disable` switched off; raises ConfigError if the list is damaged."""
        return Switches(lambda: state_dir(self.config)).disabled()

    @cached_property
    def names(self) -> list[str]:
        """The names of all modules, sorted."""
        return sorted({*self.scan.modules, *self.config.modules, *self.live})

    def require(self, name: str) -> None:
        """Make sure that there is a module called `name`.

        Raises:
            UnknownModuleError: There is none.
        """
        names = self.names
        if name not in names:
            expected = f"there are: {', '.join(names[:10])}{', ...' if len(names) > 10 else ''}" if names else ""
            hint = did_you_mean(name, names) or f"install a distribution that has it; hostcore modules why {name}"
            raise UnknownModuleError(f"there is no module {name!r}", expected=expected, hint=hint)

    def settings(self, name: str) -> ModuleConfig:
        """Return what the host's configuration says of module `name`."""
        return self.config.modules.get(name, ModuleConfig())

    def disabled_by(self, name: str) -> list[str]:
        """Return who keeps module `name` from loading."""
        found = []
        if name in self.config.disabled:
            found.append("'disabled' in the host's configuration")
        if not self.settings(name).enabled:
            found.append(f"'enabled = false' under [modules.{name}] in the host's configuration")
        if name in self.switched_off:
            found.append("'hostcore modules disable'")
        return found

    def describe(self, name: str) -> Described:
        """Return what the release of module `name` that a load would take says of itself."""
        if name not in self._described:
            self._described[name] = self._describe(name)
        return self._described[name]

    def _summary(self, name: str) -> Described:
        """Return what can be told of module `name` without going through its distribution's list of files."""
        entry = self.scan.modules.get(name)
        if name in self._described or entry is None or not entry.metadata or self._source(name):
            return self.describe(name)
        site, package = os.path.dirname(entry.metadata), entry.value.partition(":")[0]
        manifest = find_manifest((site,), package)
        if not manifest and not os.path.isfile(f"{site}/{package.replace('.', '/')}/__init__.py"):
            return self.describe(name)  # a single file, a working tree, or not there at all
        try:
            return Described(None, read_manifest(manifest, name, entry.label), None)
        except HostcoreError as error:
            return Described(None, Manifest(), error)

    def _describe(self, name: str) -> Described:
        release: Release | None = None
        try:
            release = self._release(name)
            return Described(release, read_manifest(release.manifest, name, release.label), None)
        except HostcoreError as error:
            return Described(release, Manifest(), error)

    def _release(self, name: str) -> Release:
        source = self._source(name)
        if source:
            from hostcore.packages.sources import from_source

            return from_source(source, name, cache=cache_dir() / "wheels")
        entry = self.scan.modules.get(name)
        if entry is None:
            self.require(name)
            raise UnknownModuleError(
                f"{name!r} is configured, but neither installed nor given a source",
                hint=f"install it, or set source under [modules.{name}]",
            )
        return locate(entry)

    def _source(self, name: str) -> str:
        live = self.live.get(name)
        return self.settings(name).source or (live.info["source"] if live else "")

    def rows(self) -> list[Row]:
        """Return all modules, sorted by name."""
        return [self._row(name, self._summary(name)) for name in self.names]

    def row(self, name: str) -> Row:
        """Return module `name`, one of `names`."""
        return self._row(name, self.describe(name))

    def _row(self, name: str, described: Described) -> Row:
        release, manifest, error = described
        entry = self.scan.modules.get(name)
        settings = self.settings(name)
        enabled = not self.disabled_by(name)
        values: dict[str, Any] = {
            "state": DISABLED if not enabled else BROKEN if error else INSTALLED,
            **_identity(release or entry),
            "summary": manifest.summary,
            "host": settings.isolation or self._host(release or entry, manifest),
            "activate": settings.activate or manifest.activate,
            "provides": tuple(map(str, manifest.provides)),
            "requires": tuple(map(str, manifest.requires)),
            "error": str(error) if error else "",
        }
        values["trust"] = self._trust(name, str(values.get("distribution", "")), values["host"], manifest)
        live = self.live.get(name)
        if live is not None:
            told = {key: value for key, value in live.info.items() if key in Row.__struct_fields__}
            kept = {
                key
                for key in ("version", "distribution", "source", "trust", "provides", "requires")
                if not told.get(key)
            } | ({"host"} if live.release is None else set())  # that it runs nowhere says nothing of where it would
            values |= {key: value for key, value in told.items() if key not in kept}
            if live.release is not None:
                values["editable"] = live.release.editable
        return Row(**{**values, "name": name, "enabled": enabled})

    def _host(self, found: Release | Entry | None, manifest: Manifest) -> str:
        """Return the host that a module gets if nobody asks for another one."""
        needed = needed_host(manifest, guest=_is_guest(found))
        if found is None:
            return needed
        return joined(needed, self.policy.floor(self._asker(found.name, found.distribution)))

    def _trust(self, name: str, distribution: str, host: str, manifest: Manifest) -> str:
        """Return why a module may do what it may, without a look at the files of its release."""
        bounds = self.policy.bounds(self._asker(name, distribution), host, manifest.permissions)
        if self.policy.observes(name):
            return OBSERVED
        if not bounds.consent:
            return bounds.trust
        decided = [consent.asked for consent in self._consents if consent.module == name]
        return NOT_GRANTED if not decided or growth(manifest.permissions, decided[-1]) else bounds.trust

    def _asker(self, name: str, distribution: str) -> Asker:
        """Return whose module it is; that takes reading its metadata, if it makes a difference."""
        if not self.policy.asks_for_publishers:
            return Asker(name, distribution)
        from hostcore.packages.identity import publisher_of

        release = self.describe(name).release
        return Asker(name, distribution, publisher_of(release) if release is not None else "")

    @cached_property
    def _consents(self) -> tuple[Consent, ...]:
        from hostcore.runtime.consents import Consents  # most lists need none

        try:
            return Consents(lambda: state_dir(self.config)).all()
        except HostcoreError:  # nothing of it counts, as a load will say
            return ()

    def details(self, name: str) -> dict[str, Any]:
        """Return all that is known of module `name` as plain data: its row, and what its manifest declares.

        Raises:
            UnknownModuleError: There is no such module.
        """
        self.require(name)
        release, manifest, _ = self.describe(name)
        live = self.live.get(name)
        used = (live.release if live else None) or release
        return {
            **msgspec.to_builtins(self.row(name)),
            "installed_version": release.version if release else "",
            "paths": list(used.paths) if used else [],
            "entry_point": used.value if used else "",
            "wasm": used.wasm if used else "",
            "manifest": release.manifest if release else "",
            "interface": manifest.interface,
            "after": list(manifest.after),
            "permissions": list(map(str, manifest.permissions)),
            "state_version": manifest.state_version,
            "limits": _said(msgspec.to_builtins(manifest.limits)),
            "options": {key: _said(msgspec.to_builtins(option)) for key, option in manifest.config.items()},
            "disabled_by": self.disabled_by(name),
        }


def _identity(found: Release | Entry | None) -> dict[str, Any]:
    if found is None:
        return {}
    identity: dict[str, Any] = {"version": found.version, "distribution": found.distribution}
    if isinstance(found, Release):
        identity |= {"source": found.source, "editable": found.editable}
    return identity


def _is_guest(found: Release | Entry | None) -> bool:
    if isinstance(found, Release):
        return found.is_guest
    return found is not None and names_guest(found.value)


def _said(table: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in table.items() if value is not None}
