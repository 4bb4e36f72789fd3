"""Errors of a module's: its author has to act."""

from __future__ import annotations

from typing import Any

from hostcore.errors.base import HostcoreError


class ModuleError(HostcoreError):
    """A module is at fault: its author has to act.

    Attributes:
        module: The module's name.
        label: Name, version and distribution as in "counter 1.4.0 (acme-counter)".
        traceback: The formatted traceback of what the module's code raised, or "".
    """

    code = "HC100"

    def __init__(self, module: str, message: str = "", *, label: str = "", traceback: str = "", **rest: Any) -> None:
        super().__init__(message, **rest)
        self.module = module
        self.label = label or module
        self.traceback = traceback

    def subject(self) -> str:
        """Return the module's label."""
        return self.label

    def as_data(self) -> dict[str, Any]:
        """Return the error as plain data, with the module's name and traceback."""
        return {**super().as_data(), "module": self.module, "traceback": self.traceback}


class ManifestError(ModuleError):
    """A `module.toml` is wrong; every mistake is listed."""

    code = "HC101"


class LoadError(ModuleError):
    """A module could not be found, imported, validated or initialised."""

    code = "HC201"


class BuildError(ModuleError):
    """A module cannot be built as a WebAssembly guest."""

    code = "HC220"


class HookError(ModuleError):
    """A hook is declared wrongly, raised, or overran.

    Attributes:
        hook: The hook's name, such as "handle_message".
        exception: The name of the type that the hook raised, or "".
    """

    code = "HC302"

    def __init__(self, module: str, message: str = "", *, hook: str = "", exception: str = "", **rest: Any) -> None:
        super().__init__(module, message, **rest)
        self.hook = hook
        self.exception = exception

    def as_data(self) -> dict[str, Any]:
        """Return the error as plain data, with the hook."""
        return {**super().as_data(), "hook": self.hook}


class StateError(ModuleError):
    """A module's state cannot be taken, encoded or restored."""

    code = "HC321"


class ContractError(ModuleError):
    """A payload, reply or event does not fit what the other side declares."""

    code = "HC351"
