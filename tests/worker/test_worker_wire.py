"""What a worker says on its connections may be anything; what is no frame, or forged, ends it and nobody else."""

from __future__ import annotations

import asyncio
import socket
import textwrap

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.modules import ECHO, ModuleWriter
from system.support import Notes, soon, until
from worker.puppet import EVERYTHING, LINK, PUPPET, run

import hostcore
from hostcore import errors
from hostcore.hosts.worker.carrying import carried, made_again
from hostcore.hosts.worker.frames import HEADER, BadFrame, Frame, Splitter, pack
from hostcore.hosts.worker.link import Link

FRAMES = st.builds(
    Frame, st.integers(0, 4), st.integers(0, 2**40), st.text(max_size=20), st.binary(max_size=300_000),
    st.floats(allow_nan=False),
)  # fmt: skip


def feed(splitter: Splitter, data: bytes) -> None:
    """Put bytes into a splitter."""
    splitter.space()[: len(data)] = data
    splitter.fed(len(data))


@given(st.lists(FRAMES, max_size=6), st.data())
def test_frames_come_as_they_were_sent(frames: list[Frame], data: st.DataObject) -> None:
    """However the bytes are cut, the frames that come out are those that went in."""
    stream = b"".join(map(pack, frames))
    splitter, found = Splitter(1 << 20), []
    while stream:
        size = data.draw(st.integers(1, min(len(stream), 60_000)))
        feed(splitter, stream[:size])
        stream = stream[size:]
        while (frame := splitter.next()) is not None:
            found.append(frame)
    assert found == frames
    assert not splitter.partial


@given(st.binary(min_size=1, max_size=2000))
def test_garbage(data: bytes) -> None:
    """Bytes that are no frames never give anything but frames, or the error."""
    splitter = Splitter(1000)
    feed(splitter, data)
    try:
        while (frame := splitter.next()) is not None:
            assert isinstance(frame, Frame)
    except BadFrame:
        pass


def test_long_frame() -> None:
    """A frame longer than the limit is refused when its length is known, before its bytes have come."""
    splitter = Splitter(1000)
    feed(splitter, HEADER.pack(1001))
    with pytest.raises(BadFrame, match="1,001 bytes; at most 1,000"):
        splitter.next()


@given(st.binary(max_size=500))
def test_garbage_for_an_error(data: bytes) -> None:
    """Whatever a worker gives for an error, the host has an error of its own kind."""
    assert isinstance(made_again(data, module="puppet"), errors.HostcoreError)


