"""What a guest or worker writes: its log and its output, by lines, at a limited rate, safe to show."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from hostcore.hosts.text import LINE, one_line

LINES_PER_SECOND = 200


class RateLimit:
    """Admits so many lines a second; says once a second how many were dropped."""

    def __init__(self, per_second: int, longest: int = LINE) -> None:
        self.per_second = per_second
        self.longest = longest
        self.dropped = 0
        self._second = 0
        self._lines = 0

    def room(self, log: logging.Logger) -> int:
        """Return how many more lines may be written in this second."""
        second = int(time.monotonic())
        if second != self._second:
            self._second, self._lines = second, 0
            self.report(log)
        return max(0, self.per_second - self._lines)

    def split(self, text: str, log: logging.Logger) -> list[str]:
        """Return those lines of `text` that there is room for, which is then less; the others are dropped."""
        room = self.room(log)
        *lines, rest = text.split("\n", room)
        if len(lines) < room:
            lines.append(rest)
        else:
            self.dropped += rest.count("\n") + 1
        self._lines += len(lines)
        return lines

    def admit(self, log: logging.Logger) -> bool:
        """Tell whether one more line may be written."""
        self.room(log)
        self._lines += 1
        if self._lines > self.per_second:
            self.dropped += 1
            return False
        return True

    def spent(self) -> bool:
        """Tell whether nothing more is admitted in this second."""
        return int(time.monotonic()) == self._second and self._lines >= self.per_second

    def drop(self, lines: int) -> None:
        """Count lines that nobody looked at."""
        self.dropped += lines

    def shown(self, line: str) -> str:
        """Return a line as it is shown: safe for a terminal, and no longer than it may be."""
        text = one_line(line[: self.longest + 1])
        return text if len(text) <= self.longest else f"{text[: self.longest]} ..."

    def report(self, log: logging.Logger) -> None:
        """Say how many lines were dropped since the last time."""
        if self.dropped:
            log.warning("%d lines dropped: it writes more than %d a second (limits.log_rate)",
                        self.dropped, self.per_second)  # fmt: skip
            self.dropped = 0


class Output:
    """A guest's or worker's stdout or stderr: each whole line goes to the module's log."""

    def __init__(self, log: logging.Logger, level: int, limit: RateLimit) -> None:
        self._log, self._level, self._limit = log, level, limit
        self._rest = b""

    def write(self, data: bytes) -> int:
        """Take what it wrote; all of it, always."""
        if not self._log.isEnabledFor(self._level):
            self._rest = b""
            return len(data)
        if self._limit.spent():  # a flood, of millions of lines perhaps: they are counted, not made
            rest = data[data.rfind(b"\n") + 1 :]
            self._limit.drop(data.count(b"\n"))
            self._rest = (rest if len(rest) < len(data) else self._rest + rest)[: self._limit.longest]
            return len(data)
        *lines, rest = (self._rest + data).split(b"\n", self._limit.room(self._log))
        if b"\n" in rest:  # more lines than there is room for
            left, _, rest = rest.rpartition(b"\n")
            self._limit.drop(left.count(b"\n") + 1)
        if len(rest) > self._limit.longest:  # no end of line in sight
            lines, rest = [*lines, rest], b""
        self._rest = rest
        for line in lines:
            self._emit(line)
        return len(data)

    def close(self) -> None:
        """Write what is left of the last line."""
        if self._rest:
            self._emit(self._rest)
            self._rest = b""
        self._limit.report(self._log)

    def _emit(self, line: bytes) -> None:
        if self._log.isEnabledFor(self._level) and self._limit.admit(self._log):
            text = line[: 4 * self._limit.longest + 4].decode("utf-8", "backslashreplace").rstrip("\r")
            self._log.log(self._level, "%s", self._limit.shown(text))


Sink = Callable[[bytes], int]
