"""Taking times.

Contestants run in turns, in many short blocks, so that what else the machine does hits all alike; a fresh garbage
collection stands before each block, and the collector stays on.  The clock is read twice a call (about 0.1 us).
"""

from __future__ import annotations

import gc
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence

import msgspec

Ask = Callable[[], Awaitable[object]]
Block = Callable[[float], Awaitable["Sample"]]
"""Runs for about so many seconds."""


class Sample(msgspec.Struct):
    """What one block gave: the nanoseconds of each call, or only how many there were, in how many seconds."""

    seconds: float
    count: int
    nanoseconds: list[int] = []


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """The figures of one contestant.

    Attributes:
        name: Who.
        count: How many calls were measured.
        per_second: Calls a second.
        p50_us: The median time of one call, in microseconds; None where only the rate was measured.
        p99_us: The 99th percentile.
        p999_us: The 99.9th percentile.
    """

    name: str
    count: int
    per_second: float
    p50_us: float | None = None
    p99_us: float | None = None
    p999_us: float | None = None


def percentile(ordered: Sequence[float], share: float) -> float:
    """Return the value below which `share` (0 to 1) of the sorted, non-empty `ordered` lies."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def calls(ask: Ask) -> Block:
    """Return a block that asks again and again, one call after the other, and times each."""

    async def block(seconds: float) -> Sample:
        clock, times = time.perf_counter_ns, []
        began = now = clock()
        end = began + int(seconds * 1e9)
        while now < end:
            start = clock()
            await ask()
            now = clock()
            times.append(now - start)
        return Sample((now - began) / 1e9, len(times), times)

    return block


def stream(push: Ask, settle: Ask, batch: int = 256) -> Block:
    """Return a block that pushes again and again and then waits, once, for all of it to be handled: a rate."""

    async def block(seconds: float) -> Sample:
        count = 0
        began = time.perf_counter()
        while time.perf_counter() - began < seconds:
            for _ in range(batch):
                await push()
            count += batch
        await settle()
        return Sample(time.perf_counter() - began, count)

    return block


async def in_turns(contestants: Mapping[str, Block], seconds: float, rounds: int = 10) -> list[Figures]:
    """Run all contestants in turns, `seconds` in all, and return the figures of each, in their order."""
    each = seconds / rounds / len(contestants)
    samples: dict[str, list[Sample]] = {name: [] for name in contestants}
    names = list(contestants)
    for turn in range(rounds):
        shift = turn % len(names)
        for name in names[shift:] + names[:shift]:  # nobody is always first
            gc.collect()
            samples[name].append(await contestants[name](each))
    return [figures(name, samples[name]) for name in names]


def figures(name: str, samples: Sequence[Sample]) -> Figures:
    """Return the figures of all blocks of one contestant."""
    count = sum(sample.count for sample in samples)
    seconds = sum(sample.seconds for sample in samples)
    times = sorted(ns / 1000 for sample in samples for ns in sample.nanoseconds)
    if not times:
        return Figures(name=name, count=count, per_second=round(count / seconds, 1))
    p50, p99, p999 = (round(percentile(times, share), 2) for share in (0.5, 0.99, 0.999))
    return Figures(name=name, count=count, per_second=round(count / seconds, 1), p50_us=p50, p99_us=p99, p999_us=p999)
