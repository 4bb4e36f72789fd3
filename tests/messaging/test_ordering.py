"""Nothing is lost, doubled or reordered, whatever happens behind the address meanwhile."""

from __future__ import annotations

import asyncio
import random

import pytest
from messaging.support import Plain, swarm

SENDERS, EACH = 20, 2_000


class Ledger:
    """What arrived from whom, and whether two handlers ever ran at once."""

    def __init__(self) -> None:
        self.inside = 0
        self.worst = 0
        self.generations: set[int] = set()
        self.arrived: dict[int, list[int]] = {}

    def handler(self, generation: int):
        def note(message):
            sender, number = message.payload
            self.generations.add(generation)
            self.arrived.setdefault(sender, []).append(number)
            return number

        async def handle(message):
            self.inside += 1
            self.worst = max(self.worst, self.inside)
            number = message.payload[1]
            if number % 7 == 0:
                await asyncio.sleep(0)
            if number % 401 == 0:
                await asyncio.sleep(0.001)
            self.inside -= 1
            return note(message)

        return handle if generation % 3 else note


@pytest.mark.parametrize("capacity", [1, 50, 10_000])
async def test_nothing_lost_doubled_or_reordered_under_swaps(world, capacity):
    """20 senders x 2,000 mixed messages, while the cell is paused and swapped again and again, all arrive in order."""
    ledger, dice = Ledger(), random.Random(capacity)
    cell = world.cell("c", ledger.handler(0), capacity=capacity)

    async def sender(number: int) -> None:
        for index in range(EACH):
            if dice.random() < 0.5:
                await world.send("c", (number, index))
            else:
                assert await world.request("c", (number, index)) == index

    async def reloader() -> None:
        generation = 0
        while True:
            generation += 1
            await asyncio.sleep(0.002)
            await cell.pause()
            assert ledger.inside == 0
            await asyncio.sleep(0)
            cell.swap(Plain("c", ledger.handler(generation)))
            cell.resume()

    async with swarm(asyncio.create_task(reloader())):
        await asyncio.gather(*(sender(number) for number in range(SENDERS)))
        await world.request("c", (SENDERS, 1))
    assert ledger.worst == 1
    assert len(ledger.generations) > 3
    assert ledger.arrived.pop(SENDERS) == [1]
    assert ledger.arrived == {number: list(range(EACH)) for number in range(SENDERS)}
    assert cell.tally.handled == SENDERS * EACH + 1
    assert cell.tally.failed == cell.tally.dropped == 0


async def test_impatient_senders_lose_only_what_they_gave_up(world):
    """With random cancellations and timeouts, every answered request was handled once, and nothing twice."""
    dice, handled = random.Random(1), []

    async def handler(message):
        handled.append(message.payload)
        if message.payload[1] % 3 == 0:
            await asyncio.sleep(0.0005)
        return message.payload[1]

    world.cell("c", handler, capacity=5)
    answered = set()

    async def sender(number: int) -> None:
        for index in range(150):
            try:
                async with asyncio.timeout(dice.choice([0, 0.0005, 0.002, 5])):
                    assert await world.request("c", (number, index), timeout=dice.choice([0.001, 0.004, 5])) == index
                answered.add((number, index))
            except TimeoutError:  # the asker's own, or the bus's DeadlineError
                pass
            except Exception as error:
                assert type(error).__name__ == "MailboxFullError"

    await asyncio.gather(*(sender(number) for number in range(20)))
    seen = [tuple(entry) for entry in handled]
    assert len(seen) == len(set(seen)), "something was handled twice"
    assert answered <= set(seen)
    for number in range(20):
        own = [index for sender_, index in seen if sender_ == number]
        assert own == sorted(own)
    assert await world.request("c", (99, 1)) == 1


async def test_a_tight_loop_of_requests_starves_nobody(world):
    """Direct calls share a budget per pass of the loop, so that other tasks get turns."""
    world.cell("c", lambda message: message.payload)
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async with swarm(asyncio.create_task(other())):
        for number in range(6_400):
            assert await world.request("c", number) == number
    assert turns > 50


async def test_a_flood_of_messages_starves_nobody(world):
    """A long mailbox is worked off in batches, between which other tasks get turns."""
    order = []
    world.cell("c", lambda message: order.append(message.payload))
    for number in range(320):
        await world.send("c", number)
    turns = 0
    while len(order) < 320:
        turns += 1
        await asyncio.sleep(0)
    assert turns >= 10
    assert order == list(range(320))
