"""Time limits of handlers, and who is named when the event loop is held."""

from __future__ import annotations

import asyncio
import time

import pytest
from messaging.support import passes

from hostcore.errors import CallCycleError, DeadlineError, HookError


async def test_a_suspended_handler_is_cancelled_at_its_limit(world):
    """A handler that takes longer than its module's limit is cancelled, and its caller told that it overran."""
    cancelled = []

    async def slow(message):
        if message.payload == "slow":
            try:
                await asyncio.get_running_loop().create_future()
            except asyncio.CancelledError:
                cancelled.append(True)
                raise
        return "quick"

    cell = world.cell("c", slow, limit=0.02)
    for _ in range(3):
        with pytest.raises(HookError, match="overran"):
            await world.request("c", "slow")
        assert await world.request("c", "quick") == "quick"
    assert len(cancelled) == 3
    assert cell.tally.failed == 3
    assert not world.witness.overruns


async def test_messages_without_asker_are_limited_too(world):
    """The limit holds for sent messages as for requests, and the next in the mailbox is handled."""
    handled = []

    async def slow(message):
        handled.append(message.payload)
        if message.payload == 1:
            await asyncio.get_running_loop().create_future()

    world.cell("c", slow, limit=0.02)
    await world.send("c", 1)
    await world.send("c", 2)
    await world.request("c", 3)
    assert handled == [1, 2, 3]
    assert [str(error) for _, error in world.witness.failures] == ["HC302 c: overran"]


async def test_the_limit_is_not_the_deadline(world):
    """A request's own deadline only ends the waiting; the limit alone ends the handler."""
    ended = asyncio.Event()

    async def slow(message):
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            ended.set()

    world.cell("c", slow, limit=0.05)
    with pytest.raises(DeadlineError):
        await world.request("c", timeout=0.01)
    assert not ended.is_set()
    await asyncio.wait_for(ended.wait(), 5)


async def test_a_handler_that_ignores_its_cancellation_is_reported(world):
    """A handler that swallows the cancellation at its limit is reported as stuck, and cancelled again until it ends."""
    times = []

    async def stubborn(message):
        while len(times) < 3:
            try:
                await asyncio.get_running_loop().create_future()
            except asyncio.CancelledError:
                times.append(time.monotonic())
        return "at last"

    world.cell("c", stubborn, limit=0.02)
    assert await world.request("c") == "at last"
    assert [name for name, _ in world.witness.overruns] == ["c", "c"]
    assert [round(seconds, 3) for _, seconds in world.witness.overruns] == [0.04, 0.06]
    assert await asyncio.wait_for(world.request("c"), 5) == "at last"


async def test_a_handler_in_time_is_left_alone(world):
    """A handler that ends before its limit is never cancelled later, nor is the next one."""

    async def quick(message):
        await asyncio.sleep(0)
        return asyncio.current_task().cancelling()

    world.cell("c", quick, limit=0.03)
    until = time.monotonic() + 0.12
    while time.monotonic() < until:
        assert await world.request("c") == 0
        await asyncio.sleep(0.001)


async def test_nested_requests_inherit_the_deadline(world):
    """A nested request never waits longer than what its handler's own asker allows."""
    seen = {}

    def noting(name, target=None):
        async def handler(message):
            seen[name] = message.deadline
            await asyncio.sleep(0)
            if target:
                return await world.ask(name, target, timeout=100)
            return message.remaining()

        return handler

    world.cell("a", noting("a", "b"))
    world.cell("b", noting("b", "c"))
    world.cell("c", noting("c"))
    before = time.monotonic()
    assert 0 < await world.request("a", timeout=5) <= 5
    assert seen["a"] == seen["b"] == seen["c"]
    assert before + 5 <= seen["a"] <= time.monotonic() + 5


async def test_a_nested_request_may_be_stricter(world):
    """A nested request with a shorter timeout fails by that, and the handler can answer in time."""

    async def never(message):
        await asyncio.get_running_loop().create_future()

    async def impatient(message):
        try:
            await world.ask("a", "b", timeout=0.01)
        except DeadlineError as error:
            return error.message

    world.cell("a", impatient)
    world.cell("b", never)
    assert await world.request("a", topic="x", timeout=5) == "no reply from 'b' within 0.01 s"


