"""The parts that loading, reloading and unloading work with; `system` builds them once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from hostcore.config import HostConfig
from hostcore.hosts.base import Tools
from hostcore.messaging.bus import Bus
from hostcore.packages.discovery import Discovery
from hostcore.runtime.events import Events
from hostcore.runtime.gate import Gate
from hostcore.runtime.history import Histories
from hostcore.runtime.permits import Permits
from hostcore.runtime.policy import Policy
from hostcore.runtime.registry import Registry


class Parts(NamedTuple):
    """Everything that a module's life needs of the system."""

    config: HostConfig
    bus: Bus
    events: Events
    policy: Policy
    permits: Permits
    registry: Registry
    histories: Histories
    discovery: Discovery
    tools: Tools
    services: Mapping[str, Any]
    kv_directory: Callable[[], Path]
    gate: Gate
    disabled: Callable[[], frozenset[str]]
