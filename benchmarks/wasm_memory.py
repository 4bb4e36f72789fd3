"""Memory over 10,000 loads and unloads of a WebAssembly module: the process after each 1,000 of them.

A core module and a component in C, each in a process of its own.  Each time the code is read from the cache anew, a
guest made, asked once, and all of it dropped.  RSS is the resident set; the address space (VmSize) would show a store
that was not freed, each of which reserves 4 GiB.  Growth is the difference between the last reading and the one after
the first tenth.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import msgspec
import wasm_guests as guests
from harness import Budget, Cell, Result, at_most, main, scratch

from hostcore import ModuleSystem

TITLE = "WebAssembly: memory over 10,000 loads and unloads"
KINDS = ("core", "component")


class Reading(msgspec.Struct):
    """The process after so many loads and unloads."""

    done: int
    rss_mb: float
    size_gb: float


def reading(done: int) -> Reading:
    lines = Path("/proc/self/status").read_text().splitlines()
    sizes = {
        name: int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in lines) if name[:2] == "Vm"
    }
    return Reading(done, round(sizes["VmRSS"] / 2**10, 2), round(sizes["VmSize"] / 2**20, 3))


async def cycles(kind: str, times: int) -> list[Reading]:
    path, data, readings = guests.guest(kind), guests.payload(1024), list[Reading]()
    with scratch() as folder:
        async with ModuleSystem({"state_dir": str(folder), "index": False}) as system:
            for done in range(1, times + 1):
                await system.load("m", source=path)
                await system.request("m", data, topic="echo")
                left = await system.unload("m")
                if left:
                    raise RuntimeError(f"unload {done} left {left[0]} alive")
                if done % (times // 10) == 0:
                    readings.append(reading(done))
    return readings


def in_child(kind: str, times: int) -> list[Reading]:
    command = [sys.executable, __file__, "--child", kind, str(times)]
    return msgspec.json.decode(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout, type=list[Reading])


def run(quick: bool) -> Result:
    times = 200 if quick else 10_000
    rows: list[dict[str, Cell]] = []
    budgets: list[Budget] = []
    curves = {}
    for kind in KINDS:
        readings = in_child(kind, times)
        rows += [
            {"what": kind, "loads": each.done, "RSS MB": each.rss_mb, "VmSize GB": each.size_gb} for each in readings
        ]
        more = readings[-1].rss_mb - readings[0].rss_mb
        budgets.append(at_most(f"RSS growth in {times:,} loads and unloads, {kind}", more, 2, "MB"))
        curves["wasm-rss"] = [(float(each.done), each.rss_mb) for each in readings]  # the last kind's
    return Result(rows=rows, budgets=budgets, curves=curves)


if __name__ == "__main__":
    guests.share_compiled()
    if sys.argv[1:2] == ["--child"]:
        print(msgspec.json.encode(asyncio.run(cycles(sys.argv[2], int(sys.argv[3])))).decode())
    else:
        main(run)
