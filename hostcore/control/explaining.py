"""Explaining a module: why it is loaded, or why not, as facts that each have a name and a text.

The order of questions is that of a load: is there such a module, which of several counts, may it load, can its release
be read, is what it requires there, was it asked for, did it come up.  The first "no" is the answer.
"""

from __future__ import annotations

import time
from typing import Any, NamedTuple

from hostcore.control.inventory import NOT_FOUND, Inventory, Row
from hostcore.errors import ConsentError, HostcoreError, did_you_mean


class Fact(NamedTuple):
    """One thing that is so, under a short heading."""

    about: str
    text: str


def explain(inventory: Inventory, name: str) -> dict[str, Any]:
    """Return why module `name` is as it is.

    Returns:
        Plain data: `name`; `state`, as in the inventory, or "not found"; `answer`, one sentence; `facts`, each with
        `about` and `text`; `error`, as `HostcoreError.as_data` makes it, or None; `hint`, what to do, or "".
    """
    if name not in inventory.names:
        return _not_found(inventory, name)
    row = inventory.row(name)
    error = _error(inventory, name, row)
    answer, hint = _answer(inventory, row, error)
    facts = [*_crashes(inventory, name), *_origin(inventory, row), *_duplicates(inventory, name)]
    facts += [*_needs(inventory, row), *_may(inventory, row)]
    return _told(name, row.state, answer, facts, error, hint)


def _told(
    name: str, state: str, answer: str, facts: list[Fact], error: dict[str, Any] | None, hint: str
) -> dict[str, Any]:
    return {"name": name, "state": state, "answer": answer, "facts": [fact._asdict() for fact in facts],
            "error": error, "hint": hint}  # fmt: skip


def _not_found(inventory: Inventory, name: str) -> dict[str, Any]:
    names = inventory.names
    problems = [problem for problem in inventory.scan.problems if name in problem.render()]
    facts = [Fact("disabled", f"it is switched off by {who}") for who in inventory.disabled_by(name)]
    facts += [Fact("broken metadata", problem.render()) for problem in problems]
    facts += [Fact("there are", ", ".join(names) or "no modules at all")]
    hint = did_you_mean(name, names) or (
        f'install a distribution that declares {name!r} under [project.entry-points."hostcore.modules"]'
    )
    return _told(name, NOT_FOUND, f"no installed distribution declares a module {name!r}", facts, None, hint)


def _error(inventory: Inventory, name: str, row: Row) -> dict[str, Any] | None:
    """Return what stands in the way of the module: the host's own error first, then its release, then its needs."""
    live = inventory.live.get(name)
    if live is not None and (live.error is not None or row.generation):
        return live.error
    broken = inventory.describe(name).error
    error: HostcoreError | None = broken or _unmet(inventory, name)
    return error.as_data() if error is not None else None


def _unmet(inventory: Inventory, name: str) -> HostcoreError | None:
    from hostcore.packages.order import plan  # slow to import

    described = {}
    for other in inventory.names:
        release, manifest, error = inventory.describe(other)
        if release is not None and error is None and (other == name or not inventory.disabled_by(other)):
            described[other] = (release.version, manifest)
    return plan(described).problems.get(name)


def _answer(inventory: Inventory, row: Row, error: dict[str, Any] | None) -> tuple[str, str]:
    """Return the answer in one sentence, and what to do."""
    name = row.name
    live = inventory.live.get(name)
    if live is not None and row.state not in ("waiting", "failed"):
        return _loaded(inventory, row)
    disabled = inventory.disabled_by(name)
    if disabled:
        switch = f"hostcore modules enable {name}" if name in inventory.switched_off else "change the configuration"
        return f"it does not load: it is switched off by {' and by '.join(disabled)}", switch
    if error is not None:
        happened = "it failed to load" if live is not None else "it cannot be loaded"
        if error.get("code") == ConsentError.code:
            return happened, f"look at what it asks for and decide: hostcore grant {name}"
        return happened, f"correct it, then: hostcore modules load {name}" if inventory.host_runs else ""
    if live is not None:
        kind = "its first message" if live.on_demand else "what it requires"
        return f"it waits for {kind}", f"hostcore modules load {name}"
    return _not_asked_for(inventory, row)


