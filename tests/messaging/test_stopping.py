"""Stopping answers every waiter, whatever the message in hand is doing."""

from __future__ import annotations

import asyncio
import gc

import pytest
from messaging.support import Plain, World, envelope, passes

from hostcore.errors import HookError, StoppedError

REASON = "'c' was unloaded"


async def endless(message):
    await asyncio.get_running_loop().create_future()


@pytest.mark.parametrize("used_before", [False, True])
@pytest.mark.parametrize("begun", [False, True], ids=["just handed over", "under way"])
async def test_everybody_is_answered(world, begun, used_before):
    """The asker of the message in hand and those of all that wait get the reason, at once."""

    async def handler(message):
        await asyncio.sleep(0)
        if message.payload != "quick":
            await endless(message)

    cell = world.cell("c", handler)
    if used_before:
        await world.request("c", "quick")
        await passes()
    askers = [world.start("c", number) for number in range(3)]
    await asyncio.sleep(0)
    if begun:
        await passes()
    await world.send("c", "lost", topic="t")
    world.bus.remove("c", REASON)
    async with asyncio.timeout(5):
        for outcome in await asyncio.gather(*askers, return_exceptions=True):
            assert isinstance(outcome, StoppedError)
            assert REASON in str(outcome)
    assert world.witness.dead_letters == [("t", REASON)]
    assert world.bus.dead_count == 1
    await passes()
    assert cell.delivery is None
    assert not world.witness.failures, "being stopped is no failure of the handler"
    gc.collect()  # a coroutine that was never awaited would warn here


async def test_a_message_in_hand_without_asker_is_a_dead_letter_once(world):
    """A sent message that was cut short is one dead letter, not two."""
    world.cell("c", endless)
    await world.send("c", topic="t")
    await passes()
    world.bus.remove("c", REASON)
    await passes()
    assert world.witness.dead_letters == [("t", REASON)]


async def test_a_handler_that_refuses_to_go_keeps_nobody_waiting(world):
    """The asker of a handler that swallows its cancellation is answered at once all the same."""
    let_go, log = asyncio.Event(), []

    async def stubborn(message):
        try:
            await endless(message)
        except asyncio.CancelledError:
            log.append("cancelled")
            await let_go.wait()
        return "late"

    world.cell("c", stubborn)
    asker = world.start("c")
    await passes()
    world.bus.remove("c", REASON)
    with pytest.raises(StoppedError):
        await asyncio.wait_for(asker, 5)
    let_go.set()
    await passes()
    assert log == ["cancelled"]
    assert not world.witness.failures


@pytest.mark.parametrize("used_before", [False, True])
@pytest.mark.parametrize("begun", [False, True], ids=["just handed over", "under way"])
async def test_a_handler_that_raises_while_it_is_stopped(world, begun, used_before):
    """What a stopped handler raises on its way out is nobody's any more."""

    async def sore(message):
        try:
            await asyncio.sleep(0)
            if message.payload != "quick":
                await endless(message)
        finally:
            if message.payload != "quick":
                raise ValueError("on the way out")

    cell = world.cell("c", sore, limit=0.02)
    if used_before:
        await world.request("c", "quick")
        await passes()
    asker = world.start("c")
    await asyncio.sleep(0)
    if begun:
        await passes()
    world.bus.remove("c", REASON)
    with pytest.raises(StoppedError):
        await asker
    await asyncio.sleep(0.04)  # its limit passes, too, and finds nothing to do
    assert cell.delivery is None
    assert not world.witness.failures
    assert not world.witness.overruns


async def test_a_handler_that_ignores_being_closed(world):
    """A coroutine that yields when it is thrown away before its runner began harms nobody."""

    async def clinging(message):
        try:
            await asyncio.sleep(0)
            if message.payload != "quick":
                await endless(message)
        except GeneratorExit:
            await asyncio.sleep(0)

    cell = world.cell("c", clinging)
    await world.request("c", "quick")
    await passes()
    asker = world.start("c")
    await asyncio.sleep(0)
    world.bus.remove("c", REASON)
    with pytest.raises(StoppedError):
        await asker
    await passes()
    assert cell.delivery is None


async def test_a_stopped_cell_takes_nothing(world):
    """Messages to a stopped module are refused with the reason why there is none."""
    cell = world.cell("c", lambda message: None)
    world.bus.remove("c", REASON)
    assert repr(cell) == "<Cell c stopped 0 waiting>"
    with pytest.raises(StoppedError, match=REASON):
        cell.put(envelope(), None)
    for call in (world.request, world.send):
        with pytest.raises(StoppedError, match=REASON) as caught:
            await call("c")
        assert "why c" in caught.value.hint


