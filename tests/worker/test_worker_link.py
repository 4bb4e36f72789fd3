"""A side that asks and does not take its answers costs the other little; one that waits is not held back."""

from __future__ import annotations

import asyncio
import os
import socket

from support.modules import ModuleWriter
from system.support import running, soon, until
from worker.puppet import PUPPET, pid_of, run

from hostcore import errors
from hostcore.hosts.worker.frames import CALL, HEADER, Frame, pack
from hostcore.hosts.worker.link import Link

LARGE = bytes(1_000_000)


class Generous:
    """Answers each call with much, at once or when told to."""

    def __init__(self, at_once: bool) -> None:
        self.calls: list[int] = []
        self.reason = ""
        self._at_once = at_once

    def called(self, link: Link, frame: Frame) -> None:
        self.calls.append(frame.number)
        if self._at_once:
            link.reply(frame.number, LARGE)

    def cancelled(self, number: int) -> None:
        raise AssertionError

    def told(self, frame: Frame) -> None:
        raise AssertionError

    def closed(self, reason: str) -> None:
        self.reason = reason


async def linked(answers: Generous, most: int) -> tuple[Link, socket.socket]:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    _, link = await asyncio.get_running_loop().create_unix_connection(lambda: Link(answers, 10_000, most), sock=ours)
    theirs.setblocking(False)
    return link, theirs


async def test_asks_and_does_not_listen() -> None:
    """Nothing more is read while answers lie there, and all of it once they are taken."""
    answers = Generous(at_once=True)
    link, theirs = await linked(answers, 10 * len(LARGE))
    theirs.sendall(b"".join(pack(Frame(CALL, number, "x")) for number in range(1, 21)))
    await until(lambda: answers.calls)
    for _ in range(100):
        await asyncio.sleep(0)
    assert answers.calls == [1]
    taken = 0
    while taken < 20 * (len(LARGE) + HEADER.size):
        taken += len(await soon(asyncio.get_running_loop().sock_recv(theirs, 1 << 20)))
    assert answers.calls == list(range(1, 21))
    link.close("the test is over")
    theirs.close()


async def test_leaves_its_answers_lying() -> None:
    """A side that had asked for more than may lie there is closed."""
    answers = Generous(at_once=False)
    link, theirs = await linked(answers, 10 * len(LARGE))
    theirs.sendall(b"".join(pack(Frame(CALL, number, "x")) for number in range(1, 21)))
    await until(lambda: len(answers.calls) == 20)
    for number in answers.calls:
        link.reply(number, LARGE)
    assert answers.reason == link.reason == "asked for more than it takes"
    theirs.close()


async def test_waiting_is_not_slowed_down(write: ModuleWriter) -> None:
    """A worker that only waited past a caller's deadline runs as before; an ordinary user could not take that back."""
    async with running(worker={"grace": "10ms"}) as system:
        await system.load("puppet", source=write(PUPPET, "puppet"), isolation="worker")
        pid = await pid_of(system)
        try:
            await run(system, "await asyncio.sleep(0.3)", timeout=0.01)
        except errors.DeadlineError:
            pass
        assert await run(system, "return 1") == 1  # once that has ended
        assert os.sched_getscheduler(pid) == os.SCHED_OTHER
