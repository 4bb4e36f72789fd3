"""Reading what a client asks: the request around it, and each method's parameters, with every mistake reported."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar

import msgspec

from hostcore.contract.checking import check
from hostcore.contract.documents import KeyPath, show_path
from hostcore.contract.manifest import Asked, Isolation, ModuleName
from hostcore.contract.units import Duration
from hostcore.control.protocol import BAD_PARAMETERS, BAD_REQUEST, OTHER_VERSION, VERSION, Id
from hostcore.errors import ControlError, Problem

P = TypeVar("P", bound=msgspec.Struct)


def _identity(value: object) -> int | str:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError("an id is a whole number or text")
    return value


def _absolute(value: object) -> str:
    if not isinstance(value, str) or not os.path.isabs(value) or "\0" in value:  # noqa: PTH117 - text, not a Path
        raise ValueError("the host has a working directory of its own")
    return value


Identity = Annotated[int | str, msgspec.Meta(description="a whole number or text", extra={"parse": _identity})]
Source = Annotated[str, msgspec.Meta(description="an absolute path", extra={"parse": _absolute})]


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """One request."""

    hostcore: int
    id: Identity
    method: str
    params: dict[str, Any] = {}


class Nothing(msgspec.Struct, frozen=True):
    """No parameters."""


class Named(msgspec.Struct, frozen=True, kw_only=True):
    """A module."""

    name: ModuleName


class Load(Named, frozen=True, kw_only=True):
    """A module to load, as for `ModuleSystem.load`."""

    source: Source | None = None
    isolation: Isolation | None = None
    config: dict[str, Any] = {}
    limits: dict[str, Any] = {}


class Reload(Named, frozen=True, kw_only=True):
    """A module to reload, as for `ModuleSystem.reload`."""

    source: Source | None = None
    isolation: Isolation | None = None
    cascade: bool = False
    state: Literal["current", "last", "fresh"] = "current"
    why: str = "asked"


class Change(Named, frozen=True, kw_only=True):
    """What a module is granted, or what is taken back; None: all of it.  `digest` is that of the release looked at."""

    permissions: tuple[Asked, ...] | None = None
    digest: str = ""


class Perhaps(msgspec.Struct, frozen=True, kw_only=True):
    """A module, or all."""

    name: ModuleName | None = None


class Rollback(Named, frozen=True, kw_only=True):
    """A module to roll back, as for `ModuleSystem.rollback`."""

    to: int | None = None
    state: Literal["current", "last", "fresh"] | None = None


class Revive(Named, frozen=True, kw_only=True):
    """A module to revive, as for `ModuleSystem.revive`."""

    state: Literal["last", "fresh"] = "last"


class Unload(Named, frozen=True, kw_only=True):
    """A module to unload, as for `ModuleSystem.unload`."""

    force: bool = False


class Send(msgspec.Struct, frozen=True, kw_only=True):
    """A message to a module or capability, as for `ModuleSystem.send`."""

    target: str
    payload: Any = None
    topic: str = ""
    timeout: Duration | None = None


class Call(Send, frozen=True, kw_only=True):
    """The same, to be replied to; with `execute`, the payload goes to the module's main job."""

    execute: bool = False


def read_request(line: bytes) -> tuple[Id, Request | ControlError]:
    """Return the id in `line`, None if there is none, and the request, or what is wrong with it."""
    try:
        data = msgspec.json.decode(line)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        return None, _bad(Problem(f"the line is not JSON: {reason}", hint="send one JSON object a line"))
    if not isinstance(data, dict):
        return None, _bad(
            Problem("the line is not a JSON object", hint='as in {"hostcore": 1, "id": 1, "method": ...}')
        )
    given = data.get("id")
    identity = given if isinstance(given, int | str) and not isinstance(given, bool) else None
    version = data.get("hostcore")
    if isinstance(version, int) and version != VERSION:
        return identity, ControlError(problems=[_other_version(version)])
    request, problems = check(data, Request)
    return identity, request or _bad(*problems)


def read_parameters(params: Mapping[str, Any], shape: type[P], method: str) -> P:
    """Return the parameters of `method`.

    Raises:
        ControlError: Every mistake in them (HC915).
    """

    def where(path: KeyPath) -> str:
        return show_path(("params", *path))

    value, problems = check(params, shape, where=where)
    if value is None:
        problems = [p._replace(code=BAD_PARAMETERS, message=f"{method}: {p.message}") for p in problems]
        raise ControlError(f"the parameters of {method!r} are wrong", problems=problems)
    return value


def _bad(*problems: Problem) -> ControlError:
    return ControlError("the request is wrong", problems=[p._replace(code=BAD_REQUEST) for p in problems])


def _other_version(version: int) -> Problem:
    return Problem(
        f"the request is of protocol version {version}; this host speaks version {VERSION}", OTHER_VERSION,
        hint="use the hostcore command of the host's own environment",
    )  # fmt: skip
