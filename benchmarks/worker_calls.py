"""One request after the other to a module in a worker process that answers with what it is sent: 100 B to 1 MB.

The whole of `ModuleSystem.request`: address, permission, deadline, encoding, the way to the other process, the guarded
handler there, and back.  `wasm+worker` is a core guest in a worker; `native` the same module in the program's process.

The peers carry the same bytes: `anyio.to_process`, which calls a function in a worker, `multiprocessing` by pipe and
pickle, asked from the event loop, and a bare pair of sockets between two processes, which is the floor.  All run in
turns, in short blocks, in one process.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import socket
from collections.abc import Awaitable, Callable
from multiprocessing.connection import Connection
from typing import Any

import anyio.to_process
import wasm_guests as guests
from harness import Cell, Result, at_most, main, scratch
from sites import write_project

from hostcore import ModuleSystem
from hostcore.cli.bench.measuring import Figures, calls, in_turns

TITLE = "Worker processes: calls"
SIZES = {"100 B": 100, "1 KB": 1024, "10 KB": 10 * 1024, "100 KB": 100 * 1024, "1 MB": 1024**2}
Ask = Callable[[], Awaitable[object]]


def same(value: Any) -> Any:
    return value


def answer_pipe(connection: Connection) -> None:
    while True:
        connection.send(connection.recv())


def answer_socket(connection: socket.socket, size: int) -> None:
    while data := connection.recv(size, socket.MSG_WAITALL):
        connection.sendall(data)
    os._exit(0)


class Pipe:
    """`multiprocessing` with a pipe; the event loop is told when an answer is there."""

    def __init__(self) -> None:
        ours, theirs = multiprocessing.Pipe()
        self._connection = ours
        self._process = multiprocessing.get_context("fork").Process(target=answer_pipe, args=(theirs,), daemon=True)
        self._process.start()

    async def ask(self, value: Any) -> Any:
        loop = asyncio.get_running_loop()
        ready = loop.create_future()
        loop.add_reader(self._connection, ready.set_result, None)
        try:
            self._connection.send(value)
            await ready
        finally:
            loop.remove_reader(self._connection)
        return self._connection.recv()

    def close(self) -> None:
        self._process.kill()
        self._process.join()


class Bare:
    """A pair of sockets: bytes there and back, nothing else."""

    def __init__(self, size: int) -> None:
        self._ours, theirs = socket.socketpair()
        self._size = size
        self._pid = os.fork()
        if not self._pid:
            self._ours.close()
            answer_socket(theirs, size)
        theirs.close()

    async def ask(self, data: bytes) -> bytes:
        self._ours.sendall(data)
        return self._ours.recv(self._size, socket.MSG_WAITALL)

    def close(self) -> None:
        self._ours.close()
        os.waitpid(self._pid, 0)


def asks(system: ModuleSystem, pipe: Pipe, bare: Bare, size: int) -> dict[str, Ask]:
    data = bytes(size)
    text = guests.payload(size)
    found: dict[str, Ask] = {
        "worker": lambda: system.request("worker", data),
        "native": lambda: system.request("native", data),
        "anyio.to_process": lambda: anyio.to_process.run_sync(same, data),
        "multiprocessing pipe": lambda: pipe.ask(data),
    }
    if size <= 10 * 1024:  # what is larger than the sockets' buffers would have to be read and written in turns
        found["bare sockets"] = lambda: bare.ask(data)
        found["wasm+worker"] = lambda: system.request("guest", text, topic="echo")
    return found


async def saturated(system: ModuleSystem, seconds: float) -> float:
    """Return how many requests a second 64 clients get answered, of 16 workers."""
    loop, done = asyncio.get_running_loop(), 0
    until = loop.time() + seconds
    data = bytes(100)

    async def client(name: str) -> None:
        nonlocal done
        while loop.time() < until:
            await system.request(name, data)
            done += 1

    names = [f"many-{number}" for number in range(16)]
    await asyncio.gather(*(client(name) for name in names for _ in range(4)))
    return done / seconds


async def measure(seconds: float) -> Result:
    pipe = Pipe()
    rows: list[dict[str, Cell]] = []
    found: dict[str, dict[str, Figures]] = {}
    with scratch() as folder:
        source = write_project(folder / "modules", ["worker", "native", *(f"many-{n}" for n in range(16))])
        async with ModuleSystem({"state_dir": str(folder), "policy": {"default": "allow"}}) as system:
            await system.load("native", source=source)
            await system.load("worker", source=source, isolation="worker")
            await system.load("guest", source=guests.guest("core"), isolation="wasm+worker")
            for label, size in SIZES.items():
                bare = Bare(size)
                contestants = {name: calls(ask) for name, ask in asks(system, pipe, bare, size).items()}
                found[label] = {each.name: each for each in await in_turns(contestants, seconds)}
                bare.close()
            for number in range(16):
                await system.load(f"many-{number}", source=source, isolation="worker")
            many = await saturated(system, seconds)
    pipe.close()
    for name in ("worker", "wasm+worker", "native", "multiprocessing pipe", "anyio.to_process", "bare sockets"):
        row: dict[str, Cell] = {"what": name}
        for label, figures in found.items():
            if name in figures:
                row |= {f"{label}: p50 us": figures[name].p50_us, f"{label}: p99 us": figures[name].p99_us}
        rows.append(row)
    rows.append({"what": "16 workers, 64 clients, 100 B", "a second": round(many)})
    mine = found["1 KB"]["worker"]
    assert mine.p50_us is not None
    assert mine.p99_us is not None
    budgets = [
        at_most("request to a worker, 1 KB, p50", mine.p50_us, 250, "us"),
        at_most("request to a worker, 1 KB, p99", mine.p99_us / 1000, 2, "ms"),
    ]
    return Result(rows=rows, budgets=budgets)


def run(quick: bool) -> Result:
    guests.share_compiled()
    return asyncio.run(measure(0.5 if quick else 4))


if __name__ == "__main__":
    main(run)
