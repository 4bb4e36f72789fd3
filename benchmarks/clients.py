"""50 modules, 50 clients, 5,000 requests a second, on a schedule that does not wait for replies.

A request's time runs from the moment at which it was due to the moment of its reply, so a slow reply also shows in
the requests behind it.  The event loop's own timer is too coarse for that (it sleeps whole milliseconds), so the
loop is kept turning between requests.  Request k is sent by client k modulo 50, a task for each, to a module drawn
anew.  The peer is 50 asyncio queues under the same schedule.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

from harness import Result, at_most, main, scratch, timing
from sites import write_project

from hostcore import ModuleSystem
from hostcore.cli.bench.measuring import Block, Sample, in_turns
from hostcore.cli.bench.peers import queue_echo

TITLE = "50 modules, 50 clients, 5,000 requests a second"
COUNT = 50
RATE = 5000
PAYLOAD = {"path": "a.py", "lines": [1, 2, 3], "text": "x" * 64}


def on_schedule(ask: Callable[[int], Awaitable[object]], rate: int = RATE) -> Block:
    async def one(target: int, due: float, times: list[int]) -> None:
        await ask(target)
        times.append(int((time.perf_counter() - due) * 1e9))

    async def block(seconds: float) -> Sample:
        times: list[int] = []
        targets = random.Random(1)
        began = time.perf_counter()
        async with asyncio.TaskGroup() as clients:
            for number in range(int(rate * seconds)):
                due = began + number / rate
                while time.perf_counter() < due:  # noqa: ASYNC110 - it is the clock that is waited for
                    await asyncio.sleep(0)
                clients.create_task(one(targets.randrange(COUNT), due, times))
        return Sample(time.perf_counter() - began, len(times), times)

    return block


async def measure(seconds: float) -> Result:
    names = [f"echo-{number}" for number in range(COUNT)]
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(scratch())
        project = write_project(folder / "echo", names)
        system = await stack.enter_async_context(ModuleSystem({"state_dir": str(folder)}))
        for name in names:
            await system.load(name, source=project)
        queues = [await stack.enter_async_context(queue_echo()) for _ in names]
        contestants = {
            "hostcore request": on_schedule(lambda target: system.request(names[target], PAYLOAD)),
            "asyncio queue and future": on_schedule(lambda target: queues[target].ask(PAYLOAD)),
        }
        found = await in_turns(contestants, seconds)
    return Result(
        rows=[timing(entry) for entry in found],
        budgets=[at_most("p99 of 5,000 requests/s over 50 modules", (found[0].p99_us or 0.0) / 1000, 1, "ms")],
    )


def run(quick: bool) -> Result:
    return asyncio.run(measure(3.0 if quick else 30.0))


if __name__ == "__main__":
    main(run)
