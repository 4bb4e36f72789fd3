"""A hostcore module that adds up what the parsers of a running host find.

It listens to "parser.parsed", answers "stats.summary" and "stats.reset", and keeps its totals through reloads.
"""

from __future__ import annotations

from typing import Any

import msgspec

import hostcore
from hostcore_stats.messages import FileParsed, GetSummary, Reset, Summary
from hostcore_stats.totals import Totals

__all__ = ["FileParsed", "GetSummary", "Reset", "Stats", "Summary"]


class Stats:
    """Adds up what parsers tell."""

    @hostcore.hookimpl
    def initialize(self, context: hostcore.Context) -> None:
        """Begin with zero and listen to the parsers."""
        self._top: int = context.config["top"]
        self._totals = Totals()
        context.subscribe("parser.parsed")

    @hostcore.hookimpl
    def handle_message(self, message: hostcore.Message[FileParsed | GetSummary | Reset]) -> Summary | None:
        """Add up an event, or answer with the totals."""
        if isinstance(message.payload, FileParsed):
            self._totals.add(message.payload)
            return None
        summary = self._totals.summary(self._top)
        if isinstance(message.payload, Reset):
            self._totals = Totals()
        return summary

    @hostcore.hookimpl
    def get_state(self) -> Any:
        """Return the totals, with the counts of all imports."""
        return msgspec.to_builtins(self._totals)

    @hostcore.hookimpl
    def restore_state(self, state: dict[str, Any]) -> None:
        """Take over the totals of the generation before.

        Raises:
            msgspec.ValidationError: `state` is not what `get_state` returns.
        """
        self._totals = msgspec.convert(state, Totals)
