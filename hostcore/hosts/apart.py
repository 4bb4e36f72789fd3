"""What instances have in common whose modules' objects are not in this interpreter: guests, and modules in workers.

Nothing of them can leak into the program, so nothing of them has to be looked for.
"""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from hostcore.errors import HookError
from hostcore.hosts.base import Crash, Job

if TYPE_CHECKING:
    from hostcore.generations.holders import Holder


class InstanceApart:
    """A generation that runs apart; see `HostedInstance` for what is public.

    Args:
        job: What it was made for.
        revives: It replaces what crashed by itself.
    """

    def __init__(self, job: Job, *, revives: bool) -> None:
        self.name = job.release.name
        self.context = contextvars.Context()
        self.hooks: Mapping[str, int] = {}
        self.undone: tuple[str, ...] = ()
        self.died: Callable[[Crash], None] | None = None
        self.revives = revives
        self._job = job
        self._closed = False
        self._times: dict[str, float] = {}

    def _limit_of(self, hook: str) -> float:
        """Return the seconds that a hook may take."""
        limit = self._times.get(hook)
        if limit is None:
            limit = getattr(self._job.limits, hook, None)
            limit = self._times[hook] = self._job.hook_time if limit is None else limit
        return limit

    def _unhandled(self, hook: str) -> HookError:
        return HookError(
            self.name, f"does not implement {hook!r}", hook=hook, code="HC312", label=self._job.release.label,
            hint=f"it implements {', '.join(sorted(self.hooks)) or 'no hook'}",
        )  # fmt: skip

    def step(self, resume: Callable[[Any], Any], value: Any, deadline: float) -> Any:
        """Take one step of a call's coroutine; no code of the module's runs in it, so it needs no guard."""
        return resume(value)

    def survivors(self) -> tuple[str, ...]:
        """Return nothing: all of it goes with its process, or its store."""
        return ()

    def holders(self) -> list[Holder]:
        """Return nothing; see `survivors`."""
        return []
