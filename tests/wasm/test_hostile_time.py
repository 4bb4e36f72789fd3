"""Guests that do not come to an end: they are stopped, each message's asker is told, and everybody else goes on."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest
from wasm.arena import GRANTS, Arena, arena
from wasm.hosting import hosted, ready, soon, until
from wasm.wat import HOST, OK, component, core, parsed

from hostcore import errors

pytestmark = pytest.mark.usefixtures("compiled_once")

SPIN = "(loop $for_ever (br $for_ever)) (unreachable)"
QUICK = {"handle_message": "150ms", "initialize": "150ms"}
PATIENT = {"handle_message": "60s"}
HANG = """
@hookimpl
async def handle_message(self, message):
    await asyncio.Event().wait()
"""
ASK_HANG = '{"target":"hang","topic":"x","payload":1}'
ASKING = f"""
  (drop (call $call (i32.const 16) (i32.const 11)
    (i32.const 27) (i32.const {len(ASK_HANG)}) (i32.const 8192) (i32.const 999)))
  (i64.const 0)"""
SLEEP_LONG = """
  (drop (call $call (i32.const 16) (i32.const 12) (i32.const 28) (i32.const 9) (i32.const 8192) (i32.const 999)))
  (i64.const 0)"""
MONTHS = "timers.sleep999999999"
POLL = '(import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))'
SLEEPING_START = """(component
  (import "hostcore:module/types@1.0.0" (instance $types
    (type $e (record (field "code" string) (field "message" string) (field "details" (option string))))
    (export "error" (type (eq $e)))))
  (alias export $types "error" (type $error))
  (import "hostcore:module/timers@1.0.0" (instance $timers
    (alias outer 1 $error (type $outer))
    (export "error" (type $inner (eq $outer)))
    (export "sleep" (func (param "milliseconds" u32) (result (result (error $inner)))))))
  (core module $memory (memory (export "memory") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) i32.const 1024))
  (core instance $m (instantiate $memory))
  (core func $sleep (canon lower (func $timers "sleep") (memory (core memory $m "memory"))
    (realloc (core func $m "realloc"))))
  (core module $main (import "host" "sleep" (func $sleep (param i32 i32)))
    (func $start (call $sleep (i32.const 999999999) (i32.const 0)))
    (start $start))
  (core instance (instantiate $main (with "host" (instance (export "sleep" (func $sleep))))))
  (instance $lifecycle)
  (export "hostcore:module/lifecycle@1.0.0" (instance $lifecycle)))"""


@pytest.fixture(params=["fast", "plain"])
async def evil(request: pytest.FixtureRequest, tmp_path: Path):
    async with arena(tmp_path, request.param) as made:
        yield made


def in_hand(arena: Arena, name: str) -> bool:
    """Tell whether a module is handling a message."""
    cell = arena.system.record(name).cell
    return cell is not None and cell.delivery is not None


# --- loops ---------------------------------------------------------------------------------------------------------


async def test_an_endless_loop_in_a_handler(evil: Arena) -> None:
    """A handler that loops for ever is stopped at its limit; others answer meanwhile."""
    await evil.load(core(SPIN), limits=QUICK)
    error, answers = await evil.answers_during(evil.failing())
    assert (type(error), error.code, answers > 0) == (errors.HookError, "HC303", True)
    assert (await evil.failing()).code == "HC303"


async def test_a_loop_ends_at_the_deadline_of_its_message(evil: Arena) -> None:
    """A message's own deadline ends a guest that loops, even if its hook may take longer."""
    await evil.load(core(SPIN))
    with pytest.raises(errors.DeadlineError):
        await evil.ask(timeout=0.1)
    await until(lambda: evil.system.modules["evil"].failed == 1)


@pytest.mark.parametrize("where", ["start", "_initialize", "hc_abi", "start of a component"])
async def test_an_endless_loop_before_anything_is_asked(tmp_path: Path, where: str, evil: Arena) -> None:
    """A guest that loops while it is made is stopped at the limit of loading; others answer meanwhile."""
    spin = "(func $spin (loop $for_ever (br $for_ever)))"
    data = {
        "start": lambda: core(more=f"{spin} (start $spin)"),
        "_initialize": lambda: core(more='(func (export "_initialize") (loop $for_ever (br $for_ever)))'),
        "hc_abi": lambda: core(abi="(loop $for_ever (br $for_ever)) (unreachable)"),
        "start of a component": lambda: component(more=f"{spin} (start $spin)"),
    }[where]()
    async with arena(tmp_path, evil.calls, load_timeout=0.5) as made:
        error, answers = await made.answers_during(made.refused(data))
        assert (error.code, answers > 0) == ("HC206", True)
        assert made.system.modules["evil"].state.name == "FAILED"


