"""Digests of guests: 10 ms for one of Python's, so each is made once, for as long as its file stays as it is.

A file is known by what the kernel says of it; nobody can set its ctime.  A change within one tick of the file system's
clock shows in nothing, so the digest of a file that has only just changed is not kept.
"""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path
from typing import BinaryIO

from hostcore.packages.folders import SETTLED_AFTER

_Known = tuple[int, ...]
_MOST = 256
_digests: dict[_Known, str] = {}
"""What is known of a file -> its digest; the newest last."""


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal.

    Raises:
        OSError: It cannot be read.
    """
    with path.open("rb") as file:
        known = _facts(file)
        digest = _digests.get(known) or hashlib.file_digest(file, "sha256").hexdigest()
        return _kept(file, known, digest)


def read_with_sha256(path: Path) -> tuple[bytes, str]:
    """Return the contents of a file, and their SHA-256.

    Raises:
        OSError: It cannot be read.
    """
    with path.open("rb") as file:
        known = _facts(file)
        data = file.read()
        digest = _digests.get(known)
        if digest is None or _facts(file) != known:
            digest = hashlib.sha256(data).hexdigest()
        return data, _kept(file, known, digest)


def _facts(file: BinaryIO) -> _Known:
    found = os.fstat(file.fileno())
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _kept(file: BinaryIO, known: _Known, digest: str) -> str:
    """Keep the digest, if the file was not written to since `known`; return it."""
    settled = abs(time.time_ns() - known[-1]) > SETTLED_AFTER
    if settled and _facts(file) == known:
        while len(_digests) >= _MOST:
            _digests.pop(next(iter(_digests)), None)
        _digests[known] = digest
    return digest
