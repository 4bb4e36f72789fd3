"""The timing wheel: everything expires once, never early, and hardly late."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from hostcore.messaging.deadlines import TICK, Deadlines


class Item:
    """Notes when it expires."""

    def __init__(self, wheel: Deadlines, log: list[Item], seconds: float) -> None:
        self.due = time.monotonic() + seconds
        self.expired = 0.0
        self.log = log
        self.slot = wheel.add(self, self.due)

    def expire(self) -> None:
        assert not self.expired, "it expired twice"
        self.expired = time.monotonic()
        self.log.append(self)


@pytest.fixture
async def wheel():
    made = Deadlines(asyncio.get_running_loop())
    yield made
    made.close()


async def until(log: list[Any], count: int) -> None:
    async with asyncio.timeout(10):
        while len(log) < count:  # noqa: ASYNC110 - the wheel is what is tested: nothing of it may help the waiting
            await asyncio.sleep(TICK)


async def test_everything_expires_and_never_early(wheel):
    """Each item expires once, after its deadline."""
    log: list[Item] = []
    items = [Item(wheel, log, 0.002 * (number * 7 % 30)) for number in range(30)]
    await until(log, 30)
    assert all(item.expired >= item.due for item in items)
    assert set(log) == set(items)


@pytest.mark.parametrize("seconds", [0, -1, -1e6])
async def test_a_deadline_that_has_passed(wheel, seconds):
    """What is past its deadline when it is added expires with the next tick."""
    log: list[Item] = []
    Item(wheel, log, seconds)
    await until(log, 1)


async def test_a_discarded_item_never_expires(wheel):
    """Whoever is done earlier leaves its slot and hears nothing."""
    log: list[Item] = []
    gone, stays = Item(wheel, log, 0.01), Item(wheel, log, 0.01)
    gone.slot.discard(gone)
    await until(log, 1)
    assert log == [stays]


async def test_the_timer_runs_only_while_something_waits(wheel):
    """An empty wheel costs the loop nothing, and it turns again when something is added."""
    log: list[Item] = []
    for count in (1, 2):
        Item(wheel, log, 0.001)
        await until(log, count)
        assert wheel._timer is None


async def test_adding_while_something_expires(wheel):
    """An item may add another one, even itself, when it expires."""
    times = []

    class Again:
        def expire(self) -> None:
            times.append(time.monotonic())
            if len(times) < 3:
                wheel.add(self, time.monotonic() + 0.001)

    wheel.add(Again(), time.monotonic())
    await until(times, 3)


async def test_closing(wheel):
    """After closing nothing expires any more."""
    log: list[Item] = []
    Item(wheel, log, 0.005)
    wheel.close()
    later = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_later(0.03, later.set_result, None)
    await later
    assert log == []
    wheel.close()
