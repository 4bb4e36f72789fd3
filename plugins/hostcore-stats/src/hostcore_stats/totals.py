"""The running totals: what is added up, and the shape in which one generation hands it to the next."""

from __future__ import annotations

from collections.abc import Mapping
from heapq import nsmallest

import msgspec

from hostcore_stats.messages import FileParsed, Summary


class Totals(msgspec.Struct):
    """The totals so far.  `imports` counts every absolute import's top-level package."""

    files: int = 0
    lines: int = 0
    symbols: dict[str, int] = {}
    errors: int = 0
    imports: dict[str, int] = {}

    def add(self, event: FileParsed) -> None:
        """Add one source.  Relative imports are left out: they lead back into the package that is read."""
        self.files += 1
        self.lines += event.lines
        self.errors += event.errors
        _merge(self.symbols, event.symbols)
        for module in event.imports:
            if not module.startswith("."):
                _merge(self.imports, {module.partition(".")[0]: 1})

    def summary(self, top: int) -> Summary:
        """Return the totals with the `top` most imported packages; equals come in the order of their names."""
        most = nsmallest(top, self.imports.items(), key=lambda item: (-item[1], item[0]))
        return Summary(self.files, self.lines, dict(sorted(self.symbols.items())), self.errors, most)


def _merge(counts: dict[str, int], more: Mapping[str, int]) -> None:
    for key, count in more.items():
        counts[key] = counts.get(key, 0) + count
