"""What the commands print: tables and lines for people, JSON for programs.

On a terminal a table is drawn by rich, in colour unless NO_COLOR is set.  Elsewhere it is plain columns, which `grep`
and `awk` understand, and rich is not imported.  Text that comes from a module or a file is shown with its control
characters spelt out, so that it can do nothing to a terminal.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

PATIENCE = 1.0
"""Seconds after which a wait is shown."""
STYLES = {
    "running": "green", "loading": "cyan", "draining": "cyan", "waiting": "cyan", "failed": "bold red",
    "restarting": "yellow", "quarantined": "bold red",
    "broken": "bold red", "disabled": "yellow", "wrong": "bold red", "ok": "green", "note": "yellow",
    "contained": "green", "got through": "bold red", "not tried": "yellow",
}  # fmt: skip


def emit(data: Any, *, compact: bool = False, file: TextIO | None = None) -> None:
    """Print `data` as JSON; `compact`: on one line."""
    import json

    stream = file or sys.stdout
    plain = (stream.encoding or "").lower().replace("-", "") != "utf8"  # escaping everything is right anywhere
    text = json.dumps(data, indent=None if compact else 2, ensure_ascii=plain, allow_nan=False)
    print(text, file=stream, flush=True)


def say(text: str, *, error: bool = False, file: TextIO | None = None) -> None:
    """Print `text` for people, on standard error if `error`."""
    print(clean(text), file=file or (sys.stderr if error else sys.stdout), flush=True)


def clean(text: str) -> str:
    """Return `text` with everything but printable characters, newlines and tabs spelt out, as in "\\x1b"."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in "\n\t" else c.encode("unicode_escape").decode() for c in text)


@contextmanager
def waiting(text: str, *, file: TextIO | None = None) -> Iterator[None]:
    """Show on standard error, if that is a terminal, that something takes longer than a second."""
    stream = file or sys.stderr
    if not stream.isatty():
        yield
        return
    import threading

    shown: list[Any] = []
    done = threading.Lock()

    def show() -> None:
        from rich.console import Console

        with done:
            if not shown:  # else it has ended meanwhile
                shown.append(Console(file=stream).status(clean(text)))
                shown[0].start()

    timer = threading.Timer(PATIENCE, show)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        with done:
            if shown:
                shown[0].stop()
            shown.append(None)


def fail(error: Mapping[str, Any], *, as_json: bool) -> int:
    """Print an error, as `HostcoreError.as_data` made it, and return its exit code."""
    if as_json:
        emit({"error": dict(error)})
    else:
        problem(str(error["text"]))
    return int(error.get("exit_code", 1))


def problem(text: str, *, file: TextIO | None = None) -> None:
    """Print an error's text on standard error; its first line is red on a terminal."""
    stream = file or sys.stderr
    if not stream.isatty():
        say(text, file=stream)
        return
    first, _, rest = clean(text).partition("\n")
    console = _console(stream)
    console.print(first, style="bold red", markup=False, highlight=False, soft_wrap=True)
    if rest:
        console.print(rest, markup=False, highlight=False, soft_wrap=True)


def table(headings: Sequence[str], rows: Iterable[Sequence[str]], *, file: TextIO | None = None) -> None:
    """Print a table; a cell that is a key of `STYLES` has that style on a terminal."""
    stream = file or sys.stdout
    cells = [[_one_line(cell) for cell in row] for row in rows]
    if stream.isatty():
        _draw(headings, cells, stream)
    else:
        _columns([[heading.upper() for heading in headings], *cells], stream)


def pairs(entries: Iterable[tuple[str, str]], *, file: TextIO | None = None) -> None:
    """Print names and values below each other; a value's further lines are indented, an empty one is left out."""
    stream = file or sys.stdout
    known = [(name, clean(value)) for name, value in entries if value]
    if stream.isatty():
        _draw_pairs(known, stream)
        return
    width = max((len(name) for name, _ in known), default=0)
    for name, value in known:
        text = value.replace("\n", "\n" + " " * (width + 2))
        print(f"{name:<{width}}  {text}", file=stream)
    stream.flush()


def _one_line(text: str) -> str:
    return " ".join(clean(text).split())


def _columns(rows: Sequence[Sequence[str]], stream: TextIO) -> None:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)
    print("\n".join(lines), file=stream, flush=True)


def _console(stream: TextIO) -> Console:
    from rich.console import Console

    return Console(file=stream, highlight=False, soft_wrap=False)


def _draw(headings: Sequence[str], rows: Sequence[Sequence[str]], stream: TextIO) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    drawn = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for heading in headings:
        drawn.add_column(heading, overflow="fold")
    for row in rows:
        drawn.add_row(*map(_styled, row))
    _console(stream).print(drawn)


def _draw_pairs(entries: Sequence[tuple[str, str]], stream: TextIO) -> None:
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 2))
    for name, value in entries:
        grid.add_row(Text(name, style="bold"), Text(value, overflow="fold"))
    _console(stream).print(grid)


def _styled(cell: str) -> Text:
    from rich.text import Text

    return Text(cell, style=STYLES.get(cell, ""))
