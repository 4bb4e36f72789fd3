"""Switching a module on or off, with what else there is to say about it."""

from __future__ import annotations

from typing import Any

from hostcore.config import state_dir
from hostcore.control.inventory import Inventory
from hostcore.errors import ConfigError
from hostcore.runtime.enabling import Switches


def switch(inventory: Inventory, name: str, *, on: bool) -> dict[str, Any]:
    """Let module `name` load, or keep it from loading, from now on and in later runs.

    Returns:
        Plain data: `name`; `changed`, false if it stood so already; `enabled`, whether it may load now;
        `disabled_by`, what else keeps it from loading; `loaded`, whether it runs at this moment.

    Raises:
        UnknownModuleError: There is no such module.
        ConfigError: The list of disabled modules is damaged, or cannot be written.
    """
    if name not in inventory.switched_off:
        inventory.require(name)
    switches = Switches(lambda: state_dir(inventory.config))
    try:
        changed = switches.enable(name) if on else switches.disable(name)
    except OSError as error:
        raise ConfigError(f"the list of disabled modules cannot be written: {error.strerror}",
                          where=str(state_dir(inventory.config)),
                          hint="set HOSTCORE_STATE_DIR, or state_dir in the configuration") from None  # fmt: skip
    after = Inventory(inventory.config, inventory.scan, inventory.live, inventory.policy)
    live = inventory.live.get(name)
    disabled_by = after.disabled_by(name)
    return {
        "name": name,
        "changed": changed,
        "enabled": not disabled_by,
        "disabled_by": disabled_by,
        "loaded": live is not None and live.info["generation"] > 0,
    }
