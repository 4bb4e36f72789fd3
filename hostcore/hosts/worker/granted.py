"""What a module was granted, as its worker knows it: for what a guest's host has to set up there.

No check rests on it: whatever leaves the worker is checked by the host.
"""

from __future__ import annotations

from collections.abc import Iterable

from hostcore.contract.permissions import Permission


class Granted:
    """The `Grants` of a module, in its worker."""

    everything = False

    def __init__(self, granted: Iterable[str]) -> None:
        self.granted = tuple(map(Permission, granted))

    def allows(self, kind: str, target: str) -> bool:
        """See `Grants.allows`."""
        try:
            asked = Permission(f"{kind}:{target}" if target else kind)
        except ValueError:
            return False
        return any(permission.covers(asked) for permission in self.granted)
