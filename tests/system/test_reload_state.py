"""The state in a reload: where it comes from, what it may hold, and what the new one must show before it serves."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest
from support.modules import COUNTER, ModuleWriter
from system.support import Gate, running, soon, until

import hostcore
from hostcore import errors
from hostcore.generations import table


class Door:
    """A service at which a blocking hook hangs in its thread."""

    def __init__(self) -> None:
        self.opened = threading.Event()
        self.arrived = threading.Event()


@pytest.fixture
def door(monkeypatch: pytest.MonkeyPatch) -> Iterator[Door]:
    """The attribute `hostcore.door`, opened at the end so that no thread stays behind."""
    door = Door()
    monkeypatch.setattr(hostcore, "door", door, raising=False)
    yield door
    door.opened.set()


STUCK = {
    "async": """
        for _ in range(50 if message.topic == "stick" else 0):
            try:
                await self.context.invoke("gate", "wait")
            except asyncio.CancelledError:
                pass
    """,
    "suspended": """
        if message.topic == "stick":
            await self.context.invoke("gate", "wait")
    """,
}


def sticking(write: ModuleWriter, how: str) -> object:
    """Write a counter that gets stuck in a message with the topic "stick"."""
    if how == "blocking":
        body = COUNTER.replace("@hookimpl\nasync def handle_message", "@hookimpl(blocking=True)\ndef handle_message")
        stick = '\n    if message.topic == "stick":\n        hostcore.door.arrived.set()\n'
        stick += "        hostcore.door.opened.wait()"
        return write(body.replace("(self, message):", f"(self, message):{stick}"), "counter")
    body = COUNTER.replace("    self.count = context", "    self.context = context\n    self.count = context")
    return write(
        body.replace("(self, message):\n", f"(self, message):{STUCK[how].rstrip()}\n").replace("\n        ", "\n    "),
        "counter",
    )


@pytest.mark.parametrize("state", ["last", "fresh"])
@pytest.mark.parametrize("how", ["async", "suspended", "blocking"])
async def test_an_old_generation_that_is_stuck(
    write: ModuleWriter, gate: Gate, door: Door, how: str, state: str
) -> None:
    """It is replaced with its last good snapshot or afresh; its caller is told, and those that wait get their reply."""
    async with running({"gate": gate}, reload={"drain": "50ms", "retire": "50ms"}) as system:
        await system.load("counter", source=sticking(write, how))  # type: ignore[arg-type]
        await system.request("counter")
        await system.reload("counter", strict=True)
        await system.request("counter")  # counted after the snapshot
        stuck = asyncio.ensure_future(system.request("counter", topic="stick"))
        await until(lambda: gate.arrived.is_set() or door.arrived.is_set())
        later = asyncio.ensure_future(system.request("counter"))
        given_up = await soon(system.reload("counter"))
        assert (given_up.rolled_back, given_up.phase) == (True, "drain")
        new = write(COUNTER, "counter", version="2.0")
        report = await soon(system.reload("counter", source=new, state=state, strict=True))
        with pytest.raises(errors.StoppedError, match="was replaced while it handled this message"):
            await soon(stuck)
        assert await soon(later) == {"count": 2 if state == "last" else 1, "version": "2.0"}
        assert report.new_version == "2.0"
        gate.opened.set()
        door.opened.set()
        await until(lambda: not any(thread.name.startswith("hostcore:counter") for thread in threading.enumerate()))
        assert (await soon(system.reload("counter", strict=True))).leaks == ()
        assert len(table.by_id) == 1


async def test_no_snapshot_yet(system: hostcore.ModuleSystem, write: ModuleWriter) -> None:
    """Without a snapshot there is none to go on with; afresh works."""
    await system.load("counter", source=write(COUNTER, "counter"))
    await system.request("counter")
    report = await system.reload("counter", state="last")
    assert (report.rolled_back, report.phase) == (True, "snapshot")
    assert "no snapshot yet" in report.reason
    assert "--state fresh" in report.reason
    assert (await system.request("counter"))["count"] == 2
    await system.reload("counter", state="fresh", strict=True)
    assert (await system.request("counter"))["count"] == 1


async def test_an_unknown_choice(system: hostcore.ModuleSystem, write: ModuleWriter) -> None:
    """Any other word is refused before anything happens."""
    await system.load("counter", source=write(COUNTER, "counter"))
    with pytest.raises(ValueError, match="'current', 'last', 'fresh', not 'newest'"):
        await system.reload("counter", state="newest")


@pytest.mark.parametrize("more", ["migrate_state(self, state)", "restore_state(self, state, from_version)", ""])
async def test_a_newer_state(system: hostcore.ModuleSystem, write: ModuleWriter, more: str) -> None:
    """State of a newer version is refused by name, unless the release says that it reads it."""
    body = COUNTER
    if more.startswith("migrate"):
        body += f"\n@hookimpl\ndef {more}:\n    return state\n"
    elif more:
        body = body.replace("restore_state(self, state)", more)
    await system.load("counter", source=write(COUNTER, "counter", version="2.0", manifest="state_version = 3"))
    await system.request("counter")
    report = await system.reload("counter", source=write(body, "counter", version="1.0", manifest="state_version = 2"))
    assert report.rolled_back == (not more)
    if not more:
        assert report.phase == "migrate"
        assert "HC322" in report.reason
        assert "its state is of version 3 (2.0); this release reads version 2" in report.reason
    assert (await system.request("counter"))["count"] == 2


# --- verified before it serves ---------------------------------------------------------------------------------


async def reloaded(
    system: hostcore.ModuleSystem, write: ModuleWriter, body: str, manifest: str = ""
) -> hostcore.ReloadReport:
    """Reload "counter" to a release with `body` besides the counting."""
    await system.load("counter", source=write(COUNTER, "counter"))
    await system.request("counter")
    new = write(f"{COUNTER}\n{body}", "counter", version="2.0", manifest=manifest)
    report: hostcore.ReloadReport = await soon(system.reload("counter", source=new))
    assert len(table.by_id) == 1
    assert report.leaks == ()
    return report


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("return False", "HC314"),
        ("raise OSError('no disk')", "OSError: no disk"),
        ("raise SystemExit(1)", "SystemExit"),
        ("await asyncio.Event().wait()", "0.05 s"),
        ("while True: pass", "0.05 s"),
    ],
)
async def test_an_unhealthy_release(write: ModuleWriter, body: str, said: str) -> None:
    """One whose `check_health` says no, raises or hangs does not get to serve."""
    async with running(reload={"verify": "50ms"}) as system:
        report = await reloaded(system, write, f"@hookimpl\nasync def check_health(self):\n    {body}")
        assert (report.rolled_back, report.phase) == (True, "verify")
        assert said in report.reason
        assert await system.request("counter") == {"count": 2, "version": "1.0"}


@pytest.mark.parametrize("value", ["True", "None", "0", "''", "[]"])
async def test_a_healthy_release(system: hostcore.ModuleSystem, write: ModuleWriter, value: str) -> None:
    """Only False means no: a check that returns nothing, or something of its own, has passed."""
    report = await reloaded(system, write, f"@hookimpl\ndef check_health(self):\n    return {value}")
    assert not report.rolled_back


def probed(reply: str, how: str = "async def") -> str:
    return f"""
