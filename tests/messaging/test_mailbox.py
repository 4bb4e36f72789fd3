"""A full mailbox: who waits, who is let in, and who is told that there is no room."""

from __future__ import annotations

import asyncio
import time

import pytest
from messaging.support import envelope, passes

from hostcore.errors import DeliveryError, MailboxFullError, StoppedError


@pytest.fixture
def handled():
    return []


@pytest.fixture
async def full(world, handled):
    """A paused cell of capacity 3 whose mailbox is full."""
    cell = world.cell("c", lambda message: handled.append(message.payload), capacity=3)
    await cell.pause()
    for number in range(3):
        await world.send("c", number)
    return cell


async def test_put_says_that_there_is_no_room(world, full):
    """`put` refuses without waiting, and takes nothing in."""
    assert full.put(envelope(9), None) is False
    assert full.depth == 3


async def test_waiting_senders_are_let_in_first_come_first_served(world, full, handled):
    """Senders that find no room wait, and their messages are handled in the order in which they came."""
    senders = [asyncio.create_task(world.send("c", number)) for number in range(3, 10)]
    await passes()
    assert not any(sender.done() for sender in senders)
    assert full.depth == 10
    full.resume()
    await asyncio.gather(*senders)
    await world.request("c", 10)
    assert handled == list(range(11))


async def test_nobody_overtakes_a_waiting_sender(world, full, handled):
    """While somebody waits for room, a newcomer waits behind, even if there is room at that moment."""
    waiting = asyncio.create_task(world.send("c", 3))
    await passes()
    full.capacity = 5
    newcomer = asyncio.create_task(world.send("c", 4))
    await passes()
    full.resume()
    await asyncio.gather(waiting, newcomer)
    await world.request("c", 5)
    assert handled == list(range(6))


async def test_a_cancelled_sender_withdraws_its_message(world, full, handled):
    """A sender that gives up while it waits for room has sent nothing; those behind it are not held up."""
    first, gone, last = (asyncio.create_task(world.send("c", number)) for number in (3, 4, 5))
    await passes()
    gone.cancel()
    await asyncio.gather(gone, return_exceptions=True)
    full.resume()
    await asyncio.gather(first, last)
    await world.request("c", 6)
    assert handled == [0, 1, 2, 3, 5, 6]


async def test_after_all_waiting_senders_gave_up_there_is_room_again(world, full, handled):
    """Withdrawn senders leave nothing behind that would keep later ones out."""
    for _ in range(3):
        sender = asyncio.create_task(world.send("c", 99))
        await passes()
        sender.cancel()
        await asyncio.gather(sender, return_exceptions=True)
    full.resume()
    await passes()
    async with asyncio.timeout(5):
        await world.send("c", 3)
        await world.request("c", 4)
    assert handled == [0, 1, 2, 3, 4]


async def test_no_room_in_time(world, full, handled):
    """A sender that waited its time is told which mailbox is full and since when; its message is not sent."""
    with pytest.raises(MailboxFullError, match=r"'c' is full \(3 messages\).*0\.01 s") as caught:
        await world.send("c", 3, timeout=0.01)
    assert "limits.mailbox" in caught.value.hint
    with pytest.raises(MailboxFullError):
        await world.send("c", 4, timeout=0)
    with pytest.raises(DeliveryError):
        await world.request("c", 5, timeout=0.01)
    full.resume()
    await world.request("c", 6)
    assert handled == [0, 1, 2, 6]


async def test_no_default_wait_is_endless(world, full):
    """Without a timeout of its own a sender waits as long as a request would."""
    world.bus.request_timeout = 0.01
    with pytest.raises(MailboxFullError):
        await world.send("c", 3)


async def test_room_and_timeout_at_once(world, full, handled):
    """A sender that is let in at the very moment its time is up is not told that there was no room."""
    sender = asyncio.create_task(world.send("c", 3, timeout=0.02))
    await passes()

    def make_room_late():
        full.resume()
        time.sleep(0.05)  # the drain and the sender's timer are now both due, in the same pass of the loop

    asyncio.get_running_loop().call_soon(make_room_late)
    await sender
    await world.request("c", 4)
    assert handled == [0, 1, 2, 3, 4]


async def test_room_and_cancellation_at_once(world):
    """A request that is let in at the very moment its asker is cancelled is not handled any more."""
    gate, handled = asyncio.Event(), []

    async def handler(message):
        handled.append(message.payload)
        await gate.wait()

    cell = world.cell("c", handler, capacity=1)
    await cell.pause()
    first, gone = world.start("c", 1), world.start("c", 2)
    await passes()
    assert cell.depth == 2
    cell.resume()  # the drain takes the first, which suspends, and lets the second in
    asyncio.get_running_loop().call_soon(gone.cancel)
    await passes()
    assert gone.cancelled()
    gate.set()
    await first
    await world.request("c", 3)
    assert handled == [1, 3]


async def test_stopping_tells_those_who_wait_for_room(world, full, handled):
    """A sender that waits for room in a mailbox that closes gets the reason."""
    sender = asyncio.create_task(world.send("c", 3, topic="t"))
    asker = world.start("c", 4)
    await passes()
    world.bus.remove("c", "'c' was unloaded")
    for task in (sender, asker):
        with pytest.raises(StoppedError, match="'c' was unloaded"):
            await task
    assert world.witness.dead_letters == [("", "'c' was unloaded")] * 3
    assert handled == []


async def test_a_request_in_a_full_mailbox_is_answered_once_let_in(world, full):
    """Requests wait for room as messages do, and then for their reply."""
    full.instance.handler = lambda message: message.payload
    askers = [world.start("c", number) for number in range(5)]
    await passes()
    full.resume()
    assert await asyncio.gather(*askers) == list(range(5))
