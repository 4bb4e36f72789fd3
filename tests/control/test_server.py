"""The server: many clients, good and bad, over real sockets; the host is none the worse for any of them."""

from __future__ import annotations

import asyncio
import contextlib
import logging

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hostcore.control import server as serving
from hostcore.control.places import Claim
from hostcore.control.server import ControlServer
from hostcore.errors import UnknownModuleError


class Wire:
    """One client's connection."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer

    def write(self, data: bytes):
        self.writer.write(data)

    def ask(self, method, params=None, identity=1, version=1):
        request = {"hostcore": version, "id": identity, "method": method, "params": params or {}}
        self.write(msgspec.json.encode(request) + b"\n")

    async def reply(self):
        line = await asyncio.wait_for(self.reader.readline(), 20)
        assert line.endswith(b"\n"), "the server closed the connection"
        return msgspec.json.decode(line)

    async def ended(self) -> bool:
        return not await asyncio.wait_for(self.reader.read(), 20)

    def close(self):
        self.writer.close()


class Toy:
    """A server with methods for tests, and its clients."""

    def __init__(self, **options):
        self.gates: dict[str, asyncio.Event] = {}
        self.begun = asyncio.Semaphore(0)
        self.running = 0
        self.claim = Claim("toy")
        methods = {"echo": self.echo, "wait": self.wait, "fail": self.fail, "crash": self.crash, "odd": self.odd}
        self.server = ControlServer(methods, **options)
        self.wires: list[Wire] = []

    async def echo(self, params):
        return params

    async def wait(self, params):
        self.running += 1
        self.begun.release()
        try:
            await self.gates.setdefault(params["gate"], asyncio.Event()).wait()
        finally:
            self.running -= 1
        return params["gate"]

    async def fail(self, params):
        raise UnknownModuleError("no module 'x'", hint="look")

    async def crash(self, params):
        raise RuntimeError("boom")

    async def odd(self, params):
        return object()

    def open(self, gate):
        self.gates.setdefault(gate, asyncio.Event()).set()

    async def connect(self):
        wire = Wire(*await asyncio.open_unix_connection(str(self.claim.path), limit=1 << 26))
        self.wires.append(wire)
        return wire

    async def start(self):
        await self.server.start(self.claim.listen())

    async def stop(self):
        await self.server.stop()
        for wire in self.wires:
            wire.close()
            with contextlib.suppress(OSError):
                await wire.writer.wait_closed()
        self.claim.release()


@contextlib.asynccontextmanager
async def serving_toy(**options):
    toy = Toy(**options)
    await toy.start()
    try:
        yield toy
    finally:
        await toy.stop()


@pytest.fixture
async def toy():
    async with serving_toy() as toy:
        yield toy


async def alive(toy) -> bool:
    """Tell whether the server answers a new client."""
    wire = await toy.connect()
    wire.ask("echo", {"x": 1}, "alive")
    return await wire.reply() == {"id": "alive", "result": {"x": 1}}


async def test_a_request_is_answered_with_its_id(toy):
    """The reply has the request's id, a number or a text, and the result."""
    wire = await toy.connect()
    for identity in (7, "seven", 0, -1):
        wire.ask("echo", {"a": [1, "ü"]}, identity)
        assert await wire.reply() == {"id": identity, "result": {"a": [1, "ü"]}}


async def test_requests_of_one_connection_are_answered_as_they_finish(toy):
    """A slow request does not hold up the ones after it."""
    wire = await toy.connect()
    wire.ask("wait", {"gate": "slow"}, 1)
    wire.ask("wait", {"gate": "medium"}, 2)
    wire.ask("echo", {}, 3)
    assert (await wire.reply())["id"] == 3
    toy.open("medium")
    assert await wire.reply() == {"id": 2, "result": "medium"}
    toy.open("slow")
    assert await wire.reply() == {"id": 1, "result": "slow"}


