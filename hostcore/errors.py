"""Every error hostcore raises, in one tree.

The class says who has to act: a `ModuleError` is the module author's, a `HostError` the supervisor's, a
`DeniedError` the operator's, a `DeliveryError` the caller's.  Each error has a stable `code` and carries its
facts as attributes, so that a program need not read the text, and the text is made from them in one place:

    HC301 counter 1.4.0 (acme-counter): hook 'handle_message' takes an unknown argument 'mesage'
      --> acme_counter/__init__.py:12    spec: handle_message(message)
      hint: did you mean 'message'?

Errors hold no exception, frame or object of a module: a stored one would keep the module's old code alive after
a reload.  What a module raised travels as its type's name, its text and its formatted traceback.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

if TYPE_CHECKING:
    from hostcore.runtime.reports import ReloadReport


class Problem(NamedTuple):
    """One thing that is wrong: what, where, what was expected, and what to do."""

    message: str
    code: str = ""
    where: str = ""
    expected: str = ""
    hint: str = ""

    def render(self, subject: str = "") -> str:
        """Return the problem as text, the first line led by its code and `subject`."""
        lead = " ".join(part for part in (self.code, f"{subject}:" if subject else "") if part)
        lines = [f"{lead} {self.message}".strip()]
        place = "    ".join(part for part in (self.where, self.expected) if part)
        if place:
            lines.append(f"  --> {place}")
        if self.hint:
            lines.append(f"  hint: {self.hint}")
        return "\n".join(lines)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return "did you mean 'x'?" for the known word nearest to `word`, or ""."""
    near = get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"did you mean {near[0]!r}?" if near else ""


class HostcoreError(Exception):
    """The base of all errors of hostcore.

    Attributes:
        code: A stable code such as "HC401".
        problems: What is wrong, at least one entry.
    """

    code: str = "HC000"
    exit_code: ClassVar[int] = 1

    def __init__(self, message: str = "", *, code: str = "", hint: str = "", where: str = "", expected: str = "",
                 problems: Sequence[Problem] = ()) -> None:  # fmt: skip
        self.code = code or type(self).code
        self.problems: tuple[Problem, ...] = tuple(problems) or (
            Problem(message, where=where, expected=expected, hint=hint),
        )
        super().__init__(message)

    @property
    def message(self) -> str:
        """The first problem's message, without code, place and hint."""
        return self.problems[0].message

    @property
    def hint(self) -> str:
        """What to do about the first problem, or ""."""
        return self.problems[0].hint

    def subject(self) -> str:
        """Return whom the error is about, as it stands in front of the message."""
        return ""

    def __str__(self) -> str:
        subject = self.subject()
        return "\n".join(p._replace(code=p.code or self.code).render(subject) for p in self.problems)

    def as_data(self) -> dict[str, Any]:
        """Return the error as plain data (JSON): type, code, text and problems."""
        return {
            "type": type(self).__name__,
            "code": self.problems[0].code or self.code,
            "exit_code": self.exit_code,
            "text": str(self),
            "problems": [
                {k: v for k, v in p._asdict().items() if v} | {"code": p.code or self.code} for p in self.problems
            ],
        }


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


class DeliveryError(HostcoreError):
    """A message could not be delivered or was not answered."""

    code = "HC400"


class UnknownModuleError(DeliveryError, LookupError):
    """No module has that name, and none provides that capability."""

    code = "HC401"


class StoppedError(DeliveryError):
    """The module stopped, or failed, before it handled the message."""

    code = "HC402"


class QuarantinedError(StoppedError):
    """The module crashed again and again, and is not started until somebody revives it."""

    code = "HC407"


class MailboxFullError(DeliveryError):
    """The module's mailbox is full and the sender did not wait."""

    code = "HC403"


class DeadlineError(DeliveryError, TimeoutError):
    """The deadline passed before the reply came."""

    code = "HC404"


class CallCycleError(DeliveryError):
    """The request would wait for a module that waits for the asker; `trail` is the circle."""

    code = "HC405"

    def __init__(self, message: str, *, trail: Sequence[str] = (), **rest: Any) -> None:
        super().__init__(message, **rest)
        self.trail = tuple(trail)


class NetworkError(DeliveryError):
    """What a module asked for over the network did not come: no such host, no connection, a broken reply."""

    code = "HC406"


class HostError(HostcoreError):
    """What runs a module failed: the supervisor has to act."""

    code = "HC500"


class WorkerDiedError(HostError):
    """A worker process ended unasked.

    Attributes:
        signal: The name of the signal that ended it, such as "SIGSEGV", or "".
        status: The code that it exited with, or None.
        lines: The last lines that it wrote.
    """

    code = "HC501"

    def __init__(
        self, message: str = "", *, signal: str = "", status: int | None = None, lines: Sequence[str] = (),
        **rest: Any,
    ) -> None:  # fmt: skip
        super().__init__(message, **rest)
        self.signal = signal
        self.status = status
        self.lines = tuple(lines)

    def as_data(self) -> dict[str, Any]:
        """Return the error as plain data, with how the worker ended."""
        return {**super().as_data(), "signal": self.signal, "status": self.status, "lines": list(self.lines)}


class HungError(HostError):
    """A handler in the host's own process did not end although it was cancelled again and again."""

    code = "HC520"


class GuestTrapError(HostError):
    """A WebAssembly guest trapped.

    Attributes:
        traceback: Where in its code, as its runtime tells, or "".
    """

    code = "HC502"

    def __init__(self, message: str = "", *, trace: str = "", **rest: Any) -> None:
        super().__init__(message, **rest)
        self.traceback = trace

    def as_data(self) -> dict[str, Any]:
        """Return the error as plain data, with the traceback."""
        return {**super().as_data(), "traceback": self.traceback}


class LimitError(HostError):
    """A limit was reached: memory, message size, state size, time."""

    code = "HC503"


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
