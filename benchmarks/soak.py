"""1,000,000 messages to one module that is reloaded every 50 ms: lost, duplicated and reordered ones are counted.

8 senders, 10,000 messages a second together, on a schedule that does not wait: each message carries its sender's number
and its own.  Every fourth is a request, the others are sent.  The module itself checks what comes, and keeps what it
found in its state, so that the check too goes through every reload: a number that was skipped is lost unless it comes
later, in which case it is reordered; one that comes again is a duplicate.  A reload that takes longer than 50 ms is
followed by the next at once.  A request's time is given from its call, and from when it was due: the latter counts what
a sender waited before it could call at all, and the timer's own coarseness of about 1 ms.
The same messages without reloads, fewer of them, stand beside.
"""

from __future__ import annotations

import asyncio
import sys
import time
from typing import NamedTuple

from harness import Budget, Cell, Result, at_most, main, scratch
from sites import write_project

from hostcore import ModuleSystem, ReloadReport
from hostcore.cli.bench.measuring import percentile

TITLE = "Soak: a reload every 50 ms"
SENDERS = 8
RATE = 10_000
PERIOD = 0.05
CHECKER = '''\
import hostcore


class Checker:
    """Checks that each sender's numbers come one after the other, each once."""

    def __init__(self):
        self.last, self.skipped, self.handled, self.again, self.late = {}, {}, 0, 0, 0

    @hostcore.hookimpl
    def handle_message(self, message):
        sender, number = message.payload
        self.handled += 1
        expected = self.last.get(sender, 0) + 1
        if number >= expected:
            if number > expected:
                self.skipped.setdefault(sender, []).extend(range(expected, number))
            self.last[sender] = number
        elif number in self.skipped.get(sender, ()):
            self.skipped[sender].remove(number)
            self.late += 1
        else:
            self.again += 1
        return number

    @hostcore.hookimpl
    def execute(self, request):
        return self.get_state()

    @hostcore.hookimpl
    def get_state(self):
        return self.__dict__

    @hostcore.hookimpl
    def restore_state(self, state):
        self.__dict__.update(state)


Echo = Checker
'''
Row = dict[str, Cell]


class Outcome(NamedTuple):
    """What came of one run."""

    sent: int
    seconds: float
    called: list[float]  # of each request, seconds from its call to its reply
    due: list[float]  # of each request, seconds from when it was due
    reports: list[ReloadReport]
    lost: int
    duplicated: int
    reordered: int


async def sender(system: ModuleSystem, me: str, count: int, called: list[float], due: list[float]) -> None:
    """Send `count` messages on schedule, each fourth as a request."""
    clock, interval = time.perf_counter, SENDERS / RATE
    began = clock()
    for number in range(1, count + 1):
        at = began + number * interval
        if (early := at - clock()) > 0:
            await asyncio.sleep(early)
        if number % 4:
            await system.send("echo", [me, number])
            continue
        start = clock()
        if await system.request("echo", [me, number]) != number:
            raise RuntimeError("a request got another's reply")
        now = clock()
        called.append(now - start)
        due.append(now - at)


async def reload_on(system: ModuleSystem, reports: list[ReloadReport]) -> None:
    """Reload every `PERIOD`, until cancelled."""
    following = time.perf_counter()
    while True:
        following = max(following + PERIOD, time.perf_counter())
        await asyncio.sleep(following - time.perf_counter())
        reports.append(await system.reload("echo"))


async def drive(system: ModuleSystem, count: int, *, reloads: bool) -> Outcome:
    """Send `count` messages to a module that is loaded afresh."""
    called: list[float] = []
    due: list[float] = []
    reports: list[ReloadReport] = []
    began = time.perf_counter()
    reloading = asyncio.create_task(reload_on(system, reports)) if reloads else None
    async with asyncio.TaskGroup() as senders:
        for me in range(SENDERS):
            senders.create_task(sender(system, str(me), count // SENDERS, called, due))
    seconds = time.perf_counter() - began
    if reloading is not None:
        reloading.cancel()
        await asyncio.wait({reloading})
        if not reloading.cancelled():
            reloading.result()  # it ended by itself: say why
    while system.modules["echo"].mailbox:  # noqa: ASYNC110 - what was sent last
        await asyncio.sleep(0.01)
    found = await system.execute("echo")
    each = count // SENDERS
    never = sum(each - last for last in found["last"].values()) + each * (SENDERS - len(found["last"]))
    lost = never + sum(map(len, found["skipped"].values()))
    return Outcome(each * SENDERS, seconds, called, due, reports, lost, found["again"], found["late"])


def row(what: str, outcome: Outcome) -> Row:
    called, due = sorted(outcome.called), sorted(outcome.due)
    down = sorted(report.downtime_ms for report in outcome.reports)
    figures: Row = {
        "what": what,
        "messages": outcome.sent,
        "a second": round(outcome.sent / outcome.seconds),
        "requests": len(called),
        "lost": outcome.lost,
        "duplicated": outcome.duplicated,
        "reordered": outcome.reordered,
        "p50 ms": round(percentile(called, 0.5) * 1e3, 3),
        "p99 ms": round(percentile(called, 0.99) * 1e3, 3),
        "max ms": round(called[-1] * 1e3, 2),
        "due p50 ms": round(percentile(due, 0.5) * 1e3, 2),
        "due p99 ms": round(percentile(due, 0.99) * 1e3, 2),
        "due max ms": round(due[-1] * 1e3, 2),
    }
    if down:
        figures |= {
            "reloads": len(down),
            "rolled back": sum(report.rolled_back for report in outcome.reports),
            "leaks": sum(bool(report.leaks) for report in outcome.reports),
            "reload p50 ms": round(percentile(sorted(report.duration_ms for report in outcome.reports), 0.5), 2),
            "downtime p50 ms": round(percentile(down, 0.5), 3),
            "downtime max ms": round(down[-1], 2),
        }
    return figures


async def measure(quick: bool) -> Result:
    count = 20_000 if quick else 1_000_000
    sys.dont_write_bytecode = True
    rows: list[Row] = []
    with scratch() as folder:
        project = write_project(folder, ["echo"], code=CHECKER)
        for what, messages, reloads in (
            ("no reload", count // 10, False),
            ("a reload every 50 ms", count, True),
        ):
            async with ModuleSystem({"state_dir": str(folder / "state"), "index": False}) as system:
                await system.load("echo", source=project)
                outcome = await drive(system, messages, reloads=reloads)
                rows.append(row(what, outcome))
    budgets: list[Budget] = [
        at_most(f"{what} of {outcome.sent:,} messages over {len(outcome.reports):,} reloads", number, 0, "messages")
        for what, number in (
            ("lost", outcome.lost), ("duplicated", outcome.duplicated), ("reordered", outcome.reordered),
        )
    ]  # fmt: skip
    return Result(rows=rows, budgets=budgets)


def run(quick: bool) -> Result:
    return asyncio.run(measure(quick))


if __name__ == "__main__":
    main(run)
