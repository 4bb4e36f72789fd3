"""Where an attack takes place: a system with two bystanders, and all that is looked at before, meanwhile and after.

Whatever an attack is, the same must hold after it: the bystanders have answered every request, the host answers, what
must not be reached was not, and nothing of the module is left.  How it was contained is the play's own to say.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from hostcore.errors import HostcoreError, UnknownModuleError
from hostcore.sdk.isolation import processes
from hostcore.sdk.isolation.guests import write_guest
from hostcore.sdk.isolation.rows import CONTAINED, THROUGH, UNTRIED, Latency, Row
from hostcore.sdk.isolation.steady import Steady

if TYPE_CHECKING:
    from pathlib import Path

    from hostcore.sdk.isolation.bait import Bait
    from hostcore.system import ModuleSystem

BYSTANDERS = {"native": "bystander-native", "worker": "bystander-worker"}
TARGET = "target"
"""The module that is flooded and lied to, which is no bystander."""
_KEPT = 5_000
_PATIENCE = 20.0
"""Seconds for what ought to come."""


class Through(Exception):
    """It was not contained; the text says what it did."""


class Untried(Exception):
    """It could not be tried here; the text says why."""


class Attack(NamedTuple):
    """One attack.

    Attributes:
        name: Its name, and that of what the hostile module does.
        tried: What it does, in a few words.
        play: Has it done, and returns how it was contained; raises Through if it was not.
        module: Which of the hostile modules; with a name of its own each has other permissions.
        isolation: What it runs in.
        limits: Its limits, besides those of every attack.
        in_hook: What it does in a hook, if that is where it attacks.
        act: What the module does, if that is not what the attack is called.
    """

    name: str
    tried: str
    play: Callable[[Ring, Attack], Awaitable[str]]
    module: str = "hostile"
    isolation: str = "worker"
    limits: Mapping[str, Any] = {}
    in_hook: str = ""
    act: str = ""


class Subject(NamedTuple):
    """The module that is attacked with, or that is tried.

    Attributes:
        source: Where it is, if it is not installed.
        limits: Its limits in all attacks.
        options: Those that it is loaded with.
        obeys: It is the hostile one, and does what the option `in_hook` and messages say.
        isolation: What it runs in, whatever the attack says; None: as configured.
    """

    source: str | None
    limits: Mapping[str, Any]
    options: Mapping[str, Any] = {}
    obeys: bool = True
    isolation: str | None = None


class Lines(logging.Handler):
    """Keeps what modules log, as far as it is not too much."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.count = 0
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Take a line."""
        self.count += 1
        if len(self.texts) < _KEPT:
            self.texts.append(record.getMessage())

    def clear(self) -> None:
        """Forget all."""
        self.count = 0
        self.texts.clear()


class Ring:
    """Runs one attack after the other.

    Attributes:
        system: The host.
        lines: What was logged during the attack.
        quick: Whatever is done often is done less often.
        pid: The process of the module that attacks; 0 if it has none of its own.
        base: The most memory that the process has had before the attack.
    """

    def __init__(
        self, system: ModuleSystem, bait: Bait, lines: Lines, subject: Subject, folder: Path, *,
        quick: bool = False,
    ) -> None:  # fmt: skip
        self.system, self.bait, self.lines, self.quick = system, bait, lines, quick
        self.pid = self.base = 0
        self._subject, self._folder = subject, folder
        self._known: dict[int, str] = {}
        self._siblings = 0
        self._replies: list[str] = []

    async def settle(self, siblings: int) -> None:
        """Take note of what belongs here, after all is loaded that is to stay: the bystander's process is one."""
        self._siblings = siblings
        self._known = await asyncio.to_thread(processes.below, os.getpid())

    # --- for plays ---------------------------------------------------------------------------------------------

    async def load(self, attack: Attack) -> None:
        """Load the module that the attack is about."""
        subject = self._subject
        guest = subject.obeys and attack.isolation.startswith("wasm")
        source = write_guest(attack.name, self._folder) if guest else subject.source
        info = await self.system.load(
            attack.module, source=source, isolation=attack.isolation if subject.obeys else subject.isolation,
            config={"in_hook": attack.in_hook} if subject.obeys else subject.options,
            limits={**subject.limits, **attack.limits},
        )  # fmt: skip
        new = (await asyncio.to_thread(processes.below, os.getpid())).keys() - self._known.keys()
        self.pid = max(new, default=0) if "worker" in info.host else 0
        self.base = processes.bytes_of(self.pid, "VmRSS") if self.pid else 0

    async def ask(self, attack: Attack, act: str | None = None, timeout: float = 10.0, **facts: Any) -> Any:
        """Have the module do what the attack says, or `act`; return its reply."""
        told = {
            **self.bait.facts(), "host": os.getpid(), "sibling": self._siblings,
            "target": TARGET, **facts, "act": (attack.act or attack.name) if act is None else act,
        }  # fmt: skip
        reply = await self.system.request(attack.module, told, topic="attack", timeout=timeout)
        self._replies.append(repr(reply)[:100_000])
        return reply

    async def failure(self, attack: Attack, act: str | None = None, timeout: float = 10.0) -> HostcoreError:
        """Have it done, and return the error that it came to."""
        try:
            reply = await self.ask(attack, act, timeout)
        except HostcoreError as error:
            self._replies.append(str(error))
            return error
        raise Through(f"it was answered with {reply!r:.80}, and with no error")

    async def gone(self) -> None:
        """Wait until the module's process is gone."""
        limit = time.monotonic() + _PATIENCE
        while processes.status(self.pid).get("State", "X")[0] not in "XZ":
            if time.monotonic() > limit:
                raise Through(f"its process {self.pid} is still there")
            await asyncio.sleep(0.01)

    async def alive(self, attack: Attack) -> None:
        """Make sure that the module goes on as if nothing had happened."""
        try:
            await self.ask(attack, "")
        except HostcoreError as error:
            raise Through(f"the module answers no more: {error.code} {error.message}") from None

    # --- one attack --------------------------------------------------------------------------------------------

    async def run(self, attack: Attack) -> Row:
        """Run an attack, and look at all that must hold during it and after."""
        began = time.perf_counter()
        self._replies.clear()
        self.lines.clear()
        self.pid = self.base = 0
        before = processes.descriptors()
        watched = {kind: Steady(self.system, name, quick=self.quick) for kind, name in BYSTANDERS.items()}
        verdict, how = await self._play(attack)
        await self._unload(attack)
        measured = {kind: await steady.end() for kind, steady in watched.items()}
        wrong = [*self._spilt(), *(text for steady in watched.values() for text in steady.wrong[:1])]
        wrong += [text async for text in self._left(before)]
        if wrong:
            verdict, how = THROUGH, "; ".join([how, *wrong] if verdict == THROUGH else wrong)
        return self._row(attack, verdict, how, began, measured)

    def _row(self, attack: Attack, verdict: str, how: str, began: float, measured: dict[str, Latency]) -> Row:
        seconds = round(time.perf_counter() - began, 3)
        return Row(attack.name, attack.tried, attack.isolation, verdict, how, seconds, measured)

    async def _play(self, attack: Attack) -> tuple[str, str]:
        try:
            return CONTAINED, await attack.play(self, attack)
        except Untried as exc:
            return UNTRIED, str(exc)
        except Through as exc:
            return THROUGH, str(exc)
        except HostcoreError as error:
            return THROUGH, f"what was not expected: {error.code} {error.message}"

    async def _unload(self, attack: Attack) -> None:
        with contextlib.suppress(UnknownModuleError):
            await self.system.unload(attack.module, force=True)

    def _spilt(self) -> Iterator[str]:
        """Yield what the module has reached."""
        secret = self.bait.secret
        if any(secret in text for text in (*self._replies, *self.lines.texts)):
            yield "it has read the secret"
        yield from self.bait.touched()

    async def _left(self, before: int) -> Any:
        """Yield what is left of the module."""
        limit = time.monotonic() + _PATIENCE
        while left := await self._strays():
            if time.monotonic() > limit:
                yield f"processes are left of it: {left}"
                for pid in left:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, 9)
                break
            await asyncio.sleep(0.02)
        missing = self._known.keys() - (await asyncio.to_thread(processes.below, os.getpid())).keys()
        if missing:
            yield f"processes are gone that are not its own: {[self._known[pid] for pid in missing]}"
        while (now := processes.descriptors()) > before + 2:
            if time.monotonic() > limit:
                yield f"{now - before} descriptors are left open"
                break
            await asyncio.sleep(0.02)

    async def _strays(self) -> dict[int, str]:
        found = await asyncio.to_thread(processes.below, os.getpid())
        return {pid: name for pid, name in found.items() if pid not in self._known}
