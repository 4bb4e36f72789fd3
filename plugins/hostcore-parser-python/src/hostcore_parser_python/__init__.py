"""A hostcore module that finds the symbols, imports and syntax errors of Python source.

It answers "parser.parse", and tells everybody who listens to "parser.parsed" about each source it parsed.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import hostcore
from hostcore_parser_python.messages import FileParsed, GetCount, Import, Parsed, ParseSource, Symbol, SyntaxProblem
from hostcore_parser_python.reading import load_language, read_source

__all__ = ["FileParsed", "GetCount", "Import", "ParseSource", "Parsed", "Parser", "Symbol", "SyntaxProblem"]

THREAD_FROM = 128 * 1024
"""Sources of so many characters are parsed in a thread: about 25 ms, which would hold up every other module.  Below
it, the hop to a thread costs more than it saves; tree-sitter itself runs without the interpreter's lock."""


class Parser:
    """Parses Python source with tree-sitter.

    Attributes:
        files: How many sources were parsed; kept through reloads.
    """

    @hostcore.hookimpl
    def initialize(self, context: hostcore.Context) -> None:
        """Load the grammar."""
        self.context = context
        self.files = 0
        self._max_bytes: int = context.config["max_bytes"]
        self._language = load_language()

    @hostcore.hookimpl
    async def handle_message(self, message: hostcore.Message[ParseSource | GetCount]) -> Parsed | dict[str, int]:
        """Parse the source that "parser.parse" carries, or answer "parser.count"."""
        if isinstance(message.payload, GetCount):
            return {"files": self.files}
        return await self._parse(message.payload)

    @hostcore.hookimpl
    async def execute(self, request: ParseSource) -> Parsed:
        """Parse one source, given as {"path": ..., "source": ...}."""
        return await self._parse(request)

    @hostcore.hookimpl
    def check_health(self) -> bool:
        """Tell whether the grammar still finds what it should."""
        parsed = read_source(self._language, "<health>", "class A:\n    def f(self): ...\n")
        return [symbol.name for symbol in parsed.symbols] == ["A", "A.f"]

    @hostcore.hookimpl
    def get_state(self) -> dict[str, int]:
        """Return the count of sources."""
        return {"files": self.files}

    @hostcore.hookimpl
    def restore_state(self, state: dict[str, Any]) -> None:
        """Go on counting where the generation before stopped."""
        self.files = int(state["files"])

    async def _parse(self, request: ParseSource) -> Parsed:
        size = len(request.source.encode("utf-8", "replace"))
        if size > self._max_bytes:
            raise ValueError(
                f"{request.path} has {size:,} bytes; the parser takes at most {self._max_bytes:,} "
                f"(its configuration's 'max_bytes')"
            )
        if len(request.source) < THREAD_FROM:
            parsed = read_source(self._language, request.path, request.source)
        else:
            parsed = await asyncio.to_thread(read_source, self._language, request.path, request.source)
        self.files += 1
        await self.context.publish("parser.parsed", _event(parsed))
        return parsed


def _event(parsed: Parsed) -> FileParsed:
    return FileParsed(
        path=parsed.path,
        lines=parsed.lines,
        symbols=dict(Counter(symbol.kind for symbol in parsed.symbols)),
        imports=[entry.module for entry in parsed.imports],
        errors=len(parsed.errors),
    )
