"""Guests that lie about where things are, how long they are, and what they are."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from wasm.arena import Arena, arena
from wasm.wat import HOST, component, core

import hostcore
from hostcore import errors

pytestmark = pytest.mark.usefixtures("compiled_once")

FAR = 0x7FFF_0000
"""An address that no guest of these has."""


@pytest.fixture(params=["fast", "plain"])
async def evil(request: pytest.FixtureRequest, tmp_path: Path):
    async with arena(tmp_path, request.param) as made:
        yield made


def result(pointer: int, length: int, *, failed: bool = False) -> str:
    """Return the body of a hook that returns that place."""
    return f"(i64.const {pointer << 32 | length | (1 << 63 if failed else 0):#x})"


def asking(op: str, argument: str, out: int = 8192, room: int = 1000) -> str:
    """Return the body of a handler that asks the host, and answers with what it got."""
    data = f"(call $call (i32.const 16) (i32.const {len(op)}) (i32.const {16 + len(op)}) (i32.const {len(argument)})"
    return (
        f"(local.set $n {data} (i32.const {out}) (i32.const {room})))"
        f"(i64.or (i64.const {out << 32:#x}) (i64.and (local.get $n) (i64.const 0x80000000ffffffff)))"
    )


# --- places outside of memory --------------------------------------------------------------------------------------


@pytest.mark.parametrize("failed", [False, True])
@pytest.mark.parametrize(
    ("pointer", "length"),
    [(FAR, 1), (0, 0xFFFF_FFFF), (131072, 1), (131071, 2), (0x7FFF_FFFF, 0xFFFF_FFFF), (65536, 65537)],
)
async def test_a_result_outside_of_memory(evil: Arena, pointer: int, length: int, failed: bool) -> None:
    """A result that is not within memory ends the guest; nothing is read."""
    await evil.load(core(result(pointer, length, failed=failed)))
    error = await evil.failing()
    assert (type(error), error.code) == (errors.GuestTrapError, "HC502")
    assert "leaves its memory" in error.message


async def test_the_last_byte_of_memory_is_inside(evil: Arena) -> None:
    """A result that ends with the memory is one."""
    await evil.load(core("(i32.store8 (i32.const 131071) (i32.const 55))" + result(131071, 1)))
    assert await evil.ask() == 7


@pytest.mark.parametrize("buffer", [FAR, 131071, 0x8000_0000, 0xFFFF_FFFF])
async def test_an_input_buffer_outside_of_memory(evil: Arena, buffer: int) -> None:
    """The host writes no input outside of memory; the guest that wants it to is ended."""
    await evil.load(core(buffer=f"(i32.const {buffer:#x})"))
    error = await evil.failing(payload={"some": "payload"})
    assert (type(error), error.code) == (errors.GuestTrapError, "HC502")
    assert "leaves its memory" in error.message


async def test_an_input_buffer_that_is_too_small(evil: Arena) -> None:
    """A payload that does not fit between the buffer and the end of memory is not written."""
    await evil.load(core(buffer="(i32.const 131000)"))
    assert await evil.ask(payload="x" * 20) is None
    assert (await evil.failing(payload="x" * 100)).code == "HC502"


async def test_no_input_buffer(evil: Arena) -> None:
    """A guest that has no room for a message says so; it lives on."""
    await evil.load(core(buffer="(i32.const 0)"))
    error = await evil.failing(payload=1)
    assert (type(error), error.code) == (errors.LimitError, "HC504")


@pytest.mark.parametrize(
    "call",
    [
        f"(call $log (i32.const 2) (i32.const {FAR}) (i32.const 5))",
        "(call $log (i32.const 2) (i32.const 16) (i32.const -1))",
        "(call $log (i32.const 2) (i32.const -1) (i32.const 1))",
        f"(drop (call $call (i32.const {FAR}) (i32.const 5) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 9)))",
        "(drop (call $call (i32.const 16) (i32.const -5) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 9)))",
        f"(drop (call $call (i32.const 16) (i32.const 14) (i32.const {FAR}) (i32.const 1) (i32.const 0)"
        " (i32.const 9)))",
        "(drop (call $call (i32.const 16) (i32.const 14) (i32.const 0) (i32.const -1) (i32.const 0) (i32.const 9)))",
        f"(drop (call $call (i32.const 16) (i32.const 14) (i32.const 0) (i32.const 0) (i32.const {FAR})"
        " (i32.const 0x7fffffff)))",
        "(drop (call $call (i32.const 16) (i32.const 14) (i32.const 0) (i32.const 0) (i32.const 131070)"
        " (i32.const -1)))",
        "(drop (call $call (i32.const 16) (i32.const 14) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)))"
        f" (drop (call $read (i32.const {FAR}) (i32.const 5)))",
    ],
)
async def test_places_outside_of_memory_in_calls_to_the_host(evil: Arena, call: str) -> None:
    """The host reads and writes nothing outside of memory, whatever a guest passes; the guest is ended."""
    await evil.load(core(f"{call} (i64.const 0)", data="context.module"))
    error = await evil.failing()
    assert (type(error), error.code) == (errors.GuestTrapError, "HC502")
    assert "leaves its memory" in error.message


async def test_reading_more_than_there_is(evil: Arena) -> None:
    """`read` gives what is left of the last result and nothing twice, however much is asked for."""
    ask = "(drop (call $call (i32.const 16) (i32.const 7) (i32.const 23) (i32.const 0) (i32.const 0) (i32.const 0)))"
    read = "(call $read (i32.const 8192) (i32.const 1000))"
    again = "(if (call $read (i32.const 8192) (i32.const 1000)) (then (unreachable)))"
    body = f"{ask} (local.set $i {read}) {again} (i64.or (i64.const 0x200000000000) (i64.extend_i32_u (local.get $i)))"
    await evil.load(core(body, data="kv.keys"))
    assert await evil.ask() == []
    await evil.load(core(f"{again} (i64.const 0)"), "other")
    assert await evil.ask(name="other") is None


async def test_strings_outside_of_memory_in_a_component(evil: Arena) -> None:
    """A component whose reply lies outside of its memory is ended."""
    reply = "(i32.store8 (i32.const 1028) (i32.const 1)) (i32.store (i32.const 1032) (i32.const 0x7fff0000))"
    await evil.load(
        component({"handle-message": f"{reply} (i32.store (i32.const 1036) (i32.const 9)) (i32.const 1024)"})
    )
    error = await evil.failing()
    assert (type(error), error.code) == (errors.GuestTrapError, "HC502")


# --- what is no JSON, or too much of it ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", ["", "{", "hello", "[1,]", "nul", "{'a':1}", "1 2", "NaN", "\ud83d".encode("utf-8", "surrogatepass")]
)
@pytest.mark.parametrize("kind", ["core", "component"])
async def test_a_reply_that_is_not_json(evil: Arena, text: str | bytes, kind: str) -> None:
    """A reply that is no JSON is the guest's mistake; it lives on."""
    data = text if isinstance(text, bytes) else text.encode()
    if kind == "core":
        stores = "".join(f"(i32.store8 (i32.const {900 + n}) (i32.const {byte}))" for n, byte in enumerate(data))
        await evil.load(core(stores + result(900, len(data))))
    else:
        stores = "".join(f"(i32.store8 (i32.const {900 + n}) (i32.const {byte}))" for n, byte in enumerate(data))
        place = f"(i32.store (i32.const 1032) (i32.const 900)) (i32.store (i32.const 1036) (i32.const {len(data)}))"
        body = f"{stores} (i32.store8 (i32.const 1028) (i32.const 1)) {place} (i32.const 1024)"
        await evil.load(component({"handle-message": body}))
    error = await evil.failing()
    if kind == "component" and isinstance(text, bytes):
        assert error.code == "HC502"  # the engine itself sees that this is no text
    else:
        assert (type(error), error.code) == (errors.ContractError, "HC351")
        assert "is not JSON" in error.message


