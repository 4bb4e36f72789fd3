"""Requests in a circle: whoever would close it is told, at once and by name; nothing else is."""

from __future__ import annotations

import asyncio

import pytest
from messaging.support import passes

from hostcore.errors import CallCycleError, DeadlineError, HookError


def asks(world, name, target):
    """Return a handler of `name` that asks `target`, and gives on a cycle it meets."""

    async def handler(message):
        return await world.ask(name, target, message.payload)

    return handler


def told(world, name, target, log):
    """Return the same, but one that notes what it was told, and answers."""

    async def handler(message):
        try:
            return await world.ask(name, target, message.payload)
        except CallCycleError as error:
            log.append(error.trail)
            return "cycle"

    return handler


@pytest.mark.parametrize("ring", [("a",), ("a", "b"), ("a", "b", "c")], ids=len)
async def test_a_circle_is_refused(world, ring):
    """A request that would wait for its own asker, directly or through others, is refused with the circle named."""
    log = []
    for name, following in zip(ring, (*ring[1:], ring[0]), strict=True):
        world.cell(name, told(world, name, following, log))
    for _ in range(3):
        assert await world.request("a", timeout=5) == "cycle"
    last = ring[-1]
    assert log == [(last, *ring)] * 3
    assert all(cell.delivery is None for cell in world.bus.cells.values())


async def test_the_message_of_a_cycle(world):
    """The error says who cannot wait for whom, along which circle, and what to do."""
    caught = []

    async def b(message):
        try:
            await world.ask("b", "a")
        except CallCycleError as error:
            caught.append(error)

    world.cell("a", asks(world, "a", "b"))
    world.cell("b", b)
    await world.request("a")
    assert str(caught[0]).splitlines() == [
        "HC405 'b' cannot wait for 'a', which waits for it: b -> a -> b",
        "  hint: use send() one way round, or answer from what you have",
    ]


async def test_a_circle_through_gather(world):
    """Requests that a handler makes side by side, in tasks of its own, are part of the circle."""
    log = []

    async def a(message):
        return await asyncio.gather(*(world.ask("a", "b", number) for number in range(3)))

    world.cell("a", a)
    world.cell("b", told(world, "b", "a", log))
    assert await world.request("a", timeout=5) == ["cycle"] * 3
    assert log == [("b", "a", "b")] * 3


async def test_two_chains_that_would_wait_for_each_other(world):
    """Two requests that begin at different ends, neither a circle by itself, cannot lock each other up."""
    log, both = [], asyncio.Barrier(2)

    def meeting(name, target):
        ask = told(world, name, target, log)

        async def handler(message):
            if message.sender != "host":
                return name
            await both.wait()
            return await ask(message)

        return handler

    world.cell("a", meeting("a", "b"))
    world.cell("b", meeting("b", "a"))
    async with asyncio.timeout(10):
        replies = await asyncio.gather(world.request("a"), world.request("b"))
    assert sorted(map(str, replies)) in (["a", "cycle"], ["b", "cycle"])
    assert len(log) == 1


async def test_three_chains_that_would_wait_for_each_other(world):
    """The same with three."""
    log, all_ = [], asyncio.Barrier(3)
    ring = {"a": "b", "b": "c", "c": "a"}

    def meeting(name):
        ask = told(world, name, ring[name], log)

        async def handler(message):
            if message.sender != "host":
                return name
            await all_.wait()
            return await ask(message)

        return handler

    for name in ring:
        world.cell(name, meeting(name))
    async with asyncio.timeout(10):
        replies = await asyncio.gather(*map(world.request, ring))
    assert replies.count("cycle") == len(log) == 1


async def test_many_ways_to_the_same_module_are_searched_once(world):
    """A graph in which many ways lead to one module is searched without going round, and the circle in it found."""
    log = []

    def fan(name, targets):
        async def handler(message):
            return await asyncio.gather(*(world.ask(name, target, message.payload) for target in targets))

        return handler

    async def last(message):
        gate.set()
        await released.wait()
        try:
            await world.ask("last", "top")
        except CallCycleError as error:
            log.append(error.trail)
        return "done"

    gate, released = asyncio.Event(), asyncio.Event()
    world.cell("top", fan("top", ["left", "right"]))
    for name in ("left", "right"):
        world.cell(name, fan(name, ["last", "last"]))
    world.cell("last", last)
    asker = world.start("top")
    await gate.wait()
    await passes(10)
    released.set()
    assert await asyncio.wait_for(asker, 5) == [["done"] * 2] * 2
    assert len(log) == 4
    assert {(trail[0], trail[1], trail[-1]) for trail in log} == {("last", "top", "last")}


