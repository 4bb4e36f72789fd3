"""The faults: everything that is done to the modules of a soak, each at random and several at once.

A fault is a method of `Faults` that takes the module it is done to; `KINDS` says in which tiers, and how often.  What
it does may fail, with a named error; which one is counted.  Whatever ends otherwise, or does not end, is a problem.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from collections.abc import Awaitable
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from soak.clients import Talk
from soak.fleet import FAILING, GUESTS, RELEASES, TIERS, Fleet, Member
from soak.ledger import code_of

import hostcore
from hostcore.contract.lifecycle import DOWN
from hostcore.errors import HostcoreError

BOUND = 60.0
"""Seconds that an operation on a module may take; more is a hang."""
DEADLINE = 2.0
"""Seconds that a request may take which does not end by itself."""
MOVES = {"native": "worker", "worker": "native", "wasm": "wasm+worker", "wasm+worker": "wasm"}


class Kind(NamedTuple):
    """A kind of fault: in which tiers, and how often beside the others."""

    name: str
    weight: float
    tiers: tuple[str, ...] = TIERS


PROCESSES = ("worker", "wasm+worker")
KINDS = (
    Kind("kill", 8, PROCESSES), Kind("kill_busy", 4, PROCESSES), Kind("freeze", 4, PROCESSES),
    Kind("spin", 5), Kind("wait", 3, ("native", "worker")), Kind("chew", 3, ("worker",)), Kind("nap", 2, ("worker",)),
    Kind("stubborn", 1, ("native", "worker")), Kind("grow", 4, ("worker", *GUESTS)),
    Kind("fail", 4, ("native", "worker")), Kind("trap", 4, GUESTS), Kind("leave", 2, ("worker",)),
    Kind("die", 4, ("worker",)), Kind("crash", 2, ("worker",)), Kind("poison", 2, ("worker", "wasm")),
    Kind("talk", 2, ("native", "worker")), Kind("flood", 3),
    Kind("reload", 6), Kind("reload_other", 4), Kind("reload_failing", 5), Kind("reload_kill", 5, PROCESSES),
    Kind("reload_stuck", 2, ("native", "worker")), Kind("rollback", 3), Kind("move", 3),
    Kind("unload", 4), Kind("unload_kill", 3, PROCESSES), Kind("load_kill", 3, PROCESSES), Kind("revive", 3),
    Kind("consent", 4, ("worker",)), Kind("zygote", 1, PROCESSES), Kind("cancel", 4),
)  # fmt: skip


class Faults:
    """Injects faults into the modules of a running system, in an order that the seed alone decides."""

    def __init__(self, system: hostcore.ModuleSystem, fleet: Fleet, talk: Talk, seed: int) -> None:
        self.system, self.fleet, self._talker = system, fleet, talk
        self._random = Random(f"{seed} faults")
        self.done: Counter[str] = Counter()
        self.operations: Counter[tuple[str, str]] = Counter()
        self.hand: dict[asyncio.Task[None], str] = {}

    def inject(self) -> asyncio.Task[None]:
        """Begin with the next fault."""
        random = self._random
        kind = random.choices(KINDS, [kind.weight for kind in KINDS])[0]
        member = random.choice([m for m in self.fleet.members.values() if _can(kind, m)])
        work = getattr(self, f"_{kind.name}", None)
        seed = random.random()
        self.done[kind.name] += 1
        coroutine = work(member.name, Random(seed)) if work is not None else self._say(kind.name, member.name, seed)
        task = asyncio.create_task(self._contained(f"{kind.name} of {member.name}", coroutine))
        self.hand[task] = f"{kind.name} of {member.name}"
        task.add_done_callback(self.hand.pop)
        return task

    async def _contained(self, what: str, work: Awaitable[None]) -> None:
        try:
            await work
        except Exception as exc:
            self._talker.ledger.problem(f"{what} ended with {type(exc).__name__}: {exc}")

    async def _operate(self, what: str, work: Awaitable[Any]) -> Any:
        """Do something with a module; a named error is one of the outcomes that there may be."""
        try:
            async with asyncio.timeout(BOUND) as bound:
                result = await work
        except HostcoreError as exc:
            self.operations[what, code_of(exc)] += 1
            return None
        except TimeoutError:
            if not bound.expired():
                raise
            self.operations[what, "does not end"] += 1
            self._talker.ledger.problem(f"{what} did not end within {BOUND} s")
            return None
        failed = isinstance(result, hostcore.ReloadReport) and result.rolled_back
        self.operations[what, f"rolled back: {result.code or 'unnamed'}" if failed else "done"] += 1
        if failed and not result.code:
            self._talker.ledger.problem(f"{what} was rolled back without a code: {result.reason} {result.traceback}")
        return result

    # --- in the middle of a message ----------------------------------------------------------------------------

    async def _say(self, word: str, name: str, seed: float) -> None:
        """Have a handler do what `word` says, for somebody or for nobody."""
        if seed < 0.3:
            await self._talker.send(name, word, DEADLINE)
        else:
            await self._talker.ask(name, word, 0.3 if seed < 0.5 else DEADLINE)

    async def _poison(self, name: str, random: Random) -> None:
        """Send what kills the module each time."""
        await self._talker.send(name, "trap" if self.fleet.members[name].tier in GUESTS else "die", DEADLINE)

    async def _flood(self, name: str, random: Random) -> None:
        """Send far more than the mailbox takes, at once, while the module may be busy."""
        await asyncio.gather(*(self._talker.send(name, "echo", random.uniform(0.0, 0.5)) for _ in range(200)))

    # --- processes ---------------------------------------------------------------------------------------------

    async def _kill(self, name: str, random: Random) -> None:
        """Kill the process, whatever it is doing."""
        send_signal(process_of(self.system, name), signal.SIGKILL)

    async def _kill_busy(self, name: str, random: Random) -> None:
        """Kill the process while it handles messages."""
        asked = [asyncio.ensure_future(self._talker.ask(name, "echo", DEADLINE)) for _ in range(3)]
        sent = asyncio.ensure_future(self._talker.send(name, "echo", DEADLINE))
        await asyncio.sleep(random.uniform(0, 0.002))
        await self._kill(name, random)
        await asyncio.gather(*asked, sent)

    async def _freeze(self, name: str, random: Random) -> None:
        """Stop the process, for a moment or for longer than anybody waits."""
        pid = process_of(self.system, name)
        send_signal(pid, signal.SIGSTOP)
        try:
            await self._talker.ask(name, "echo", random.choice((0.05, 0.5)))
            await asyncio.sleep(random.uniform(0.0, 0.8))
        finally:
            send_signal(pid, signal.SIGCONT)

    async def _zygote(self, name: str, random: Random) -> None:
        """Kill the process that workers are forked from, and so all of them."""
        send_signal(zygote_of(self.system, self.fleet.members[name].tier), signal.SIGKILL)

    # --- operations, and faults in the middle of them ----------------------------------------------------------

    async def _reload(self, name: str, random: Random) -> None:
        await self._operate("reload", self.system.reload(name, state=random.choice(("current", "last", "fresh"))))

    async def _reload_other(self, name: str, random: Random) -> None:
        source = self.fleet.source(name, random.choice(RELEASES[self.fleet.members[name].tier]))
        await self._operate("reload to another release", self.system.reload(name, source=source))

    async def _reload_failing(self, name: str, random: Random) -> None:
        source = self.fleet.source(name, random.choice(FAILING[self.fleet.members[name].tier]))
        await self._operate("reload to a failing release", self.system.reload(name, source=source))

    async def _reload_kill(self, name: str, random: Random) -> None:
        """Kill the old process, or the new one, in any of the phases of a reload."""
        old = process_of(self.system, name)
        reload = asyncio.ensure_future(self._operate("reload, killed", self.system.reload(name)))
        await asyncio.sleep(random.uniform(0, 0.06))
        young = [pid for pid in self._workers() if pid > old] if random.random() < 0.5 else []
        send_signal(young[-1] if young else old, signal.SIGKILL)
        await reload

    async def _reload_stuck(self, name: str, random: Random) -> None:
        """Replace a copy that is stuck in a message."""
        stuck = asyncio.ensure_future(self._talker.ask(name, "wait", DEADLINE))
        await asyncio.sleep(0)
        await self._operate("reload, stuck", self.system.reload(name, state=random.choice(("last", "fresh"))))
        await stuck

    async def _rollback(self, name: str, random: Random) -> None:
        await self._operate("rollback", self.system.rollback(name))

    async def _move(self, name: str, random: Random) -> None:
        """Move it to the other host that it can run in, or back."""
        there = self.system.modules.get(name)
        if there is not None:
            await self._operate("move", self.system.reload(name, isolation=MOVES[there.host]))

    async def _unload(self, name: str, random: Random) -> None:
        await self._operate("unload", self.system.unload(name, force=True))
        await asyncio.sleep(random.choice((0, 0.05)))
        await self.load(name)

    async def load(self, name: str) -> None:
        """Load a module as it was at first."""
        member = self.fleet.members[name]
        source = self.fleet.source(name)
        await self._operate("load", self.system.load(name, source=source, isolation=member.tier, config=member.config))

    async def _unload_kill(self, name: str, random: Random) -> None:
        """Unload a module whose process dies at that moment, and so perhaps while it is started again."""
        await self._kill(name, random)
        await asyncio.sleep(random.uniform(0, 0.05))
        await self._unload(name, random)

    async def _load_kill(self, name: str, random: Random) -> None:
        """Kill a process while its module is loaded."""
        await self._operate("unload", self.system.unload(name, force=True))
        before = set(self._workers())
        loading = asyncio.ensure_future(self.load(name))
        while not loading.done():
            young = set(self._workers()) - before
            if young:
                await asyncio.sleep(random.uniform(0, 0.02))
                send_signal(max(young), signal.SIGKILL)
                break
            await asyncio.sleep(0.001)
        await loading

    async def _revive(self, name: str, random: Random) -> None:
        down = [name for name, info in self.system.modules.items() if info.state in DOWN]
        name = random.choice(down or [name])
        await self._operate("revive", self.system.revive(name, state=random.choice(("last", "fresh"))))

    async def _consent(self, name: str, random: Random) -> None:
        """Take back some of what a module may do, and give it again."""
        which = random.choice((None, ["kv"], ["env:SOAK_VARIABLE"]))
        await self._operate("revoke", self.system.revoke(name, which))
        await self._operate("grant", self.system.grant(name))
        if name not in self.system.modules:
            await self.load(name)

    async def _cancel(self, name: str, random: Random) -> None:
        """Begin to reload or unload, and give up in the middle of it."""
        work = self.system.reload(name) if random.random() < 0.7 else self.system.unload(name, force=True)
        operation = asyncio.ensure_future(self._operate("cancelled", work))
        await asyncio.sleep(random.uniform(0, 0.05))
        operation.cancel()
        with suppress(asyncio.CancelledError):
            await operation
        if name not in self.system.modules:
            await self.load(name)

    def _workers(self) -> list[int]:
        """Return the processes of modules, those that are loading too."""
        zygotes = [zygote_of(self.system, tier) for tier in PROCESSES]
        return sorted(child for zygote in zygotes if zygote for child in children_of(zygote))


def _can(kind: Kind, member: Member) -> bool:
    return member.tier in kind.tiers and (kind.name != "consent" or member.consents)


# --- processes -----------------------------------------------------------------------------------------------------


def process_of(system: hostcore.ModuleSystem, name: str) -> int:
    """Return the number of a module's process, 0 if it has none of its own at the moment."""
    copy = system.record(name).copy if name in system.modules else None
    process = getattr(copy.instance, "_process", None) if copy is not None else None
    return process.pid if process is not None and not process.ended.done() else 0


def zygote_of(system: hostcore.ModuleSystem, tier: str) -> int:
    """Return the number of the process that a tier's workers are forked from, 0 if there is none."""
    host: Any = system._loader._hosts.get(tier) if system._loader is not None else None
    process = host._nursery._process if host is not None else None
    return process.pid if process is not None else 0


def children_of(pid: int) -> list[int]:
    """Return the processes that a process has started and that still run."""
    try:
        return list(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))
    except OSError:
        return []


def send_signal(pid: int, number: signal.Signals) -> None:
    """Send a signal to a process, if there is one."""
    if pid:
        with suppress(ProcessLookupError):
            os.kill(pid, number)
