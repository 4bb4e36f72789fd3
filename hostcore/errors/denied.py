"""Errors of permission: the operator has to decide."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hostcore.errors.base import HostcoreError


class DeniedError(HostcoreError, PermissionError):
    """A permission was not granted: the operator has to decide."""

    code = "HC601"
    exit_code = 12


class EgressError(DeniedError):
    """A module may not connect there.

    Attributes:
        host: The name or address that it asked for.
        port: The port.
        address: The address that the name stands for, if that is what was refused, or "".
        reason: Why it was refused.
    """

    code = "HC602"

    def __init__(self, module: str, host: str, port: int, reason: str, *, address: str = "", hint: str = "") -> None:
        via = f" ({address})" if address and address != host else ""
        super().__init__(f"{module!r} may not connect to {host}:{port}{via}: {reason}", hint=hint)
        self.host = host
        self.port = port
        self.address = address
        self.reason = reason


class ConsentError(DeniedError):
    """A module asks for permissions that nobody has agreed to yet.

    Attributes:
        module: Its name.
        missing: The permissions, as text.
    """

    code = "HC603"

    def __init__(self, module: str, missing: Sequence[str], *, hint: str = "", expected: str = "") -> None:
        listed = ", ".join(missing)
        super().__init__(f"{module!r} asks for what nobody has agreed to: {listed}", hint=hint, expected=expected)
        self.module = module
        self.missing = tuple(missing)

    def as_data(self) -> dict[str, Any]:
        """Return the error as plain data, with the module and what is missing."""
        return {**super().as_data(), "module": self.module, "missing": list(self.missing)}
