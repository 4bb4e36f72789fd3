"""For authors of modules that also run as WebAssembly guests: the same names in the program and in the sandbox.

A module needs none of this: `import hostcore` gives the same in both.  Who wants to say that a file is made for both
imports from here, where every name can be had inside a guest too.  `interface` holds what a guest and its host say to
each other; `inside` is the code that `hostcore build --wasm` puts into a Python guest.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hostcore import errors
    from hostcore.contract.context import Context
    from hostcore.contract.messages import Message
    from hostcore.contract.permissions import Permission
    from hostcore.contract.spec import hookimpl
    from hostcore.contract.versions import Capability

WORLD = "module-with-hooks"
"""The world of the interface that a Python guest is built for."""

__all__ = [
    "WORLD",
    "Capability",
    "Context",
    "Message",
    "Permission",
    "errors",
    "hookimpl",
    "interface_dir",
    "is_inside",
]


def is_inside() -> bool:
    """Tell whether this code runs inside a WebAssembly guest."""
    return sys.platform == "wasi"


def interface_dir() -> Path:
    """Return the folder with the interface of guests: `hostcore-module.wit` and `core-abi.md`.

    Raises:
        RuntimeError: This is a guest, which has no files.
    """
    if is_inside():
        raise RuntimeError("the interface's files are not available inside a WebAssembly guest")
    return Path(__file__).parent / "interface"


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'hostcore.guest' has no attribute {name!r}")
    import hostcore

    return getattr(hostcore, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
