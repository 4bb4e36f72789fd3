"""Names with versions: what a module provides (`Capability`) and what it requires (`Requirement`).

Version comparison is PEP 440's, by the `packaging` library.
"""

from __future__ import annotations

import re
from functools import total_ordering
from typing import TYPE_CHECKING

from packaging.version import Version

if TYPE_CHECKING:
    from packaging.specifiers import SpecifierSet

NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._:-]*[A-Za-z0-9])?")
MAX_LENGTH = 256
"""The most characters of a capability, requirement or range; bounds the work that a hostile text can cause."""


def parse_version(text: str) -> Version:
    """Return the PEP 440 version in `text`; an unreadable one counts as version 0."""
    try:
        return Version(text)
    except ValueError:  # InvalidVersion, and what int() says of 5000 digits
        return Version("0")


def parse_range(text: str) -> SpecifierSet:
    """Return the PEP 440 version range in `text`; an empty one admits everything.

    Raises:
        ValueError: It is none.
    """
    from packaging.specifiers import SpecifierSet  # slow to import, and most modules ask for no range

    try:
        if len(text) > MAX_LENGTH:
            raise ValueError
        return SpecifierSet(text)
    except ValueError:
        raise ValueError(f"{shorten(text)} is not a version range; expected one such as '>=2,<3'") from None


def shorten(text: str) -> str:
    """Return `text` quoted, and cut where it is too long for a message."""
    return repr(text if len(text) <= 60 else f"{text[:57]}...")


@total_ordering
class Capability:
    """Something a module provides, as in `parser:python/1.2`: a name and a version (0 where none is given)."""

    __slots__ = ("name", "version")

    def __init__(self, text: str) -> None:
        """Parse `text`.

        Raises:
            ValueError: It is not NAME or NAME/VERSION.
        """
        name, slash, version = text.partition("/")
        if len(text) > MAX_LENGTH or not NAME.fullmatch(name):
            raise ValueError(
                f"{shorten(text)} is not a capability; expected NAME or NAME/VERSION, as in 'parser:python/1.2'"
            )
        try:
            self.version = Version(version if slash else "0")
        except ValueError:
            raise ValueError(f"{shorten(version)} is not a version; expected one such as '1.2'") from None
        self.name = name

    def _key(self) -> tuple[str, Version]:
        return self.name, self.version

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Capability) and self._key() == other._key()

    def __lt__(self, other: object) -> bool:
        return self._key() < other._key() if isinstance(other, Capability) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._key())

    def __str__(self) -> str:
        return f"{self.name}/{self.version}"

    def __repr__(self) -> str:
        return f"Capability({str(self)!r})"


class Requirement:
    """Another module, or a capability, that a module needs, as in `clock>=2,<3` or, where optional, `clock>=2?`."""

    __slots__ = ("name", "optional", "range")

    def __init__(self, text: str) -> None:
        """Parse `text`.

        Raises:
            ValueError: It is not NAME, NAME with a PEP 440 range, or one of them with "?".
        """
        text = text.strip()
        match = NAME.match(text) if len(text) <= MAX_LENGTH else None
        if match is None:
            raise ValueError(f"{shorten(text)} is not a requirement; expected NAME with a range, as in 'clock>=2,<3'")
        rest = text[match.end() :]
        self.name = match[0]
        self.optional = rest.endswith("?")
        self.range = parse_range(rest.removesuffix("?").strip())

    def admits(self, version: Version | str) -> bool:
        """Tell whether `version` lies in the range; pre-releases do where nothing else is asked."""
        known = version if isinstance(version, Version) else parse_version(version)
        return self.range.contains(known, prereleases=True)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Requirement) and str(self) == str(other)

    def __hash__(self) -> int:
        return hash(str(self))

    def __str__(self) -> str:
        return f"{self.name}{self.range}{'?' if self.optional else ''}"

    def __repr__(self) -> str:
        return f"Requirement({str(self)!r})"
