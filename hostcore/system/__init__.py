"""`ModuleSystem`: what a program talks to.

* `core` builds the parts and owns their lifetime;
* `operations` are the verbs for modules, `messages` those for messages, `permissions` those for what modules may do,
  `supervision` those for modules that crash.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from hostcore.runtime.policy import Policy
from hostcore.system.core import Config
from hostcore.system.messages import Messages
from hostcore.system.operations import Operations
from hostcore.system.permissions import Permissions
from hostcore.system.supervision import Supervision

if TYPE_CHECKING:
    from hostcore.blocking import BlockingModuleSystem


class ModuleSystem(Operations, Supervision, Messages, Permissions):
    """Modules in a running program.  Use it as an async context manager; leaving it unloads everything.

    Args:
        config: A `hostcore.toml` (or `pyproject.toml`), the same keys as a mapping, or None for the defaults.
        policy: What modules may do; None: as configured.
        services: Name -> object whose public methods modules may call through `context.invoke`.

    Raises:
        ConfigError: The configuration is wrong; every mistake is listed.
    """

    @classmethod
    def blocking(
        cls, config: Config = None, *, policy: Policy | None = None, services: Mapping[str, Any] | None = None
    ) -> BlockingModuleSystem:
        """Return the same system for a synchronous program: `with ModuleSystem.blocking() as system: ...`."""
        from hostcore.blocking import BlockingModuleSystem

        return BlockingModuleSystem(lambda: cls(config, policy=policy, services=services))
