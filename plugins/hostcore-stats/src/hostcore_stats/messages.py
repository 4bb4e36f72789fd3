"""What stats listens to, what it can be asked, and what it answers.

`FileParsed` is stats' own idea of the parser's event, with the fields that stats needs: modules share the shape of
a message, never its class, so neither needs the other to be installed.
"""

from __future__ import annotations

import msgspec

import hostcore


class FileParsed(hostcore.Payload[None], topic="parser.parsed"):
    """A source was parsed.

    Attributes:
        lines: How many lines it has.
        symbols: How many symbols of each kind.
        imports: The module of each import; relative ones begin with a dot.
        errors: How many places could not be parsed.
    """

    lines: int
    symbols: dict[str, int]
    imports: list[str]
    errors: int


class Summary(msgspec.Struct, frozen=True):
    """The totals since the beginning, or the last reset.

    Attributes:
        files: How many sources were parsed; one parsed twice counts twice.
        lines: How many lines they have.
        symbols: How many symbols of each kind, as in {"class": 2, "method": 9}.
        errors: How many places could not be parsed.
        imports: The most imported top-level packages with their counts, the most frequent first.
    """

    files: int
    lines: int
    symbols: dict[str, int]
    errors: int
    imports: list[tuple[str, int]]


class GetSummary(hostcore.Payload[Summary], topic="stats.summary"):
    """Ask for the totals."""


class Reset(hostcore.Payload[Summary], topic="stats.reset"):
    """Begin again from zero; the reply is what the totals were."""
