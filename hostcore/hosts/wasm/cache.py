"""The cache of compiled guests: what was compiled once is loaded in milliseconds, by every process of the user.

An entry is named by all that its code depends on: the bytes of the module and their kind, the settings, wasmtime's
version, the processor.  So an entry is never out of date, only unused.  It is a directory that is filled under
another name and then renamed: readers see it whole or not at all, and it is never written to again (but for the stamp
in its seal; `sealing` says what that is for).  Of several processes that compile the same, the first to rename wins
and the others use what it left.

The cache is bounded: what was used longest ago goes first, by the time of its seal, which each use renews.  Another
process may have an entry mapped when it goes; the kernel keeps it for that one.  What was used in the last minute
stays, so that nothing goes between finding it and loading it.

Everything in it can be made again, so nothing that is wrong with it stops a module.  A damaged entry is dropped and
compiled anew.  A directory that cannot be used, or is not this user's alone, is left for a private one that goes when
the process ends.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import logging
import os
import platform
import re
import shutil
import sys
import tempfile
import threading
import time
import weakref
from pathlib import Path
from typing import Final

from hostcore.hosts.wasm.kinds import Kind
from hostcore.hosts.wasm.sealing import CODE, SEAL, Damaged, Seal, check_entry, check_owner, write_seal
from hostcore.hosts.wasm.settings import Settings

log = logging.getLogger("hostcore")

RECENT: Final = 60.0
"""Seconds for which an entry stays after a use, however full the cache is."""
ABANDONED: Final = 86400.0
"""Seconds after which a draft is taken for one of a process that was killed."""
OUTDATED: Final = 7 * 86400.0
"""Seconds without a use after which an entry of another version of wasmtime goes."""

_PROCESSORS = Path("/proc/cpuinfo")
_DRAFT, _DROPPED = ".draft-", ".dropped-"
_ENTRY = re.compile(r"(?P<version>[\w.+]+)-[0-9a-f]{64}")


def entry_name(data: bytes, settings: Settings, kind: Kind, digest: str = "") -> str:
    """Return the name of the entry for the module in `data`, compiled as `kind` under `settings`.

    `digest` is the SHA-256 of `data`, in hexadecimal, where it is known already.
    """
    content = bytes.fromhex(digest) or hashlib.sha256(data).digest()
    facts = "\0".join((wasmtime_version(), settings.key, kind.value, _processor(), ""))
    return f"{wasmtime_version()}-{hashlib.sha256(facts.encode() + content).hexdigest()}"


class Cache:
    """A directory of compiled guests; its methods may be called from any thread.

    Args:
        directory: Where it is; it is made when it is first needed.
        size: The bytes of compiled code that it keeps.  Entries in use do not count against it at once: it can be
            exceeded for as long as `RECENT`, or by a single entry.
    """

    def __init__(self, directory: Path, size: int) -> None:
        self.directory = directory
        self.size = size
        self._private: Path | None = None
        self._reason = ""
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        where = f"{self._private} in place of {self.directory}" if self._private else str(self.directory)
        return f"<Cache {where}>"

    def find(self, name: str) -> Path | None:
        """Return the verified code of the entry `name`, and note that it was used; None if there is none."""
        for place in self._places():
            try:
                code = check_entry(place / name)
            except FileNotFoundError:
                continue
            except Damaged as damage:
                log.warning("the compiled code in %s is not used, and compiled anew: %s", place / name, damage)
                _drop(place / name)
            else:
                _touch(place / name / SEAL)
                return code
        return None

    def draft(self) -> Path:
        """Return a new directory, for the code of an entry to be written to its `CODE`.

        Raises:
            OSError: Not even the private directory can be used.
        """
        if self._private is None and self._usable():
            try:
                return _new(self.directory)
            except OSError as error:
                self.retreat(f"cannot be written to ({error.strerror})")
        return _new(self.retreat(self._reason))

    def publish(self, name: str, draft: Path, sha256: str) -> None:
        """Make the filled `draft` the entry `name`, unless there is a good one, and drop what is too much.

        Raises:
            OSError: It cannot be.
        """
        write_seal(draft, Seal(1, sha256))
        place = draft.parent
        try:
            draft.rename(place / name)
        except OSError:
            # Somebody was quicker, or something is in the way.
            if self.find(name) is None:
                _drop(place / name)
                draft.rename(place / name)
        self.evict(place)

    def discard(self, draft: Path) -> None:
        """Remove a draft, if it is still there."""
        shutil.rmtree(draft, ignore_errors=True)

    def drop(self, name: str) -> None:
        """Remove the entry `name`."""
        for place in self._places():
            _drop(place / name)

    def retreat(self, reason: str) -> Path:
        """Put new entries into a private directory from now on, and say once why; return it."""
        with self._lock:
            if self._private is None:
                self._private = Path(tempfile.mkdtemp(prefix="hostcore-wasm-"))
                weakref.finalize(self, _remove, self._private, os.getpid())
                log.warning("the cache of compiled WebAssembly %s %s; this process keeps its own in %s",
                            self.directory, reason, self._private)  # fmt: skip
            return self._private

    def evict(self, place: Path) -> None:
        """Drop from `place` what processes left behind, what is of no use any more, and the least recently used."""
        now = time.time()
        entries: list[tuple[float, int, Path]] = []
        for path in _listed(place):
            used, size = _usage(path)
            entry = _ENTRY.fullmatch(path.name)
            if entry is None:
                if path.name.startswith((_DRAFT, _DROPPED)) and now - used > ABANDONED:
                    shutil.rmtree(path, ignore_errors=True)
            elif entry["version"] != wasmtime_version() and now - used > OUTDATED:
                _drop(path)
            else:
                entries.append((used, size, path))
        excess = sum(size for _, size, _ in entries) - self.size
        for used, size, path in sorted(entries):
            if excess > 0 and abs(now - used) > RECENT:
                _drop(path)
                excess -= size

    def _places(self) -> list[Path]:
        usable = self.directory if self._usable() else None
        return [place for place in (self._private, usable) if place is not None]

    def _usable(self) -> bool:
        """Tell whether the directory is this user's alone; it is made, and repaired if it can be."""
        with self._lock:
            if self._reason:
                return False
            self._reason = _unusable(self.directory)
            return not self._reason