async def test_an_error_that_is_none(evil: Arena) -> None:
    """An error that is not what the ABI says is one all the same, and shown safely."""
    for number, data in enumerate(["no json \x1b[2J", "[1]", '{"code": 5, "message": {"a": 1}}', '{"details": [1]}']):
        await evil.load(core(result(16, len(data.encode()), failed=True), data=data), f"e{number}")
        error = await evil.failing(name=f"e{number}")
        assert (type(error), error.code) == (errors.HookError, "HC302")
        assert "\x1b" not in str(error)


async def test_a_reply_of_a_hundred_megabytes(evil: Arena) -> None:
    """A reply larger than a message may be is refused, and the guest lives on."""
    grow = "(drop (memory.grow (i32.const 1700))) (memory.fill (i32.const 65536) (i32.const 32) (i32.const 104857600))"
    await evil.load(core(grow + result(65536, 104857600)))
    for _ in range(2):
        error = await evil.failing()
        assert (type(error), error.code) == (errors.LimitError, "HC503")
        assert "104,857,600 bytes" in error.message
    assert evil.system.modules["evil"].state.name == "RUNNING"


NESTED = """
  (memory.fill (i32.const 65536) (i32.const 91) (i32.const 20000))
  (memory.fill (i32.const 85536) (i32.const 93) (i32.const 20000))"""


