"""The hosts that attacks take place in: what they are configured with, and what is tried there."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import msgspec

from hostcore.config import HostConfig, load_config
from hostcore.config.policy import PolicyConfig
from hostcore.contract.permissions import Permission
from hostcore.sdk.isolation.ring import TARGET

PROJECTS: Final = Path(__file__).with_name("projects")
_NAME: Final = "isolation-test"
_TALK: Final = ("bus.send:target", "bus.request:target", "bus.send:flood.*")
_LISTEN: Final = ("bus.subscribe:flood.*",)


class Trial(msgspec.Struct):
    """A module that is to be tried.

    Attributes:
        name: Its name.
        source: Where it is, if it is not installed; None: as configured.
        isolation: What it runs in; None: as configured, or what it needs.
        config: The configuration of the host that it is meant for, as plain data.
        options: What it is loaded with, over those of that configuration.
        permitted: It gets what its manifest asks for; else nothing.
    """

    name: str
    source: str | None = None
    isolation: str | None = None
    config: dict[str, Any] = {}
    options: dict[str, Any] = {}
    permitted: bool = False


def _without_none(data: Any) -> Any:
    """Return plain data of a configuration as a file would have it: what is not said is left out."""
    if not isinstance(data, dict):
        return data
    return {key: _without_none(value) for key, value in data.items() if value is not None}


def attack_config(folder: Path) -> dict[str, Any]:
    """Return the configuration for the built-in attacks: nobody may do anything that is not needed."""
    return {
        "name": _NAME, "state_dir": str(folder / "state"), "handler_timeout": 2.0,
        "supervision": {"enabled": False},
        "policy": {"default": "deny", "grants": {"hostile-sender": list(_TALK), TARGET: list(_LISTEN)}},
    }  # fmt: skip


def trial_config(trial: Trial, folder: Path) -> HostConfig:
    """Return that of the host that a module is meant for, with data of its own, and nobody to bring it back."""
    config = load_config(_without_none(trial.config))
    replace = msgspec.structs.replace
    trust = config.policy.trust if trial.permitted else PolicyConfig().trust  # who is trusted gets what it asks for
    policy = replace(
        config.policy, gate=False, default="allow" if trial.permitted else "deny", trust=trust,
        grants={TARGET: tuple(map(Permission, _LISTEN))},
    )  # fmt: skip
    return replace(
        config, name=_NAME, autoload=False, disabled=(), safe_mode=False, state_dir=str(folder / "state"),
        supervision=replace(config.supervision, enabled=False), policy=policy,
    )  # fmt: skip
