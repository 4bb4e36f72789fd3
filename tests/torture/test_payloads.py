"""Data that no honest encoder makes, from a worker to the host, to other modules, and into state and store."""

from __future__ import annotations

import textwrap
from collections.abc import AsyncIterator
from typing import Any

import pytest
from support.modules import ECHO, ModuleWriter
from system.support import soon
from torture.conftest import Opened
from worker.puppet import EVERYTHING, LINK, PUPPET, run

import hostcore
from hostcore import errors

READABLE = {
    "duplicate keys": (r"b'\x82\xa1a\x01\xa1a\x02'", {"a": 2}),
    "a key that is a list": (r"b'\x81\x91\x01\x03'", {(1,): 3}),
    "the largest number": (r"b'\xcf' + b'\xff' * 8", 2**64 - 1),
    "the smallest number": (r"b'\xd3\x80' + bytes(7)", -(2**63)),
}
UNREADABLE = {
    "nested lists": r"b'\x91' * 100_000 + b'\x01'",
    "nested maps": r"b'\x81\x01' * 100_000 + b'\x01'",
    "a key that is a map": r"b'\x81\x81\x01\x02\x03'",
    "a key that is an extension": r"b'\x81\xd4\x05a\x01'",
    "text that is no UTF-8": r"b'\xa1\xff'",
    "half a surrogate pair": r"b'\xa3\xed\xa0\x80'",
    "a time that is none": r"b'\xc7\x0c\xff' + b'\xff' * 4 + b'\x7f' + b'\xff' * 7",
    "a list of 2**32": r"b'\xdd\xff\xff\xff\xff'",
    "a map of 2**32": r"b'\xdf\xff\xff\xff\xff'",
    "a text of 2**32": r"b'\xdb\xff\xff\xff\xff'",
    "an unused byte": r"b'\xc1'",
    "two values": r"b'\x01\x01'",
    "nothing": r"b''",
}
REPLY = "link.reply(link._answers._delivered, {data})\nawait asyncio.sleep(0)"
CAUGHT = """
from hostcore import errors
try:
    {code}
except errors.HostcoreError as error:
    return [type(error).__name__, error.code]
return "nothing"
"""


@pytest.fixture
async def puppet(opened: Opened, write: ModuleWriter) -> AsyncIterator[hostcore.ModuleSystem]:
    """A system with a puppet in a worker, that may ask for everything, and an echo."""

    async def first(system: hostcore.ModuleSystem) -> None:
        await system.load("echo", source=write(ECHO))
        await system.load("puppet", source=write(PUPPET, "puppet", manifest=EVERYTHING), isolation="worker")

    async with opened(first=first) as system:
        yield system


async def told(system: hostcore.ModuleSystem, code: str) -> Any:
    """Return the error that the host answers the puppet with."""
    return await soon(run(system, LINK + textwrap.dedent(CAUGHT).replace("{code}", code)))


async def test_odd_replies(puppet: hostcore.ModuleSystem) -> None:
    """A reply that is odd and can be read all the same arrives as what it says, the last of equal keys."""
    for name, (data, value) in READABLE.items():
        assert await soon(run(puppet, f"{LINK}\n{REPLY.format(data=data)}")) == value, name


async def test_numbers_that_are_none(puppet: hostcore.ModuleSystem) -> None:
    """NaN and infinity are numbers like others, forth and back, as keys too; nothing is compared by them."""
    found = await soon(run(puppet, "return [float('nan'), float('inf'), {float('nan'): 1}]"))
    assert found[0] != found[0]
    assert found[1] == float("inf")
    assert len(found[2]) == 1
    (back,) = await soon(puppet.request("echo", [float("nan")]))
    assert back != back


async def test_replies_that_cannot_be_read(puppet: hostcore.ModuleSystem) -> None:
    """A reply that cannot be read is the worker's error for who asked, and the worker lives on."""
    for data in UNREADABLE.values():
        with pytest.raises(errors.ContractError) as caught:
            await soon(run(puppet, f"{LINK}\n{REPLY.format(data=data)}"))
        assert "'puppet'" in str(caught.value)
        assert await soon(run(puppet, "return 1")) == 1