async def test_a_reply_nested_twenty_thousand_deep(evil: Arena) -> None:
    """JSON nested deeper than Python goes is refused; the process lives on."""
    await evil.load(core(NESTED + result(65536, 40000)))
    error = await evil.failing()
    assert (type(error), error.code) == (errors.ContractError, "HC351")
    assert "nested too deeply" in error.message


@pytest.mark.parametrize("depth", [900, 4000, 9000, 20000])
@pytest.mark.parametrize("op", ["bus.publish", "kv.set", "bus.send", "bus.request", "cap.invoke"])
async def test_json_nested_deep_in_a_call_to_the_host(evil: Arena, op: str, depth: int) -> None:
    """JSON nested as deep as a guest likes is taken or refused; it overflows no stack of the host's."""
    head = '{"topic":"t","target":"bystander","key":"k","capability":"c","operation":"o","value":'
    if op != "kv.set":
        head = head.replace('"value"', '"args"' if op == "cap.invoke" else '"payload"')
    start, call = 65536, len(op)
    body = f"""
      (memory.copy (i32.const {start}) (i32.const {16 + call}) (i32.const {len(head)}))
      (memory.fill (i32.const {start + len(head)}) (i32.const 91) (i32.const {depth}))
      (memory.fill (i32.const {start + len(head) + depth}) (i32.const 93) (i32.const {depth}))
      (i32.store8 (i32.const {start + len(head) + 2 * depth}) (i32.const 125))
      (drop (call $call (i32.const 16) (i32.const {call}) (i32.const {start}) (i32.const {len(head) + 2 * depth + 1})
        (i32.const 8192) (i32.const 4000)))
      (drop (call $call (i32.const 8) (i32.const 6) (i32.const 15) (i32.const 1) (i32.const 8192) (i32.const 0)))
      (i64.const 0)"""
    await evil.load(core(body, data=op + head, more='(data (i32.const 8) "kv.get k")'))
    assert await evil.ask() is None


async def test_an_argument_larger_than_a_message(evil: Arena) -> None:
    """A guest that hands the host more than a message may be is told so, unread."""
    grow = "(drop (memory.grow (i32.const 1000))) (memory.fill (i32.const 65536) (i32.const 32) (i32.const 50000000))"
    call = "(call $call (i32.const 16) (i32.const 11) (i32.const 65536) (i32.const 50000000) (i32.const 8192)"
    body = f"""{grow} (local.set $n {call} (i32.const 1000)))
      (i64.or (i64.const {8192 << 32:#x}) (i64.and (local.get $n) (i64.const 0x80000000ffffffff)))"""
    await evil.load(core(body, data="bus.publish"))
    error = await evil.failing()
    assert (type(error), error.code) == (errors.HookError, "HC302")
    assert "too-large" in error.message