@pytest.mark.parametrize(
    "hook", ["initialize", "get_capabilities", "get_state", "restore_state", "shutdown", "execute"]
)
async def test_an_endless_loop_in_any_hook(evil: Arena, hook: str) -> None:
    """Every hook has a limit: loading, reloading and unloading come to an end whatever a guest does in them."""
    good = {"initialize": "(i64.const 0)", "get_state": "(i64.const 68719476738)"}  # 16 << 32 | 2: "{}"
    await evil.load(core(hooks=good, data="{}"))
    data = core(hooks={**good, hook: SPIN}, data="{}")
    limits = {hook: "100ms"}
    if hook in ("initialize", "get_capabilities"):
        await evil.system.unload("evil")
        error, answers = await evil.answers_during(evil.refused(data, limits=limits))
        assert (error.code, answers > 0) == ("HC303", True)
        return
    await evil.system.unload("evil")
    await evil.load(data, limits=limits)
    if hook == "execute":
        with pytest.raises(errors.HookError, match="overran"):
            await soon(evil.system.execute("evil"))
    elif hook != "shutdown":
        report, answers = await evil.answers_during(soon(evil.system.reload("evil")))
        assert (report.rolled_back, "overran" in report.reason, answers > 0) == (True, True, True)
        assert await evil.ask() is None
    await evil.answers_during(evil.system.unload("evil"))


async def test_two_endless_loops_and_twenty_that_answer(tmp_path: Path) -> None:
    """Guests that loop share what time there is with those that answer."""
    async with arena(tmp_path, handler_timeout=0.3) as made:
        for name in ("one", "two"):
            await made.load(core(SPIN), name, limits=PATIENT)
        names = [f"m{number}" for number in range(20)]
        for name in names:
            await made.system.load(name, source=ready("c"))
        spins = [asyncio.ensure_future(made.failing(name=name, timeout=60)) for name in ("one", "two")]
        await until(lambda: all(in_hand(made, name) for name in ("one", "two")))
        for _ in range(3):
            replies = await asyncio.gather(*(made.ask("count", name=name) for name in names))
        assert replies == [{"count": 3}] * 20
        assert not any(spin.done() for spin in spins)
        for name, spin in zip(("one", "two"), spins, strict=True):
            await made.system.unload(name)
            assert isinstance(await spin, errors.StoppedError)


# --- waiting -------------------------------------------------------------------------------------------------------


async def test_a_sleep_through_wasi(evil: Arena) -> None:
    """A guest that sleeps by WASI would hold the whole host: it is ended, and told what to use."""
    await evil.load(core("(drop (call $poll (i32.const 0) (i32.const 64) (i32.const 1) (i32.const 128))) (i64.const 0)",
                         imports=HOST + POLL))  # fmt: skip
    error = await evil.failing()
    assert (type(error), error.code) == (errors.LimitError, "HC509")
    assert "timers.sleep" in error.message


async def test_a_host_call_that_never_answers(evil: Arena, tmp_path: Path, write) -> None:
    """A guest that waits for a module that hangs is ended by its own limit, and only it."""
    await evil.system.load("hang", source=write(HANG, "hang"), limits={"handle_message": "500ms"})
    await evil.load(core(ASKING, data=f"bus.request{ASK_HANG}"), limits=QUICK)
    error, answers = await evil.answers_during(evil.failing())
    assert (error.code, answers > 0) == ("HC303", True)
    assert evil.system.modules["hang"].state.name == "RUNNING"


async def test_a_sleep_of_months(evil: Arena) -> None:
    """However long a guest means to sleep, its limit ends it; nobody else waits."""
    await evil.load(core(SLEEP_LONG, data=MONTHS), limits=QUICK)
    error, answers = await evil.answers_during(evil.failing())
    assert (error.code, answers > 0) == ("HC303", True)


async def test_a_sleep_of_months_before_anything_is_asked(evil: Arena, tmp_path: Path) -> None:
    """A guest that sleeps while it is made is given up on at the limit of loading."""
    async with arena(tmp_path, evil.calls, load_timeout=0.5) as made:
        error, answers = await made.answers_during(made.refused(parsed(SLEEPING_START)))
        assert (error.code, answers > 0) == ("HC206", True)


# --- others come in between ----------------------------------------------------------------------------------------


async def test_the_asker_gives_up_while_the_guest_works(evil: Arena, write) -> None:
    """Cancelling who asked changes nothing for the guest: it finishes its message, and answers the next."""
    await evil.system.load("g", source=ready("c"), config={})
    asking = asyncio.ensure_future(evil.system.request("g", 50, topic="sleep"))
    await asyncio.sleep(0)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert await evil.ask("count", name="g") == {"count": 1}


