"""Guests that want more than they may have: memory, tables, stack, parts."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from wasm.arena import Arena, arena
from wasm.wat import OK, component, core, parsed

from hostcore import errors

pytestmark = pytest.mark.usefixtures("compiled_once")

ANSWER_I = (
    "".join(
        f"(i32.store8 (i32.const {place}) (i32.add (i32.const 48)"
        f" (i32.rem_u (i32.div_u (local.get $i) (i32.const {10 ** (3 - place)})) (i32.const 10))))"
        for place in range(4)
    )
    + "(i64.const 4)"
)
"""Answers with $i, which is from 1000 to 9999, as four digits."""


@pytest.fixture(params=["fast", "plain"])
async def evil(request: pytest.FixtureRequest, tmp_path: Path):
    async with arena(tmp_path, request.param) as made:
        yield made


def growing(memories: int = 1) -> bytes:
    """Return a guest that takes pages until it is refused, of each memory, and answers with 1000 and their number."""
    loops = "".join(
        f"(loop $on{n} (if (i32.ne (memory.grow {n} (i32.const 1)) (i32.const -1))"
        f" (then (local.set $i (i32.add (local.get $i) (i32.const 1))) (br $on{n}))))"
        for n in range(memories)
    )
    more = "".join("(memory 1)" for _ in range(memories - 1))
    memory = f'(memory (export "memory") 1) {more}'
    return core(f"(local.set $i (i32.const 1000)) {loops} {ANSWER_I}", memory=memory)


async def test_a_memory_bomb_gets_what_it_may_have(evil: Arena) -> None:
    """A guest that takes memory until there is none gets its limit, is refused more, and lives on."""
    await evil.load(growing(), limits={"memory": "16MiB"})
    assert await evil.ask() == 1000 + 16 * 16 - 1
    assert await evil.ask() == 1000


async def test_two_memories_have_together_what_one_may_have(evil: Arena) -> None:
    """The limit is that of all memories together, not of each."""
    await evil.load(growing(2), limits={"memory": "16MiB"})
    assert await evil.ask() == 1000 + 16 * 16 - 2


async def test_too_much_memory_at_the_start(evil: Arena) -> None:
    """A guest that begins with more memory than it may have is not loaded, and told which limit it is."""
    error = await evil.refused(core(memory='(memory (export "memory") 2000)'), limits={"memory": "16MiB"})
    assert (type(error), error.code) == (errors.LimitError, "HC504")
    assert "limits.memory" in error.hint


async def test_too_many_memories(evil: Arena) -> None:
    """A guest with more memories than its limit says is not loaded."""
    memories = '(memory (export "memory") 1)' + "(memory 1)" * 4
    error = await evil.refused(core(memory=memories), limits={"memories": 2})
    assert (type(error), error.code) == (errors.LimitError, "HC504")
    assert "limits.memories" in error.hint
    await evil.load(core(memory=memories))
    assert await evil.ask() is None


async def test_a_policy_bounds_what_a_guest_asks_for(tmp_path: Path) -> None:
    """A ceiling of the policy holds for what a guest's own limits ask for, too."""
    async with arena(tmp_path, ceiling={"memory": "16MiB"}) as made:
        info = await made.load(growing(), limits={"memory": "1GiB"})
        assert (info.host, await made.ask()) == ("wasm", 1000 + 16 * 16 - 1)


@pytest.mark.parametrize(
    ("tables", "limits"),
    [
        ("(table 5000000 funcref)", {}),
        ("(table 200 funcref)", {"table_elements": 100}),
        ("(table 1 funcref)" * 40, {}),
        ("(table 1 funcref)" * 3, {"tables": 2}),
    ],
)
async def test_tables_too_large_or_too_many(evil: Arena, tables: str, limits: dict[str, int]) -> None:
    """A guest with larger tables, or more of them, than it may have is not loaded."""
    error = await evil.refused(core(more=tables), limits=limits)
    assert (type(error), error.code) == (errors.LimitError, "HC507")


async def test_a_table_bomb_gets_what_it_may_have(evil: Arena) -> None:
    """A table that grows for ever is refused at its limit, and the guest lives on."""
    grow = """(loop $on (if (i32.ne (table.grow $t (ref.null func) (i32.const 1)) (i32.const -1))
        (then (local.set $i (i32.add (local.get $i) (i32.const 1))) (br $on))))"""
    await evil.load(
        core(f"(local.set $i (i32.const 1000)) {grow} {ANSWER_I}", more="(table $t 1 funcref)"),
        limits={"table_elements": 500},
    )
    assert await evil.ask() == 1499
    assert await evil.ask() == 1000


async def test_too_many_parts(evil: Arena) -> None:
    """A component made of more instances than it may have is not loaded."""
    parts = "(core instance (instantiate $m))" * 100
    data = parsed(f"""(component (core module $m) {parts} (instance $lifecycle)
        (export "hostcore:module/lifecycle@1.0.0" (instance $lifecycle)))""")
    error = await evil.refused(data)
    assert (type(error), error.code) == (errors.LimitError, "HC507")
    assert "limits.instances" in error.hint


