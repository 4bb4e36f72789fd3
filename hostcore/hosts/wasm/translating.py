"""From how a call into a guest ended to the error that everybody else sees."""

from __future__ import annotations

from asyncio import CancelledError

from hostcore.errors import CallCycleError, GuestTrapError, HookError, HostcoreError, LimitError
from hostcore.hosts import faults
from hostcore.hosts.text import LINE, one_line, printable
from hostcore.hosts.wasm.abi import NoMemory
from hostcore.hosts.wasm.imports import HeldHost, parse
from hostcore.hosts.wasm.outcomes import Dead, OutOfMemory, Refused, TimeUp, named
from hostcore.messaging.guard import Overrun
from hostcore.packages.locating import Release

CODE = 100
"""Characters of an error's code, or of an exception's name, that are shown."""


def translate(error: BaseException, release: Release, hook: str, limit: float) -> HostcoreError:
    """Return the named error for what ended a call of `hook`, which may take `limit` seconds."""
    name, where = release.name, f"in {hook!r}"
    if isinstance(error, HostcoreError):
        return error
    if isinstance(error, Refused):
        return _answered(error, release, hook)
    if isinstance(error, Dead):
        return named(error, name, where)
    if isinstance(error, (OutOfMemory, NoMemory)):
        return GuestTrapError(f"{name!r} trapped, {where}: {error.reason}")
    if isinstance(error, HeldHost):
        return LimitError(f"{name!r} was stopped, {where}: {error.reason}", code="HC509")
    if isinstance(error, (Overrun, TimeUp, CancelledError, TimeoutError)):
        where = "load_timeout in the host's configuration" if hook == "start" else f"limits.{hook} in module.toml"
        return HookError(
            name, f"hook {hook!r} overran its limit of {limit:.3g} s and was stopped", hook=hook, code="HC303",
            label=release.label, hint=f"raise {where}, or do less at once",
        )  # fmt: skip
    return HookError(name, f"hook {hook!r} raised {faults.summary_of(error)}", hook=hook, label=release.label)


def _answered(refused: Refused, release: Release, hook: str) -> HostcoreError:
    """Return the error for one that the guest itself answered with."""
    name, data = release.name, refused.data
    code, message = one_line(str(data.get("code") or "failed"), CODE), printable(str(data.get("message") or ""), LINE)
    details = _details(data.get("details"))
    if code == "unimplemented":
        return HookError(name, f"does not implement {hook!r}", hook=hook, code="HC312", label=release.label)
    if code == "memory":
        return LimitError(f"{name!r} ran out of memory, in {hook!r}: {message}", code="HC504",
                          hint="raise limits.memory of the module")  # fmt: skip
    if code == "cycle" and isinstance(trail := details.get("trail"), list):
        return CallCycleError(message, trail=[str(name) for name in trail], hint=str(details.get("hint") or ""))
    exception = details.get("exception")
    said = f"raised {message}" if exception else f"failed: {message}" + (f" [{code}]" if code != "failed" else "")
    return HookError(
        name, f"hook {hook!r} {said}", hook=hook, label=release.label, exception=str(exception or code),
        where=printable(str(details.get("where") or "")), traceback=printable(str(details.get("traceback") or "")),
    )  # fmt: skip


def _details(text: object) -> dict[str, object]:
    try:
        details = parse(text) if isinstance(text, str) else None
    except Refused:
        details = None
    return details if isinstance(details, dict) else {}
