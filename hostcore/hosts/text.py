"""Text of a guest's or worker's, safe to show: no control characters, no terminal escapes, no endless lines."""

from __future__ import annotations

LINE = 4096
"""Characters of a line that are shown."""


def printable(text: str, limit: int = 16 * LINE) -> str:
    r"""Return `text` with all but printable characters and line ends written as escapes, as in "\x1b"."""
    cut = text[:limit] + (" ..." if len(text) > limit else "")
    if cut.isprintable():
        return cut
    return "".join(
        char if char.isprintable() or char == "\n" else "    " if char == "\t" else ascii(char)[1:-1] for char in cut
    )


def one_line(text: str, limit: int = 16 * LINE) -> str:
    r"""Return `text` as `printable` does, with line ends as "\n" too."""
    return printable(text, limit).replace("\n", "\\n")
