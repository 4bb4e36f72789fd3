"""Acts that do not end."""

from __future__ import annotations

import itertools
import os
import signal
from typing import Any

from .trying import Stage


def hang_python(stage: Stage) -> None:
    """Run for ever, in Python."""
    while True:
        pass


def hang_stubborn(stage: Stage) -> None:
    """Run for ever, and catch whatever is raised to end it."""
    while True:
        try:
            while True:
                pass
        except BaseException:  # noqa: BLE001 - that is the point
            continue


def hang_c(stage: Stage) -> Any:
    """Run for ever in C, where no signal's handler gets its turn."""
    return all(itertools.repeat(1))


def hang_sigterm(stage: Stage) -> Any:
    """The same, deaf to all that asks it to end."""
    for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_IGN)
    return all(itertools.repeat(1))


def hang_stopped(stage: Stage) -> None:
    """Stop the whole process."""
    os.kill(os.getpid(), signal.SIGSTOP)
