"""How many messages a second one core moves.

`send` counts until the last message is handled, not only put into the mailbox (1,024 places, like the asyncio queue's).
Saturated requests come from 50 clients, each of which asks again as soon as it has its reply; their times are mostly
waiting for each other.  A Pykka tell is counted until the actor has handled the last one.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import pykka
from harness import Result, at_least, main, scratch, timing
from sites import write_project

from hostcore import ModuleSystem
from hostcore.cli.bench.measuring import Block, Sample, in_turns, stream
from hostcore.cli.bench.peers import queue_echo

TITLE = "Throughput"
CLIENTS = 50
PAYLOAD = {"path": "a.py", "lines": [1, 2, 3], "text": "x" * 64}


class Actor(pykka.ThreadingActor):
    def on_receive(self, message: object) -> object:
        return message


def saturated(ask: Callable[[int], Awaitable[object]]) -> Block:
    async def client(number: int, end: float, times: list[int]) -> None:
        clock = time.perf_counter_ns
        while time.perf_counter() < end:
            start = clock()
            await ask(number)
            times.append(clock() - start)

    async def block(seconds: float) -> Sample:
        times: list[int] = []
        began = time.perf_counter()
        async with asyncio.TaskGroup() as clients:
            for number in range(CLIENTS):
                clients.create_task(client(number, began + seconds, times))
        return Sample(time.perf_counter() - began, len(times), times)

    return block


async def measure(seconds: float) -> Result:
    names = [f"echo-{number}" for number in range(CLIENTS)]
    with scratch() as folder:
        project = write_project(folder / "echo", names)
        actor = Actor.start()
        try:
            async with ModuleSystem({"state_dir": str(folder)}) as system, queue_echo() as queue:
                for name in names:
                    await system.load(name, source=project)

                async def tell_pykka() -> None:
                    actor.tell(PAYLOAD)

                async def ask_pykka() -> object:
                    return actor.ask(PAYLOAD)

                contestants = {
                    "hostcore send": stream(
                        lambda: system.send("echo-0", PAYLOAD), lambda: system.request("echo-0", PAYLOAD)
                    ),
                    "hostcore requests, 50 clients, 1 module": saturated(lambda _: system.request("echo-0", PAYLOAD)),
                    "hostcore requests, 50 clients, 50 modules": saturated(
                        lambda number: system.request(names[number], PAYLOAD)
                    ),
                    "asyncio queue, no reply": stream(lambda: queue.tell(PAYLOAD), lambda: queue.ask(PAYLOAD)),
                    "asyncio queue and future, 50 clients": saturated(lambda _: queue.ask(PAYLOAD)),
                    "Pykka tell": stream(tell_pykka, ask_pykka),
                }
                found = await in_turns(contestants, seconds)
        finally:
            actor.stop()
    send, one, many = found[:3]
    return Result(
        rows=[timing(entry) for entry in found],
        budgets=[
            at_least("send, native, one core", send.per_second, 150_000, "/s"),
            at_least("saturated requests, 1 module", one.per_second, 80_000, "/s"),
            at_least("saturated requests, 50 modules", many.per_second, 80_000, "/s"),
        ],
    )


def run(quick: bool) -> Result:
    return asyncio.run(measure(2.5 if quick else 20.0))


if __name__ == "__main__":
    main(run)
