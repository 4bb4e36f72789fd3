"""Publishing: wildcards, listeners, full subscribers, dead letters, the host's own events."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st
from messaging.support import Plain, World, passes

from hostcore.contract.topics import matches
from hostcore.errors import ContractError
from hostcore.messaging.bus import Sender
from hostcore.messaging.topics import Listener, Subscriptions

WORDS = st.sampled_from(["a", "b"])
TOPICS = st.lists(WORDS, min_size=1, max_size=3).map(".".join)
PATTERNS = st.builds(
    lambda words, tail: ".".join([*words, *tail]),
    st.lists(st.sampled_from(["a", "b", "*"]), min_size=1, max_size=3),
    st.sampled_from([[], [">"]]),
)


def collecting(world, name, *patterns, capacity=1000):
    """Return what cell `name`, subscribed to `patterns`, gets."""
    got = []
    cell = world.cell(name, lambda message: got.append((message.topic, message.payload)), capacity=capacity)
    for pattern in patterns:
        world.bus.subscriptions.add(pattern, cell)
    return got


async def test_wildcards(world):
    """A message reaches every subscriber whose pattern matches its topic, each once."""
    got = {
        name: collecting(world, name, *patterns)
        for name, patterns in {
            "exact": ["repo.changed"], "star": ["repo.*"], "rest": ["repo.>"], "all": [">"], "first": ["*.changed"],
            "twice": ["repo.*", "repo.changed", ">"], "none": ["repo", "other.*"],
        }.items()
    }  # fmt: skip
    assert world.bus.publish(world.host, "repo.changed", 1) == 6
    assert world.bus.publish(world.host, "repo.file.changed", 2) == 3
    assert world.bus.publish(world.host, "nobody", 3) == 2
    await passes()
    one, two, three = ("repo.changed", 1), ("repo.file.changed", 2), ("nobody", 3)
    assert got == {
        "exact": [one], "star": [one], "rest": [one, two], "all": [one, two, three], "first": [one],
        "twice": [one, two, three], "none": [],
    }  # fmt: skip


@given(st.lists(st.tuples(st.booleans(), PATTERNS, st.sampled_from("xyz")), max_size=12), TOPICS)
def test_subscriptions_agree_with_matching(steps, topic):
    """After any additions and removals, whoever holds a matching pattern is reached, once, routes cached or not."""
    subscriptions, model = Subscriptions(), {}
    receivers = {name: Listener(name, 1) for name in "xyz"}
    for add, pattern, name in steps:
        subscriptions.receivers(topic)
        if add:
            subscriptions.add(pattern, receivers[name])
            model.setdefault(name, set()).add(pattern)
        else:
            subscriptions.remove(pattern, receivers[name])
            model.get(name, set()).discard(pattern)
    expected = {name for name, patterns in model.items() if any(matches(p, topic) for p in patterns)}
    found = subscriptions.receivers(topic)
    assert len(found) == len(set(found))
    assert {receiver.pattern for receiver in found} == expected
    for name, patterns in model.items():
        assert set(subscriptions.of(receivers[name])) == patterns
        subscriptions.remove_all(receivers[name])
    assert subscriptions.receivers(topic) == ()
    assert subscriptions.listeners() == []


async def test_routes_are_bounded():
    """Publishing under ever new topics does not grow the cache of routes for ever."""
    subscriptions = Subscriptions()
    for number in range(10_000):
        subscriptions.receivers(f"t.{number}")
    assert len(subscriptions._routes) <= 4096


@pytest.mark.parametrize("pattern", ["", "a..b", "a.>.b", "a b", "a*"])
async def test_a_malformed_pattern(world, pattern):
    """A pattern that is none is refused for a module and for the host."""
    cell = world.cell("c", lambda message: None)
    for receiver, name in ((cell, "c"), (Listener("x", 1), "host")):
        with pytest.raises(ContractError, match="is not a topic pattern") as caught:
            world.bus.subscriptions.add(pattern, receiver)
        assert caught.value.module == name


@pytest.mark.parametrize("topic", ["", "a.*", ">", "a b", "a..b"])
async def test_a_malformed_topic(world, topic):
    """Only a topic can be published to, not a pattern."""
    with pytest.raises(ContractError, match="is not a topic"):
        world.bus.publish(world.host, topic, 1)


async def test_a_full_subscriber_loses_only_its_own(world):
    """A subscriber with a full mailbox loses the message, as a dead letter that names it; all others get it."""
    slow = collecting(world, "slow", "t", capacity=2)
    fast = collecting(world, "fast", "t")
    await world.bus.cells["slow"].pause()
    assert [world.bus.publish(world.host, "t", number) for number in range(4)] == [2, 2, 1, 1]
    world.bus.cells["slow"].resume()
    await passes()
    assert [payload for _, payload in slow] == [0, 1]
    assert [payload for _, payload in fast] == [0, 1, 2, 3]
    assert world.witness.dead_letters == [("t", "the mailbox of 'slow' is full")] * 2
    assert [(letter.envelope.target, letter.envelope.topic) for letter in world.bus.dead_letters] == [("slow", "t")] * 2
    assert world.bus.dead_count == 2


async def test_dead_letters_are_counted_and_bounded():
    """All dead letters are counted; the latest are kept."""
    world = World(dead_letters=3)
    collecting(world, "c", "t", capacity=1)
    await world.bus.cells["c"].pause()
    for number in range(6):
        world.bus.publish(world.host, "t", number)
    assert world.bus.dead_count == 5
    assert len(world.bus.dead_letters) == 3
    world.bus.remove("c", "gone")
    assert world.bus.dead_count == 6
    world.close()


async def test_a_removed_module_is_no_subscriber_any_more(world):
    """With a module's address go its subscriptions."""
    collecting(world, "c", "t", "u.*")
    world.bus.remove("c", "gone")
    assert world.bus.publish(world.host, "t", 1) == 0
    assert world.bus.dead_count == 0