async def test_a_module_can_stop_its_own_cell(world):
    """A handler that causes its own stop, at once and in the asker's turn, leaves a consistent cell."""

    def suicidal(message):
        world.bus.remove("c", REASON)
        return "last words"

    world.cell("c", suicidal)
    with pytest.raises(StoppedError):
        await world.request("c")
    world.cell("c", lambda message: "again")
    assert await world.request("c") == "again"


@pytest.mark.parametrize("swallows", [False, True])
async def test_abandon_answers_and_cancels(world, swallows):
    """`abandon` answers the caller of the message in hand, cancels its handler, and refuses what comes later."""
    outcome = []

    async def handler(message):
        try:
            await endless(message)
        except asyncio.CancelledError:
            outcome.append("cancelled")
            if not swallows:
                raise

    cell = world.cell("c", handler)
    asker = world.start("c")
    await passes()
    pausing = asyncio.create_task(cell.pause())
    await passes()
    cell.abandon("it hangs")
    with pytest.raises(StoppedError, match="it hangs"):
        await asker
    await asyncio.wait_for(pausing, 5)
    assert outcome == ["cancelled"]
    with pytest.raises(StoppedError, match="it hangs"):
        cell.put(envelope(), None)
    assert not world.witness.failures


async def test_abandon_with_nothing_in_hand(world):
    """`abandon` of an idle cell changes nothing."""
    cell = world.cell("c", lambda message: 1)
    cell.abandon("no reason")
    assert await world.request("c") == 1


async def test_refusing_what_waits_keeps_the_message_in_hand(world):
    """`refuse_waiting` answers the mailbox and leaves the message in hand and the cell alone."""
    gate = asyncio.Event()

    async def handler(message):
        await gate.wait()
        return message.payload

    cell = world.cell("c", handler)
    first, second = world.start("c", 1), world.start("c", 2)
    await passes()
    cell.refuse_waiting(REASON)
    with pytest.raises(StoppedError):
        await second
    gate.set()
    assert await first == 1
    assert await world.request("c", 3) == 3


async def test_swapping_to_nothing_and_back(world):
    """A cell without an instance holds its messages until it is given one."""
    cell = world.cell("c", lambda message: 1)
    await cell.pause()
    cell.swap(None)
    asker = world.start("c")
    await passes()
    cell.swap(Plain("c", lambda message: 2))
    cell.resume()
    assert await asker == 2


async def test_requests_out_of_a_stopped_handler_are_given_up(world):
    """A handler that is stopped while it waits for another module's reply disturbs that module in no way."""
    gate, handled = asyncio.Event(), []

    async def slow(message):
        await gate.wait()
        handled.append(message.payload)

    async def asking(message):
        return await world.ask("c", "slow", "question")

    world.cell("c", asking)
    world.cell("slow", slow)
    asker = world.start("c")
    await passes()
    world.bus.remove("c", REASON)
    with pytest.raises(StoppedError):
        await asker
    gate.set()
    await world.request("slow", "next")
    assert handled == ["question", "next"]


async def test_the_other_way_round(world):
    """A handler whose nested request is refused because the other module stops gets that error, by name."""

    async def asking(message):
        try:
            await world.ask("a", "c")
        except StoppedError as error:
            return error.message

    world.cell("c", endless)
    world.cell("a", asking)
    asker = world.start("a")
    await passes()
    world.bus.remove("c", REASON)
    assert await asker == REASON


async def test_closing_ends_listeners_and_deadlines():
    """Closing the bus ends the iteration of listeners and stops the timer."""
    from hostcore.messaging.topics import Listener

    world = World()
    listener = Listener("a.*", 10)
    world.bus.subscriptions.add("a.*", listener)
    world.bus.publish(world.host, "a.b", 1)
    world.close()
    assert [message.payload async for message in listener] == [1]


async def test_failing_again_after_stopping(world):
    """A module of the same name that comes later has nothing to do with the one that stopped."""
    world.cell("c", endless)
    old = world.start("c")
    await passes()
    world.bus.remove("c", REASON)
    world.cell("c", lambda message: 1 / 0)
    with pytest.raises(StoppedError):
        await old
    with pytest.raises(HookError):
        await world.request("c")
