"""Crashes and revive: what a program can see and do of the supervision of modules."""

from __future__ import annotations

from hostcore.errors import ReloadError
from hostcore.runtime.reload import StateFrom
from hostcore.runtime.reports import ReloadReport
from hostcore.runtime.supervision.crashes import CrashEntry
from hostcore.system.core import Core


class Supervision(Core):
    """The verbs for modules that crash."""

    def crashes(self, name: str | None = None) -> list[CrashEntry]:
        """Return the latest crashes of a module, or of all, oldest first: doing what, why, and what was done about it.

        Args:
            name: The module; it may be unloaded by now.  None: all.

        Raises:
            UnknownModuleError: There never was a module of that name.
        """
        log = self._running()[1].supervisor.log
        if name is not None and name not in self._histories:
            self._registry.record(name)
        return log.of(name)

    async def revive(self, name: str, *, state: str = "last", strict: bool = False) -> ReloadReport:
        """Start a module that is down at once, out of quarantine too, with all its tries anew.

        Args:
            name: The module.
            state: "last", the last good snapshot if there is one; or "fresh", none, if that is what it crashes of.
            strict: Raise if it did not come up.

        Raises:
            UnknownModuleError: It is not loaded.
            LifecycleError: It is not down.
            ReloadError: `strict`, and it did not come up; the report is in it.
        """
        if state not in ("last", "fresh"):
            raise ValueError(f"state is one of 'last', 'fresh', not {state!r}")
        supervisor = self._running()[1].supervisor
        report = await supervisor.revive(self._registry.record(name), StateFrom(state))
        if report.rolled_back and strict:
            raise ReloadError(report)
        return report
