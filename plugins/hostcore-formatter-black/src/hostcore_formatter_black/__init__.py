"""A hostcore module that formats Python code with black.

The same source runs in the program and, built with `hostcore build --wasm`, in a sandbox without files or network.
"""

from __future__ import annotations

from typing import Any

import hostcore
from hostcore_formatter_black.formatting import format_source

__all__ = ["Formatter"]


class Formatter:
    """Formats what it is sent; keeps nothing."""

    @hostcore.hookimpl
    def initialize(self, context: hostcore.Context) -> None:
        """Take the line length that holds where a request names none."""
        self._line_length: int = context.config.get("line_length", 88)

    @hostcore.hookimpl
    def handle_message(self, message: hostcore.Message[Any]) -> dict[str, Any]:
        """Answer a message of the topic "format"."""
        if message.topic != "format":
            raise ValueError(f"unknown topic {message.topic!r}; this module handles 'format'")
        return format_source(message.payload, self._line_length)

    @hostcore.hookimpl
    def execute(self, request: Any) -> dict[str, Any]:
        """Format the source in `request`; see `format_source`."""
        return format_source(request, self._line_length)