@pytest.mark.parametrize(
    "error",
    [
        errors.HookError("m", "bad", hook="execute", exception="ValueError", traceback="tb", hint="do", where="a:1"),
        errors.DeniedError("no", hint="ask"),
        errors.CallCycleError("round", trail=("a", "b")),
        errors.MissingError("gone", causes=("x",)),
        errors.WorkerDiedError("died", signal="SIGSEGV"),
        errors.EgressError("m", "host", 1, "why"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_errors_travel(error: errors.HostcoreError) -> None:
    """An error arrives as its kind, or the nearest that travels, with code, text and place."""
    again = made_again(carried(error))
    assert isinstance(error, type(again))
    assert (again.code, str(again)) == (error.code, str(error))
    assert getattr(again, "hook", "") == getattr(error, "hook", "")


def test_forged_error() -> None:
    """An error from a worker is about its module, whatever it says, and safe to show."""
    forged = carried(errors.HookError("bank", "\x1b[31mred", label="bank 1.0", hook="x"))
    again = made_again(forged, module="puppet", label="puppet 1.0")
    assert isinstance(again, errors.ModuleError)
    assert (again.module, again.label) == ("puppet", "puppet 1.0")
    assert "\x1b" not in str(again)


ATTACKS = {
    "garbage": "link._transport.write(b'\\xff' * 100)",
    "a giant frame": "link._transport.write(b'\\xff\\xff\\xff\\x7f')",
    "an empty frame": "link._transport.write(b'\\0\\0\\0\\0')",
    "a forged reply": "link.reply(10**6, b'')",
    "a reply to call 0": "link.reply(0, b'')",
    "an unknown kind": "from hostcore.hosts.worker.frames import Frame\nlink._write(Frame(9, 1))",
    "half a frame, then the end": "link._transport.write(b'\\x10\\0\\0\\0ab')\nlink._transport.close()",
    "a closed connection": "link._transport.abort()",
    "an unreadable request": "link.ask('request', b'\\xc1')",
    "an unknown request": "link.ask('rule', b'')",
    "garbage on the side":
        "import gc\ndoor = next(o for o in gc.get_objects() if type(o).__name__ == 'SideDoor')\n"
        "door._connection.sendall(b'\\xff' * 100)",
}  # fmt: skip


@pytest.mark.parametrize("name", ATTACKS)
async def test_attack(system: hostcore.ModuleSystem, write: ModuleWriter, name: str) -> None:
    """A worker that breaks the protocol is ended, its caller is told, and others go on."""
    await system.load("echo", source=write(ECHO))
    await system.load("puppet", source=write(PUPPET, "puppet", manifest=EVERYTHING), isolation="worker")
    ended = asyncio.get_running_loop().create_future()
    system.record("puppet").copy.instance.died = ended.set_result
    with pytest.raises(errors.WorkerDiedError):
        await soon(run(system, f"{LINK}\n{ATTACKS[name]}\nawait asyncio.sleep(100)", timeout=30))
    assert (await soon(ended)).hook == "handle_message"
    assert await system.request("echo", 1) == 1


async def test_two_replies(system: hostcore.ModuleSystem, write: ModuleWriter) -> None:
    """A second reply to the same message is dropped."""
    await system.load("puppet", source=write(PUPPET, "puppet"), isolation="worker")
    code = f"{LINK}\nnumber = link._answers._delivered\nlink.reply(number, b'\\x01')\nreturn 2"
    assert await run(system, code) == 1
    assert await run(system, "return 3") == 3


async def test_reply_that_is_no_data(system: hostcore.ModuleSystem, write: ModuleWriter) -> None:
    """A reply that cannot be read is the module's error."""
    await system.load("puppet", source=write(PUPPET, "puppet"), isolation="worker")
    with pytest.raises(errors.ContractError, match="puppet"):
        await run(system, f"{LINK}\nlink.reply(link._answers._delivered, b'\\xc1')\nawait asyncio.sleep(0)")


async def test_reply_that_is_too_large(system: hostcore.ModuleSystem, write: ModuleWriter) -> None:
    """A reply larger than a message may be is refused, by the worker and by its host."""
    await system.load("puppet", source=write(PUPPET, "puppet"), isolation="worker", limits={"message": "10kB"})
    with pytest.raises(errors.LimitError):
        await run(system, "return 'x' * 20_000")
    with pytest.raises(errors.LimitError, match="at most 10,000"):
        await run(system, f"{LINK}\nlink.reply(link._answers._delivered, bytes(20_000))\nawait asyncio.sleep(0)")


async def test_forged_sender(system: hostcore.ModuleSystem, write: ModuleWriter) -> None:
    """A message that a worker sends is from it, whatever it writes into its context."""
    tells = "@hookimpl\ndef handle_message(self, message):\n    return message.sender"
    await system.load("tells", source=write(tells, "tells"))
    await system.load("puppet", source=write(PUPPET, "puppet", manifest=EVERYTHING), isolation="worker")
    code = "context.name = 'host'\ncontext._ports._name = 'host'\nreturn await context.request('tells', 1)"
    assert await run(system, code) == "puppet"


async def test_flood_of_requests(system: hostcore.ModuleSystem, write: ModuleWriter, notes: Notes) -> None:
    """A worker that asks without end is read from only as fast as it is answered, and others are served meanwhile."""
    await system.load("echo", source=write(ECHO))
    await system.load("puppet", source=write(PUPPET, "puppet", manifest=EVERYTHING), isolation="worker")
    code = textwrap.dedent("""
        sent = []
        for number in range(5_000):
            sent.append(context.send("echo", number))
            context.publish("noise.made", number)
        for each in sent: await each
    """)
    flood = asyncio.ensure_future(run(system, code, timeout=60))
    answered = 0
    while not flood.done():
        assert await system.request("echo", "hear me") == "hear me"
        answered += 1
        await asyncio.sleep(0)
    await flood
    assert answered > 5
    await until(lambda: system.modules["echo"].handled == 5_000 + answered)


async def test_flood_of_unanswered_requests(system: hostcore.ModuleSystem, write: ModuleWriter, gate: object) -> None:
    """Requests that are not answered yet are bounded: the worker is not read from beyond so many."""
    await system.load("puppet", source=write(PUPPET, "puppet", manifest=EVERYTHING), isolation="worker")
    code = textwrap.dedent("""
        def ask():
            state["asks"] = [asyncio.ensure_future(context.invoke("gate", "wait")) for _ in range(5_000)]
        asyncio.get_running_loop().call_later(0.1, ask)
    """)
    await run(system, code)
    desk = system.record("puppet").copy.instance._desk
    await until(lambda: len(desk._tasks) >= 1024)
    assert len(desk._tasks) == 1024
    await system.unload("puppet")
    assert not desk._tasks


async def test_what_is_not_read_does_not_pile_up_in_pieces() -> None:
    """Frames that the other side does not read yet wait in one piece, and come in their order when it does."""

    class Nobody:
        """Answers nothing."""

        def called(self, link: Link, frame: Frame) -> None: ...
        def cancelled(self, number: int) -> None: ...
        def told(self, frame: Frame) -> None: ...
        def closed(self, reason: str) -> None: ...

    loop = asyncio.get_running_loop()
    ours, theirs = socket.socketpair()
    with theirs:
        for each in (ours, theirs):
            each.setblocking(False)
        transport, link = await loop.create_unix_connection(lambda: Link(Nobody(), 1 << 20), sock=ours)
        for number in range(20_000):
            link.tell("log", str(number).encode())
        assert transport.get_write_buffer_size() < 1 << 20  # type: ignore[attr-defined]
        splitter, expected = Splitter(1 << 20), 0
        while expected < 20_000:
            feed(splitter, await soon(loop.sock_recv(theirs, 60_000)))
            while (frame := splitter.next()) is not None:
                assert frame.body == str(expected).encode()
                expected += 1
        link.close("done")
