"""Refusals: what modules tried and were not allowed, or would not have been, counted by module and permission.

A module can try as many different things as it likes; only so many are kept apart, the rest is counted together.
"""

from __future__ import annotations

import time

import msgspec

_MOST = 256
OTHERS = "others"
"""Stands in place of a target for what is not kept apart any more."""


class Attempt(msgspec.Struct, kw_only=True):
    """One thing that a module tried.

    Attributes:
        module: The module's name.
        permission: What it would have needed, as in "net:api.example.org:443".
        refused: How often it was refused.
        observed: How often it would have been, and was let through, as the module is observed.
        first: When it was tried first, in seconds since the epoch.
        last: When it was tried last.
    """

    module: str
    permission: str
    refused: int = 0
    observed: int = 0
    first: float = 0.0
    last: float = 0.0


class Refusals:
    """The attempts of all modules of one system."""

    def __init__(self) -> None:
        self._attempts: dict[str, dict[tuple[str, str], Attempt]] = {}

    def note(self, module: str, kind: str, target: str, *, refused: bool) -> None:
        """Count one attempt."""
        known = self._attempts.setdefault(module, {})
        attempt = known.get((kind, target))
        now = time.time()
        if attempt is None:
            attempt = self._new(known, module, kind, target, now)
        attempt.last = now
        if refused:
            attempt.refused += 1
        else:
            attempt.observed += 1

    def _new(
        self, known: dict[tuple[str, str], Attempt], module: str, kind: str, target: str, now: float
    ) -> Attempt:  # fmt: skip
        if len(known) >= _MOST:
            target = OTHERS if target else ""
        permission = f"{kind}:{target}" if target else kind
        return known.setdefault((kind, target), Attempt(module=module, permission=permission, first=now))

    def of(self, module: str | None = None) -> list[Attempt]:
        """Return the attempts of a module, or of all, sorted by module and permission."""
        chosen = self._attempts if module is None else {module: self._attempts.get(module, {})}
        found = [msgspec.structs.replace(attempt) for known in chosen.values() for attempt in known.values()]
        return sorted(found, key=lambda attempt: (attempt.module, attempt.permission))
