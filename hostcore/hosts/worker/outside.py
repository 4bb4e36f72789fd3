"""How a worker's module hears of what it may not, or cannot, have of the network.

Libraries of the network know `OSError` and nothing else, so every error here is one, of the kind that they expect.
"""

from __future__ import annotations

import errno
import socket
from typing import Any

from hostcore.errors import DeniedError, HostcoreError, NetworkError
from hostcore.hosts.worker.sideways import SideDoor

NATIVE = 'have the host do it, or run the module natively: isolation = "native"'


class NotGrantedError(DeniedError, PermissionError):
    """The module may not do that on the network."""

    code = "HC602"

    def __init__(self, message: str, *, hint: str = "", **rest: Any) -> None:
        super().__init__(message, hint=hint, **rest)
        self.errno, self.strerror = errno.EACCES, message


def ask(door: SideDoor, name: str, *arguments: Any) -> tuple[Any, int]:
    """Return what the host answers, and the descriptor that came with it, or -1; raises OSError, as `as_os_error`."""
    try:
        return door.ask_for_descriptor(name, *arguments)
    except HostcoreError as exc:
        error = as_os_error(exc)
    raise error


def as_os_error(error: HostcoreError) -> OSError:
    """Return an error of the host's as one that the callers of sockets know."""
    if isinstance(error, DeniedError):
        return NotGrantedError(error.message, problems=error.problems, code=error.code)
    if isinstance(error, NetworkError):
        return socket.gaierror(socket.EAI_NONAME, error.message)
    return OSError(errno.ENETDOWN, error.message)