@pytest.mark.parametrize("kind", ["core", "component"])
async def test_an_endless_recursion(evil: Arena, kind: str) -> None:
    """A guest that calls itself for ever uses up its stack, not the host's, and answers the next message."""
    deep = "(func $deep (param i64 i64) (result i64) (i64.add (call $deep (local.get 0) (local.get 1)) (local.get 1)))"
    call = "(call $deep (i64.const 1) (i64.const 2))"
    data = core(call, more=deep) if kind == "core" else component({"handle-message": f"(drop {call}) {OK}"}, more=deep)
    await evil.load(data)
    for _ in range(3):
        error = await evil.failing()
        assert (type(error), error.code) == (errors.LimitError, "HC506")
        await evil.bystander()


async def test_a_recursion_through_the_host(evil: Arena) -> None:
    """A guest deep in its stack that calls the host does not overflow what the host has."""
    deep = """(func $deep (param $n i32) (call $log (i32.const 2) (i32.const 16) (i32.const 4))
        (call $deep (i32.add (local.get $n) (i32.const 1))) (i32.store (i32.const 64) (local.get $n)))"""
    await evil.load(core("(call $deep (i32.const 0)) (i64.const 0)", more=deep, data="deep"))
    assert (await evil.failing()).code == "HC506"


async def test_a_larger_stack_is_given_where_it_is_allowed(evil: Arena) -> None:
    """The limit of the stack decides how deep a guest can go."""
    deep = """(func $deep (param $n i32) (result i32) (if (result i32) (local.get $n)
        (then (i32.add (i32.const 1) (call $deep (i32.sub (local.get $n) (i32.const 1))))) (else (i32.const 0))))"""
    data = core("(drop (call $deep (i32.const 50000))) (i64.const 0)", more=deep)
    await evil.load(data, limits={"stack": "4MiB"})
    assert await evil.ask() is None
    await evil.load(data, "other", limits={"stack": "64KiB"})
    assert (await evil.failing(name="other")).code == "HC506"


async def test_a_huge_copy_ends(evil: Arena) -> None:
    """Filling all memory at once, which nothing can interrupt, ends, and everybody goes on."""
    fill = "(memory.fill (i32.const 0) (i32.const 0) (i32.mul (memory.size) (i32.const 65536))) (i64.const 0)"
    await evil.load(core(f"(drop (memory.grow (i32.const 1022))) {fill}"), limits={"memory": "64MiB"})
    for _ in range(3):
        assert await evil.ask() is None
        await evil.bystander()


@pytest.mark.parametrize(("enabled", "code"), [(True, "HC407"), (False, "HC508")], ids=["supervised", "alone"])
async def test_a_guest_that_always_dies_is_given_up_on(tmp_path: Path, enabled: bool, code: str) -> None:
    """A guest that dies for every message is made anew some times, and then not any more until it is reloaded."""
    rules = {"enabled": enabled, "demote": False}
    async with arena(tmp_path, supervision=rules) as evil:
        await evil.load(core("(unreachable)"))
        codes = [(await evil.failing()).code for _ in range(8)]
        assert codes == ["HC502"] * 6 + [code] * 2
        assert [entry.kind for entry in evil.system.crashes("evil")][:6] == ["trapped"] * 6
        report = await asyncio.wait_for(
            evil.system.reload("evil", source=evil.file(core()), state="fresh", strict=True), 20
        )
        assert (report.rolled_back, await evil.ask()) == (False, None)


async def test_a_guest_that_dies_now_and_then(tmp_path: Path) -> None:
    """However often a guest dies: as long as it answers in between, it is only made anew."""
    body = "(if (i32.eq (local.get 0) (i32.const 1)) (then (unreachable))) (i64.const 0)"
    async with arena(tmp_path, supervision={"tries": 1}) as evil:
        await evil.load(core(body))
        for _ in range(8):
            assert (await evil.failing("x")).code == "HC502"
            assert await evil.ask("good") is None
        assert {entry.done for entry in evil.system.crashes("evil")} == {"a new guest with the next message"}
        info = evil.system.modules["evil"]
        assert (info.state.value, info.restarts, info.generation) == ("running", 8, 1)


async def test_impatient_askers(tmp_path: Path) -> None:
    """A guest that is stopped because its askers have no more time is not blamed for it."""
    body = "(if (i32.eq (local.get 0) (i32.const 1)) (then (loop $on (br $on)))) (i64.const 0)"
    async with arena(tmp_path, supervision={"tries": 1}) as evil:
        await evil.load(core(body))
        for _ in range(8):
            assert (await evil.failing("x", timeout=0.02)).code == "HC404"
        assert await evil.ask("good") is None
        assert evil.system.crashes("evil") == []


async def test_a_message_that_kills_a_guest_twice(tmp_path: Path) -> None:
    """A message that nobody awaits, and that a guest dies of twice, is a dead letter; the next one is handled."""
    body = "(if (i32.eq (local.get 0) (i32.const 1)) (then (unreachable))) (i64.const 0)"
    async with arena(tmp_path) as evil:
        await evil.load(core(body))
        await evil.system.send("evil", topic="x")
        await evil.system.send("evil", topic="good")
        assert await evil.ask("good") is None
        assert [letter.reason for letter in evil.system.dead_letters] == [
            "poison: it was in hand both times when 'evil' crashed"
        ]
        assert len(evil.system.crashes("evil")) == 2
