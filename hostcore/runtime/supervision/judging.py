"""What to do about a crash: the module's policy and the host's, what is possible, and then the ladder."""

from __future__ import annotations

from collections.abc import Collection

from hostcore.config.supervision import SupervisionConfig
from hostcore.contract.restarting import RestartPolicy
from hostcore.errors import LoadError
from hostcore.hosts.base import Crash
from hostcore.runtime.isolating import choose_host
from hostcore.runtime.registry import Copy, Record
from hostcore.runtime.supervision.care import Care
from hostcore.runtime.supervision.ladder import Rules, Rung, Step, after_failure
from hostcore.runtime.supervision.timing import Timing

STRONGER = {"native": "worker", "wasm": "wasm+worker"}
"""Host -> the one that a module is moved to when nothing else helps."""

_PERHAPS = frozenset({"HC501", "HC513", "HC601"})
"""The errors of a start that are not about the release: its process was ended, or could not be started, or
something was taken from the module meanwhile."""


class Judge:
    """Judges crashes under one configuration."""

    def __init__(self, config: SupervisionConfig, timing: Timing) -> None:
        self._config, self._timing = config, timing
        self._rules = Rules(config.tries, config.backoff, config.backoff_max, config.jitter, config.quarantine)

    def judge(
        self, care: Care, copy: Copy, crash: Crash, chosen: RestartPolicy | None, *, revives: bool
    ) -> Step | None:
        """Return what to do about a crash; None: nothing, the module stays down.

        Args:
            care: What is known of the module.
            copy: The copy that crashed.
            crash: How.
            chosen: The policy that the host's configuration names, in place of the manifest's.
            revives: The copy replaces what crashed by itself; then an answer in between is health enough.
        """
        policy = chosen or copy.manifest.restart.policy
        if not self._config.enabled or policy == "temporary" or (policy == "transient" and ended_well(crash)):
            return None
        healthy = care.ran_for() >= self._config.stable or (revives and care.well() > care.answered)
        # A trap is contained: in a process of its own the guest would trap again.
        ways = self._ways(care.record, copy, movable=crash.kind != "trapped")
        return self._next(care, ways, healthy=healthy, hopeless=False)

    def judge_start(self, care: Care, copy: Copy, code: str) -> Step:
        """Return what to do about a new copy that did not come up; `code` is that of the error."""
        return self._next(care, self._ways(care.record, copy), healthy=False, hopeless=code not in _PERHAPS)

    def _next(self, care: Care, ways: Collection[Rung], *, healthy: bool, hopeless: bool) -> Step:
        chance = self._timing.chance()
        return after_failure(care.standing, self._rules, ways, healthy=healthy, hopeless=hopeless, chance=chance)

    def _ways(self, record: Record, copy: Copy, *, movable: bool = True) -> Collection[Rung]:
        ways = set()
        if self._config.rollback and record.kept:
            ways.add(Rung.ROLLBACK)
        if self._config.demote and movable and can_move(copy):
            ways.add(Rung.DEMOTE)
        return ways


def can_move(copy: Copy) -> bool:
    """Tell whether there is a stronger isolation for a copy, and its release may run in it."""
    host = STRONGER.get(copy.host)
    try:
        return host is not None and choose_host(copy.release, copy.manifest, host) == host
    except LoadError:
        return False


def ended_well(crash: Crash) -> bool:
    """Tell whether it was no crash: the module's process has ended by itself, with exit code 0."""
    return crash.kind == "died" and getattr(crash.error, "status", None) == 0


def said(step: Step | None, *, revives: bool = False) -> str:
    """Return in words what is done."""
    if step is None:
        return "it stays down"
    if step.do is Rung.RESTART and revives:
        return "a new guest with the next message"
    wait = f" in {step.delay:.3g} s" if step.delay else ""
    return {
        Rung.RESTART: f"restart{wait or ' at once'}", Rung.ROLLBACK: "rollback to the generation before",
        Rung.DEMOTE: "move to a process of its own", Rung.QUARANTINE: f"quarantine; a start on trial{wait}",
    }[step.do]  # fmt: skip
