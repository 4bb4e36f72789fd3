"""One request after the other, from the program to an idle native module and back.

`hostcore request` is the whole of `ModuleSystem.request`: address, permission check, deadline, envelope, encoding,
the guarded call of the handler, and decoding.  The peers hand the same object over as it is: an asyncio queue with a
future for each reply, once more with hostcore's codec both ways, a pluggy call without any actor, and a Pykka actor.
The codec alone is also shown: what a request would take without it is the difference.
All run in turns, in short blocks, in one process; times are in microseconds.
"""

from __future__ import annotations

import asyncio

import pykka
from harness import Result, at_least, at_most, main, scratch, timing
from sites import ASYNC_ECHO, write_project

from hostcore import ModuleSystem
from hostcore.cli.bench.measuring import calls, in_turns
from hostcore.cli.bench.peers import PluggyEcho, queue_echo
from hostcore.messaging.wire import decode_raw, encode_raw

TITLE = "Request round trip"
PAYLOAD = {"path": "a.py", "lines": [1, 2, 3], "text": "x" * 64}


class Actor(pykka.ThreadingActor):
    def on_receive(self, message: object) -> object:
        return message


async def measure(seconds: float) -> Result:
    with scratch() as folder:
        sync = write_project(folder / "sync", ["echo"])
        asynchronous = write_project(folder / "async", ["async-echo"], code=ASYNC_ECHO)
        actor = Actor.start()
        try:
            async with ModuleSystem({"state_dir": str(folder)}) as system, queue_echo() as queue:
                await system.load("echo", source=sync)
                await system.load("async-echo", source=asynchronous)
                pluggy = PluggyEcho()

                async def codec() -> object:
                    return decode_raw(encode_raw(decode_raw(encode_raw(PAYLOAD))))

                async def coded_queue() -> object:
                    return decode_raw(encode_raw(await queue.ask(decode_raw(encode_raw(PAYLOAD)))))

                async def ask_pykka() -> object:
                    return actor.ask(PAYLOAD)

                contestants = {
                    "hostcore request": lambda: system.request("echo", PAYLOAD),
                    "hostcore request, async handler": lambda: system.request("async-echo", PAYLOAD),
                    "hostcore request, empty payload": lambda: system.request("echo"),
                    "the codec alone, both ways": codec,
                    "asyncio queue and future": lambda: queue.ask(PAYLOAD),
                    "asyncio queue and future, with the codec": coded_queue,
                    "pluggy call": lambda: pluggy.ask(PAYLOAD),
                    "Pykka ask": ask_pykka,
                }
                found = await in_turns({name: calls(ask) for name, ask in contestants.items()}, seconds)
        finally:
            actor.stop()
    ours = found[0]
    base = ours.p50_us or 1.0
    pykka_p50 = found[-1].p50_us or 0.0
    return Result(
        rows=[timing(entry, **{"p50 ratio": round((entry.p50_us or 0.0) / base, 2)}) for entry in found],
        budgets=[
            at_most("request p50", base, 12, "us"),
            at_most("request p99", ours.p99_us or 0.0, 150, "us"),
            at_least("request p50, times faster than a Pykka ask", pykka_p50 / base, 8, "x"),
        ],
    )


def run(quick: bool) -> Result:
    return asyncio.run(measure(2.0 if quick else 20.0))


if __name__ == "__main__":
    main(run)
