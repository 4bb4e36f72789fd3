"""hostcore: load, unload and hot-reload modules in a running Python program.

The names in `__all__` are the whole public interface, with `hostcore.errors`; the folders behind it are internal.
They are imported when first used: `import hostcore` itself costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hostcore import errors
    from hostcore.contract.context import Context
    from hostcore.contract.lifecycle import State
    from hostcore.contract.manifest import Manifest
    from hostcore.contract.messages import Message, Payload
    from hostcore.contract.permissions import Permission
    from hostcore.contract.spec import hookimpl, hookspec
    from hostcore.contract.versions import Capability
    from hostcore.runtime.policy import Policy
    from hostcore.runtime.reports import ModuleInfo, ReloadReport
    from hostcore.system import ModuleSystem

__version__ = "0.1.0"

_HOMES = {
    "ModuleSystem": "hostcore.system",
    "hookimpl": "hostcore.contract.spec",
    "hookspec": "hostcore.contract.spec",
    "Context": "hostcore.contract.context",
    "Message": "hostcore.contract.messages",
    "Payload": "hostcore.contract.messages",
    "Capability": "hostcore.contract.versions",
    "Permission": "hostcore.contract.permissions",
    "Policy": "hostcore.runtime.policy",
    "Manifest": "hostcore.contract.manifest",
    "ModuleInfo": "hostcore.runtime.reports",
    "State": "hostcore.contract.lifecycle",
    "ReloadReport": "hostcore.runtime.reports",
    "errors": "hostcore.errors",
}

__all__ = [
    "Capability",
    "Context",
    "Manifest",
    "Message",
    "ModuleInfo",
    "ModuleSystem",
    "Payload",
    "Permission",
    "Policy",
    "ReloadReport",
    "State",
    "errors",
    "hookimpl",
    "hookspec",
]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'hostcore' has no attribute {name!r}")
    module = import_module(home)
    value = module if name == "errors" else getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
