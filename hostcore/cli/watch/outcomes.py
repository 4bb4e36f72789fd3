"""What came of a change: one line for people, with the error below it if there is one, or one line of JSON.

    12:03:04 reloaded counter: 1.0 (generation 2) -> 1.0 (generation 3) in 31.2 ms, held 0.3 ms; acme/core.py changed
    12:03:09 rolled back counter: 1.0 (generation 3) serves on; acme/core.py changed
      HC201 counter 1.0 (acme-counter): importing 'acme:Counter' raised SyntaxError: ...
        --> acme/core.py:3
      | Traceback ...

The lines come when they happen, so they carry the time; the traceback is the module's, without the host's frames.
"""

from __future__ import annotations

import textwrap
import time
from collections.abc import Iterator
from typing import Any

import msgspec

from hostcore.errors import HostcoreError
from hostcore.runtime.reports import ReloadReport

_NAMED = 3


class Outcome:
    """What came of a change to a module.

    Attributes:
        module: The module's name.
        changed: The paths that changed; none if another module's load was the reason.
        shown: The same as people read them.
        report: The report of the reload, or of the load, if there was one.
        error: Why it could not be loaded, or None.
    """

    def __init__(self, module: str, changed: list[str], shown: list[str]) -> None:
        self.module = module
        self.changed = changed
        self.shown = shown
        self.report: ReloadReport | None = None
        self.error: HostcoreError | None = None

    @property
    def succeeded(self) -> bool:
        """Whether the newest code serves."""
        return self.report is not None and not self.report.rolled_back

    @property
    def cause(self) -> str:
        """What changed, in few words."""
        if not self.shown:
            return "what it requires is there"
        more = len(self.shown) - _NAMED
        return ", ".join(self.shown[:_NAMED]) + (f" and {more} more" if more > 0 else "") + " changed"

    def line(self) -> str:
        """Return the outcome in one line."""
        return " ".join(f"{time.strftime('%H:%M:%S')} {self._happened()}; {self.cause}".split())

    def _happened(self) -> str:
        report = self.report
        if report is None:
            return f"failed {self.module}: it is not loaded"
        old = f"{report.old_version} (generation {report.old_generation})"
        new = f"{report.new_version} (generation {report.new_generation})"
        if report.rolled_back:
            phase = f" (phase {report.phase})" if report.phase else ""
            return f"rolled back {self.module}{phase}: {old} serves on"
        if not report.old_generation:
            return f"loaded {self.module}: {new}"
        times = f"in {report.duration_ms:.1f} ms, held {report.downtime_ms:.1f} ms"
        return f"reloaded {self.module}: {old} -> {new} {times}"

    def details(self) -> str:
        """Return what stands below the line: the error and the module's traceback, or what is left of the old copy."""
        return "\n".join(textwrap.indent(part.rstrip(), prefix) for part, prefix in self._parts() if part)

    def _parts(self) -> Iterator[tuple[str, str]]:
        if self.error is not None:
            yield str(self.error), "  "
            yield getattr(self.error, "traceback", ""), "  | "
        elif self.report is not None:
            yield self.report.reason, "  "
            yield self.report.traceback, "  | "
            if self.report.leaks:
                yield f"still alive of generation {self.report.old_generation}: {', '.join(self.report.leaks)}", "  "

    def data(self) -> dict[str, Any]:
        """Return the outcome as plain data (JSON)."""
        facts: dict[str, Any] = {"module": self.module, "changed": [_text(path) for path in self.changed]}
        if self.error is not None:
            return {"event": "failed", **facts, "error": self.error.as_data()}
        event = "loaded" if self.report is not None and not self.report.old_generation else "reloaded"
        return {"event": event, **facts, "report": msgspec.to_builtins(self.report)}


def _text(path: str) -> str:
    """Return a path in which every byte that is not UTF-8 is spelt out."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