def _unusable(directory: Path) -> str:
    """Return why `directory` cannot be used, or ""."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = directory.stat()
        if found.st_uid == os.geteuid() and found.st_mode & 0o022:
            _reclaim(directory)
        check_owner(directory.stat())
    except OSError as error:
        return f"cannot be used ({error.strerror})"
    except Damaged as damage:
        return f"is not used: {damage}"
    return ""


def _reclaim(directory: Path) -> None:
    """Make `directory` this user's alone; what is in it can be anybody's, so it goes."""
    log.warning(
        "others could write to the cache of compiled WebAssembly %s; it is closed to them and emptied", directory
    )
    directory.chmod(0o700)
    for path in _listed(directory):
        _drop(path)


def _new(place: Path) -> Path:
    return Path(tempfile.mkdtemp(prefix=_DRAFT, dir=place))


def _drop(path: Path) -> None:
    """Remove an entry, whatever it is: nobody sees half of it."""
    moved = path.with_name(f"{_DROPPED}{os.urandom(8).hex()}")
    try:
        path.rename(moved)
        if moved.is_dir() and not moved.is_symlink():
            shutil.rmtree(moved, ignore_errors=True)
        else:
            moved.unlink()
    except OSError:
        pass  # it is gone, or this is not allowed: then it is not used either


def _touch(path: Path) -> None:
    try:
        os.utime(path)
    except OSError:
        pass  # in a directory that cannot be written, nothing is evicted either


def _listed(place: Path) -> list[Path]:
    try:
        return list(place.iterdir())
    except OSError:
        return []


def _usage(path: Path) -> tuple[float, int]:
    """Return when `path` was last used, and how many bytes of code it has."""
    try:
        return (path / SEAL).lstat().st_mtime, (path / CODE).lstat().st_size
    except OSError:
        pass
    try:
        return path.lstat().st_mtime, 0
    except OSError:
        return time.time(), 0


def _remove(directory: Path, owner: int) -> None:
    if os.getpid() == owner:  # not in a forked child
        shutil.rmtree(directory, ignore_errors=True)


@functools.cache
def wasmtime_version() -> str:
    """Return the version of wasmtime that is installed."""
    return importlib.metadata.version("wasmtime")


@functools.cache
def _processor() -> str:
    """Return what tells processors apart that run different code; a home directory can be shared by several."""
    flags = ""
    if sys.platform == "linux":
        try:
            with _PROCESSORS.open(encoding="ascii", errors="replace") as file:
                flags = next((line for line in file if line.startswith(("flags", "Features"))), "")
        except OSError:
            pass
    return f"{sys.platform} {platform.machine()} {flags}"
