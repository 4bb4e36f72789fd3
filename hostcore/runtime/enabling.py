"""Which modules are switched off: a small file, so that it holds for later runs and needs no running host."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from hostcore.errors import ConfigError

FILE = "disabled.json"


class Switches:
    """The file of disabled modules in a state directory."""

    def __init__(self, directory: Callable[[], Path]) -> None:
        self._directory = directory

    def disabled(self) -> frozenset[str]:
        """Return the names of the modules that are switched off.

        Raises:
            ConfigError: The file is there but is not a list of names.
        """
        path = self._directory() / FILE
        try:
            return frozenset(msgspec.json.decode(path.read_bytes(), type=list[str]))
        except FileNotFoundError:
            return frozenset()
        except (OSError, msgspec.MsgspecError, ValueError) as exc:
            raise ConfigError(
                f"the list of disabled modules cannot be read: {exc}", where=str(path),
                hint="correct it, or delete it to enable everything",
            ) from None  # fmt: skip

    def enable(self, name: str) -> bool:
        """Take `name` off the list; False if it was not on it."""
        with self._locked() as names:
            if name in names:
                self._write(names - {name})
            return name in names

    def disable(self, name: str) -> bool:
        """Put `name` on the list; False if it was there."""
        with self._locked() as names:
            if name not in names:
                self._write(names | {name})
            return name not in names

    @contextmanager
    def _locked(self) -> Iterator[frozenset[str]]:
        """Give the list, which nobody else, in this process or another, changes meanwhile."""
        directory = self._directory()
        directory.mkdir(parents=True, exist_ok=True)
        with (directory / f"{FILE}.lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield self.disabled()

    def _write(self, names: frozenset[str]) -> None:
        import tempfile  # slow to import, and most commands only read

        directory = self._directory()
        handle, draft = tempfile.mkstemp(dir=directory, prefix=FILE)
        with os.fdopen(handle, "wb") as file:
            file.write(msgspec.json.format(msgspec.json.encode(sorted(names)), indent=2))
        Path(draft).replace(directory / FILE)
