"""Digests of guests: 10 ms for one of Python's, so each is made once, for as long as its file stays as it is.

A file is known by what the kernel says of it; nobody can set its ctime.  A change within one tick of the file system's
clock shows in nothing, so the digest of a file that has only just changed is not kept.  Those of large files are kept
on disk too, in the user's cache, so that the next process need not read them either.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from pathlib import Path
from typing import BinaryIO

import msgspec

from hostcore.config import cache_dir
from hostcore.packages.folders import SETTLED_AFTER

_Known = tuple[int, ...]
_MOST = 256
_LARGE = 1 << 20
"""Bytes of a file whose digest is worth keeping on disk."""
_digests: dict[_Known, str] = {}
"""What is known of a file -> its digest; the newest last."""
_read: set[Path] = set()
"""The files with digests of earlier processes that have been read."""


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal.

    Raises:
        OSError: It cannot be read.
    """
    with path.open("rb") as file:
        known = _facts(file)
        digest = _recalled(known) or hashlib.file_digest(file, "sha256").hexdigest()
        return _kept(file, known, digest)


def read_with_sha256(path: Path) -> tuple[bytes, str]:
    """Return the contents of a file, and their SHA-256.

    Raises:
        OSError: It cannot be read.
    """
    with path.open("rb") as file:
        known = _facts(file)
        data = file.read()
        digest = _recalled(known)
        if digest is None or _facts(file) != known:
            digest = hashlib.sha256(data).hexdigest()
        return data, _kept(file, known, digest)


def _facts(file: BinaryIO) -> _Known:
    found = os.fstat(file.fileno())
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _recalled(known: _Known) -> str | None:
    if known not in _digests and known[2] >= _LARGE:
        _read_disk()
    return _digests.get(known)


def _kept(file: BinaryIO, known: _Known, digest: str) -> str:
    """Keep the digest, if the file was not written to since `known`; return it."""
    settled = abs(time.time_ns() - known[-1]) > SETTLED_AFTER
    if settled and _facts(file) == known and _digests.get(known) != digest:
        _remember(known, digest)
        if known[2] >= _LARGE:
            _write_disk()
    return digest


def _remember(known: _Known, digest: str) -> None:
    while len(_digests) >= _MOST:
        _digests.pop(next(iter(_digests)), None)
    _digests[known] = digest


# --- on disk -------------------------------------------------------------------------------------------------------


def _disk() -> Path:
    return cache_dir() / "digests.msgpack"


def _read_disk() -> None:
    """Take over what earlier processes found, once; a damaged file is as good as none."""
    place = _disk()
    if place in _read:
        return
    _read.add(place)
    with contextlib.suppress(OSError, msgspec.MsgspecError):
        for known, digest in msgspec.msgpack.decode(place.read_bytes(), type=list[tuple[_Known, str]]):
            if len(digest) == 64 and known not in _digests:
                _remember(known, digest)


def _write_disk() -> None:
    place = _disk()
    _read_disk()
    entries = [(known, digest) for known, digest in _digests.items() if known[2] >= _LARGE]
    draft = place.with_name(f"{place.name}.{os.getpid()}")
    with contextlib.suppress(OSError):  # a cache that cannot be written makes the next start slower, no more
        place.parent.mkdir(parents=True, exist_ok=True)
        draft.write_bytes(msgspec.msgpack.encode(entries))
        draft.replace(place)
