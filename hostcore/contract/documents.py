"""TOML files: read within bounds, parsed, and each key's line found again.

The parser of the standard library gives no positions, so `Document.where` finds them with a scan of its own.  It
is a best effort made only when there is something to report: it follows table headers and keys at the beginning
of a line, skips multi-line strings, and gives the line of the nearest key above what it cannot see, such as an
item of an array.
"""

from __future__ import annotations

import os
import re
import stat
import tomllib
from pathlib import Path
from typing import Any

from hostcore.errors import Problem

KeyPath = tuple[str | int, ...]
MAX_BYTES = 1024 * 1024

_PART = r"""(?:"(?:[^"\\\n]|\\.)*"|'[^'\n]*'|[A-Za-z0-9_-]+)"""
_KEY = rf"{_PART}(?:[ \t]*\.[ \t]*{_PART})*"
_HEADER = re.compile(rf"[ \t]*\[\[?[ \t]*({_KEY})[ \t]*\]")
_ENTRY = re.compile(rf"[ \t]*({_KEY})[ \t]*=(.*)")
_DEEP_KEY = re.compile(rf"(?<![A-Za-z0-9_.\\-])(?:{_PART}[ \t]*\.[ \t]*){{40}}")
"""A key of so many parts: the parser's time and memory grow with their square, up to the whole machine's."""
_AT_LINE = re.compile(r"\(at line (\d+), column \d+\)")


class Unreadable(Exception):
    """A document cannot be read; `problem` says why."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


class Document:
    """A parsed TOML text.

    Attributes:
        name: What to call it in messages: its file's name or path.
        data: Its contents.
    """

    def __init__(self, text: str, name: str) -> None:
        """Parse `text`.

        Raises:
            Unreadable: It is longer than 1 MiB, has keys of more than 40 parts, or is not TOML.
        """
        if len(text) > MAX_BYTES:
            raise Unreadable(Problem("the file is larger than 1 MiB", where=name))
        deep = _DEEP_KEY.search(text)
        if deep:
            line = text.count("\n", 0, deep.start()) + 1
            raise Unreadable(Problem("a key has more than 40 parts", where=f"{name}:{line}"))
        self.name = name
        self.data: dict[str, Any] = _parsed(text, name)
        self._text = text
        self._lines: dict[KeyPath, int] | None = None

    def where(self, path: KeyPath) -> str:
        """Return the place of the key at `path`, as in "module.toml:12  counter.limits.memory"."""
        if self._lines is None:
            self._lines = _scan(self._text)
        keys = show_path(path)
        for end in range(len(path), 0, -1):
            line = self._lines.get(path[:end])
            if line is not None:
                return f"{self.name}:{line}  {keys}"
        return f"{self.name}  {keys}" if keys else self.name


def read_document(path: str | os.PathLike[str], name: str = "") -> Document:
    """Read the TOML file at `path`, called `name` in messages (default: its path).

    Raises:
        Unreadable: It is missing, no regular file, larger than 1 MiB, not UTF-8 or not TOML.
    """
    name = name or os.fspath(path)
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):  # noqa: PTH116 (a FIFO must not be opened)
            raise Unreadable(Problem(f"{name!r} is not a file", where=name))
        with Path(path).open("rb") as file:
            data = file.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise Unreadable(Problem("the file is larger than 1 MiB", where=name))
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        hint = "save the file as UTF-8"
        raise Unreadable(Problem("the file is not UTF-8 text", where=f"{name}:{line}", hint=hint)) from None
    except OSError as error:
        raise Unreadable(Problem(f"the file cannot be read: {error.strerror}", where=name)) from None
    except ValueError as error:  # a NUL in the path
        raise Unreadable(Problem(f"the file cannot be read: {error}", where=repr(name))) from None
    return Document(text, name)


def show_path(path: KeyPath) -> str:
    """Return `path` as TOML would write it, as in 'counter."a b".items[2]'."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            bare = re.fullmatch(r"[A-Za-z0-9_-]+", part)
            text += ("." if text else "") + (part if bare else '"' + part.replace('"', '\\"') + '"')
    return text


def _parsed(text: str, name: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise Unreadable(Problem("the file is nested too deeply", where=name)) from None
    except ValueError as error:  # TOMLDecodeError, and what int() says of 5000 digits
        found = _AT_LINE.search(str(error))
        place = f"{name}:{found[1]}" if found else name
        raise Unreadable(Problem(f"the file is not TOML: {error}", where=place)) from None


def _split_key(text: str) -> tuple[str, ...]:
    return tuple(part[1:-1] if part[0] in "\"'" else part for part in re.findall(_PART, text))


def _scan(text: str) -> dict[KeyPath, int]:
    """Return the line of each table and key that stands at the beginning of a line."""
    lines: dict[KeyPath, int] = {}
    table: KeyPath = ()
    fence = ""
    for number, line in enumerate(text.split("\n"), start=1):
        if fence:
            fence = "" if fence in line else fence
            continue
        header, entry = _HEADER.match(line), _ENTRY.match(line)
        if header:
            table = _split_key(header[1])
            lines.setdefault(table, number)
        elif entry:
            path = (*table, *_split_key(entry[1]))
            for end in range(len(table) + 1, len(path) + 1):
                lines.setdefault(path[:end], number)
            fence = _open_fence(entry[2])
    return lines


def _open_fence(value: str) -> str:
    for fence in ('"""', "'''"):
        if value.count(fence) % 2:
            return fence
    return ""
