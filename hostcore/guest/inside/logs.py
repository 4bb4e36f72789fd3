"""The logging module inside a guest: every record goes to the host, which decides what becomes of it."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable

from hostcore.hosts import faults

Log = Callable[[int, str, str | None], None]

OWN = "hostcore.module."
"""What the names of modules' own loggers begin with; other loggers are named in a line's fields."""


class HostHandler(logging.Handler):
    """Hands records to the host; one that cannot be formatted is told of instead of raising."""

    def __init__(self, log: Log) -> None:
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """Hand one record over."""
        try:
            message = record.getMessage()
        except Exception as exc:  # noqa: BLE001 - its arguments' own code
            message = f"{record.msg!r:.200} cannot be formatted: {faults.summary_of(exc)}"
        fields: dict[str, str] = {} if record.name.startswith(OWN) else {"logger": record.name}
        if record.exc_info and record.exc_info[1] is not None:
            fields["exception"] = faults.summary_of(record.exc_info[1])
            fields["traceback"] = faults.traceback_of(record.exc_info[1])
        text = message.encode("utf-8", "backslashreplace").decode()
        self._log(record.levelno, text, json.dumps(fields) if fields else None)


def start(log: Log) -> None:
    """Send all records of level INFO and above to the host, those of the module's own logger from DEBUG on."""
    root = logging.getLogger()
    root.handlers = [HostHandler(log)]
    root.setLevel(logging.INFO)
    logging.getLogger(OWN.rstrip(".")).setLevel(logging.DEBUG)
    logging.captureWarnings(True)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(line_buffering=True, errors="backslashreplace")
