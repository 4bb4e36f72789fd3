"""Where a host's control socket is, and the claim that lets only one host have it.

A host named `dev` has two files in the user's runtime directory: `dev.sock`, and `dev.lock`, which it holds locked
(`flock`) for as long as it lives.  The kernel lets go of the lock when the process ends, however it ends, so whoever
gets the lock may replace a socket that is there: nobody listens on it.  The lock file itself stays; removing it would
let two hosts lock two files of one name.

Everybody who can write to the directory can put a socket of their own there, so it must be the user's alone.
"""

from __future__ import annotations

import fcntl
import os
import socket
import stat
import weakref
from pathlib import Path

from hostcore.config import runtime_dir
from hostcore.control.protocol import HOST_IS_RUNNING, UNSAFE_PLACE
from hostcore.errors import ControlError, Problem

BACKLOG = 512
_LONGEST = 103
"""The most bytes of a Unix socket's path: 107 on Linux, 103 on macOS."""


def socket_path(name: str) -> Path:
    """Return the control socket of the host called `name`.

    Raises:
        ControlError: Its path is longer than the system allows.
    """
    path = runtime_dir() / f"{name}.sock"
    if len(os.fsencode(path)) > _LONGEST:
        raise ControlError(
            f"the path of the control socket is longer than {_LONGEST} bytes", where=str(path),
            hint="set HOSTCORE_RUNTIME_DIR to a shorter one, or give the host a shorter name",
        )  # fmt: skip
    return path


def check_directory(directory: Path) -> None:
    """Make sure that nobody else can put anything into the runtime directory.

    Raises:
        ControlError: It is not a directory, another user's, or one that others can write to (HC917).
        FileNotFoundError: It is not there.
    """
    found = directory.stat()
    problem = ""
    if not stat.S_ISDIR(found.st_mode):
        problem = "is not a directory"
    elif found.st_uid != os.geteuid():
        problem = f"belongs to another user (uid {found.st_uid}, yours is {os.geteuid()})"
    elif found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        problem = f"can be written to by other users (mode {stat.S_IMODE(found.st_mode):04o})"
    if problem:
        hint = f"chmod 700 {directory}" if "written" in problem else "set HOSTCORE_RUNTIME_DIR to a directory of yours"
        raise ControlError(problems=[Problem(f"the runtime directory {problem}", UNSAFE_PLACE, str(directory),
                                             "expected: yours, mode 0700", hint)])  # fmt: skip


class Claim:
    """The right to be the host called `name`, held until `release` or the end of the process.

    Raises:
        ControlError: Another host has it (HC916), or its directory cannot be used (HC917).
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.path = socket_path(name)
        directory = self.path.parent
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            check_directory(directory)
            lock = directory / f"{name}.lock"
            self._lock = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise ControlError(f"the runtime directory cannot be used: {error.strerror}", where=str(directory),
                               hint="set HOSTCORE_RUNTIME_DIR to a directory of yours") from None  # fmt: skip
        self._bound = False  # the socket at `path` is ours
        self._take()
        _held.add(self)

    def _take(self) -> None:
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            other = os.pread(self._lock, 32, 0).decode("ascii", "replace").strip()
            os.close(self._lock)
            raise _taken(self.name, other, self.path) from None
        os.ftruncate(self._lock, 0)
        os.pwrite(self._lock, f"{os.getpid()}\n".encode(), 0)

    def listen(self) -> socket.socket:
        """Return the host's listening socket, mode 0600; one that a host before left behind is replaced.

        Raises:
            ControlError: Something that is no socket is in its place, or it cannot be made.
        """
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._clear()
            listener.bind(str(self.path))
            self._bound = True
            self.path.chmod(0o600)
            listener.listen(BACKLOG)
        except OSError as error:
            listener.close()
            raise ControlError(f"the control socket cannot be made: {error.strerror}", where=str(self.path)) from None
        except BaseException:
            listener.close()
            raise
        listener.setblocking(False)
        return listener

    def _clear(self) -> None:
        try:
            found = self.path.lstat()
        except FileNotFoundError:
            return
        if not stat.S_ISSOCK(found.st_mode):
            raise ControlError("something that is no socket is where the control socket belongs",
                               where=str(self.path), hint="remove it")  # fmt: skip
        self.path.unlink()

    def withdraw(self) -> None:
        """Remove the socket: nobody can connect any more, and nobody else can be this host yet."""
        bound, self._bound = self._bound, False
        if bound:
            self.path.unlink(missing_ok=True)

    def release(self) -> None:
        """Remove the socket and let another host have the name.  A second call does nothing."""
        self.withdraw()
        if self._lock >= 0:
            fcntl.flock(self._lock, fcntl.LOCK_UN)  # closing it is not enough if a child was forked just now
        self.close()

    def close(self) -> None:
        """Close the lock file, which lets go of the name unless another process shares it; the socket stays."""
        lock, self._lock = self._lock, -1
        if lock >= 0:
            os.close(lock)


_held: weakref.WeakSet[Claim] = weakref.WeakSet()


def _close_in_child() -> None:
    # A forked child (multiprocessing, of a module) shares the lock: it would outlive a host that was killed.
    for claim in list(_held):
        claim.close()


os.register_at_fork(after_in_child=_close_in_child)


def _taken(name: str, pid: str, path: Path) -> ControlError:
    who = f" (pid {pid})" if pid.isdigit() else ""
    stop = f"stop it: kill {pid}; or " if pid.isdigit() else ""
    hint = f"{stop}give this one another name: hostcore run --name NAME"
    return ControlError(problems=[Problem(f"a host named {name!r} is running already{who}", HOST_IS_RUNNING,
                                          str(path), hint=hint)])  # fmt: skip
