"""Grants as the command line and the control socket tell them: of all modules, or of one, loaded or not."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from hostcore.config import HostConfig, state_dir
from hostcore.contract.manifest import Manifest
from hostcore.contract.meanings import meaning
from hostcore.contract.permissions import Permission
from hostcore.control.inventory import BROKEN, Inventory
from hostcore.errors import HostcoreError
from hostcore.packages.locating import Release
from hostcore.runtime.consents import Consents
from hostcore.runtime.permits import GrantReport, Permits
from hostcore.runtime.policy import Policy
from hostcore.runtime.refusals import Refusals


def permits_of(config: HostConfig) -> Permits:
    """Return what a host with that configuration would decide, for a process that is none."""
    return Permits(Policy.configured(config.policy), Consents(lambda: state_dir(config)), Refusals())


def listed(inventory: Inventory, permits: Permits) -> dict[str, Any]:
    """Return a report of each module that asks for something, is granted something, or was agreed to.

    Returns:
        Plain data: `grants`, one `GrantReport` each, sorted by name; of a module whose release cannot be read the
        `trust` is "broken".
    """
    decided = {consent.module for consent in permits.consents.all()} | {*permits.policy.grants}
    found = []
    for name in sorted({*inventory.names, *decided}):
        if name in inventory.names and (name in decided or inventory.describe(name).manifest.permissions):
            found.append(msgspec.to_builtins(_report_or_broken(inventory, permits, name)))
        elif name in decided:
            had = {str(g): None for c in permits.consents.of(name) for g in c.granted}
            found.append(msgspec.to_builtins(GrantReport(module=name, trust="not installed", granted=tuple(had))))
    return {"grants": found}


def shown(inventory: Inventory, permits: Permits, name: str) -> dict[str, Any]:
    """Return the `GrantReport` of a module as plain data, with what each permission means under `meanings`.

    Raises:
        UnknownModuleError: There is no such module.
        HostcoreError: Its release cannot be read, or the file of consents cannot be used.
    """
    report = _report(inventory, permits, name)
    texts = {*report.asked, *report.granted, *report.gone}
    return {
        **msgspec.to_builtins(report),
        "meanings": {text: meaning(Permission(text)) for text in sorted(texts)},
    }


def grant(
    inventory: Inventory, permits: Permits, name: str, permissions: Iterable[Permission] | None, digest: str
) -> dict[str, Any]:
    """Agree to what a module asks for, where no host runs; see `ModuleSystem.grant`."""
    release, manifest = _described(inventory, name)
    consent = permits.give(release, manifest, permissions, digest)
    return {"module": name, "granted": list(map(str, consent.granted)), "taken": [], "effect": "not loaded",
            "reason": ""}  # fmt: skip


def revoke(permits: Permits, name: str, permissions: Iterable[Permission] | None) -> dict[str, Any]:
    """Take back what a module was granted, where no host runs; see `ModuleSystem.revoke`."""
    taken = permits.take(name, permissions)
    return {"module": name, "granted": [], "taken": list(map(str, taken)), "effect": "not loaded", "reason": ""}


def _report(inventory: Inventory, permits: Permits, name: str) -> GrantReport:
    release, manifest = _described(inventory, name)
    live = inventory.live.get(name)
    if live is not None and live.release is not None:
        return permits.report(release, manifest, live.info["host"])
    try:
        host = permits.host_for(release, manifest, inventory.settings(name).isolation)
    except HostcoreError:  # it runs nowhere; what it asks for can be told all the same
        host = inventory.row(name).host
    return permits.report(release, manifest, host)


def _report_or_broken(inventory: Inventory, permits: Permits, name: str) -> GrantReport:
    if inventory.describe(name).error is not None:
        return GrantReport(module=name, trust=BROKEN)
    return _report(inventory, permits, name)


def _described(inventory: Inventory, name: str) -> tuple[Release, Manifest]:
    inventory.require(name)
    release, manifest, error = inventory.describe(name)
    if error is not None or release is None:
        raise error or AssertionError("a release or an error")
    return release, manifest
