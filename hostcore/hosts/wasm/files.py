"""A guest's file, of which no more is read than is needed: compiled code comes from a cache."""

from __future__ import annotations

import os
from pathlib import Path

from hostcore.errors import LoadError
from hostcore.packages.digests import read_with_sha256, sha256_of
from hostcore.packages.locating import Release

LARGEST = 512 * 1024**2
_HEAD = 4096
_PIECE = 64


class Changed(Exception):
    """The file is another one by now."""


class GuestFile:
    """The file of a release; it may be looked into like bytes, at a few places.

    Attributes:
        digest: Its SHA-256, in hexadecimal.
        head: Its beginning.
    """

    def __init__(self, release: Release) -> None:
        """Find out what it is.

        Raises:
            LoadError: It cannot be read, or is too large.
        """
        self._release, self._path = release, Path(release.wasm)
        try:
            self._size = self._path.stat().st_size
            if self._size > LARGEST:
                message = f"{self._path} is {self._size:,} bytes; at most {LARGEST:,} are loaded"
                raise LoadError(release.name, message, code="HC211", label=release.label)
            self.digest = sha256_of(self._path)
            with self._path.open("rb") as file:
                self.head = file.read(_HEAD)
        except OSError as exc:
            raise self._unreadable(exc) from None
        self._piece, self._at = b"", 0

    def _unreadable(self, error: OSError) -> LoadError:
        return LoadError(
            self._release.name, f"{self._path} cannot be read: {error.strerror}", code="HC203",
            label=self._release.label, hint="install the release again",
        )  # fmt: skip

    def read(self) -> bytes:
        """Return all of it.

        Raises:
            Changed: It is not what it was any more.
            LoadError: It cannot be read.
        """
        try:
            data, digest = read_with_sha256(self._path)
        except OSError as exc:
            raise self._unreadable(exc) from None
        if digest != self.digest:
            raise Changed
        return data

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, at: int) -> int:
        if not self._at <= at < self._at + len(self._piece):
            with self._path.open("rb") as file:
                self._piece, self._at = os.pread(file.fileno(), _PIECE, at), at
            if not self._piece:
                raise Changed
        return self._piece[at - self._at]