async def test_an_error_of_a_method_is_its_data(toy):
    """A HostcoreError comes over with type, code, text and exit code."""
    wire = await toy.connect()
    wire.ask("fail")
    error = (await wire.reply())["error"]
    assert (error["type"], error["code"], error["exit_code"]) == ("UnknownModuleError", "HC401", 1)
    assert error["text"] == "HC401 no module 'x'\n  hint: look"


async def test_a_fault_inside_the_host_is_told_and_logged(toy, caplog):
    """Any other exception is an internal error with exit code 3; the host logs it and goes on."""
    wire = await toy.connect()
    with caplog.at_level(logging.ERROR):
        wire.ask("crash")
        error = (await wire.reply())["error"]
    assert (error["type"], error["code"], error["exit_code"]) == ("InternalError", "HC900", 3)
    assert "RuntimeError: boom" in error["text"]
    assert "Traceback" in caplog.text
    assert await alive(toy)


async def test_a_result_that_is_no_data_is_an_error(toy):
    """A result that JSON cannot say becomes an error that says so."""
    wire = await toy.connect()
    wire.ask("odd")
    assert "cannot be written as JSON" in (await wire.reply())["error"]["text"]


async def test_an_unknown_method_gets_a_suggestion(toy):
    """A method that there is none of is refused with the nearest one."""
    wire = await toy.connect()
    wire.ask("ecko")
    error = (await wire.reply())["error"]
    assert error["code"] == "HC913"
    assert error["problems"][0]["hint"] == "did you mean 'echo'?"


@pytest.mark.parametrize("version", [0, 2, 99, -1])
async def test_another_version_is_refused_with_both_named(toy, version):
    """A request of another protocol version is refused, naming its version and the host's."""
    wire = await toy.connect()
    wire.ask("echo", identity=5, version=version)
    reply = await wire.reply()
    assert reply["id"] == 5
    assert reply["error"]["code"] == "HC914"
    assert f"version {version}" in reply["error"]["text"]
    assert "version 1" in reply["error"]["text"]


@pytest.mark.parametrize(
    ("line", "identity", "message"),
    [
        (b"hello", None, "not JSON"),
        (b"\xff\xfe", None, "not JSON"),
        (b"[1, 2]", None, "not a JSON object"),
        (b"3", None, "not a JSON object"),
        (b"null", None, "not a JSON object"),
        (b"[" * 100_000, None, "not JSON"),
        (b"{}", None, "'hostcore' is missing"),
        (b'{"hostcore": 1, "id": 4}', 4, "'method' is missing"),
        (b'{"hostcore": 1, "id": 4, "method": 3}', 4, "'method' is the integer 3"),
        (b'{"hostcore": 1, "id": 4, "method": "echo", "params": []}', 4, "'params' is an array"),
        (b'{"hostcore": 1, "id": 4, "methd": "echo"}', 4, "did you mean 'method'?"),
        (b'{"hostcore": 1, "method": "echo"}', None, "'id' is missing"),
        (b'{"hostcore": 1, "id": {}, "method": "echo"}', None, "an id is a whole number or text"),
        (b'{"hostcore": 1, "id": true, "method": "echo"}', None, "an id is a whole number or text"),
        (b'{"hostcore": "1", "id": 4, "method": "echo"}', 4, "'hostcore' is the text '1'"),
        (b'{"hostcore": true, "id": 4, "method": "echo"}', 4, "'hostcore' is true"),
    ],
)
async def test_a_bad_line_is_refused_and_the_next_is_read(toy, line, identity, message):
    """A line that is no request gets an error that says what is wrong; the connection goes on."""
    wire = await toy.connect()
    wire.write(line + b"\n")
    reply = await wire.reply()
    assert reply["id"] == identity
    assert reply["error"]["code"] == "HC912"
    assert message in reply["error"]["text"]
    wire.ask("echo", identity=9)
    assert (await wire.reply())["id"] == 9