async def test_a_nested_request_after_the_deadline_is_not_sent(world):
    """When nothing of the time is left, a nested request fails before it reaches anybody."""
    outcome, handled = [], []

    async def late(message):
        await asyncio.sleep(0.02)
        try:
            await world.ask("a", "b", 1)
        except DeadlineError as error:
            outcome.append(error)

    world.cell("a", late)
    world.cell("b", lambda message: handled.append(1))
    with pytest.raises(DeadlineError):
        await world.request("a", timeout=0.005)
    await world.request("a", timeout=None)
    assert len(outcome) == 1
    assert handled == [1]


@pytest.mark.parametrize("timeout", [0, -1, -1e300])
async def test_no_time_at_all(world, timeout):
    """A request with no time left raises at once, and nothing is handled."""
    handled = []
    world.cell("c", lambda message: handled.append(1))
    with pytest.raises(DeadlineError):
        await world.request("c", timeout=timeout)
    assert not handled


@pytest.mark.parametrize("timeout", [float("inf"), 1e300, 1e308])
async def test_all_the_time_in_the_world(world, timeout):
    """Endless and absurdly long timeouts are allowed."""

    async def slow(message):
        await asyncio.sleep(0)
        return "done"

    world.cell("c", slow)
    assert await world.request("c", timeout=timeout) == "done"


# --- who held the loop ---------------------------------------------------------------------------------------------


def block(seconds: float = 0.06) -> None:
    time.sleep(seconds)


async def blocks_at_once(message):
    block()


async def blocks_later(message):
    await asyncio.sleep(0)
    block()


async def blocks_at_the_end(message):
    await asyncio.sleep(0.01)
    await asyncio.sleep(0.01)
    block()


@pytest.mark.parametrize("handler", [lambda message: block(), blocks_at_once, blocks_later, blocks_at_the_end])
async def test_a_handler_that_holds_the_loop_is_named(world, handler):
    """Whoever holds the loop is reported once per message, in whichever step of the handler it happens."""
    world.cell("c", handler, blocked_after=0.05)
    for count in (1, 2, 3):
        await world.request("c", topic="t")
        await passes()
        assert [(name, topic) for name, topic, _ in world.witness.blocks] == [("c", "t")] * count
    assert all(0.05 < seconds < 1 for *_, seconds in world.witness.blocks)


async def test_a_handler_that_waits_is_not_named(world):
    """Waiting does not hold the loop, however long it takes."""

    async def waits(message):
        for _ in range(4):
            await asyncio.sleep(0.02)

    world.cell("c", waits, blocked_after=0.05)
    for _ in range(2):
        await world.request("c")
    assert not world.witness.blocks


@pytest.mark.parametrize("suspends", [False, True])
async def test_only_the_innermost_is_named(world, suspends):
    """A module that asks one that holds the loop is not named for it, though it ran in the same turn."""

    async def asking(message):
        if suspends:
            await asyncio.sleep(0)
        return await world.ask(message.topic, {"a": "b", "b": "c"}[message.topic], topic="b")

    world.cell("a", asking, blocked_after=0.05)
    world.cell("b", asking, blocked_after=0.05)
    world.cell("c", lambda message: block(), blocked_after=0.05)
    for _ in range(3):
        await world.request("a", topic="a")
    await passes()
    assert {name for name, *_ in world.witness.blocks} == {"c"}
    assert len(world.witness.blocks) == 3


async def test_both_are_named_where_both_hold_the_loop(world):
    """One that holds the loop itself and asks one that does, too, is named for its own share."""

    async def asking(message):
        block(0.1)
        await world.ask("a", "b")

    world.cell("a", asking, blocked_after=0.05)
    world.cell("b", lambda message: block(0.06), blocked_after=0.05)
    await world.request("a")
    await world.request("a")
    shares = [(name, round(seconds, 2) >= 0.1) for name, _, seconds in world.witness.blocks]
    assert sorted(shares) == [("a", True)] * 2 + [("b", False)] * 2


async def test_a_cycle_error_is_no_overrun(world):
    """An error that comes through a nested request keeps its own meaning under a limit."""

    async def asking(message):
        try:
            await world.ask("a", "a")
        except CallCycleError:
            return "cycle"

    world.cell("a", asking, limit=5)
    assert await world.request("a") == "cycle"
