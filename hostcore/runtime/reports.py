"""What the system tells of a module and of a reload: plain, frozen data."""

from __future__ import annotations

import msgspec

from hostcore.contract.lifecycle import State


class ModuleInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A module as it stands at one moment.

    Attributes:
        name: Its name.
        state: Where it is in its lifecycle.
        generation: The number of its loaded copy, 0 before the first.
        version: Its release's version.
        distribution: The distribution that it comes from, "" if it was not installed.
        source: The project, wheel or file that it was loaded from, "" if installed.
        host: What runs it: "native", "worker", "wasm".
        trust: Why it may do what it may: "trusted (in process)", "trusted (policy)", "granted", "observed", "confined".
        provides: Its capabilities, as in "parser:python/1.0".
        requires: What it requires.
        mailbox: How many messages wait.
        handled: How many messages it has handled, failed ones included.
        failed: How many of those its handlers raised on.
        dropped: How many expired or were abandoned before it got to them.
        latency_p50_us: The median handling time of the latest messages, in microseconds; 0 before the first.
        latency_p99_us: The 99th percentile of the same.
        restarts: How often it was brought back after a crash.
        next_try: When it is started again, in seconds since 1970; 0 if it is not down, or just being started.
        error: Why it failed, or why it crashed if it is down, or "".
        sandbox: The level to which its worker's process is confined: "none", "limits", "files" or "full"; "" of others.
    """

    name: str
    state: State
    generation: int = 0
    version: str = ""
    distribution: str = ""
    source: str = ""
    host: str = "native"
    trust: str = ""
    provides: tuple[str, ...] = ()
    requires: tuple[str, ...] = ()
    mailbox: int = 0
    handled: int = 0
    failed: int = 0
    dropped: int = 0
    latency_p50_us: float = 0.0
    latency_p99_us: float = 0.0
    restarts: int = 0
    next_try: float = 0.0
    error: str = ""
    sandbox: str = ""


class ReloadReport(msgspec.Struct, frozen=True, kw_only=True):
    """How a reload went.

    Attributes:
        module: The module's name.
        old_generation: The number of the copy that served before.
        new_generation: The number of the copy that was made; it serves now unless `rolled_back`.
        old_version: The old copy's release.
        new_version: The new copy's release, "" if none could be found.
        duration_ms: The whole reload.
        downtime_ms: How long messages were held.
        held_messages: How many messages were waiting when the new copy took over.
        rolled_back: The old copy serves on.
        reason: Why it was rolled back, or "".
        code: The code of the error that is the reason, or "".
        leaks: What is still alive of the copy that went, by name.
        kind: "reload"; "rollback": back to a kept generation; "restart": the same release, after a crash.
        why: Who or what caused it.
        phase: The phase in which it failed, or "".
        traceback: What the module's code raised, formatted, or "".
        phases_ms: Phase -> how long it took for this module.
        undone: What the copy that went had left in the process, and was taken back.
        others: The reports of the modules that were reloaded with it.
    """

    module: str
    old_generation: int
    new_generation: int
    old_version: str = ""
    new_version: str = ""
    duration_ms: float = 0.0
    downtime_ms: float = 0.0
    held_messages: int = 0
    rolled_back: bool = False
    reason: str = ""
    code: str = ""
    leaks: tuple[str, ...] = ()
    kind: str = "reload"
    why: str = ""
    phase: str = ""
    traceback: str = ""
    phases_ms: dict[str, float] = {}
    undone: tuple[str, ...] = ()
    others: tuple[ReloadReport, ...] = ()


class GrantChange(msgspec.Struct, frozen=True, kw_only=True):
    """What was granted or taken back, and what it meant for the running copy.

    Attributes:
        module: The module's name.
        granted: What it was granted, by `grant`.
        taken: What was taken back, by `revoke`.
        effect: "at once": the running copy goes by it; "reloaded": it was replaced, keeping its state, since a host
            sets some permissions up before any code runs; "kept": it could not be replaced, and goes on with what was
            set up for it; "unloaded": nor may it go on with that; "not loaded".
        reason: Why it was kept or unloaded, or "".
    """

    module: str
    granted: tuple[str, ...] = ()
    taken: tuple[str, ...] = ()
    effect: str = "not loaded"
    reason: str = ""
