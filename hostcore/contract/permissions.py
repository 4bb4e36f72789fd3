"""Permissions: what a module asks for, as typed strings `KIND:TARGET`.

    fs.read:/data    fs.write:/data/out    net:api.example.org:443    env:API_KEY    cap:NAME
    bus.send:log.*   bus.request:parser    bus.subscribe:repo.>       kv   clock   random   spawn

Targets of the `bus` kinds are topic patterns (`*` one word, `>` the rest), those of `fs` are directories with all
below them.  A `net` target without a port stands for all ports of that host, which is a name or an address: a name
never stands for an address, nor the other way round.  Others match to the letter, or with `*` everything.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import PurePosixPath

from hostcore.contract.topics import includes, is_pattern
from hostcore.contract.versions import NAME, shorten
from hostcore.errors import did_you_mean

BARE = frozenset({"kv", "clock", "random", "spawn"})
TARGETED = {
    "fs.read": "/data", "fs.write": "/data/out", "net": "api.example.org:443", "env": "API_KEY", "bus.send": "log.*",
    "bus.subscribe": "repo.>", "bus.request": "parser", "cap": "http",
}  # fmt: skip
"""Each kind that has a target, with an example of one."""

_KINDS = sorted(BARE | TARGETED.keys())
_TARGETS = {
    "net": re.compile(r"\*|(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9_])?)(?::([0-9]{1,5}))?"),
    "env": re.compile(r"\*|[A-Za-z_][A-Za-z0-9_]*"),
    "cap": re.compile(rf"\*|{NAME.pattern}"),
}


class Permission:
    """One permission: a kind and, for most kinds, a target."""

    __slots__ = ("kind", "target")

    def __init__(self, text: str) -> None:
        """Parse `text`.

        Raises:
            ValueError: The kind is unknown, or its target is missing or malformed.
        """
        kind, colon, target = text.partition(":")
        if kind not in _KINDS:
            advice = did_you_mean(kind[:64], _KINDS) or f"known: {', '.join(_KINDS)}"
            raise ValueError(f"{shorten(text)} is not a permission: unknown kind {shorten(kind)}; {advice}")
        if kind in BARE and colon:
            raise ValueError(f"permission {kind!r} takes no target; got {shorten(target)}")
        if kind in TARGETED and not target:
            raise ValueError(f"permission {kind!r} needs a target, as in '{kind}:{TARGETED[kind]}'")
        self.kind = kind
        self.target = _checked_target(kind, target) if target else ""

    def covers(self, other: Permission) -> bool:
        """Tell whether who has this permission may do what `other` names."""
        if self.kind != other.kind:
            return False
        if self.kind.startswith("bus."):
            return includes(self.target, other.target)
        if self.kind.startswith("fs."):
            return PurePosixPath(other.target).is_relative_to(self.target)
        if self.target in ("*", other.target):
            return True
        return self.kind == "net" and self.target == _without_port(other.target)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Permission) and (self.kind, self.target) == (other.kind, other.target)

    def __hash__(self) -> int:
        return hash((self.kind, self.target))

    def __str__(self) -> str:
        return f"{self.kind}:{self.target}" if self.target else self.kind

    def __repr__(self) -> str:
        return f"Permission({str(self)!r})"


def growth(asked: Iterable[Permission], had: Iterable[Permission]) -> tuple[Permission, ...]:
    """Return what is asked and no permission in `had` covers; each stands for itself, several never add up to one."""
    known = tuple(had)
    return tuple(each for each in asked if not any(other.covers(each) for other in known))


def narrowed(granted: Iterable[Permission], asked: Iterable[Permission]) -> tuple[Permission, ...]:
    """Return what is both granted and asked: of two that overlap, the narrower one."""
    given, wanted = tuple(granted), tuple(asked)
    kept = [each for each in wanted if any(other.covers(each) for other in given)]
    kept += [each for each in given if any(other.covers(each) for other in wanted)]
    return tuple(dict.fromkeys(kept))


def _checked_target(kind: str, target: str) -> str:
    """Return `target` in its one normal form.

    Raises:
        ValueError: It does not fit `kind`.
    """
    given = target
    if len(target) > 4096 or not target.isprintable():
        fits = False
    elif kind.startswith("bus."):
        fits = is_pattern(target)
    elif kind.startswith("fs."):
        path = PurePosixPath(target)
        fits = path.is_absolute() and ".." not in path.parts
        target = "/" + str(path).lstrip("/")  # POSIX lets two leading slashes stand for another root
    elif kind == "net":
        target = _net_target(target)
        fits = bool(target)
    else:
        fits = _TARGETS[kind].fullmatch(target) is not None
    if not fits:
        wanted = "an absolute path without '..'" if kind.startswith("fs.") else "a target"
        raise ValueError(f"permission {kind!r} needs {wanted}, as in '{kind}:{TARGETED[kind]}'; got {shorten(given)}")
    return target


def _net_target(target: str) -> str:
    """Return `target` with its host in lower case, an IPv6 address and the port in short form; "" if it is none."""
    match = _TARGETS["net"].fullmatch(target)
    if match is None or target == "*":
        return target if match else ""
    host, port = match[1].lower(), match[2]
    if host.startswith("["):
        import ipaddress

        try:
            host = f"[{ipaddress.IPv6Address(host[1:-1]).compressed}]"
        except ValueError:
            return ""
    if port is None:
        return host
    return f"{host}:{int(port)}" if 1 <= int(port) <= 65535 else ""


def _without_port(target: str) -> str:
    host, colon, port = target.rpartition(":")
    return host if colon and port.isdigit() and not target.endswith("]") else target