def busy(doing: str) -> bytes:
    """Return a guest that does one of three things for ever."""
    if doing == "spinning":
        return core(SPIN)
    return core(ASKING, data=f"bus.request{ASK_HANG}") if doing == "waiting" else core(SLEEP_LONG, data=MONTHS)


@pytest.mark.parametrize("doing", ["spinning", "waiting", "sleeping"])
async def test_unloading_in_the_middle_of_a_message(tmp_path: Path, write, evil: Arena, doing: str) -> None:
    """An unload does not wait for ever for what a guest does; its asker is answered."""
    async with arena(tmp_path, evil.calls, handler_timeout=0.3) as made:
        await made.system.load("hang", source=write(HANG, "hang"), limits=PATIENT)
        await made.load(busy(doing), limits=PATIENT)
        asking = asyncio.ensure_future(made.failing(timeout=60))
        await until(lambda: in_hand(made, "evil"))
        _, answers = await made.answers_during(soon(made.system.unload("evil")))
        assert (type(await asking), answers > 0) == (errors.StoppedError, True)


@pytest.mark.parametrize("doing", ["spinning", "waiting", "sleeping"])
async def test_stopping_the_system_in_the_middle_of_a_message(evil: Arena, write, doing: str) -> None:
    """The system stops although a guest is in the middle of something; nobody waits for ever."""
    async with hosted(evil.calls, grants={"evil": GRANTS}, handler_timeout=0.3) as system:
        await system.load("hang", source=write(HANG, "hang"), limits=PATIENT)
        await system.load("evil", source=evil.file(busy(doing)), limits=PATIENT)
        asking = asyncio.ensure_future(system.request("evil", timeout=60))
        await asyncio.sleep(0)
        await soon(system.stop())
        (outcome,) = await soon(asyncio.gather(asking, return_exceptions=True))
        # Who waited for a module that was stopped first has heard of that, and ended.
        assert isinstance(outcome, errors.StoppedError) or (doing, outcome) == ("waiting", None)


async def test_a_reload_while_the_guest_waits(evil: Arena) -> None:
    """A reload lets the message in hand come to its end, and takes the state as it is then."""
    await evil.system.load("g", source=ready("c"))
    asking = asyncio.ensure_future(evil.ask("sleep", 60, name="g"))
    await until(lambda: in_hand(evil, "g"))
    report = await soon(evil.system.reload("g", strict=True))
    assert (report.new_generation, await asking) == (2, "slept")
    assert await evil.ask("count", name="g") == {"count": 1}


async def test_a_reload_of_a_guest_that_is_stuck(evil: Arena, tmp_path: Path) -> None:
    """A guest that loops is replaced where its last state will do; its asker is answered."""
    async with arena(tmp_path, evil.calls, reload={"drain": 0.2}) as made:
        await made.system.load("g", source=ready("c"), limits=PATIENT)
        for _ in range(2):
            await made.ask("count", name="g")
        await soon(made.system.reload("g", strict=True))
        asking = asyncio.ensure_future(made.failing("spin", name="g", timeout=60))
        await until(lambda: in_hand(made, "g"))
        report = await soon(made.system.reload("g", state="last", strict=True))
        assert (report.new_generation, type(await asking)) == (3, errors.StoppedError)
        assert await made.ask("count", name="g") == {"count": 3}


# --- fuel ----------------------------------------------------------------------------------------------------------


async def test_fuel_ends_the_same_call_at_the_same_point(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Where instructions are counted, a call that takes too many ends after the same ones each time."""
    caplog.set_level(logging.INFO, "hostcore.module.evil")
    loop = "(loop $on (call $log (i32.const 2) (i32.const 16) (i32.const 1)) (br $on)) (unreachable)"
    async with arena(tmp_path) as made:
        await made.load(core(loop, data="x"), limits={"fuel": 5_000, "log_rate": 60_000})
        counts = []
        for _ in range(3):
            caplog.clear()
            error = await made.failing()
            assert (type(error), error.code) == (errors.LimitError, "HC505")
            counts.append(sum(record.name == "hostcore.module.evil" for record in caplog.records))
        assert counts == [counts[0]] * 3
        assert 100 < counts[0] < 5_000


async def test_a_handler_that_does_nothing_is_not_ended(evil: Arena) -> None:
    """The smallest guest of a component answers with nothing."""
    await evil.load(component({"handle-message": OK}))
    assert await evil.ask() is None
