"""The log of `hostcore run`: standard error, one line an event, with the whole text of an error."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from hostcore.cli.output import clean
from hostcore.runtime.events import FAILED

FORMAT = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"


class EventFormatter(logging.Formatter):
    """Writes the system's events, which are logged as a topic and a table, as text."""

    def __init__(self) -> None:
        super().__init__(FORMAT)

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record."""
        match record.args:
            case (str() as topic, Mapping() as facts):
                text = logging.makeLogRecord({**record.__dict__, "msg": _event(topic, facts), "args": None})
                return clean(super().format(text))
        return clean(super().format(record))


def _event(topic: str, facts: Mapping[str, Any]) -> str:
    plain = " ".join(f"{key}={value}" for key, value in facts.items() if key != "error" and value not in ("", [], None))
    error = facts.get("error")
    text = str(error.get("text", "")) if isinstance(error, Mapping) else ""
    return f"{topic} {plain}" + (f"\n  {text}".replace("\n", "\n  ") if text else "")


def start_logging(*, verbose: bool) -> None:
    """Log to standard error: warnings and errors, or everything from INFO on if `verbose`."""
    handler = logging.StreamHandler()
    handler.setFormatter(EventFormatter())
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(logging.INFO if verbose else logging.WARNING)
    logging.captureWarnings(True)


@contextmanager
def without_failed_loads() -> Iterator[None]:
    """Leave failed loads out of the log: whoever loads tells of them."""

    def passes(record: logging.LogRecord) -> bool:
        return not (record.args and record.args[0] == FAILED)  # type: ignore[index]

    handlers = list(logging.getLogger().handlers)
    for handler in handlers:
        handler.addFilter(passes)
    try:
        yield
    finally:
        for handler in handlers:
            handler.removeFilter(passes)
