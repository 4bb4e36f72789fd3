"""What makes an entry of the cache good: whose it is, and that its code is still what was written.

An entry is a directory with the compiled code and its seal.  wasmtime runs such code as it stands: a damaged file can
do anything, or end the process by SIGBUS.  So nothing is loaded that has not been compared with its seal.

The seal has the code's SHA-256.  Hashing 34 MB takes 20 ms (40 to 100 without the processor's help), ten times as long
as loading it.  So the seal also has a stamp of the file when it was last compared in full: its inode, size, times of
change, and the boot of the system.  While the stamp fits, nobody has written to the file by way of the file system.

What this guards against, and what not:

- A write that was cut short, a full disk, a crash: the code is on the disk before its seal is written, and a reader
  after a boot compares all of it, whatever the stamp says.
- A file that was changed, exchanged, linked or copied here: the stamp does not fit, and the digest decides.
- Other users: entries and files that are not this user's, or that others can write to, are not used; links are not
  followed.
- A disk that returns other bytes than were written: noticed when it is compared in full, once after each boot.
- Not against who has this user's rights: they can write a seal too, and need no cache to run code.

A change within one tick of the file system's clock (up to 10 ms) leaves no trace in the times.  So a stamp is only
given to a file that has not been changed for longer than that.
"""

from __future__ import annotations

import functools
import hashlib
import os
import stat
import time
from pathlib import Path
from typing import Final, Literal

import msgspec

CODE: Final = "code.cwasm"
SEAL: Final = "seal.json"
SETTLED: Final = 0.02
"""Seconds after its last change from when on every further change of a file shows in its times."""

_BOOT = Path("/proc/sys/kernel/random/boot_id")
_LONGEST_SEAL = 4096


class Damaged(Exception):
    """An entry is not good; the text says why."""


class Stamp(msgspec.Struct, frozen=True, array_like=True):
    """The file as it was when it was compared in full."""

    boot: str
    device: int
    inode: int
    size: int
    modified: int
    changed: int


class Seal(msgspec.Struct, frozen=True):
    """What the code must be."""

    format: Literal[1]
    sha256: str
    stamp: Stamp | None = None


def write_seal(entry: Path, seal: Seal) -> None:
    """Give `entry` its seal, in place of one that is there.

    Raises:
        OSError: That is not possible.
    """
    draft = entry / f"{SEAL}.{os.urandom(8).hex()}"
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(msgspec.json.encode(seal))
        draft.replace(entry / SEAL)
    except OSError:
        draft.unlink(missing_ok=True)
        raise


def check_entry(entry: Path) -> Path:
    """Return the code in `entry`, once it is certain that it is what was written.

    Raises:
        Damaged: It is not, or it could be somebody else's.
        FileNotFoundError: There is no such entry.
    """
    found = entry.lstat()
    if not stat.S_ISDIR(found.st_mode):
        raise Damaged("it is not a directory")
    check_owner(found)
    try:
        with os.fdopen(_opened(entry / CODE), "rb") as file:
            seal = _read_seal(entry)
            stamp = _stamp(file.fileno())
            if stamp is None or stamp != seal.stamp:
                if hashlib.file_digest(file, "sha256").hexdigest() != seal.sha256:
                    raise Damaged("its code is not what was written")
                _renew(entry, seal, stamp)
    except OSError as error:
        raise Damaged(f"it cannot be read: {error.strerror}") from None
    return entry / CODE


def check_owner(found: os.stat_result) -> None:
    """Make sure that only this user can write to what `found` describes.

    Raises:
        Damaged: It is another user's, or others can write to it.
    """
    if found.st_uid != os.geteuid():
        raise Damaged(f"it belongs to another user (uid {found.st_uid})")
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise Damaged(f"other users can write to it (mode {stat.S_IMODE(found.st_mode):04o})")


def _opened(path: Path) -> int:
    """Return a descriptor of this user's own regular file `path`."""
    # Without O_NONBLOCK, a pipe in its place would be waited for.
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise Damaged(f"its {path.name} is not a file")
        check_owner(found)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _read_seal(entry: Path) -> Seal:
    with os.fdopen(_opened(entry / SEAL), "rb") as file:
        data = file.read(_LONGEST_SEAL)
    try:
        return msgspec.json.decode(data, type=Seal)
    except (msgspec.DecodeError, ValueError):
        raise Damaged("its seal cannot be read") from None


def _stamp(descriptor: int) -> Stamp | None:
    """Return what would show that the file was written to since; None where that is not certain."""
    found = os.fstat(descriptor)
    boot = _boot()
    if not boot or time.time_ns() - found.st_ctime_ns < SETTLED * 1e9:
        return None
    return Stamp(boot, found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def _renew(entry: Path, seal: Seal, stamp: Stamp | None) -> None:
    """Note that the code was compared; in a directory that cannot be written, it is compared each time."""
    if stamp is None:
        return
    try:
        write_seal(entry, msgspec.structs.replace(seal, stamp=stamp))
    except OSError:
        pass


@functools.cache
def _boot() -> str:
    """Return the name of the system's present boot; "" where it does not tell."""
    try:
        return _BOOT.read_text().strip()
    except OSError:
        return ""