@hookimpl
{how} handle_message(self, message):
    if message.topic == "ready":
        self.probed = message.payload
        {reply}
    return self.probed
"""


PROBE = 'probe = { topic = "ready", payload = { a = [1, "x"] }, reply = { ok = true } }'


@pytest.mark.parametrize("reply", ["return {'ok': True}", "await asyncio.sleep(0)\n        return {'ok': True}"])
async def test_a_probe(system: hostcore.ModuleSystem, write: ModuleWriter, reply: str) -> None:
    """The manifest's probe is sent, topic and payload, before anybody else's message; it counts as no message."""
    report = await reloaded(system, write, probed(reply), PROBE)
    assert (report.rolled_back, report.reason) == (False, "")
    assert system.modules["counter"].handled == 1
    assert await system.request("counter") == {"a": [1, "x"]}


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        ("return {'ok': False}", "was answered with {'ok': False}"),
        ("return", "was answered with None"),
        ("raise KeyError('disk')", "KeyError: 'disk'"),
        ("return object()", "cannot be encoded"),
        ("await asyncio.Event().wait()", ""),
        ("while True: pass", ""),
        ("raise SystemExit", "SystemExit"),
    ],
)
async def test_a_probe_that_fails(write: ModuleWriter, reply: str, said: str) -> None:
    """A release that answers its probe otherwise, raises or hangs does not get to serve; the reason tells which."""
    async with running(reload={"verify": "200ms"}) as system:
        report = await reloaded(system, write, probed(reply), PROBE)
        assert (report.rolled_back, report.phase) == (True, "verify")
        assert said in report.reason
        if said:
            assert "HC315" in report.reason
            assert "the probe 'ready'" in report.reason
        assert await system.request("counter") == {"count": 2, "version": "1.0"}
        assert system.dead_letters == []


async def test_a_probe_of_any_reply(system: hostcore.ModuleSystem, write: ModuleWriter) -> None:
    """A probe without a reply in the manifest takes any; one without a topic is a plain message."""
    report = await reloaded(system, write, "", 'probe = { payload = "hello" }')
    assert not report.rolled_back


# --- what the state holds --------------------------------------------------------------------------------------

HOLDS = """
@hookimpl
def initialize(self, context):
    self.state = VALUE

