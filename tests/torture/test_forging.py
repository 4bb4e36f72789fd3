"""What a worker's own code says over its connections that no worker of ours would say."""

from __future__ import annotations

import asyncio
import logging
import textwrap
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.modules import WAITER, ModuleWriter
from system.support import Gate, soon, until
from torture.conftest import Opened
from worker.puppet import EVERYTHING, LINK, PUPPET, run

import hostcore
from hostcore import errors
from hostcore.errors import Problem
from hostcore.hosts.worker.carrying import Carried, made_again
from hostcore.hosts.worker.messages import encode

HEAD = LINK + "from hostcore.hosts.worker import messages\nfrom hostcore.hosts.worker.frames import CALL, Frame\n"
DOOR = "import gc\ndoor = next(o for o in gc.get_objects() if type(o).__name__ == 'SideDoor')\n"
TEXT = st.text(max_size=20)
ANYTHING = st.builds(
    Carried, TEXT | st.sampled_from([name for name in dir(errors) if name.endswith("Error")]), TEXT,
    st.lists(st.builds(Problem, TEXT, TEXT), max_size=3), TEXT, TEXT, TEXT, st.lists(TEXT, max_size=3).map(tuple),
    TEXT, TEXT,
)  # fmt: skip


@pytest.fixture
async def puppet(opened: Opened, write: ModuleWriter) -> AsyncIterator[hostcore.ModuleSystem]:
    """A system with a puppet in a worker that may ask for everything."""

    async def first(system: hostcore.ModuleSystem) -> None:
        await system.load("puppet", source=write(PUPPET, "puppet", manifest=EVERYTHING), isolation="worker")

    async with opened(first=first, supervision={"enabled": False}) as system:
        yield system


@given(ANYTHING)
def test_any_error_is_one(carried: Carried) -> None:
    """Whatever a worker writes into the error that it answers with, it is one of the host's, about that worker."""
    error = made_again(encode(carried), module="puppet", label="puppet 1.0")
    assert isinstance(error, errors.HostcoreError)
    assert getattr(error, "module", "puppet") in ("puppet", None)
    assert str(error).isprintable() or "\n" in str(error)


async def ended(system: hostcore.ModuleSystem, code: str) -> errors.HostcoreError:
    """Return the error with which the puppet is ended for what it does."""
    with pytest.raises(errors.WorkerDiedError) as caught:
        await soon(run(system, f"{HEAD}\n{code}\nawait asyncio.sleep(100)", timeout=30))
    assert caught.value.code == "HC511"
    return caught.value


async def test_two_calls_of_one_number(puppet: hostcore.ModuleSystem, gate: Gate) -> None:
    """Calls that share a number would not be counted: who makes them is ended before they are many."""
    code = """
    body = messages.encode(messages.Invoked("gate", "wait", b"\\x80"))
    for _ in range(5_000): link._write(Frame(CALL, 1, "invoke", body, -1.0))
    """
    desk = puppet.record("puppet").copy.instance._desk
    error = await ended(puppet, textwrap.dedent(code))
    assert "asked twice under one number" in str(error)
    await until(lambda: not desk._tasks)
    waiting = [task for task in asyncio.all_tasks() if "Desk._answer" in repr(task)]
    assert waiting == []


async def test_time_that_is_none(puppet: hostcore.ModuleSystem, write: ModuleWriter, gate: Gate) -> None:
    """Whatever a worker gives as the time that it will wait, it is answered, and so is everybody else."""
    code = """
    from hostcore.hosts.worker.link import RemoteError
    try:
        body = messages.encode(messages.Asked("waiter", "x", "", b"\\x07", ""))
        return (await link.call("request", body, SECONDS))[1]
    except RemoteError as error:
        return str(error.data)
    """
    await puppet.load("waiter", source=write(WAITER, "waiter"))
    for seconds in ("float('nan')", "float('inf')", "-float('inf')", "1e308", "-0.0"):
        asked = asyncio.ensure_future(run(puppet, HEAD + textwrap.dedent(code).replace("SECONDS", seconds)))
        if seconds != "-0.0":
            await soon(gate.arrived.wait())
        gate.opened.set()
        answer = await soon(asked)
        assert answer == b"\x07" or "DeadlineError" in answer, seconds
        gate.arrived.clear()
        gate.opened.clear()


SIDE: dict[str, str] = {
    "nothing to get": "'kv.get'",
    "a key that is none": "'kv.get', None",
    "a key that is a list": "'kv.get', [1]",
    "nothing to set": "'kv.set'",
    "a value that is no bytes": "'kv.set', 'a', 5",
    "too many arguments": "'kv.keys', 1, 2, 3",
    "no pattern": "'subscribe'",
    "a pattern that is none": "'subscribe', 5",
    "a pattern that is a map": "'unsubscribe', {'a': 1}",
    "a permission that is none": "'granted', 5",
    "nothing of that name": "'system.stop'",
    "an empty name": "''",
    "an attribute": "'__class__'",
}


