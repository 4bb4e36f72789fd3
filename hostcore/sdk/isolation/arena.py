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
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NoReturn

import msgspec

from hostcore.errors import HostcoreError
from hostcore.sdk.isolation import processes
from hostcore.sdk.isolation.attacks import ATTACKS, LIMITS
from hostcore.sdk.isolation.bait import Bait
from hostcore.sdk.isolation.guests import write_guest
from hostcore.sdk.isolation.places import PROJECTS, Trial, attack_config, trial_config
from hostcore.sdk.isolation.ring import BYSTANDERS, TARGET, Attack, Lines, Ring, Subject
from hostcore.sdk.isolation.rows import Row
from hostcore.sdk.isolation.trials import subject, trials
from hostcore.system import ModuleSystem

_PR_SET_PDEATHSIG = 1


class Order(msgspec.Struct):
    """What is to be done.

    Attributes:
        attacks: The names of the attacks; in this order.
        folder: A directory to put things into.
        without: Layers of the sandbox that are switched off.
        quick: Whatever is done often is done less often.
        trial: The module that is tried; None: the built-in attacks.
    """

    attacks: list[str]
    folder: str
    without: tuple[str, ...] = ()
    quick: bool = False
    trial: Trial | None = None


class Said(msgspec.Struct, omit_defaults=True):
    """A line of what it says: an attack begins, a row is there, or nothing can be tried, and why."""

    begins: str = ""
    row: Row | None = None
    error: str = ""


Say = Callable[[Said], object]


def main(out: int) -> NoReturn:
    """Do what standard input says; `out` is the descriptor to tell of it."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    processes.adopt_orphans()
    order = msgspec.json.decode(sys.stdin.buffer.read(), type=Order)
    with open(out, "wb", buffering=0) as stream:
        asyncio.run(_run(order, lambda said: stream.write(msgspec.json.encode(said) + b"\n")))
    processes.end_all(os.getpid())
    os._exit(0)


async def _run(order: Order, say: Say) -> None:
    _weaken(order.without)
    lines = _listen()
    folder = Path(order.folder)
    code = (PROJECTS / "hostile", Path(__file__).parents[2])
    bait = Bait(Path(tempfile.mkdtemp(prefix="bait-", dir=folder)), () if order.trial else code)
    trial = order.trial
    config = attack_config(folder) if trial is None else trial_config(trial, folder)
    whom = Subject(str(PROJECTS / "hostile"), LIMITS) if trial is None else subject(trial)
    try:
        async with ModuleSystem(config) as system:
            ring = Ring(system, bait, lines, whom, folder, quick=order.quick)
            attacks = await _prepare(system, ring, trial, order.folder)
            for name in order.attacks:
                say(Said(begins=name))
                say(Said(row=await ring.run(attacks[name])))
    except HostcoreError as error:
        say(Said(error=str(error)))
    finally:
        bait.close()


async def _prepare(system: ModuleSystem, ring: Ring, trial: Trial | None, folder: str) -> Mapping[str, Attack]:
    """Load the bystanders, have all that comes up late come up before anything is measured; return the attacks."""
    for kind, name in [*BYSTANDERS.items(), ("native", TARGET)]:
        await system.load(name, source=PROJECTS / "bystander", isolation=kind)
        for _ in range(20):
            await system.request(name, {"token": 0}, topic="hello")
    (zygote,) = processes.below(os.getpid()).keys() & processes.children(os.getpid())
    (bystander,) = processes.below(zygote)
    if trial is None:
        for isolation in ("native", "worker"):
            await system.load("hostile", source=PROJECTS / "hostile", isolation=isolation)
            await system.reload("hostile", strict=True)
            await system.unload("hostile")
        await system.load("hostile", source=write_guest("wasm-trap", Path(folder)), isolation="wasm")
        await system.unload("hostile")
        attacks: Mapping[str, Attack] = ATTACKS
    else:
        info = await system.load(
            trial.name, source=trial.source, isolation=trial.isolation, config=trial.options
        )  # fmt: skip
        await system.unload(trial.name, force=True)  # what it requires stays
        attacks = trials(trial.name, info.host)
    await ring.settle(bystander)
    return attacks


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
