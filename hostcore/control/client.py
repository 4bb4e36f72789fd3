"""The client of the control socket: one connection for each call, and no event loop."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hostcore.control.places import check_directory
from hostcore.control.protocol import decode_reply, encode_request
from hostcore.errors import ControlError, NoHostError

CHUNK = 256 * 1024
DEFAULT_TIMEOUT = 60.0


class SilentHostError(ControlError):
    """The host is there but did not answer in time."""


class Client:
    """Asks the host called `name` over its socket at `path`."""

    def __init__(self, name: str, path: str | os.PathLike[str]) -> None:
        self.name = name
        self.path = Path(path)

    def call(self, method: str, params: Mapping[str, Any] | None = None, *, timeout: float = DEFAULT_TIMEOUT) -> Any:
        """Call a method of the host and return its result.

        Args:
            method: Its name, as in "modules.info".
            params: Its parameters: plain data.
            timeout: The seconds that connecting and the answer may take together.

        Raises:
            NoHostError: No such host is running.
            RemoteError: The host replied with an error.
            SilentHostError: The answer did not come in time.
            ControlError: The socket cannot be used, or the other side does not keep to the protocol.
        """
        request = encode_request(1, method, params or {})
        deadline = time.monotonic() + timeout
        try:
            with self._connect(deadline) as connection:
                self._send(connection, request, deadline)
                return decode_reply(self._receive(connection, deadline))
        except TimeoutError:
            raise SilentHostError(
                f"the host {self.name!r} did not answer {method!r} within {timeout:g} s", where=str(self.path),
                hint="it is busy, or its process is paused: ask again, with a longer --timeout where there is one",
            ) from None  # fmt: skip
        except ConnectionError:
            raise ControlError(
                f"the host {self.name!r} closed the connection before it answered {method!r}", where=str(self.path),
                hint="it is being stopped, or has died: see what it printed",
            ) from None  # fmt: skip

    def _connect(self, deadline: float) -> socket.socket:
        try:
            check_directory(self.path.parent)
        except FileNotFoundError:
            raise self._no_host() from None
        except OSError as error:
            raise self._unusable(error) from None
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.settimeout(_left(deadline))
            connection.connect(str(self.path))
        except (FileNotFoundError, ConnectionRefusedError):
            connection.close()
            raise self._no_host() from None
        except BlockingIOError:  # its backlog is full
            connection.close()
            raise TimeoutError from None
        except OSError as error:
            connection.close()
            if isinstance(error, TimeoutError):
                raise
            raise self._unusable(error) from None
        return connection

    def _unusable(self, error: OSError) -> ControlError:
        reason = error.strerror or str(error)
        return ControlError(f"the control socket cannot be used: {reason}", where=str(self.path))

    def _no_host(self) -> NoHostError:
        command = "hostcore run" if self.name == "default" else f"hostcore run --name {self.name}"
        return NoHostError(
            f"no host named {self.name!r} is running", where=str(self.path), hint=f"start one: {command}"
        )

    def _send(self, connection: socket.socket, request: bytes, deadline: float) -> None:
        connection.settimeout(_left(deadline))
        try:
            connection.sendall(request)
        except ConnectionError:
            pass  # it may have said why before it closed

    def _receive(self, connection: socket.socket, deadline: float) -> bytes:
        reply = bytearray()
        while not reply.endswith(b"\n"):  # it sends one line and no more
            connection.settimeout(_left(deadline))
            chunk = connection.recv(CHUNK)
            if not chunk:
                raise ConnectionResetError
            reply += chunk
        return bytes(reply)


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left
