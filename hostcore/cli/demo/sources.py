"""The Python files that the demo sends: found once, read when their turn comes.

A file that cannot be sent is skipped, and the reason kept; the others go on.
"""

from __future__ import annotations

import io
import os
import tokenize
from pathlib import Path

import click

MAX_BYTES = 2 * 1024**2
"""The parser's own default limit."""


class Sources:
    """The files under one path.

    Attributes:
        path: What was asked for.
        files: All that were found, sorted.
        skipped: The name of each file that cannot be sent -> why.

    Raises:
        click.BadParameter: There is no Python file, or none that can be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.skipped: dict[str, str] = {}
        self.files = [path] if not path.is_dir() else self._found(path)
        if not self.files:
            raise click.BadParameter(f"there is no *.py file under {_printable(path)}", param_hint="PATH")

    def name(self, file: Path) -> str:
        """Return the name under which `file` is sent: relative to the path that was asked for."""
        return _printable(file.relative_to(self.path) if file != self.path else Path(file.name))

    def read(self, file: Path) -> str | None:
        """Return the text of `file`, or None if it cannot be sent; `skipped` says why."""
        name = self.name(file)
        if name in self.skipped:
            return None
        try:
            return _text(file)
        except OSError as error:
            self.skipped[name] = error.strerror or type(error).__name__
        except (SyntaxError, UnicodeDecodeError, LookupError) as error:
            self.skipped[name] = f"cannot be decoded: {error}"
        except ValueError as error:
            self.skipped[name] = str(error)
        return None

    def refuse_if_useless(self) -> None:
        """Check that at least one file can be sent.

        Raises:
            click.BadParameter: None can; the first few are named with the reason.
        """
        if any(self.read(file) is not None for file in self.files):
            return
        reasons = "; ".join(f"{name}: {reason}" for name, reason in list(self.skipped.items())[:3])
        count = f"none of the {len(self.files)} files can be used" if len(self.files) > 1 else "it cannot be used"
        raise click.BadParameter(f"{count} ({reasons})", param_hint="PATH")

    def _found(self, directory: Path) -> list[Path]:
        found = []
        for folder, folders, files in os.walk(directory, onerror=self._note_unreadable):
            folders.sort()
            found += [Path(folder, file) for file in files if file.endswith(".py")]
        return sorted(found)

    def _note_unreadable(self, error: OSError) -> None:
        self.skipped[_printable(Path(error.filename))] = error.strerror or "cannot be read"


def _text(file: Path) -> str:
    if not file.is_file():
        raise ValueError("is not there, or not a regular file")
    size = file.stat().st_size
    if size > MAX_BYTES:
        raise ValueError(f"has {size:,} bytes, more than the parser's {MAX_BYTES:,}")
    data = file.read_bytes()
    if b"\0" in data:
        raise ValueError("is not text: it has null bytes")
    encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
    return data.decode(encoding)


def _printable(path: Path) -> str:
    """Return `path` as text that can be encoded; names on disk are any bytes."""
    return os.fsencode(path).decode("utf-8", "replace")