def _loaded(inventory: Inventory, row: Row) -> tuple[str, str]:
    if row.state in _DOWN:
        return _DOWN[row.state], f"hostcore modules revive {row.name}"
    answer = f"it is {row.state}: generation {row.generation}, version {row.version}, in the host {row.host!r}"
    release = inventory.describe(row.name).release
    if release is not None and release.version != row.version:
        return f"{answer}; version {release.version} is there now", f"hostcore modules reload {row.name}"
    return answer, ""


_DOWN = {
    "restarting": "it crashed and is being brought back; what is sent to it waits",
    "quarantined": "it crashed again and again and is in quarantine; what is sent to it is refused",
}


def _crashes(inventory: Inventory, name: str) -> list[Fact]:
    """Return what is known of its last crash, and when it is started again."""
    live = inventory.live.get(name)
    if live is None or live.crash is None:
        return []
    crash, facts = live.crash, []
    when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(crash["when"]))
    facts.append(Fact("last crash", f"{when}: {crash['error']}; done about it: {crash['done']}"))
    if live.info["restarts"]:
        facts.append(Fact("restarts", str(live.info["restarts"])))
    if live.info["next_try"]:
        facts.append(Fact("next try", f"in {max(0.0, live.info['next_try'] - time.time()):.1f} s"))
    return facts


def _not_asked_for(inventory: Inventory, row: Row) -> tuple[str, str]:
    config = inventory.config
    if not inventory.host_runs:
        return f"it is not loaded: no host named {config.name!r} is running", "hostcore run"
    reason = "nobody asked the host for it; it was perhaps installed after the host had started"
    if config.safe_mode:
        reason = "the host is in safe mode and loads nothing by itself"
    elif not config.autoload and row.name not in config.modules:
        reason = "the host loads only configured modules by itself (autoload is off)"
    return f"it is not loaded: {reason}", f"hostcore modules load {row.name}"


def _origin(inventory: Inventory, row: Row) -> list[Fact]:
    live = inventory.live.get(row.name)
    release = (live.release if live else None) or inventory.describe(row.name).release
    if release is None:
        return []
    origin = f"the source {release.source}" if release.source else f"the distribution {release.distribution}"
    kind = "a working tree (editable)" if release.editable else "installed files"
    facts = [
        Fact("release", f"{release.label}, from {origin}"),
        Fact("code", f"{release.value} in {', '.join(release.paths)}: {kind}"),
        Fact("manifest", release.manifest or "none: the defaults hold"),
    ]
    if row.activate == "on-demand":
        facts.append(Fact("activation", "on demand: it loads with its first message"))
    return facts


def _duplicates(inventory: Inventory, name: str) -> list[Fact]:
    entries = inventory.scan.duplicates.get(name, [])
    if not entries:
        return []
    first, *hidden = (f"{entry.label} in {entry.metadata or 'an archive'}" for entry in entries)
    return [Fact("duplicate", f"{first} counts: it comes first on sys.path"),
            *(Fact("hidden", f"{entry}; uninstall one of the two") for entry in hidden)]  # fmt: skip


def _needs(inventory: Inventory, row: Row) -> list[Fact]:
    live = inventory.live.get(row.name)
    manifest = inventory.describe(row.name).manifest
    after = live.after if live and live.after else (*map(str, manifest.requires), *manifest.after)
    facts = [Fact("loads after", ", ".join(after))] if after else []
    if row.provides:
        facts.append(Fact("provides", ", ".join(row.provides)))
    return facts


def _may(inventory: Inventory, row: Row) -> list[Fact]:
    """Tell what the module asks for, and why it may do what it may."""
    asked = ", ".join(map(str, inventory.describe(row.name).manifest.permissions))
    return [Fact("asks for", asked or "nothing"), Fact("trust", row.trust)]
