"""The ladder: what to do about a module that has crashed.  Decides and touches nothing.

    restart      the same release, up to `tries` times in a row: at once, then after a wait that doubles
    rollback     the generation before, if one is kept
    demote       a stronger isolation, if there is one and it may be used
    quarantine   no more, but for one start on trial every now and then

After a rollback or a move the module has all its tries again.  A load that fails climbs at once: to load the same again
is no use.  What resets the ladder is health, a while without a crash, and not a window of time: once the waits are
longer than the window, the failures in it would never be enough.
"""

from __future__ import annotations

import enum
from collections.abc import Collection
from typing import NamedTuple

_MOST_DOUBLINGS = 64


class Rung(enum.Enum):
    """What can be done, from the bottom up."""

    RESTART = "restart"
    ROLLBACK = "rollback"
    DEMOTE = "demote"
    QUARANTINE = "quarantine"


ORDER = tuple(Rung)


class Rules(NamedTuple):
    """How patient to be; the times are in seconds, as in `SupervisionConfig`."""

    tries: int = 5
    backoff: float = 0.1
    backoff_max: float = 30.0
    jitter: float = 0.2
    quarantine: float = 300.0


class Standing(NamedTuple):
    """Where a module stands: the highest rung that was used, and its failures since."""

    rung: Rung = Rung.RESTART
    failures: int = 0


class Step(NamedTuple):
    """What to do next, after how many seconds, and where the module stands then.

    A quarantine begins at once; its `delay` is that of the start on trial.
    """

    do: Rung
    delay: float
    standing: Standing


def after_failure(
    standing: Standing, rules: Rules, ways: Collection[Rung], *, healthy: bool, hopeless: bool, chance: float
) -> Step:
    """Return what to do about a failure.

    Args:
        standing: Where the module stood.
        rules: How patient to be.
        ways: What can be done besides restarting and quarantine.
        healthy: It had been well for long enough before.
        hopeless: The same copy need not be tried again, as it does not load.
        chance: A random number from 0 to 1.
    """
    if healthy:
        standing = Standing()
    failures = standing.failures + 1
    if standing.rung is not Rung.QUARANTINE and not hopeless and failures <= rules.tries:
        return Step(Rung.RESTART, _wait(failures, rules, chance), Standing(standing.rung, failures))
    for rung in ORDER[ORDER.index(standing.rung) + 1 : -1]:
        if rung in ways:
            return Step(rung, 0.0, Standing(rung))
    return Step(Rung.QUARANTINE, _varied(rules.quarantine, rules, chance), Standing(Rung.QUARANTINE))


def _wait(failures: int, rules: Rules, chance: float) -> float:
    """Return the seconds before the next restart: none for the first in a row, since most crashes come alone."""
    if failures == 1:
        return 0.0
    return _varied(min(rules.backoff_max, rules.backoff * 2.0 ** min(failures - 2, _MOST_DOUBLINGS)), rules, chance)


def _varied(seconds: float, rules: Rules, chance: float) -> float:
    """Return the time, a little shorter or longer, so that modules that crashed together do not start together."""
    return seconds * (1 + rules.jitter * (2 * chance - 1))