async def test_a_subscriber_that_stopped_but_is_still_listed(world):
    """A subscriber whose cell was given up on loses the message with that reason."""
    collecting(world, "c", "t")
    world.bus.cells["c"].stop("it hangs")
    assert world.bus.publish(world.host, "t", 1) == 0
    assert world.witness.dead_letters == [("t", "it hangs")]


async def test_a_swap_keeps_subscriptions(world):
    """Subscriptions belong to the address, so a new copy of a module goes on getting its messages."""
    collecting(world, "c", "t")
    cell, got = world.bus.cells["c"], []
    await cell.pause()
    world.bus.publish(world.host, "t", "held")
    cell.swap(Plain("c", lambda message: got.append(message.payload)))
    cell.resume()
    world.bus.publish(world.host, "t", "new")
    await passes()
    assert got == ["held", "new"]


# --- listeners -----------------------------------------------------------------------------------------------------


async def test_a_listener_iterates_over_messages(world):
    """A listener gets messages as they come, waits for the next, and ends when it is closed."""
    listener, got = Listener("t.>", 10), []
    world.bus.subscriptions.add("t.>", listener)

    async def listen():
        async for message in listener:
            got.append((message.topic, message.payload, message.sender))

    task = asyncio.create_task(listen())
    await passes()
    world.bus.publish(Sender("m", world.host.grants), "t.a", {"n": 1})
    await passes()
    assert got == [("t.a", {"n": 1}, "m")]
    world.bus.publish(world.host, "t.b")
    listener.close()
    await task
    assert [topic for topic, *_ in got] == ["t.a", "t.b"]


async def test_a_listener_that_does_not_keep_up_loses_the_oldest(world):
    """Beyond its capacity a listener drops the oldest messages and counts them."""
    listener = Listener("t", 3)
    world.bus.subscriptions.add("t", listener)
    for number in range(10):
        assert world.bus.publish(world.host, "t", number) == 1
    listener.close()
    assert [message.payload async for message in listener] == [7, 8, 9]
    assert listener.lost == 7