@hookimpl
def get_state(self):
    return self.state

@hookimpl
def restore_state(self, state):
    self.state = state

@hookimpl
def handle_message(self, message):
    return repr(self.state)
"""


@pytest.mark.parametrize(
    ("value", "restored"),
    [
        ("float('nan')", "nan"),
        ("float('-inf')", "-inf"),
        ("None", "None"),
        ("{1, }", "[1]"),
        ("(1, (2,))", "[1, [2]]"),
        ("Table(a=1)", "{'a': 1}"),
        ("{'t': Table(a=2)}", "{'t': {'a': 2}}"),
        ("Data(b=b'x')", "{'b': b'x'}"),
        ("{1: 'one', 'two': 2}", "{1: 'one', 'two': 2}"),
        ("{(1, 2): 3}", "{(1, 2): 3}"),
        ("2 ** 63", "9223372036854775808"),
        ("2 ** 64", None),
        ("'\\ud800'", None),
        ("{'x': lambda: 0}", None),
        ("Own()", None),
        ("Raises()", None),
    ],
)
async def test_kinds_of_state(
    system: hostcore.ModuleSystem, write: ModuleWriter, value: str, restored: str | None
) -> None:
    """Plain data, Structs and dataclasses come over as plain data; a module's own objects are refused by name."""
    top = """
    import dataclasses, msgspec
    class Table(msgspec.Struct):
        a: int
    @dataclasses.dataclass
    class Data:
        b: bytes
    class Own: ...
    class Raises:
        def __getattr__(self, name):
            raise OSError(name)
    """
    body = HOLDS.replace("VALUE", value)
    await system.load("counter", source=write(body, "counter", top=top))
    report = await soon(system.reload("counter"))
    assert report.leaks == ()
    if restored is None:
        assert (report.rolled_back, report.phase) == (True, "snapshot")
        assert "HC321" in report.reason or "HC301" in report.reason
        assert "its state cannot be encoded" in report.reason
    else:
        assert report.reason == ""
        assert await system.request("counter") == restored


async def test_the_generations_share_nothing(system: hostcore.ModuleSystem, write: ModuleWriter) -> None:
    """What the old generation changes after its snapshot is nothing to the new one."""
    body = (
        HOLDS.replace("VALUE", "{'list': [1]}") + "\n@hookimpl\ndef shutdown(self):\n    self.state['list'].append(2)\n"
    )
    await system.load("counter", source=write(body, "counter"))
    await system.reload("counter", strict=True)
    assert await system.request("counter") == "{'list': [1]}"


async def test_a_large_state(write: ModuleWriter) -> None:
    """200 MB of state come over if the limit allows it, and are refused with their size if not."""
    body = HOLDS.replace("VALUE", "b'x' * 200_000_000").replace("repr(self.state)", "len(self.state)")
    async with running(state_limit="300MiB") as system:
        await system.load("counter", source=write(body, "counter"))
        report = await soon(system.reload("counter", strict=True))
        assert report.leaks == ()
        assert await system.request("counter") == 200_000_000
        limited = write(body.replace("200_000_000", "0"), "counter", manifest="[limits]\nstate = '1MiB'")
        report = await soon(system.reload("counter", source=limited))
        assert report.rolled_back
        assert "200,000,005 bytes; at most 1,048,576 are allowed" in report.reason
        assert await system.request("counter") == 200_000_000
