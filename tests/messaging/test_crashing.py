"""What a cell does when the instance behind it crashes: who is told, what is handled again, what is refused."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import pytest
from messaging.support import World, passes

from hostcore.errors import HookError, HostError, QuarantinedError, StoppedError

POISON = "poison: it was in hand both times when 'c' crashed"


@pytest.fixture
async def world():
    world = World()
    yield world
    world.close()


class Crashing:
    """A handler that crashes at messages whose payload is "bad", at once or after a pass of the loop."""

    def __init__(self, world: World, *, later: bool = False, times: int = 99, **options: Any) -> None:
        self.seen: list[Any] = []
        self.times = times
        self.cell = world.cell("c", self.later if later else self.now, **options)

    def now(self, message: Any) -> Any:
        self.seen.append(message.payload)
        if message.payload == "bad" and self.times:
            self.times -= 1
            self.cell.lose(message.id)
            raise ValueError("crash")
        return message.payload

    async def later(self, message: Any) -> Any:
        await asyncio.sleep(0)
        return self.now(message)


@pytest.mark.parametrize("later", [False, True], ids=["at once", "later"])
async def test_a_sent_message_is_handled_again(world: World, later: bool) -> None:
    """A message that nobody awaits is handled once more, before those that wait."""
    crashing = Crashing(world, later=later, times=1)
    for payload in ("bad", 1, 2):
        await world.send("c", payload)
    assert await world.request("c", 3) == 3
    assert crashing.seen == ["bad", "bad", 1, 2, 3]
    assert not world.bus.dead_letters


@pytest.mark.parametrize("later", [False, True], ids=["at once", "later"])
async def test_poison(world: World, later: bool) -> None:
    """A message that is in hand at two crashes becomes a dead letter, and the next one is handled."""
    crashing = Crashing(world, later=later)
    for payload in ("bad", 1, "bad"):
        await world.send("c", payload)
    assert await world.request("c", 2) == 2
    assert crashing.seen == ["bad", "bad", 1, "bad", "bad", 2]
    assert [letter.reason for letter in world.bus.dead_letters] == [POISON, POISON]


@pytest.mark.parametrize("later", [False, True], ids=["at once", "later"])
async def test_a_request_is_answered(world: World, later: bool) -> None:
    """Whoever awaits a message is told of the crash; it is not handled again."""
    crashing = Crashing(world, later=later)
    with pytest.raises(HookError, match="ValueError: crash"):
        await world.request("c", "bad")
    assert await world.request("c", 1) == 1
    assert crashing.seen == ["bad", 1]


async def test_another_failure_of_the_same_message(world: World) -> None:
    """A message that crashed its instance once, and merely fails the second time, has failed."""
    seen = []

    def handler(message: Any) -> None:
        seen.append(message.id)
        if len(seen) == 1:
            cell.lose(message.id)
        raise ValueError

    cell = world.cell("c", handler)
    await world.send("c")
    await passes()
    assert len(seen) == 2
    assert len(world.witness.failures) == 2
    assert not world.bus.dead_letters


async def test_what_is_put_back_counts_beyond_the_capacity(world: World) -> None:
    """A message that is handled again has its place already, however full the mailbox is."""
    crashing = Crashing(world, times=1, capacity=1)
    crashing.cell.hold()
    await world.send("c", "bad")
    crashing.cell.resume()
    sending = [asyncio.create_task(world.send("c", n)) for n in (1, 2)]
    await asyncio.gather(*sending)
    await passes(5)
    assert crashing.seen == ["bad", "bad", 1, 2]


async def test_held(world: World) -> None:
    """A cell that is held takes messages and handles none, until as many let it go."""
    crashing = Crashing(world)
    crashing.cell.hold()
    crashing.cell.hold()
    await world.send("c", 1)
    crashing.cell.resume()
    await passes()
    assert crashing.seen == []
    crashing.cell.resume()
    await passes()
    assert crashing.seen == [1]


@pytest.mark.parametrize("awaited", [True, False])
async def test_an_eviction_that_is_a_crash(world: World, awaited: bool) -> None:
    """A handler that is given up on as crashed: its caller gets that error; a sent message is handled again."""
    gate, seen = asyncio.Event(), []

    async def handler(message: Any) -> Any:
        seen.append(message.payload)
        if len(seen) < 3:
            await gate.wait()
        return message.payload

    cell = world.cell("c", handler)
    asking = world.start("c", 1) if awaited else None
    if not awaited:
        await world.send("c", 1)
    await passes()
    for _ in range(2):
        cell.hold()
        cell.evict("it hangs", HostError("it hung"))
        cell.resume()
        await passes()
    if asking is not None:
        with pytest.raises(HostError, match="it hung"):
            await asking
        assert seen == [1]
    else:
        assert seen == [1, 1]
        assert [letter.reason for letter in world.bus.dead_letters] == [POISON]
    gate.set()
    assert await world.request("c", 2) == 2


async def test_shut_and_opened_again(world: World) -> None:
    """A cell that is shut refuses what waits and what comes, with the error that it is told, until it is opened."""
    crashing = Crashing(world, capacity=1)
    crashing.cell.hold()
    asking = world.start("c", 1)
    await passes()
    sending = asyncio.create_task(world.send("c", 2))
    await passes()
    crashing.cell.shut("it is ill", partial(QuarantinedError, hint="wait"))
    for task in (asking, sending):
        with pytest.raises(QuarantinedError, match="it is ill") as caught:
            await task
        assert caught.value.hint == "wait"
    with pytest.raises(QuarantinedError):
        await world.request("c", 3)
    with pytest.raises(QuarantinedError):
        await world.send("c", 3)
    crashing.cell.reopen()
    crashing.cell.resume()
    assert await world.request("c", 4) == 4
    assert crashing.seen == [4]
    crashing.cell.hold()
    asking = world.start("c", 5)
    await passes()
    world.bus.remove("c", "it goes")
    with pytest.raises(StoppedError, match="it goes") as stopped:
        await asking
    assert type(stopped.value) is StoppedError


async def test_put_back_into_a_cell_that_is_shut(world: World) -> None:
    """A sent message that crashed its instance while the cell is shut is a dead letter with that reason."""

    def handler(message: Any) -> None:
        cell.lose(message.id)
        cell.hold()
        cell.shut("it is ill")
        raise ValueError

    cell = world.cell("c", handler)
    await world.send("c", 1)
    await passes()
    assert [letter.reason for letter in world.bus.dead_letters] == ["it is ill"]


async def test_the_bell(world: World) -> None:
    """A tally calls whoever asked to be told when so many messages have been handled, failed ones too."""
    crashing, rings = Crashing(world), []
    tally = crashing.cell.tally
    tally.rings, tally.rings_at = lambda: rings.append(tally.handled), 2
    with pytest.raises(HookError):
        await world.request("c", "bad")
    assert rings == []
    for n in range(3):
        await world.request("c", n)
    assert rings == [2]
