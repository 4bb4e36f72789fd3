"""Errors on their way between the processes: as data, and as the same error again.

What comes from a worker may be anything, so an error is made only of the kinds that a module can have caused, about
that module, of text that is safe to show.
"""

from __future__ import annotations

from typing import Any

import msgspec

from hostcore import errors
from hostcore.errors import CallCycleError, HookError, HostcoreError, ModuleError, Problem, ResolutionError
from hostcore.hosts.text import printable

_TEXT = 64 * 1024
_MOST = 50


class Carried(msgspec.Struct, array_like=True, omit_defaults=True):
    """An error as data; see `HostcoreError` and its kinds for the fields."""

    kind: str
    code: str
    problems: list[Problem]
    traceback: str = ""
    hook: str = ""
    exception: str = ""
    trail: tuple[str, ...] = ()
    module: str = ""
    label: str = ""


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Carried).decode
_KINDS: dict[str, type[HostcoreError]] = {
    kind.__name__: kind
    for kind in (
        errors.LoadError, errors.HookError, errors.StateError, errors.ContractError, errors.LifecycleError,
        errors.ResolutionError, errors.DeliveryError, errors.UnknownModuleError, errors.StoppedError,
        errors.MailboxFullError, errors.DeadlineError, errors.CallCycleError, errors.NetworkError, errors.HostError,
        errors.WorkerDiedError, errors.GuestTrapError, errors.LimitError, errors.DeniedError,
    )
}  # fmt: skip
"""The kinds that travel; any other arrives as the nearest of these that it descends from."""


def carried(error: BaseException) -> bytes:
    """Return an error as data."""
    if not isinstance(error, HostcoreError):
        error = errors.HostError(f"the worker itself failed: {type(error).__name__}: {error}")
    kind = next((k.__name__ for k in type(error).__mro__ if k.__name__ in _KINDS), "HostError")
    own = ModuleError if isinstance(error, ModuleError) else None
    return _encode(Carried(
        kind, error.code, list(error.problems[:_MOST]),
        traceback=getattr(error, "traceback", ""), hook=getattr(error, "hook", ""),
        exception=getattr(error, "exception", ""), trail=tuple(getattr(error, "trail", ())),
        module=error.module if own and isinstance(error, own) else "", label=getattr(error, "label", ""),
    ))  # fmt: skip


def made_again(data: bytes, *, module: str = "", label: str = "") -> HostcoreError:
    """Return the error that `data` stands for.

    Args:
        data: What `carried` made, or anything.
        module: Whom an error of a module's is about, whatever the data says; "": whom it names.
        label: The same with version and distribution.
    """
    try:
        told = _decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return errors.HostError(f"the worker of {module!r} answered with an error that cannot be read", code="HC511")
    kind = _KINDS.get(told.kind, errors.HostError)
    code = told.code if _is_code(told.code) else kind.code
    problems = [Problem(*(printable(part, _TEXT) for part in problem)) for problem in told.problems[:_MOST]]
    rest: dict[str, Any] = {"code": code, "problems": problems}
    if issubclass(kind, ModuleError):
        rest |= {"label": label or told.label, "traceback": printable(told.traceback, _TEXT)}
        if kind is HookError:
            rest |= {"hook": printable(told.hook, 100), "exception": printable(told.exception, 200)}
        return kind(module or told.module, **rest)
    message = problems[0].message if problems else ""
    if kind is CallCycleError:
        rest["trail"] = told.trail[:_MOST]
    elif kind is errors.GuestTrapError:
        rest["trace"] = printable(told.traceback, _TEXT)
    elif kind is ResolutionError:
        rest["causes"] = ()
    return kind(message, **rest)


def _is_code(text: str) -> bool:
    return len(text) == 5 and text.startswith("HC") and text[2:].isdecimal()
