"""Bombs in workers that a single line does not tell: several at once, and what a terminal would obey."""

from __future__ import annotations

import asyncio
import logging

import pytest
from support.modules import ModuleWriter
from system.support import soon, until
from torture.attacks import BY_KEY, load, strike
from torture.conftest import Opened
from worker.puppet import EVERYTHING, PUPPET, run

import hostcore
from hostcore import errors

pytestmark = pytest.mark.usefixtures("attack_folders")


async def test_two_bombs_at_once(opened: Opened) -> None:
    """Workers that take all the memory they may have, at the same time, each get a MemoryError of their own."""
    bomb = BY_KEY["worker: memory bomb"]

    async def first(system: hostcore.ModuleSystem) -> None:
        for name in ("bomb-1", "bomb-2", "bomb-3"):
            await load(system, bomb, name)

    async with opened(first=first) as system:
        found = await soon(asyncio.gather(*(strike(system, bomb, name) for name in ("bomb-1", "bomb-2", "bomb-3"))))
        assert all(isinstance(error, errors.HookError) and error.exception == "MemoryError" for error in found)
        assert [await soon(run_in(system, f"bomb-{number}")) for number in (1, 2, 3)] == [7, 7, 7]


async def run_in(system: hostcore.ModuleSystem, name: str) -> object:
    """Ask a puppet for a seven."""
    return await system.request(name, "return 7", topic="run")


EVIL = "\x1b]0;owned\x07\x1b[2J\x1b[31mroot# \x9b1;1H\u202egnp.exe\r\b"


async def test_escapes_for_a_terminal(opened: Opened, write: ModuleWriter, caplog: pytest.LogCaptureFixture) -> None:
    """What a worker writes, logs, raises and dies with has nothing in it that a terminal would obey."""
    caplog.set_level(logging.INFO, "hostcore.module.puppet")
    code = f"""
    import os, sys
    evil = {EVIL!r}
    print("printed", evil, flush=True)
    os.write(2, ("written " + evil + chr(10)).encode() + b"\\xff\\xfe" + chr(10).encode())
    context.log.warning("logged %s", evil)
    """

    async def first(system: hostcore.ModuleSystem) -> None:
        source = write(PUPPET, "puppet", manifest=EVERYTHING)
        await system.load("puppet", source=source, isolation="worker")

    async with opened(first=first, supervision={"enabled": False}) as system:
        body = "\n".join(line.strip() for line in code.splitlines())
        await soon(run(system, body))
        await until(lambda: all(word in caplog.text for word in ("printed", "written", "logged")))
        with pytest.raises(errors.HookError) as raised:
            await soon(run(system, f"raise ValueError({EVIL!r})"))
        with pytest.raises(errors.WorkerDiedError) as died:
            await soon(run(system, body + "\nos._exit(1)"))
    said = [record.getMessage() for record in caplog.records if record.name == "hostcore.module.puppet"]
    texts = [*said, *died.value.lines, *str(raised.value).splitlines(), *raised.value.traceback.splitlines()]
    assert all(text.isprintable() for text in texts), [text for text in texts if not text.isprintable()]
