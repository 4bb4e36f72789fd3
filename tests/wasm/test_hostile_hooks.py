"""Guests that trap, at any point of their life, and hosts that are interrupted while a guest runs."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest
from wasm.arena import GRANTS, Arena, arena
from wasm.hosting import hosted, ready, soon
from wasm.wat import STATE, component, core

import hostcore
from hostcore import errors

pytestmark = pytest.mark.usefixtures("compiled_once")

TRAP = "(unreachable)"
GOOD = {"initialize": "(i64.const 0)", "get_state": "(i64.const 0x1000000002)", "restore_state": "(i64.const 0)"}
"""Hooks of a core guest whose state is "{}", which lies at 16."""
HEALTH = '["handle_message(topic, payload)", "check_health()"]'


@pytest.fixture(params=["fast", "plain"])
async def evil(request: pytest.FixtureRequest, tmp_path: Path):
    async with arena(tmp_path, request.param) as made:
        yield made


def trapping(hook: str, kind: str) -> bytes:
    """Return a guest that traps in one hook, and does nothing in the others."""
    if kind == "component":
        return component({"get-state": STATE, hook.replace("_", "-"): TRAP})
    return (
        core(hooks={**GOOD, hook: TRAP}, data="{}") if hook != "handle_message" else core(TRAP, hooks=GOOD, data="{}")
    )


KINDS = pytest.mark.parametrize("kind", ["core", "component"])


def is_trap(error: errors.HostcoreError, hook: str) -> bool:
    return (type(error), error.code) == (errors.GuestTrapError, "HC502") and repr(hook) in error.message


# --- traps ---------------------------------------------------------------------------------------------------------


@KINDS
@pytest.mark.parametrize("hook", ["initialize", "get_capabilities"])
async def test_a_trap_while_it_is_loaded(evil: Arena, hook: str, kind: str) -> None:
    """A guest that traps before it serves is not loaded; the hook is named."""
    assert is_trap(await evil.refused(trapping(hook, kind)), hook)
    assert evil.system.modules["evil"].state.name == "FAILED"
    await evil.system.unload("evil")


@KINDS
@pytest.mark.parametrize("start", ["start", "_initialize"])
async def test_a_trap_while_it_is_made(evil: Arena, start: str, kind: str) -> None:
    """A guest that traps in its start functions is not loaded."""
    more = "(func $start (unreachable)) (start $start)"
    if start == "_initialize":
        more = '(func (export "_initialize") (unreachable))'
    data = core(more=more) if kind == "core" else component(more=more)
    error = await evil.refused(data)
    assert (type(error), error.code) == (errors.GuestTrapError, "HC502")


@KINDS
@pytest.mark.parametrize("hook", ["handle_message", "execute"])
async def test_a_trap_while_it_serves(evil: Arena, hook: str, kind: str) -> None:
    """A guest that traps over a message fails that one, again and again, and is replaced by one that does not."""
    await evil.load(trapping(hook, kind))
    for _ in range(2):
        with pytest.raises(errors.GuestTrapError) as caught:
            await soon(evil.system.request("evil") if hook == "handle_message" else evil.system.execute("evil"))
        assert is_trap(caught.value, hook)
        await evil.bystander()
    report = await soon(evil.system.reload("evil", source=ready("c"), state="fresh", strict=True))
    assert (report.rolled_back, await evil.ask("echo", 5)) == (False, 5)


@KINDS
async def test_a_trap_in_get_state_keeps_the_old_copy(evil: Arena, kind: str) -> None:
    """A guest that traps when its state is asked for serves on, and can be replaced without its state."""
    await evil.load(trapping("get_state", kind))
    report = await soon(evil.system.reload("evil", source=ready("c")))
    assert (report.rolled_back, report.phase) == (True, "snapshot")
    assert "trapped" in report.reason
    assert await evil.ask() is None
    assert evil.system.modules["evil"].generation == 1
    assert not (await soon(evil.system.reload("evil", source=ready("c"), state="fresh", strict=True))).rolled_back


@KINDS
@pytest.mark.parametrize("hook", ["initialize", "get_capabilities", "restore_state"])
async def test_a_trap_of_the_new_copy_keeps_the_old_one(evil: Arena, hook: str, kind: str) -> None:
    """A new copy that traps before it serves never does; the old one goes on with its state."""
    await evil.system.load("g", source=ready("c"))
    await evil.ask("count", name="g")
    report = await soon(evil.system.reload("g", source=evil.file(trapping(hook, kind))))
    assert report.rolled_back
    assert "trapped" in report.reason
    assert await evil.ask("count", name="g") == {"count": 2}


async def test_a_trap_in_check_health_keeps_the_old_copy(evil: Arena) -> None:
    """A new copy that traps when it is asked how it does, or says that it is ill, never serves."""
    await evil.system.load("g", source=ready("c"))
    place = 16 + len("{}")
    for answer, reason in ((TRAP, "trapped"), (f"(i64.const {(place + len(HEALTH)) << 32 | 5})", "check_health")):
        hooks = {**GOOD, "hooks": f"(i64.const {place << 32 | len(HEALTH)})", "call": answer}
        data = core(hooks=hooks, data="{}" + HEALTH + "false")
        report = await soon(evil.system.reload("g", source=evil.file(data)))
        assert (report.rolled_back, report.phase) == (True, "verify")
        assert reason in report.reason
    assert await evil.ask("count", name="g") == {"count": 1}


@KINDS
async def test_a_trap_in_shutdown_ends_it_all_the_same(evil: Arena, kind: str) -> None:
    """A guest that traps when it is to end has ended; a reload and an unload go on."""
    await evil.load(trapping("shutdown", kind))
    report = await soon(evil.system.reload("evil"))
    assert not report.rolled_back
    await soon(evil.system.unload("evil"))
    assert "evil" not in evil.system.modules


async def test_a_guest_that_exits(evil: Arena) -> None:
    """A guest that ends its program has trapped: the host lives on."""
    imports = '(import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))'
    for number, code in enumerate((0, 3)):
        name = f"exit{number}"
        await evil.load(core(f"(call $exit (i32.const {code})) (unreachable)", imports=imports), name)
        error = await evil.failing(name=name)
        assert (type(error), error.code) == (errors.GuestTrapError, "HC502")
        assert f"exited with code {code}" in error.message


async def test_every_kind_of_trap_is_told(evil: Arena) -> None:
    """What WebAssembly itself refuses to do is told as it is, and ends that message only."""
    traps = {
        "divide by zero": "(i64.div_s (i64.const 1) (i64.const 0))",
        "out of bounds memory": "(i64.load (i32.const -8))",
        "undefined element": "(call_indirect $t (result i64) (i32.const 900))",
        "uninitialized element": "(call_indirect $t (result i64) (i32.const 1))",
        "indirect call type mismatch": "(call_indirect $t (result i64) (i32.const 0))",
        "integer overflow": "(i64.trunc_f64_s (f64.const 1e300))",
        "out of bounds table": "(table.set $t (i32.const 77) (ref.null func)) (i64.const 0)",
    }
    more = "(table $t 5 funcref) (func $f) (elem (table $t) (i32.const 0) func $f)"
    for number, (text, body) in enumerate(traps.items()):
        await evil.load(core(body, more=more), f"t{number}")
        error = await evil.failing(name=f"t{number}")
        assert (type(error), error.code) == (errors.GuestTrapError, "HC502")
        assert text.split()[0] in error.message


# --- the host is interrupted ---------------------------------------------------------------------------------------


class Rude:
    """A service that ends in ways that no service should."""

    kind: type[BaseException] = ValueError

    def now(self) -> None:
        raise self.kind("rude")

    async def later(self) -> None:
        await asyncio.sleep(0)
        raise self.kind("rude")


@pytest.mark.parametrize("operation", ["now", "later"])
@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, asyncio.CancelledError, GeneratorExit, MemoryError])
@pytest.mark.parametrize("calls", ["fast", "plain"])
async def test_anything_raised_in_a_host_function(calls: str, kind: type[BaseException], operation: str) -> None:
    """Whatever a service raises while a guest waits for it stays with that message; nothing crashes."""
    rude = Rude()
    async with hosted(calls, grants={"g": GRANTS}, services={"rude": rude}) as system:
        await system.load("g", source=ready("c"))
        asked = {"capability": "rude", "operation": operation, "args": {}}
        for rude.kind in (kind, ValueError):
            with pytest.raises(errors.HostcoreError):
                await soon(system.request("g", asked, topic="invoke"))
            assert await soon(system.request("g", 1, topic="echo")) == 1


@pytest.mark.parametrize("calls", ["fast", "plain"])
async def test_an_interrupt_in_the_log_of_a_guest(calls: str) -> None:
    """A handler of the log that raises, even KeyboardInterrupt, ends the guest's call and not the process."""
    import logging

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.getMessage() == "now":
                raise KeyboardInterrupt

    handler, log = Handler(), logging.getLogger("hostcore.module.g")
    async with hosted(calls, grants={"g": GRANTS}) as system:
        await system.load("g", source=ready("c"))
        log.addHandler(handler)
        try:
            with pytest.raises(errors.HostcoreError):
                await soon(system.request("g", "now", topic="log"))
        finally:
            log.removeHandler(handler)
        assert await soon(system.request("g", 1, topic="echo")) == 1


