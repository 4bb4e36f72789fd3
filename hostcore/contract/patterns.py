"""Patterns of names: `acme-*` stands for every name that begins so, `?` for one character.

Names of distributions are compared as package indexes do: case does not matter, and `-`, `_` and `.` are the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Annotated

from msgspec import Meta

from hostcore.contract.checking import show, text_form
from hostcore.contract.versions import shorten

_SEPARATORS = re.compile(r"[-_.]+")
_PATTERN = r"[A-Za-z0-9._:*?-]{1,128}"


def fits(name: str, patterns: Iterable[str]) -> bool:
    """Tell whether a name falls under one of the patterns, to the letter."""
    return any(fnmatchcase(name, pattern.replace("[", "[[]")) for pattern in patterns)  # a "[" is itself


def distribution_fits(name: str, patterns: Iterable[str]) -> bool:
    """Tell the same of a distribution's name."""
    return bool(name) and fits(_plain(name), map(_plain, patterns))


def publisher_fits(name: str, patterns: Iterable[str]) -> bool:
    """Tell the same of a publisher, as its metadata has it; case does not matter."""
    return bool(name) and fits(name.casefold(), (pattern.casefold() for pattern in patterns))


def matches_all(pattern: str) -> bool:
    """Tell whether every name falls under a pattern."""
    return not pattern.strip("*?") and "*" in pattern


def _plain(name: str) -> str:
    return _SEPARATORS.sub("-", name).lower()


def _pattern(text: str) -> str:
    if not re.fullmatch(_PATTERN, text):
        raise ValueError(f"{shorten(text)} is not a name or a pattern of names")
    return text


def _publisher(text: str) -> str:
    if not text.strip() or not text.isprintable() or len(text) > 256:
        raise ValueError(f"{shorten(text)} is not a publisher")
    return text


class Chosen(tuple[str, ...]):
    """Which modules are meant: none, all, or those under some patterns."""

    __slots__ = ()

    def has(self, module: str) -> bool:
        """Tell whether a module is meant."""
        return fits(module, self)


def _chosen(value: object) -> Chosen:
    if isinstance(value, bool):
        return Chosen(("*",) if value else ())
    if not isinstance(value, list | tuple) or not all(isinstance(each, str) for each in value):
        raise ValueError(f"{show(value)} is neither true, false nor an array of names")
    return Chosen(map(_pattern, value))


Pattern = Annotated[str, text_form(_pattern, "a name, or a pattern such as 'acme-*'", pattern=f"^{_PATTERN}$")]
Publisher = Annotated[
    str, text_form(_publisher, "a publisher as metadata has it, or a pattern such as '*@acme.example'")
]
WhichModules = Annotated[
    Chosen,
    Meta(
        description="true, false, or an array of names of modules and patterns",
        extra={"parse": _chosen},
        extra_json_schema={"type": ["boolean", "array"], "items": {"type": "string", "pattern": f"^{_PATTERN}$"}},
    ),
]