async def test_a_cancelled_wait_loses_nothing(world):
    """A wait for the next message that is given up can be taken up again."""
    listener = Listener("t", 3)
    world.bus.subscriptions.add("t", listener)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await anext(listener)
    world.bus.publish(world.host, "t", 1)
    assert (await anext(listener)).payload == 1


async def test_several_readers_of_one_listener(world):
    """Several tasks may read one listener: each message goes to one of them, and closing ends them all."""
    listener, got = Listener("t", 10), []
    world.bus.subscriptions.add("t", listener)

    async def read():
        async for message in listener:
            got.append(message.payload)

    readers = [asyncio.create_task(read()) for _ in range(3)]
    await passes()
    for number in range(6):
        world.bus.publish(world.host, "t", number)
        await passes()
    listener.close()
    async with asyncio.timeout(5):
        await asyncio.gather(*readers)
    assert sorted(got) == list(range(6))


# --- the host's own events -----------------------------------------------------------------------------------------


async def test_events_reach_modules_and_listeners(world):
    """The host's events are messages as any other, sent by "hostcore"."""
    got, listener = collecting(world, "c", "hostcore.>"), Listener("hostcore.*.*", 10)
    world.bus.subscriptions.add("hostcore.*.*", listener)
    world.bus.announce("hostcore.module.loaded", {"module": "m"})
    world.bus.announce("hostcore.nobody", {})
    await passes()
    assert got == [("hostcore.module.loaded", {"module": "m"}), ("hostcore.nobody", {})]
    message = await anext(listener)
    assert (message.sender, message.payload) == ("hostcore", {"module": "m"})


@pytest.mark.parametrize("facts", [{"text": "\ud800"}, {"value": object()}, {"number": 2**100}])
async def test_an_event_that_cannot_be_encoded_is_announced_all_the_same(world, facts):
    """Announcing never raises, for it happens where nothing may fail; what cannot be encoded says so."""
    got = collecting(world, "c", "hostcore.>")
    world.bus.announce("hostcore.handler.failed", facts)
    await passes()
    assert got[0][1]["problem"].startswith("this event cannot be encoded")


async def test_an_event_larger_than_a_message_may_be():
    """The limit of messages does not hold for the host's own events."""
    world = World(message_limit=10)
    got = collecting(world, "c", "hostcore.>")
    world.bus.announce("hostcore.handler.failed", {"text": "x" * 100})
    await passes()
    assert got == [("hostcore.handler.failed", {"text": "x" * 100})]
    world.close()


async def test_the_loss_of_an_event_makes_no_event(world):
    """A module that listens to everything, with a full mailbox, sets no avalanche off."""
    collecting(world, "c", ">", capacity=1)
    world.witness.dead = lambda envelope, reason: world.bus.announce("hostcore.message.dead", {"reason": reason})
    world.bus.observer.dead = world.witness.dead
    cell = world.bus.cells["c"]
    await cell.pause()
    for number in range(3):
        world.bus.publish(world.host, "t", number)
    assert world.bus.dead_count == 4, "two messages, and an event of each"
    world.bus.remove("c", "gone")
    assert world.bus.dead_count == 5


async def test_refusing_what_waits_ends_although_each_refusal_is_an_event(world):
    """A module that listens for dead letters can be drained: those that its own draining makes wait until it stops."""
    collecting(world, "c", "hostcore.>")
    world.bus.observer.dead = lambda envelope, reason: world.bus.announce("hostcore.message.dead", {"reason": reason})
    cell = world.bus.cells["c"]
    await cell.pause()
    for number in range(3):
        await world.send("c", number)
    cell.refuse_waiting("gone")
    assert cell.depth == 3
    world.bus.remove("c", "gone")
    assert cell.depth == 0
    assert world.bus.dead_count == 6