async def test_no_circle_after_the_handler_ended(world):
    """A task that a handler left behind asks on its own account: the handler's module can be asked meanwhile."""
    background = []

    async def a(message):
        if message.payload == "begin":
            background.append(asyncio.create_task(world.ask("a", "b", timeout=5)))
            return "begun"
        return "answered"

    async def b(message):
        await asyncio.sleep(0)
        return await world.ask("b", "a", "question", timeout=5)

    world.cell("a", a)
    world.cell("b", b)
    for _ in range(2):
        assert await world.request("a", "begin") == "begun"
        assert await background.pop() == "answered"


async def test_no_circle_where_only_a_forgotten_task_waits(world):
    """A reply that only a left-behind task awaits is no edge, even if it was asked for while the handler ran."""
    background, gate = [], asyncio.Event()

    async def a(message):
        if message.payload == "begin":
            background.append(asyncio.create_task(world.ask("a", "b", timeout=5)))
            await asyncio.sleep(0)
            await asyncio.sleep(0)  # the request to b is out now, under this handler's delivery
            return "begun"
        return "answered"

    async def b(message):
        await gate.wait()
        return await world.ask("b", "a", "question", timeout=5)

    world.cell("a", a)
    world.cell("b", b)
    for _ in range(2):
        gate.clear()
        assert await world.request("a", "begin") == "begun"
        gate.set()
        assert await background.pop() == "answered"


async def test_no_circle_after_a_cancelled_request(world):
    """A handler that gives up a request no longer waits: who it had asked may ask it back."""
    gate, answers = asyncio.Event(), []

    async def a(message):
        if message.payload == "question":
            return "answered"
        try:
            await world.ask("a", "b", timeout=0.01)
        except DeadlineError:
            gate.set()
        return "gave up"

    async def b(message):
        await gate.wait()
        answers.append(await world.ask("b", "a", "question", timeout=5))

    world.cell("a", a)
    world.cell("b", b)
    assert await world.request("a") == "gave up"
    await world.request("b")
    assert answers[0] == "answered"


async def test_shared_targets_are_no_circle(world):
    """Many that wait for one, and one that waits for many, form no circle."""

    async def fan(message):
        return await asyncio.gather(*(world.ask("fan", name, message.payload) for name in ("b", "c", "b")))

    async def through(message):
        await asyncio.sleep(0)
        return await world.ask("x", "d", message.payload)

    world.cell("fan", fan)
    world.cell("b", through)
    world.cell("c", through)
    world.cell("d", lambda message: message.payload)
    async with asyncio.timeout(10):
        assert await asyncio.gather(*(world.request("fan", n) for n in range(5))) == [[n] * 3 for n in range(5)]


async def test_a_cycle_that_nobody_catches_is_an_error_of_the_handlers(world):
    """Uncaught, the cycle becomes an error of each handler on the way, and all of them go on."""
    world.cell("a", asks(world, "a", "b"))
    world.cell("b", asks(world, "b", "a"))
    for _ in range(2):
        with pytest.raises(HookError) as caught:
            await world.request("a")
        assert caught.value.module == "a"
    await passes()
    assert [name for name, _ in world.witness.failures] == ["b", "a"] * 2


async def test_sending_in_a_circle_is_fine(world):
    """`send` waits for no reply, so it may go round for ever."""
    seen, done = [], asyncio.Event()

    def passing(name, target):
        async def handler(message):
            seen.append(name)
            if message.payload == 0:
                done.set()
            else:
                await world.bus.send(world.host, target, message.payload - 1)

        return handler

    world.cell("a", passing("a", "b"))
    world.cell("b", passing("b", "a"))
    await world.send("a", 9)
    await done.wait()
    assert seen == ["a", "b"] * 5
