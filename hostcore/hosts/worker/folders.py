"""The directory of a worker, taken away whatever is in it: who filled it may have made that as hard as it could.

Directories may be nested deeper than there are descriptors to go down by, or than a function can call itself; so what
is found further down is moved to the top.  They may deny all to everybody; but they are this user's own.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import secrets
import tempfile
from collections.abc import Iterator
from pathlib import Path

PREFIX = "hostcore-worker-"
"""How the directories of workers begin; the host's number follows."""
_DIRECTORY = os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def remove(folder: Path) -> None:
    """Remove a directory with all that is in it, and nothing that it only points to; what cannot be removed stays."""
    mark = secrets.token_hex(8)
    names = (f"{mark}-{number}" for number in itertools.count())
    with contextlib.suppress(OSError):
        top = os.open(folder, os.O_RDONLY | _DIRECTORY)
        try:
            while directories := _left(top):
                for name in directories:
                    _dissolve(name, top, names)
        finally:
            os.close(top)
        folder.rmdir()


def _left(directory: int) -> list[str]:
    """Remove what is no directory; return the names of those that are."""
    return [name for name in os.listdir(directory) if not _unlinked(name, directory)]


def _unlinked(name: str, directory: int) -> bool:
    try:
        os.unlink(name, dir_fd=directory)
    except OSError:
        return False
    return True


def _dissolve(name: str, top: int, names: Iterator[str]) -> None:
    """Move the directories in one to the top, under new names, and remove it."""
    _open_up(name, top)
    directory = os.open(name, os.O_RDONLY | _DIRECTORY, dir_fd=top)
    try:
        for inner in _left(directory):
            _open_up(inner, directory)
            os.rename(inner, next(names), src_dir_fd=directory, dst_dir_fd=top)
    finally:
        os.close(directory)
    os.rmdir(name, dir_fd=top)


def _open_up(name: str, directory: int) -> None:
    """Allow this user all with a directory; never with what a link in its place leads to."""
    place = os.open(name, os.O_PATH | _DIRECTORY, dir_fd=directory)
    try:
        os.chmod(f"/proc/self/fd/{place}", 0o700)  # noqa: PTH101
    finally:
        os.close(place)


def remove_abandoned() -> None:
    """Remove the directories of workers whose host is gone, and had no time to."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        number = folder.name.removeprefix(PREFIX).partition("-")[0]
        if number.isdecimal() and not Path(f"/proc/{number}").exists() and folder.lstat().st_uid == os.geteuid():
            remove(folder)
