"""Load, reload, roll back, unload: what a program does with modules."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from hostcore.errors import ReloadError
from hostcore.packages.discovery import Scan
from hostcore.runtime.history import HistoryEntry
from hostcore.runtime.modules import LoadOutcome
from hostcore.runtime.registry import Record, Wish
from hostcore.runtime.reload import Orders, StateFrom
from hostcore.runtime.reports import ModuleInfo, ReloadReport
from hostcore.system.core import Core

if TYPE_CHECKING:
    pass


class Operations(Core):
    """The verbs for modules."""

    @property
    def modules(self) -> Mapping[str, ModuleInfo]:
        """Name -> `ModuleInfo` of every module that was asked for, as they stand at this moment."""
        return self._registry

    def discover(self) -> Scan:
        """Return what is installed, found anew; imports nothing."""
        return self._discovery.scan()

    @property
    def disabled(self) -> frozenset[str]:
        """The modules that do not load, by configuration or `disable`."""
        return self._disabled()

    def enable(self, name: str) -> None:
        """Let module `name` load again, from now on and in later runs."""
        self._switches.enable(name)

    def disable(self, name: str) -> None:
        """Keep module `name` from loading, from now on and in later runs; a loaded one goes on."""
        self._switches.disable(name)

    async def load(
        self, name: str, *, source: str | os.PathLike[str] | None = None, isolation: str | None = None,
        config: Mapping[str, Any] | None = None, limits: Mapping[str, Any] | None = None,
    ) -> ModuleInfo:  # fmt: skip
        """Load a module and what it requires.

        Args:
            name: The name of its entry point.
            source: A project directory, a wheel or a `.wasm` file to load it from, not installed anywhere.
            isolation: The host that runs it: "native", "worker", "wasm" or "wasm+worker"; it cannot be weaker than the
                manifest asks.  None: as configured, or else what it needs.
            config: Its options, over those of the host's configuration.
            limits: Its limits, in place of the manifest's, as in {"handle_message": "200ms"}.

        Raises:
            LifecycleError: It is loaded already.
            LoadError: It cannot be found, imported or initialised.
            HookError: Its hooks are declared wrongly, or `initialize` raised.
            ManifestError, ConfigError: Its manifest, or its configuration here, is wrong.
            ResolutionError: What it requires cannot be had.
        """
        _, modules = self._running()
        _check_wish(name, isolation, config, limits)
        wish = Wish(os.fspath(source) if source is not None else None, isolation, config, limits)
        await modules.load(name, wish, await self._look())
        return self._registry.record(name).info()  # unless somebody has unloaded it by now

    async def load_all(self, names: list[str] | None = None) -> LoadOutcome:
        """Load several modules, and what they require, in order; one that fails never stops the others.

        Args:
            names: Which; None: all that are installed or configured, and not disabled.
        """
        _, modules = self._running()
        scan = await self._look()
        if names is None:
            names = sorted({*scan.modules, *self.config.modules} - self._disabled())
        return await modules.load_all(names, scan)

    async def reload(
        self, name: str, *, source: str | os.PathLike[str] | None = None, isolation: str | None = None,
        cascade: bool = False, state: str = "current", strict: bool = False, why: str = "asked",
    ) -> ReloadReport:  # fmt: skip
        """Replace a running module by its newest release, keeping its state and its mailbox.

        Args:
            name: The module.
            source: Load the new copy from here; None: from where it came from before, found anew.
            isolation: Move it to this host, as for `load`, also for later reloads; None: as before.
            cascade: Reload the modules that require it too, in order: all or none.
            state: What the new copy gets: "current", the state that the old one gives; "last", the last good snapshot,
                for an old copy that is stuck or cannot give its state; "fresh", none.  The latter two give up on a
                message that does not end.
            strict: Raise if the old copy had to serve on.
            why: What caused it, for the history.

        Raises:
            UnknownModuleError: It is not loaded.
            LifecycleError: It asks for it itself, in a handler; or too many reloads of it wait already.
            ReloadError: `strict`, and the reload failed; the report is in it.
        """
        _, modules = self._running()
        _check_wish(name, isolation, None, None)
        orders = Orders(_state(state), why, isolation=isolation)
        self._registry.record(name)
        place = None if source is None else os.fspath(source)
        return _judged(await modules.reload(name, place, await self._look(), orders, cascade=cascade), strict)

    async def rollback(
        self, name: str, *, to: int | None = None, state: str | None = None, strict: bool = False
    ) -> ReloadReport:
        """Go back to a generation that served before; it is made anew from what was kept of it, files aside.

        Args:
            name: The module.
            to: The number of the generation; None: the one before.
            state: As for `reload`, "last" being the state that it had when it was replaced.  None: the present state
                if it can be had and the older release reads it, else "last".
            strict: Raise if the present copy had to serve on.

        Raises:
            UnknownModuleError: It is not loaded.
            LifecycleError: No such generation is kept; or as for `reload`.
            ReloadError: `strict`, and it failed; the report is in it.
        """
        _, modules = self._running()
        chosen = None if state is None else _state(state)
        self._registry.record(name)
        return _judged(await modules.rollback(name, to, chosen), strict)

    def history(self, name: str) -> list[HistoryEntry]:
        """Return what became of a module's generations since the system started, oldest first.

        Raises:
            UnknownModuleError: Nothing is known of it.
        """
        if name not in self._histories:
            self._registry.record(name)
        return self._histories[name].entries()

    async def leaks(self, name: str) -> list[dict[str, Any]]:
        """Look for what is still alive of a module's generations that were let go of, and what holds it.

        Returns:
            Plain data for each generation of which something lives: `generation`, `version`, `alive` (its modules,
            classes and functions that live), and `holders`, each with `what`, `root` and `chain`.

        Raises:
            UnknownModuleError: Nothing is known of it.
        """
        self.history(name)
        return await self._running()[1].leaks(name)

    async def unload(self, name: str, *, force: bool = False) -> tuple[str, ...]:
        """Stop a module and drop everything of it; return what is still alive of it, by name.

        Args:
            name: The module.
            force: Unload it although running modules require it.

        Raises:
            UnknownModuleError: It is not loaded.
            LifecycleError: Running modules require it.
        """
        _, modules = self._running()
        return await modules.unload(name, force=force)

    def record(self, name: str) -> Record:
        """Return the living entry of a module, for `why`; raises UnknownModuleError."""
        return self._registry.record(name)


def _check_wish(name: object, isolation: object, config: object, limits: object) -> None:
    """Refuse what can only be a mistake of the calling program."""
    if not isinstance(name, str) or not name:
        raise TypeError(f"a module's name is text, not {name!r}")
    if not isinstance(isolation, str | None):
        raise TypeError(f"isolation is text, as in 'native', not {isolation!r}")
    for what, value in (("config", config), ("limits", limits)):
        if not isinstance(value, Mapping | None):
            raise TypeError(f"{what} is a mapping, not {type(value).__name__}")


def _state(text: str) -> StateFrom:
    try:
        return StateFrom(text)
    except ValueError:
        known = ", ".join(repr(each.value) for each in StateFrom)
        raise ValueError(f"state is one of {known}, not {text!r}") from None


def _judged(report: ReloadReport, strict: bool) -> ReloadReport:
    if report.rolled_back and strict:
        raise ReloadError(report)
    return report