async def test_all_mistakes_of_a_request_come_at_once(toy):
    """A request with three mistakes is answered with three problems."""
    wire = await toy.connect()
    wire.write(b'{"hostcore": 1, "id": [], "method": 1, "parms": {}}\n')
    assert len((await wire.reply())["error"]["problems"]) == 3


async def test_empty_lines_are_passed_over(toy):
    """Empty lines, and carriage returns, mean nothing."""
    wire = await toy.connect()
    wire.write(b"\n\r\n  \n")
    wire.ask("echo", identity=2)
    assert (await wire.reply())["id"] == 2


async def test_a_line_beyond_the_limit_is_skipped():
    """A line that is too long is reported and skipped, and the next one is read; it is not kept in memory."""
    async with serving_toy(line_limit=1000) as toy:
        wire = await toy.connect()
        for length in (1001, 70_000, 1_000_000):
            wire.write(b"x" * length + b"\n")
            assert "longer than 1,000 bytes" in (await wire.reply())["error"]["text"]
        wire.ask("echo", identity=3)
        assert (await wire.reply())["id"] == 3


async def test_a_line_just_at_the_limit_is_read():
    """A line as long as the limit is no longer than it."""
    line = b'{"hostcore": 1, "id": 1, "method": "echo"}'
    async with serving_toy(line_limit=len(line)) as toy:
        wire = await toy.connect()
        wire.write(line + b"\n")
        assert "result" in await wire.reply()
        wire.write(line + b" \n")
        assert "error" in await wire.reply()


async def test_a_request_in_pieces_is_put_together(toy):
    """Bytes may arrive one by one, and several requests in one piece."""
    wire = await toy.connect()
    for byte in b'{"hostcore": 1, "id": 1, "method": "echo", "params": {"a": "\xc3\xbc"}}\n':
        wire.write(bytes([byte]))
        await wire.writer.drain()
    assert (await wire.reply())["result"] == {"a": "ü"}
    wire.write(b'{"hostcore": 1, "id": 1, "method": "echo"}\n{"hostcore": 1, "id": 2, "method": "echo"}\n')
    assert {(await wire.reply())["id"], (await wire.reply())["id"]} == {1, 2}


async def test_half_a_line_is_not_looked_at(toy):
    """A last line without its end is not carried out, even if it is a whole request."""
    wire = await toy.connect()
    wire.write(b'{"hostcore": 1, "id": 1, "method": "echo"}')
    wire.writer.write_eof()
    assert "has no end" in (await wire.reply())["error"]["text"]
    assert await wire.ended()


async def test_a_client_that_closes_its_side_still_gets_its_replies(toy):
    """After a half close the requests in hand are answered; then the server closes."""
    wire = await toy.connect()
    wire.ask("wait", {"gate": "g"})
    wire.writer.write_eof()
    await toy.begun.acquire()
    toy.open("g")
    assert (await wire.reply())["result"] == "g"
    assert await wire.ended()


async def test_a_client_that_leaves_does_not_undo_its_request(toy):
    """What a client asked for is brought to its end although it has gone."""
    wire = await toy.connect()
    wire.ask("wait", {"gate": "g"})
    await toy.begun.acquire()
    wire.close()
    await wire.writer.wait_closed()
    assert await alive(toy)
    assert toy.running == 1
    toy.open("g")
    assert await alive(toy)
    assert toy.running == 0


async def test_many_clients_are_served_at_once(toy):
    """A hundred clients with ten requests each all get their own answers."""

    async def client(number: int) -> None:
        wire = await toy.connect()
        for each in range(10):
            wire.ask("echo", {"client": number, "n": each}, each)
        replies = [await wire.reply() for _ in range(10)]
        assert sorted(r["id"] for r in replies) == list(range(10))
        assert all(r["result"] == {"client": number, "n": r["id"]} for r in replies)

    await asyncio.gather(*map(client, range(100)))


