"""The process that the attacks take place in: what it is told on standard input, and what it says of each.

It says one line of JSON for the beginning of each attack, and one for what became of it, so that whoever runs this
knows during which one it died.
"""

from __future__ import annotations

import asyncio
import ctypes
import logging
import os
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any, NoReturn

import msgspec

from hostcore.sdk.isolation import processes
from hostcore.sdk.isolation.attacks import ATTACKS
from hostcore.sdk.isolation.bait import Bait
from hostcore.sdk.isolation.ring import BYSTANDERS, TARGET, Lines, Ring
from hostcore.sdk.isolation.rows import Row
from hostcore.system import ModuleSystem

PROJECTS = Path(__file__).with_name("projects")
_PR_SET_PDEATHSIG = 1
_TALK = ("bus.send:target", "bus.request:target", "bus.send:flood.*")


class Order(msgspec.Struct):
    """What is to be done.

    Attributes:
        attacks: The names of the attacks; in this order.
        folder: A directory to put things into.
        without: Layers of the sandbox that are switched off.
    """

    attacks: list[str]
    folder: str
    without: tuple[str, ...] = ()


class Said(msgspec.Struct, omit_defaults=True):
    """A line of what it says: an attack begins, or a row is there."""

    begins: str = ""
    row: Row | None = None


def main(out: int) -> NoReturn:
    """Do what standard input says; `out` is the descriptor to tell of it."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    processes.adopt_orphans()
    order = msgspec.json.decode(sys.stdin.buffer.read(), type=Order)
    with open(out, "wb", buffering=0) as stream:  # noqa: PTH123 - a descriptor
        asyncio.run(_run(order, lambda said: stream.write(msgspec.json.encode(said) + b"\n")))
    processes.end_all(os.getpid())
    os._exit(0)


async def _run(order: Order, say: Any) -> None:
    _weaken(order.without)
    lines = _listen()
    folder = Path(order.folder)
    bait = Bait(Path(tempfile.mkdtemp(prefix="bait-", dir=folder)), (PROJECTS / "hostile", Path(__file__).parents[2]))
    try:
        async with ModuleSystem(_settings(folder)) as system:
            ring = Ring(system, bait, lines, str(PROJECTS / "hostile"))
            await _prepare(system, ring)
            by_name = {attack.name: attack for attack in ATTACKS}
            for name in order.attacks:
                say(Said(begins=name))
                say(Said(row=await ring.run(by_name[name])))
    finally:
        bait.close()


def _settings(folder: Path) -> dict[str, Any]:
    return {
        "name": "isolation-test", "state_dir": str(folder / "state"), "handler_timeout": 2.0,
        "load_timeout": 10.0, "worker": {"grace": 0.1},
        "policy": {
            "default": "deny",
            "grants": {"hostile-sender": list(_TALK), TARGET: ["bus.subscribe:flood.*"]},
        },
    }  # fmt: skip


async def _prepare(system: ModuleSystem, ring: Ring) -> None:
    """Load the bystanders, and have all that comes up late come up before anything is measured."""
    for kind, name in [*BYSTANDERS.items(), ("native", TARGET)]:
        await system.load(name, source=PROJECTS / "bystander", isolation=kind)
        for _ in range(20):
            await system.request(name, {"token": 0}, topic="hello")
    for isolation in ("native", "worker"):
        await system.load("hostile", source=PROJECTS / "hostile", isolation=isolation)
        await system.reload("hostile", strict=True)
        await system.unload("hostile")
    zygote = next(iter(processes.below(os.getpid())))
    (bystander,) = processes.below(zygote)
    await ring.settle(bystander)


def _listen() -> Lines:
    lines = Lines()
    log = logging.getLogger("hostcore.module")
    log.addHandler(lines)
    log.setLevel(logging.INFO)
    log.propagate = False
    return lines


def _weaken(without: tuple[str, ...]) -> None:
    from hostcore.hosts.worker.host import WorkerHost

    WorkerHost.layers = tuple(layer for layer in WorkerHost.layers if layer not in without)
