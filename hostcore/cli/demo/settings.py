"""The demo's host: one of its own, in which modules are run, supervised and allowed as the operator's would be.

Its name and its state, which goes when the demo ends, are the demo's.  The consents that were given are copied, so that
what was granted is granted here too.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from hostcore.cli.demo.projects import GRUMPY, GRUMPY_ASKS
from hostcore.config import HostConfig, ModuleConfig, state_dir
from hostcore.contract.isolation import NATIVE
from hostcore.contract.permissions import Permission
from hostcore.runtime.consents import Consents
from hostcore.runtime.isolating import is_sandboxed


def settings(config: HostConfig, scratch: Path) -> HostConfig:
    """Return the configuration of the demo's host.

    Args:
        config: The operator's; its tables `modules`, `policy`, `supervision`, `wasm` and `worker` hold for the demo.
        scratch: A directory that goes when the demo ends.

    Raises:
        ConfigError, DeniedError: The file of consents cannot be used.
    """
    granted = Consents(lambda: state_dir(config))
    copy = Consents(lambda: scratch / "state")
    for consent in granted.all():
        copy.record(consent)
    # The demo itself has written this module: nobody could have been asked about it before.
    grants = {GRUMPY: tuple(map(Permission, GRUMPY_ASKS)), **config.policy.grants}
    return HostConfig(
        name="demo", state_dir=str(scratch / "state"), index=False, modules=config.modules,
        policy=msgspec.structs.replace(config.policy, grants=grants), supervision=config.supervision,
        wasm=config.wasm, worker=config.worker,
    )  # fmt: skip


def needs_patience(module: ModuleConfig | None) -> bool:
    """Tell whether a module's first load takes long, as its component is compiled for it."""
    return module is not None and is_sandboxed(module.isolation or NATIVE)
