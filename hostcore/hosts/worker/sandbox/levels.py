"""Levels: names for how much of the sandbox is in force, so that a policy can demand one and a person can compare.

| level | what holds | what a hostile module can still do |
|---|---|---|
| none | nothing | all that its user can |
| limits | rlimits, no_new_privs | read and change its user's files, use the network |
| files | and Landlock | use sockets, signals and the kernel's rarer calls, as far as the Landlock here is old |
| full | and seccomp, and namespaces | what it was granted, and what the kernel has no rule for |
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from hostcore.hosts.worker.sandbox.cage import Layer

_ADDS: Final[dict[str, tuple[str, ...]]] = {
    "none": (),
    "limits": ("rlimits", "no_new_privs"),
    "files": ("landlock",),
    "full": ("seccomp", "namespaces"),
}

LEVELS: Final = tuple(_ADDS)
"""The names of the levels, weakest first."""


def level_of(layers: Mapping[str, Layer]) -> str:
    """Return the highest level of which every layer is in force, and those of all lower levels."""
    reached = LEVELS[0]
    for level, names in _ADDS.items():
        if not all(name in layers and layers[name].in_force for name in names):
            break
        reached = level
    return reached


def at_least(level: str, wanted: str) -> bool:
    """Say whether `level` is `wanted` or higher.

    Raises:
        ValueError: One of them is no level.
    """
    return _place(level) >= _place(wanted)


def needed(level: str) -> tuple[str, ...]:
    """Return the layers that must be in force for `level`.

    Raises:
        ValueError: It is no level.
    """
    return tuple(name for each in LEVELS[: _place(level) + 1] for name in _ADDS[each])


def lacking(layers: Mapping[str, Layer], wanted: str) -> dict[str, str]:
    """Return what keeps `layers` from level `wanted`: the layers that are not in force, each with the reason.

    Raises:
        ValueError: `wanted` is no level.
    """
    absent = Layer(False, "not applied")
    found = {name: layers.get(name, absent) for name in needed(wanted)}
    return {name: layer.detail for name, layer in found.items() if not layer.in_force}


def _place(level: str) -> int:
    if level not in LEVELS:
        raise ValueError(f"{level!r} is no level of the sandbox; they are {', '.join(LEVELS)}")
    return LEVELS.index(level)
