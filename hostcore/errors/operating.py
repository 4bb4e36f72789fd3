"""Errors of the operator's, or of the program's: configuration, lifecycle, control, what is required, the store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from hostcore.errors.base import HostcoreError

if TYPE_CHECKING:
    from hostcore.runtime.reports import ReloadReport


class ConfigError(HostcoreError):
    """The host's configuration is wrong; every mistake is listed."""

    code = "HC901"
    exit_code = 2


class ControlError(HostcoreError):
    """The control socket cannot be used, or the other side does not keep to its protocol."""

    code = "HC910"


class NoHostError(ControlError):
    """No host is running on the control socket."""

    code = "HC911"
    exit_code = 13


class LifecycleError(HostcoreError):
    """The operation does not fit the module's present state, or the system's."""

    code = "HC251"


class ResolutionError(HostcoreError):
    """What a module requires cannot be had.

    Attributes:
        causes: Everything that stands in the way, one line each.
    """

    code = "HC150"
    exit_code = 11

    def __init__(self, message: str, *, causes: Sequence[str] = (), **rest: Any) -> None:
        super().__init__(message, **rest)
        self.causes = tuple(causes)


class MissingError(ResolutionError):
    """A required module or capability is not there."""

    code = "HC151"


class ConflictError(ResolutionError):
    """A required module is there in a version outside the asked range."""

    code = "HC152"


class CycleError(ResolutionError):
    """Modules require each other in a circle; `causes` is the path."""

    code = "HC153"


class StoreError(HostcoreError):
    """The store of releases cannot do what was asked."""

    code = "HC700"


class DigestError(StoreError):
    """A file's digest is not the recorded one."""

    code = "HC701"


class ReleaseNotFoundError(StoreError):
    """No such release in the store or catalog."""

    code = "HC702"


class SignatureError(StoreError):
    """A signature is missing or wrong."""

    code = "HC703"


class ReloadError(HostcoreError):
    """A strict reload did not come through; `report` says why."""

    code = "HC801"
    exit_code = 10

    def __init__(self, report: ReloadReport) -> None:
        super().__init__(f"reload of {report.module!r} failed: {report.reason}")
        self.report = report