async def test_nonsense_on_the_side(puppet: hostcore.ModuleSystem, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever is asked on the side connection is answered, with an error or not, and the next question too."""
    for name, arguments in SIDE.items():
        code = f"{DOOR}try: door.ask({arguments})\nexcept Exception as error: return repr(error)\nreturn 'nothing'"
        said = await soon(run(puppet, code))
        assert "Error" in said or name == "a pattern that is a map", said
        assert await soon(run(puppet, "return context.granted('kv')")) is True, name
    assert [record for record in caplog.records if record.name == "asyncio"] == []


INVOKED: dict[str, str] = {
    "wrong names": "context.invoke('notes', 'take', nothing=1)",
    "arguments that are a list": "context._ports.invoke('notes', 'take', [1])",
    "names that are numbers": "context._ports.invoke('notes', 'take', {1: 2})",
    "a hidden operation": "context.invoke('notes', '__init__')",
    "an attribute that is no operation": "context.invoke('notes', 'taken')",
}


async def test_nonsense_to_a_service(puppet: hostcore.ModuleSystem, caplog: pytest.LogCaptureFixture) -> None:
    """A call that a service of the program's cannot take is answered with an error, not with silence."""
    for code in INVOKED.values():
        said = await soon(run(puppet, f"try: await {code}\nexcept Exception as error: return repr(error)", timeout=10))
        assert said, code
    assert [record for record in caplog.records if record.name == "asyncio"] == []


async def test_loggers_without_end(puppet: hostcore.ModuleSystem) -> None:
    """A worker that logs under ever new names does not fill the host's memory with loggers."""
    code = """
    for number in range(3_000):
        link.tell("log", messages.encode(messages.Line(f"made.up.{number}", 30, "x")))
    """
    await soon(run(puppet, HEAD + textwrap.dedent(code)))
    await soon(run(puppet, "return 1"))
    made = [name for name in logging.root.manager.loggerDict if name.startswith("hostcore.module.puppet.")]
    assert len(made) <= 100


async def test_another_modules_log(puppet: hostcore.ModuleSystem, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever name a worker gives for its log, the line stands below its module's own name."""
    caplog.set_level(logging.DEBUG)
    code = """
    for name in ("hostcore.module.bank", "hostcore", "root", "", "..", "a\\nb"):
        link.tell("log", messages.encode(messages.Line(name, 10**6, f"forged {name}")))
    """
    await soon(run(puppet, HEAD + textwrap.dedent(code)))
    await soon(run(puppet, "return 1"))
    forged = [record for record in caplog.records if "forged" in record.getMessage()]
    assert len(forged) == 6
    assert all(record.name.startswith("hostcore.module.puppet") for record in forged)
    assert all(record.name.isprintable() and record.levelno <= logging.CRITICAL for record in forged)


async def test_subscriptions_without_end(puppet: hostcore.ModuleSystem) -> None:
    """A worker that subscribes to ever new patterns is refused at some number, and is heard no later for it."""
    code = """
    from hostcore import errors
    for number in range(3_000):
        try: context.subscribe(f"made.*.up.{number}")
        except errors.LimitError as error: return [number, str(error)]
    """
    number, said = await soon(run(puppet, textwrap.dedent(code)))
    assert number == 1000
    assert "'puppet' listens to 1,000 patterns already" in said
    await soon(run(puppet, "context.unsubscribe('made.*.up.5')\ncontext.subscribe('a.b')"))
    assert await puppet.publish("made.x.up.7") == 1
    assert await puppet.publish("made.x.up.5") == 0


async def test_forged_grant(opened: Opened, write: ModuleWriter) -> None:
    """A worker that rewrites its grants, its context and its name has no more than the host knows of."""
    code = """
    from hostcore.contract.grants import ModuleGrants
    context.name = context._name = "host"
    for owner in (context, context._ports):
        for name in ("_grants", "grants", "granted"):
            try: setattr(owner, name, ModuleGrants((), everything=True))
            except Exception: pass
    found = {}
    for name, asking in {
        "request": lambda: context._ports.request("bystander", 1, topic="", timeout=None),
        "publish": lambda: context.publish("a.b", 1), "invoke": lambda: context.invoke("notes", "take", what=1),
    }.items():
        try: found[name] = await asking()
        except Exception as error: found[name] = type(error).__name__
    return found
    """
    async with opened() as system:
        await system.load("puppet", source=write(PUPPET, "puppet"), isolation="worker")
        found: dict[str, Any] = await soon(run(system, textwrap.dedent(code)))
        assert found == dict.fromkeys(("request", "publish", "invoke"), "DeniedError")