@pytest.mark.parametrize(
    ("op", "argument", "text"),
    [
        ("nonsense", "", "no operation 'nonsense'"),
        ("bus.request", "no json", "not JSON"),
        ("bus.request", "[1]", "is a JSON object"),
        ("bus.request", '{"target":5}', "'target' is text"),
        ("bus.request", '{"target":"bystander","timeout_ms":-1}', "'timeout_ms' is a number"),
        ("bus.send", '{"target":"nobody"}', "no module is named"),
        ("bus.publish", '{"topic":"a..b"}', "no permission 'bus.send:a..b'"),
        ("bus.publish", '{"topic":"hostcore.x"}', "may not publish"),
        ("bus.subscribe", "a..b", "no permission 'bus.subscribe:a..b'"),
        ("kv.get", "", "a key is text"),
        ("kv.set", '{"key":""}', "a key is text"),
        ("cap.invoke", '{"capability":"none","operation":"x"}', "no service"),
        ("timers.sleep", "-1", "decimal number"),
        ("timers.sleep", "1e3", "decimal number"),
        ("timers.sleep", "99999999999", "decimal number"),
    ],
)
async def test_nonsense_in_a_call_to_the_host(evil: Arena, op: str, argument: str, text: str) -> None:
    """What the host cannot make sense of is answered with an error that says why."""
    await evil.load(core(asking(op, argument), data=op + argument))
    error = await evil.failing()
    assert (type(error), error.code) == (errors.HookError, "HC302")
    assert text in error.message


async def test_a_level_and_a_line_of_the_log_that_are_none(evil: Arena, caplog: pytest.LogCaptureFixture) -> None:
    """A level that there is not is taken for "info"; bytes that are no text are shown as such, each line by itself."""
    caplog.set_level(logging.INFO, "hostcore.module.evil")
    body = """(i32.store8 (i32.const 64) (i32.const 255)) (i32.store8 (i32.const 65) (i32.const 10))
      (i32.store8 (i32.const 66) (i32.const 0))
      (call $log (i32.const 99) (i32.const 64) (i32.const 3)) (call $log (i32.const -1) (i32.const 0) (i32.const 0))
      (i64.const 0)"""
    await evil.load(core(body))
    assert await evil.ask() is None
    told = [(r.levelname, r.message) for r in caplog.records if r.name == "hostcore.module.evil"]
    assert told == [("INFO", "\ufffd"), ("INFO", "\\x00"), ("INFO", "")]


# --- who calls -----------------------------------------------------------------------------------------------------


async def test_the_host_is_called_before_memory_is_there(evil: Arena) -> None:
    """A core guest that calls the host from its start function is refused, with the reason."""
    start = "(func $start (call $log (i32.const 2) (i32.const 0) (i32.const 4))) (start $start)"
    error = await evil.refused(core(more=start))
    assert (type(error), error.code) == (errors.GuestTrapError, "HC502")
    assert "from its start function" in error.message


async def test_a_core_guest_cannot_be_entered_while_it_asks(evil: Arena, tmp_path: Path) -> None:
    """A guest that asks itself, or another that asks it back, is told of the circle, and lives on."""
    argument = '{"target":"evil","topic":"x","payload":1}'
    await evil.load(core(asking("bus.request", argument), data="bus.request" + argument))
    error = await evil.failing()
    assert "evil -> evil" in error.message
    await evil.system.unload("evil")
    back = '{"target":"other","topic":"x","payload":1}'
    await evil.load(core(asking("bus.request", back), data="bus.request" + back))
    await evil.load(core(asking("bus.request", argument), data="bus.request" + argument), "other")
    error = await evil.failing()
    assert "other -> evil -> other" in error.message or "waits for it" in error.message
    assert evil.system.modules["evil"].state.name == "RUNNING"


async def test_nothing_is_called_after_the_end(evil: Arena) -> None:
    """A guest that was unloaded is not reached any more, also not by what was kept of it."""
    await evil.load(core(hooks={"get_state": result(16, 2)}, data="{}"))
    instance = evil.system.record("evil").cell.instance
    await evil.system.unload("evil")
    with pytest.raises(errors.StoppedError):
        await evil.system.request("evil")
    with pytest.raises(hostcore.errors.HostcoreError):
        await instance.call("get_state")
    assert await instance.close() == ()


@pytest.mark.parametrize("imports", ["", HOST])
async def test_the_smallest_guest(evil: Arena, imports: str) -> None:
    """A guest needs no import."""
    await evil.load(core(imports=imports))
    assert await evil.ask() is None