RAW = """
from hostcore.hosts.worker import messages
from hostcore.hosts.worker.link import RemoteError
try:
    await link.call('request', messages.encode(messages.Asked('echo', 'x', '', {data}, '')), 5.0)
except RemoteError as error:
    return str(error.data)
"""


async def test_messages_that_cannot_be_read(puppet: hostcore.ModuleSystem) -> None:
    """A message that cannot be read names its sender, reaches no handler, and leaves the reader as it was."""
    for data in UNREADABLE.values():
        said = await soon(run(puppet, f"{LINK}\n{RAW.format(data=data)}"))
        assert "ContractError" in said
        assert "'puppet' sent data that cannot be decoded" in said
        assert await soon(puppet.request("echo", 1)) == 1


@pytest.mark.parametrize("name", ["nested lists", "text that is no UTF-8"])
async def test_state_that_cannot_be_read(puppet: hostcore.ModuleSystem, name: str) -> None:
    """A state that cannot be read keeps the old copy serving; without a state the worker can be replaced."""
    forge = f"""
{LINK}
answers, own = link._answers, link.reply
def forged(number, body, schema=""):
    own(number, {UNREADABLE[name]} if len(body) > 1 and b"kept" in body else body, schema)
link.reply = forged
"""
    await soon(run(puppet, forge))
    report = await soon(puppet.reload("puppet"))
    assert report.rolled_back
    assert report.phase == "snapshot"
    assert "cannot be read" in report.reason
    assert await soon(run(puppet, "return 1")) == 1
    assert not (await soon(puppet.reload("puppet", state="fresh"))).rolled_back


async def test_store_that_cannot_be_read(puppet: hostcore.ModuleSystem) -> None:
    """What cannot be read is not stored, nor anything under a key that is none."""
    for code in ("b'\\xc1'", "b'\\x91' * 100_000 + b'\\x01'"):
        raw = "import gc; context.kv; door = next(o for o in gc.get_objects() if type(o).__name__ == 'SideDoor'); " \
            f"door.ask('kv.set', 'key', {code})"  # fmt: skip
        assert (await told(puppet, raw))[0] in ("HostError", "ContractError")
    assert await soon(run(puppet, "return context.kv.keys()")) == []


async def test_unknown_enum(puppet: hostcore.ModuleSystem, write: ModuleWriter) -> None:
    """A typed payload with a value that its enum does not have is refused, with field and value named."""
    top = """
    import enum
    class Kind(enum.Enum):
        A = "a"
    class Job(hostcore.Payload[int], topic="job.do"):
        kind: Kind
    """
    body = "@hookimpl\ndef handle_message(self, message: hostcore.Message[Job]):\n    return message.payload.kind.value"
    for name, isolation in (("job", "native"), ("job-worker", "worker")):
        await puppet.load(name, source=write(body, name, top=top), isolation=isolation)
        assert await soon(puppet.request(name, {"kind": "a"}, topic="job.do")) == "a"
        for payload in ({"kind": "b"}, {"kind": ["a"]}, {"kind": None}, {}, 7, "x" * 1000):
            with pytest.raises(errors.ContractError):
                await soon(puppet.request(name, payload, topic="job.do"))
        assert (await told(puppet, f"await context.request({name!r}, {{'kind': 'b'}}, topic='job.do')"))[0] == (
            "ContractError"
        )


async def test_oversized(puppet: hostcore.ModuleSystem) -> None:
    """A message beyond the limit is refused to who sends it, in both directions, and nobody gets it."""
    for target in ("echo", "puppet"):
        with pytest.raises(errors.LimitError):
            await soon(puppet.request(target, b"x" * (64 << 20)))
    for name in ("request", "send"):
        assert (await told(puppet, f"await context.{name}('echo', b'x' * (64 << 20))"))[0] == "LimitError"
    assert puppet.modules["echo"].handled == 0