@pytest.mark.parametrize("calls", ["fast", "plain"])
async def test_a_guest_is_not_called_from_another_thread(calls: str) -> None:
    """A request from a thread that is not the system's is refused; the guest lives on, and so does the process."""
    async with hosted(calls) as system:
        await system.load("g", source=ready("c"))
        outcomes: list[Any] = []

        def other() -> None:
            asking = system.request("g", 1, topic="echo")
            try:
                outcomes.append(asking.send(None))  # type: ignore[attr-defined]
            except BaseException as exc:
                outcomes.append(exc)

        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
        assert isinstance(outcomes[0], errors.LifecycleError)
        assert "another thread" in str(outcomes[0])
        assert await soon(system.request("g", 2, topic="echo")) == 2


def test_many_systems_each_in_its_own_thread() -> None:
    """Systems in several threads run the same guest side by side."""
    source = ready("c")
    results: list[Any] = []

    def work(number: int) -> None:
        async def main() -> None:
            async with hosted() as system:
                await system.load("g", source=source)
                replies = [await system.request("g", number, topic="echo") for _ in range(50)]
                with pytest.raises(errors.GuestTrapError):
                    await system.request("g", topic="trap")
                results.append((number, set(replies), await system.request("g", topic="count")))

        asyncio.run(main())

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == [(number, {number}, {"count": 1}) for number in range(4)]


async def test_a_system_that_was_stopped_answers_nothing() -> None:
    """After its end a system refuses everything, in words."""
    async with hosted() as system:
        await system.load("g", source=ready("c"))
    with pytest.raises(errors.LifecycleError):
        await system.request("g", topic="echo")
    assert isinstance(system, hostcore.ModuleSystem)
