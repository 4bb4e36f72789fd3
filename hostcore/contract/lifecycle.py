"""The lifecycle of a module: one table, State x Signal.

A state is assigned in one place only (`runtime.registry`), through `advance`.  A signal that the table does not
know changes nothing and raises.
"""

from __future__ import annotations

import enum

from hostcore.errors import LifecycleError


class State(enum.Enum):
    """Where a module stands."""

    WAITING = "waiting"
    """Asked for; what it requires is not running yet, or nobody has called it (on-demand)."""
    LOADING = "loading"
    """Being imported and initialised."""
    RUNNING = "running"
    """Handling messages."""
    DRAINING = "draining"
    """Finishing the message in hand; later ones are held."""
    RESTARTING = "restarting"
    """It crashed and is being brought back; what is sent to it waits in its mailbox."""
    QUARANTINED = "quarantined"
    """It crashed again and again; what is sent to it is refused until it is revived."""
    FAILED = "failed"
    """It could not be loaded, or has ended for good; `why` tells the error."""
    STOPPED = "stopped"
    """Unloaded; nothing of it is left."""


class Signal(enum.Enum):
    """What can happen to a module."""

    LOAD = "load"
    READY = "ready"
    DRAIN = "drain"
    RESUME = "resume"
    CRASH = "crash"
    QUARANTINE = "quarantine"
    FAIL = "fail"
    STOP = "stop"


TRANSITIONS: dict[State, dict[Signal, State]] = {
    State.WAITING: {Signal.LOAD: State.LOADING, Signal.FAIL: State.FAILED, Signal.STOP: State.STOPPED},
    State.LOADING: {Signal.READY: State.RUNNING, Signal.FAIL: State.FAILED, Signal.STOP: State.STOPPED},
    State.RUNNING: {Signal.DRAIN: State.DRAINING, Signal.CRASH: State.RESTARTING, Signal.FAIL: State.FAILED},
    State.DRAINING: {
        Signal.RESUME: State.RUNNING, Signal.CRASH: State.RESTARTING, Signal.FAIL: State.FAILED,
        Signal.STOP: State.STOPPED,
    },
    State.RESTARTING: {
        Signal.READY: State.RUNNING, Signal.QUARANTINE: State.QUARANTINED, Signal.FAIL: State.FAILED,
        Signal.STOP: State.STOPPED,
    },
    State.QUARANTINED: {Signal.READY: State.RUNNING, Signal.STOP: State.STOPPED},
    State.FAILED: {Signal.LOAD: State.LOADING, Signal.STOP: State.STOPPED},
    State.STOPPED: {},
}  # fmt: skip
DOWN = frozenset({State.RESTARTING, State.QUARANTINED})
"""The states of a module that has crashed and has no copy that serves."""


def advance(state: State, signal: Signal, *, module: str = "module") -> State:
    """Return the state after `signal`.

    Raises:
        LifecycleError: The table has no such move; it lists the signals that fit.
    """
    moves = TRANSITIONS[state]
    try:
        return moves[signal]
    except KeyError:
        fitting = ", ".join(s.value for s in moves) or "none: it is gone for good"
        raise LifecycleError(
            f"{module!r} is {state.value} and cannot {signal.value}", expected=f"signals that fit: {fitting}"
        ) from None
