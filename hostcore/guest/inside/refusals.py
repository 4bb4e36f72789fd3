"""Errors of the host as they reach a module inside: the same classes and codes as natively.

The interface says a word and, in its details, the stable code; the code decides, the word is for hosts that send none.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from hostcore import errors
from hostcore.errors import CallCycleError, HookError, HostcoreError, ModuleError

WORDS: dict[str, type[HostcoreError]] = {
    "denied": errors.DeniedError,
    "not-found": errors.UnknownModuleError,
    "invalid-argument": errors.ContractError,
    "too-large": errors.LimitError,
    "deadline": errors.DeadlineError,
    "full": errors.MailboxFullError,
    "cycle": CallCycleError,
    "stopped": errors.StoppedError,
    "failed": HookError,
    "internal": errors.HostError,
}


def error_of(word: str, message: str, details: str | None) -> HostcoreError:
    """Return the error for what an import was answered with."""
    told = _read(details)
    code = str(told.get("code") or "")
    kind = _BY_CODE.get(code) or WORDS.get(word, errors.HostError)
    text = message.removeprefix(f"{code} ") if code else message
    rest: dict[str, Any] = {"code": code, "hint": str(told.get("hint") or ""), "where": str(told.get("where") or "")}
    if issubclass(kind, CallCycleError):
        trail = told.get("trail")
        rest["trail"] = [str(name) for name in trail] if isinstance(trail, list) else ()
    if not issubclass(kind, ModuleError):
        return kind(text, **rest)
    for key in ("label", "traceback", *(("hook", "exception") if issubclass(kind, HookError) else ())):
        rest[key] = str(told.get(key) or "")
    return kind(str(told.get("module") or ""), text, **rest)


def _read(details: str | None) -> dict[str, Any]:
    try:
        found = json.loads(details) if details else {}
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _kinds(base: type[HostcoreError]) -> Iterator[type[HostcoreError]]:
    yield base
    for kind in base.__subclasses__():
        yield from _kinds(kind)


_OTHERWISE_MADE = (errors.ReloadError,)
"""Errors whose facts do not come as text; a module meets none of them."""
_BY_CODE = {kind.code: kind for kind in _kinds(HostcoreError) if kind not in _OTHERWISE_MADE} | {
    "HC303": HookError, "HC312": HookError, "HC802": errors.LimitError,
}  # fmt: skip
"""Stable code -> class; codes without a class of their own fall back on the word."""
