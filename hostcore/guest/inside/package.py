"""What `import hostcore` gives inside a guest; it is laid out as `hostcore/__init__.py` there.

Names of hostcore that need a host's own libraries are not there, and say so.
"""

from __future__ import annotations

import sys
from typing import Any, NoReturn

from hostcore import errors
from hostcore.contract.context import Context
from hostcore.contract.messages import Message
from hostcore.contract.permissions import Permission
from hostcore.contract.spec import hookimpl, hookspec
from hostcore.contract.versions import Capability

__all__ = ["Capability", "Context", "Message", "Permission", "errors", "hookimpl", "hookspec"]

_HINT = "is not available inside a WebAssembly guest"


class _Rest:
    """The last finder on `sys.meta_path`: names what is left out of hostcore here."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        """Refuse names below `hostcore`; leave others to be unknown as anywhere."""
        if name.startswith("hostcore."):
            refuse(name)


def refuse(name: str) -> NoReturn:
    """Raise the ImportError of a name that is not inside."""
    raise ImportError(f"{name} {_HINT}", name=name)


def __getattr__(name: str) -> Any:
    raise AttributeError(f"hostcore.{name} {_HINT}; there are: {', '.join(__all__)}")


sys.meta_path.append(_Rest())
