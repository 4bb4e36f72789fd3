"""The eight phases of a reload: what happens in each, who serves meanwhile, and how long it may take."""

from __future__ import annotations

import enum

from hostcore.config import HostConfig


class Phase(enum.Enum):
    """A phase of a reload; the phases follow each other in this order."""

    PREPARE = "prepare"
    DRAIN = "drain"
    SNAPSHOT = "snapshot"
    MIGRATE = "migrate"
    RESTORE = "restore"
    VERIFY = "verify"
    SWAP = "swap"
    RETIRE = "retire"


DOES: dict[Phase, str] = {
    Phase.PREPARE: "find the release anew, import it beside the old generation, check its hooks, initialize",
    Phase.DRAIN: "finish the message in hand, hold the rest",
    Phase.SNAPSHOT: "get_state of the old generation, encoded",
    Phase.MIGRATE: "migrate_state, if the version of the state differs",
    Phase.RESTORE: "restore_state of the new generation",
    Phase.VERIFY: "check_health, and the probe that the manifest names",
    Phase.SWAP: "the new generation behind the address: one assignment",
    Phase.RETIRE: "shut the old generation down, take back what it registered, collect it, name what is left",
}
HELD = frozenset({Phase.DRAIN, Phase.SNAPSHOT, Phase.MIGRATE, Phase.RESTORE, Phase.VERIFY, Phase.SWAP})
"""The phases in which messages are held: the downtime."""


def time_limit(phase: Phase, config: HostConfig) -> float:
    """Return the seconds that a phase may take for one module."""
    configured: float | None = getattr(config.reload, phase.value, None)
    if configured is not None:
        return configured
    return 2 * config.load_timeout if phase is Phase.PREPARE else config.handler_timeout
