"""The log of a worker: all that is logged in it goes to the host, which knows where logs go."""

from __future__ import annotations

import logging
import threading

from hostcore.hosts.worker import messages
from hostcore.hosts.worker.link import Gone, Link

_LONGEST = 16 * 1024


class _ToHost(logging.Handler):
    def __init__(self, link: Link) -> None:
        super().__init__()
        self._link = link
        self._loop = link.loop
        self._thread = threading.get_ident()

    def emit(self, record: logging.LogRecord) -> None:
        """Send a record as a line; from another thread than the loop's, by way of that."""
        try:
            line = messages.Line(record.name, record.levelno, self.format(record)[:_LONGEST])
            body = messages.encode(line)
        except Exception:  # noqa: BLE001 - what the module logs may not be printable at all
            self.handleError(record)
            return
        if threading.get_ident() == self._thread:
            self._send(body)
        else:
            self._loop.call_soon_threadsafe(self._send, body)

    def _send(self, body: bytes) -> None:
        try:
            self._link.tell("log", body)
        except Gone:
            return


def send_logs(link: Link, level: int) -> None:
    """Have everything that is logged from now on, at `level` or above, sent over `link`."""
    root = logging.getLogger()
    root.handlers[:] = [_ToHost(link)]
    root.setLevel(level)
