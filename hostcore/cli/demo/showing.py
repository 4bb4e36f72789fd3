"""How people see the demo: a progress bar on a terminal, plain lines elsewhere, figures at the end.

With `--json` nothing is shown but the outcome, as one object.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import msgspec

from hostcore.cli import output
from hostcore.cli.demo.outcome import Outcome

if TYPE_CHECKING:
    from rich.progress import Progress

_QUARTERS = 4
_SKIPPED_SHOWN = 5


class Screen:
    """Where the demo is shown.

    Args:
        as_json: Show nothing but the outcome, as JSON.
    """

    def __init__(self, as_json: bool = False) -> None:
        self._out = sys.stdout  # modules cannot print to it: while they run, `sys.stdout` is something else
        self._as_json = as_json
        self._progress: Progress | None = None
        self._quarter = 0

    def say(self, text: str) -> None:
        """Show one line."""
        if self._as_json:
            return
        if self._progress is not None:
            self._progress.console.print(output.clean(text), markup=False)
        else:
            output.say(text, file=self._out)

    def moved(self, done: int, planned: int) -> None:
        """Show that `done` of `planned` requests were answered."""
        if self._progress is not None:
            self._progress.update(self._progress.task_ids[0], completed=done, total=planned)
        elif done * _QUARTERS // planned > self._quarter:
            self._quarter = done * _QUARTERS // planned
            self.say(f"{done} of {planned} requests answered")

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """Show how the requests go on, while the block lasts."""
        if self._as_json or not self._out.isatty():
            yield
            return
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        progress = Progress(
            TextColumn("parsing"), BarColumn(), MofNCompleteColumn(), TextColumn("requests"), TimeElapsedColumn(),
            console=Console(file=self._out, highlight=False), redirect_stdout=False, redirect_stderr=False,
        )  # fmt: skip
        progress.add_task("parsing", total=None)
        with progress:
            self._progress = progress
            try:
                yield
            finally:
                self._progress = None

    def show(self, outcome: Outcome) -> None:
        """Show what came of it."""
        if self._as_json:
            output.emit(msgspec.to_builtins(outcome), compact=True, file=self._out)
            return
        for line in _notes(outcome):
            self.say(line)
        self.say("")
        output.pairs(_figures(outcome), file=self._out)
        self.say("")
        self._show_code(outcome.code)
        rows = [("ok" if entry.ok else "wrong", entry.text, entry.detail) for entry in outcome.expectations]
        output.table(("", "what must hold", "figures"), rows, file=self._out)
        for error in outcome.requests.errors:
            output.problem(error, file=self._out)

    def _show_code(self, code: str) -> None:
        if not self._out.isatty():
            self.say(code)
            return
        from rich.console import Console
        from rich.syntax import Syntax

        Console(file=self._out).print(Syntax(code, "python", background_color="default"))


def _notes(outcome: Outcome) -> Iterator[str]:
    for name, reason in list(outcome.skipped.items())[:_SKIPPED_SHOWN]:
        yield f"skipped {name}: {reason}"
    more = len(outcome.skipped) - _SKIPPED_SHOWN
    if more > 0:
        yield f"skipped {more} more"
    if not outcome.complete:
        yield f"the time was up after {outcome.found.files} of {outcome.files_found} files; --seconds gives more"


def _figures(outcome: Outcome) -> Iterator[tuple[str, str]]:
    found, asked, report, counts = outcome.found, outcome.requests, outcome.reload, outcome.counts
    yield "files", f"{found.files} in {outcome.path}, each sent {outcome.rounds:g} times"
    yield "lines", f"{found.lines:,}"
    yield "symbols", ", ".join(f"{count:,} {kind}" for kind, count in found.symbols.items()) or "none"
    yield "syntax errors", f"{found.errors:,}"
    yield "messages", f"{outcome.messages:,} handled by {len(outcome.modules)} modules"
    yield "hosts", _by_host(outcome.hosts)
    yield "requests", f"{asked.sent:,} sent, {asked.answered:,} answered, {asked.failed:,} failed"
    yield "latency", f"p50 {asked.p50_ms:.2f} ms, p99 {asked.p99_ms:.2f} ms"
    yield "reload", f"parser-python {report.old_version} -> {report.new_version} in {report.duration_ms:.1f} ms"
    yield "downtime", f"{report.downtime_ms:.1f} ms, in which {report.held_messages} messages were held"
    yield "meanwhile", f"{asked.during_reload} requests in flight"
    yield "still alive", ", ".join(report.leaks)
    yield "parser's count", f"{counts.before} before, {counts.after} after, {counts.end} at the end"
    yield "grumpy module", f"{outcome.grumpy.failed:,} errors, all contained; who asks it gets\n{outcome.grumpy.error}"
    yield "time", f"{outcome.seconds:.1f} s"


def _by_host(hosts: Mapping[str, str]) -> str:
    """Return which modules run in which host: "native: stats, grumpy; worker: synthesis"."""
    grouped: dict[str, list[str]] = {}
    for module, host in hosts.items():
        grouped.setdefault(host, []).append(module)
    return "; ".join(f"{host}: {', '.join(modules)}" for host, modules in grouped.items())