async def test_too_many_clients_are_refused(toy, monkeypatch):
    """Beyond the limit a client is told so, and those that are connected are served."""
    monkeypatch.setattr(serving, "CONNECTIONS", 3)
    wires = [await toy.connect() for _ in range(3)]
    for wire in wires:
        wire.ask("echo")
        await wire.reply()
    late = await toy.connect()
    assert "3 clients are connected already" in (await late.reply())["error"]["text"]
    assert await late.ended()
    wires[0].ask("echo")
    assert (await wires[0].reply())["result"] == {}


async def test_a_client_gets_no_more_than_its_share_at_once(toy):
    """Of one connection only so many requests run at a time; the others wait their turn."""
    wire = await toy.connect()
    for number in range(serving.IN_HAND + 10):
        wire.ask("wait", {"gate": "g"}, number)
    for _ in range(serving.IN_HAND):
        await toy.begun.acquire()
    assert await alive(toy)
    assert toy.running == serving.IN_HAND
    toy.open("g")
    assert {(await wire.reply())["id"] for _ in range(serving.IN_HAND + 10)} == set(range(serving.IN_HAND + 10))


async def test_a_client_that_never_reads_is_cut_off():
    """Replies that nobody takes are not piled up: the client is cut off, and the others are served meanwhile."""
    async with serving_toy(write_time=0.1) as toy:
        wire = await toy.connect()
        wire.reader._transport.pause_reading()
        for number in range(100):
            wire.ask("echo", {"x": "x" * 100_000}, number)
            assert await alive(toy)
        with pytest.raises((ConnectionError, TimeoutError)):
            while True:
                wire.ask("echo", {"x": "x" * 100_000})
                await asyncio.wait_for(wire.writer.drain(), 20)
        assert await alive(toy)


async def test_stopping_answers_who_waits(toy):
    """Requests in hand are answered with an error when the host stops, and the connections are closed."""
    wires = [await toy.connect() for _ in range(3)]
    for wire in wires:
        wire.ask("wait", {"gate": "never"})
        await toy.begun.acquire()
    await toy.server.stop()
    for wire in wires:
        assert (await wire.reply())["error"]["code"] == "HC402"
        assert await wire.ended()
    assert toy.running == 0


async def test_stopping_closes_idle_connections(toy):
    """A client that only listens does not hold up the stop."""
    wire = await toy.connect()
    wire.ask("echo")
    await wire.reply()
    await toy.server.stop()
    assert await wire.ended()


async def test_a_stopped_server_takes_nobody(toy):
    """After the stop a connection is refused."""
    await toy.server.stop()
    with pytest.raises(OSError):
        await toy.connect()


LINE = st.one_of(
    st.binary(max_size=300),
    st.text(max_size=100).map(str.encode),
    st.fixed_dictionaries(
        {},
        optional={
            "hostcore": st.integers() | st.none() | st.text(),
            "id": st.recursive(st.none() | st.integers() | st.floats(), st.lists, max_leaves=5),
            "method": st.sampled_from(["echo", "fail", "odd"]) | st.text() | st.integers(),
            "params": st.dictionaries(st.text(), st.integers() | st.text()) | st.none(),
        },
    ).map(msgspec.json.encode),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(LINE, max_size=8))
def test_any_lines_leave_the_server_alive(lines):
    """Whatever lines come, each is answered by a result or an error, and the server serves on."""

    async def play() -> None:
        async with serving_toy() as toy:
            wire = await toy.connect()
            for line in lines:
                wire.write(line + b"\n")
            wire.writer.write_eof()
            answers = [msgspec.json.decode(line) for line in (await wire.reader.read()).splitlines()]
            sent = [part for line in lines for part in line.split(b"\n") if part.strip()]
            assert len(answers) == len(sent)
            assert all("result" in answer or answer["error"]["text"] for answer in answers)
            assert await alive(toy)

    asyncio.run(play())
