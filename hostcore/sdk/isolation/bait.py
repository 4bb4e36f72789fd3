"""What attacks must not reach: a secret in a file, another in the environment, listeners; it tells what they did."""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_VARIABLE = "HOSTCORE_BAIT"
_SHARED = (Path("/tmp"), Path("/dev/shm"))
"""Directories that everybody can write to."""


class Bait:
    """Lies in a directory of its own until `close`.

    Args:
        folder: The directory.
        sources: Directories of code in which nothing may be planted.
    """

    def __init__(self, folder: Path, sources: tuple[Path, ...]) -> None:
        self.secret = secrets.token_hex(16)
        self._folder = folder
        self._file = folder / "secret"
        self._file.write_text(self.secret)
        self._file.chmod(0o600)
        self._mode = self._file.stat().st_mode
        os.environ[_VARIABLE] = self.secret
        self._sockets = list(self._listen())
        name = (
            f"hostcore_planted_{secrets.token_hex(8)}.py"  # of this test alone: what others write is not ours to touch
        )
        self._plants = [folder / "planted", *(place / name for place in (*sources, *_SHARED))]

    def _listen(self) -> Iterator[socket.socket]:
        self._abstract = f"hostcore-bait-{secrets.token_hex(8)}"
        for family, kind, address in (
            (socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 0)),
            (socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", 0)),
            (socket.AF_UNIX, socket.SOCK_STREAM, str(self._folder / "stream")),
            (socket.AF_UNIX, socket.SOCK_DGRAM, str(self._folder / "datagrams")),
            (socket.AF_UNIX, socket.SOCK_STREAM, "\0" + self._abstract),
        ):
            made = socket.socket(family, kind)
            made.setblocking(False)
            made.bind(address)
            if kind == socket.SOCK_STREAM:
                made.listen()
            yield made

    def facts(self) -> dict[str, Any]:
        """Return what an attack has to know to reach for it."""
        return {
            "secret_file": str(self._file), "plants": [str(path) for path in self._plants], "variable": _VARIABLE,
            "tcp": self._sockets[0].getsockname()[1], "udp": self._sockets[1].getsockname()[1],
            "unix": str(self._folder / "stream"), "unix_datagrams": str(self._folder / "datagrams"),
            "abstract": self._abstract,
        }  # fmt: skip

    def touched(self) -> list[str]:
        """Return what was reached, as text, and set it right again."""
        found = [*self._heard(), *self._changed()]
        for path in self._plants:
            if path.exists():
                found.append(f"it planted {path}")
                path.unlink()
        return found

    def _heard(self) -> Iterator[str]:
        for listener in self._sockets:
            with contextlib.suppress(BlockingIOError):
                if listener.type == socket.SOCK_STREAM:
                    listener.accept()[0].close()
                else:
                    listener.recv(100)
                yield f"a listener heard from it: {listener.getsockname()!r}"

    def _changed(self) -> Iterator[str]:
        kept = self._file.exists() and self._file.read_text() == self.secret
        if not kept or self._file.stat().st_mode != self._mode:
            yield "it changed the secret's file"
            self._file.write_text(self.secret)
            self._file.chmod(0o600)

    def close(self) -> None:
        """Take it away."""
        os.environ.pop(_VARIABLE, None)
        for listener in self._sockets:
            listener.close()
