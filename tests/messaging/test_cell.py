"""One cell: how its handlers run, and what their errors become."""

from __future__ import annotations

import asyncio
import contextvars
from math import inf

import pytest
from messaging.support import Plain, World, active, envelope, passes, swarm

from hostcore.errors import ContractError, DeadlineError, HookError
from hostcore.messaging.pending import Pending
from hostcore.messaging.stepping import NEW, Stepper

COLOUR: contextvars.ContextVar[str] = contextvars.ContextVar("colour", default="none")


async def double(message):
    await asyncio.sleep(0)
    return message.payload * 2


@pytest.mark.parametrize("round_", ["first", "later"])
async def test_kinds_of_handlers(world, round_):
    """Plain, async and suspending handlers all answer, whether or not the cell has a runner already."""

    async def at_once(message):
        return message.payload * 2

    world.cell("plain", lambda message: message.payload * 2)
    world.cell("at_once", at_once)
    world.cell("suspending", double)
    for _ in range(1 if round_ == "first" else 3):
        for name in ("plain", "at_once", "suspending"):
            assert await world.request(name, 21) == 42
    assert world.bus.cells["suspending"].tally.handled == (1 if round_ == "first" else 3)


@pytest.mark.parametrize("suspends", [False, True], ids=["at once", "after suspending"])
@pytest.mark.parametrize(
    "error",
    [ValueError("v"), SystemExit(3), KeyboardInterrupt(), GeneratorExit(), asyncio.CancelledError(), StopIteration(7),
     StopAsyncIteration(), BaseException("b"), TimeoutError(), MemoryError(), BaseExceptionGroup("g", [SystemExit(1)])],
    ids=lambda error: type(error).__name__,
)  # fmt: skip
async def test_whatever_is_raised_becomes_a_named_error(world, error, suspends):
    """Any exception of an async handler becomes the named error of its caller, and the cell goes on."""

    async def bad(message):
        if suspends:
            await asyncio.sleep(0)
        if message.payload:
            raise error
        return "fine"

    cell = world.cell("bad", bad)
    for _ in range(2):
        with pytest.raises(HookError) as caught:
            await world.request("bad", True)
        expected = "RuntimeError" if isinstance(error, StopIteration) else type(error).__name__
        assert (caught.value.module, caught.value.exception) == ("bad", expected)
    assert await world.request("bad", False) == "fine"
    assert (cell.tally.handled, cell.tally.failed, len(world.witness.failures)) == (3, 2, 2)


@pytest.mark.parametrize(
    "error", [ValueError, SystemExit, KeyboardInterrupt, GeneratorExit, asyncio.CancelledError, StopIteration]
)
async def test_whatever_a_plain_handler_raises(world, error):
    """The same for a handler that is no coroutine, through a request and through the mailbox."""

    def bad(message):
        raise error

    world.cell("bad", bad)
    with pytest.raises(HookError):
        await world.request("bad")
    await world.send("bad")
    await world.witness.until(lambda: len(world.witness.failures) == 2)
    assert [type(found) for _, found in world.witness.failures] == [HookError, HookError]


async def test_error_keeps_nothing_of_the_module(world):
    """What a handler raised loses its traceback, whose frames would keep the module's code alive."""
    raised = []

    def bad(message):
        error = ValueError("x")
        raised.append(error)
        raise error

    world.cell("bad", bad)
    with pytest.raises(HookError) as caught:
        await world.request("bad")
    assert raised[0].__traceback__ is None
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


async def test_an_unencodable_reply_is_the_modules_fault(world):
    """A reply that is no data fails the request with an error that names the module."""
    world.cell("odd", lambda message: object())
    with pytest.raises(ContractError, match="reply cannot be encoded") as caught:
        await world.request("odd")
    assert caught.value.module == "odd"


async def test_the_askers_timeout_never_reaches_the_handler(world):
    """A request that times out leaves its handler running to its end, and the reply is dropped."""
    let_go, ended = asyncio.Event(), []

    async def slow(message):
        await let_go.wait()
        ended.append(message.payload)
        return 1

    world.cell("slow", slow)
    for number in range(2):
        let_go.clear()
        with pytest.raises(DeadlineError, match="'slow'"):
            await world.request("slow", number, timeout=0.01)
        assert len(ended) == number
        let_go.set()
        await passes()
    assert ended == [0, 1]
    assert not world.witness.failures


@pytest.mark.parametrize("by", ["cancel", "asyncio.timeout"])
async def test_the_askers_cancellation_never_reaches_the_handler(world, by):
    """An asker that is cancelled goes at once; its handler is not disturbed, and the cell goes on."""
    started, let_go, ended = asyncio.Event(), asyncio.Event(), []

    async def slow(message):
        started.set()
        await let_go.wait()
        ended.append(asyncio.current_task().cancelling())
        return "done"

    world.cell("slow", slow)
    for round_ in range(3):
        started.clear()
        let_go.clear()
        if by == "cancel":
            asker = world.start("slow")
            await started.wait()
            asker.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asker
        else:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.01):
                    await world.request("slow")
        assert len(ended) == round_
        let_go.set()
        await passes()
        assert ended == [0] * (round_ + 1)
    let_go.set()
    assert await world.request("slow") == "done"


@pytest.mark.parametrize("seconds", [0, -1, 0.001])
async def test_a_timeout_in_a_handler_hits_only_that_handler(world, seconds):
    """`asyncio.timeout` in a handler, even one that has passed already, is the handler's own."""

    async def impatient(message):
        try:
            async with asyncio.timeout(seconds):
                await asyncio.get_running_loop().create_future()
        except TimeoutError:
            return asyncio.current_task().cancelling()

    cell = world.cell("impatient", impatient)
    async with asyncio.timeout(30):
        for _ in range(4):
            assert await world.request("impatient") == 0
        await asyncio.gather(*(world.request("impatient") for _ in range(10)))
    assert asyncio.current_task().cancelling() == 0
    assert cell.tally.failed == 0


@pytest.mark.parametrize("seconds", [0, 0.001])
async def test_a_timeout_in_a_handler_cancels_what_it_waits_for(world, seconds):
    """A task that the handler waits for under a passed timeout is cancelled, as anywhere in asyncio."""
    fates = []

    async def child():
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            fates.append("cancelled")
            raise

    async def impatient(message):
        task = asyncio.create_task(child())
        await asyncio.sleep(0)
        try:
            async with asyncio.timeout(seconds):
                await task
        except TimeoutError:
            return "timeout"
        finally:
            task.cancel()

    world.cell("impatient", impatient)
    for _ in range(2):
        assert await world.request("impatient") == "timeout"
    assert fates == ["cancelled"] * 2


async def test_a_passed_timeout_in_the_first_step_cancels_what_is_awaited(world):
    """The same where the handler awaits in its very first step, in the asker's turn."""

    async def impatient(message):
        awaited = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(0):
                await awaited
        except TimeoutError:
            return awaited.cancelled()

    world.cell("impatient", impatient)
    for _ in range(3):
        assert await world.request("impatient") is True


async def test_a_passed_timeout_and_a_result_at_once(world):
    """Where the result comes in the very pass in which the timeout fires, the timeout wins, as anywhere in asyncio."""

    async def impatient(message):
        loop = asyncio.get_running_loop()
        awaited = loop.create_future()
        loop.call_soon(awaited.set_result, 1)
        try:
            async with asyncio.timeout(0):
                await awaited
        except TimeoutError:
            return awaited.result()

    world.cell("impatient", impatient)
    for _ in range(3):
        assert await world.request("impatient") == 1


@pytest.mark.parametrize("when", ["at once", "soon", "suspended"])
async def test_a_handler_that_cancels_itself_hurts_nobody_else(world, when):
    """A handler that cancels its own task gets at most its own message failed; the next ones are answered."""

    async def odd(message):
        if message.payload == "odd":
            task = asyncio.current_task()
            if when == "soon":
                asyncio.get_running_loop().call_soon(task.cancel)
                return "odd"
            task.cancel()
            if when == "suspended":
                await asyncio.sleep(0)
            return "odd"
        await asyncio.sleep(0)
        return "even"

    world.cell("odd", odd)
    async with asyncio.timeout(10):
        for _ in range(3):
            assert await world.request("odd", "even") == "even"
            try:
                assert await world.request("odd", "odd") == "odd"
            except HookError as error:
                assert when == "suspended"
                assert error.exception == "CancelledError"
            await passes()
            assert await world.request("odd", "even") == "even"


async def test_a_handler_that_swallows_a_cancellation(world):
    """A handler that catches the cancellation it caused itself answers as usual."""

    async def stubborn(message):
        asyncio.current_task().cancel()
        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            return "still here"

    world.cell("stubborn", stubborn)
    for _ in range(3):
        assert await world.request("stubborn") == "still here"


async def test_a_handler_runs_as_its_cells_runner(world):
    """In a handler the current task is the cell's, never the asker's, and afterwards it is the asker's again."""
    names = []

    async def who(message):
        names.append(asyncio.current_task().get_name())
        await asyncio.sleep(0)
        names.append(asyncio.current_task().get_name())

    world.cell("who", who)
    me = asyncio.current_task()
    for _ in range(3):
        await world.request("who")
        assert asyncio.current_task() is me
    assert set(names) == {"hostcore:who"}


async def test_handlers_share_the_instances_context_and_see_nothing_of_askers(world):
    """Context variables of askers do not leak into a handler, nor a handler's into its asker."""
    seen = []

    async def handler(message):
        seen.append(COLOUR.get())
        COLOUR.set("handler")
        await asyncio.sleep(0)
        seen.append(COLOUR.get())

    world.cell("c", handler)
    COLOUR.set("asker")
    await world.request("c")
    await world.request("c")
    assert seen == ["none", "handler", "handler", "handler"]
    assert COLOUR.get() == "asker"
    assert not active()


async def test_one_at_a_time(world):
    """While a handler is suspended nothing else is handled, and what came meanwhile is handled in order."""
    log, gates = [], [asyncio.Event() for _ in range(3)]

    async def handler(message):
        log.append(("begin", message.payload))
        await gates[message.payload].wait()
        log.append(("end", message.payload))
        return message.payload

    world.cell("c", handler)
    askers = [world.start("c", number) for number in range(3)]
    for gate in gates:
        await passes()
        gate.set()
    assert await asyncio.gather(*askers) == [0, 1, 2]
    assert log == [(what, number) for number in range(3) for what in ("begin", "end")]


async def test_a_handler_that_sends_to_its_own_module(world):
    """What a handler sends to its own module is handled after it, also where it ran in the asker's turn."""
    log = []

    async def handler(message):
        log.append(("begin", message.payload))
        if message.payload < 3:
            await world.send("c", message.payload + 1)
        log.append(("end", message.payload))

    cell = world.cell("c", handler)
    for _ in range(2):
        await world.request("c", 1)
        await passes(10)
    assert log == [(what, number) for number in (1, 2, 3) for what in ("begin", "end")] * 2
    assert cell.free


async def test_pausing_what_is_scheduled_but_not_begun(world):
    """A pause that comes between a message's arrival and its turn is immediate, and resuming handles it once."""
    handled = []

    async def handler(message):
        handled.append(message.payload)
        await asyncio.sleep(0)

    cell = world.cell("c", handler)
    for number in range(3):
        await world.send("c", number)
        await cell.pause()
        cell.resume()
    await passes(10)
    assert handled == [0, 1, 2]


def test_a_suspended_handler_that_is_closed():
    """Closing what drives a handler closes the handler, which may still tidy up."""
    log = []

    async def handler():
        try:
            await asyncio.sleep(0)
        finally:
            log.append("tidied")

    driving = Stepper(Plain("c", print), handler(), NEW, inf).__await__()
    next(driving)
    driving.close()
    assert log == ["tidied"]


async def test_a_queued_message_that_expired_never_starts(world):
    """A request whose deadline passes while it waits in the mailbox is answered then, and never handled."""
    gate, handled = asyncio.Event(), []

    async def handler(message):
        handled.append(message.payload)
        await gate.wait()

    cell = world.cell("c", handler)
    first = world.start("c", 1)
    await passes()
    with pytest.raises(DeadlineError):
        await world.request("c", 2, timeout=0.01)
    gate.set()
    await first
    await world.request("c", 3)
    assert handled == [1, 3]
    assert cell.tally.dropped == 1


async def test_an_expired_message_without_asker_is_a_dead_letter(world):
    """A message that was put with a deadline and nobody waiting ends as a dead letter."""
    handled = []
    cell = world.cell("c", lambda message: handled.append(message.payload))
    await cell.pause()
    cell.put(envelope(1, topic="late", deadline=0.0), None)
    pending = Pending("c", "", 1.0)
    cell.put(envelope(2, deadline=0.0), pending)
    cell.put(envelope(3), None)
    cell.resume()
    await passes()
    assert handled == [3]
    assert world.witness.dead_letters == [("late", "expired in the mailbox")]
    with pytest.raises(DeadlineError):
        pending.outcome()


async def test_an_abandoned_message_never_starts(world):
    """A request whose asker was cancelled while it waited is never handled."""
    gate, handled = asyncio.Event(), []

    async def handler(message):
        handled.append(message.payload)
        await gate.wait()

    cell = world.cell("c", handler)
    first = world.start("c", 1)
    await passes()
    async with swarm(*(world.start("c", number) for number in (2, 3))):
        await passes()
        assert cell.depth == 2
    gate.set()
    await first
    await world.request("c", 4)
    assert handled == [1, 4]
    assert cell.tally.dropped == 2


async def test_pause_waits_for_the_message_in_hand(world):
    """`pause` returns when nothing is in hand; senders go on filling the mailbox; `resume` handles it in order."""
    gate, handled = asyncio.Event(), []

    async def handler(message):
        await gate.wait()
        handled.append(message.payload)

    cell = world.cell("c", handler)
    asker = world.start("c", 0)
    await passes()
    pausing = [asyncio.create_task(cell.pause()) for _ in range(2)]
    await passes()
    assert not any(task.done() for task in pausing)
    for number in (1, 2):
        await world.send("c", number)
    gate.set()
    await asyncio.gather(*pausing)
    await passes()
    assert handled == [0]
    await asker
    cell.resume()
    await passes()
    assert handled == [0], "it was paused twice"
    cell.resume()
    await world.request("c", 3)
    assert handled == [0, 1, 2, 3]


async def test_a_cancelled_pause_leaves_the_cell_paused_until_resumed(world):
    """Whoever gives up pausing resumes; then the cell works on."""
    gate = asyncio.Event()

    async def handler(message):
        await gate.wait()
        return message.payload

    cell = world.cell("c", handler)
    asker = world.start("c", 1)
    await passes()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await cell.pause()
    gate.set()
    assert await asker == 1
    waiting = world.start("c", 2)
    await passes()
    assert not waiting.done()
    cell.resume()
    assert await waiting == 2


async def test_a_swap_takes_effect_behind_the_mailbox(world):
    """Messages that were held go to the new instance, which has a context and a runner of its own."""
    tasks = []

    def make(generation):
        async def handler(message):
            await asyncio.sleep(0)
            tasks.append(asyncio.current_task())
            return generation

        return handler

    cell = world.cell("c", make(1))
    assert await world.request("c") == 1
    await cell.pause()
    held = world.start("c")
    await passes()
    assert repr(cell) == "<Cell c paused 1 waiting>"
    cell.swap(Plain("c", make(2)))
    cell.resume()
    assert await held == 2
    await passes()
    assert tasks[0].done()
    assert not tasks[1].done()
    assert tasks[0] is not tasks[1]


async def test_counts_and_samples(world):
    """A tally keeps the last handling times and counts everything."""
    cell = world.cell("c", lambda message: None)
    for _ in range(600):
        await world.request("c")
    assert cell.tally.handled == 600
    assert len(cell.tally.samples) == 512
    assert cell.tally.total >= sum(cell.tally.samples)


def test_a_loop_that_ends_takes_suspended_handlers_with_it():
    """`asyncio.run` ends although a handler is suspended and nobody stopped the cell."""
    outcomes = []

    async def forever(message):
        await asyncio.get_running_loop().create_future()

    async def main():
        world = World()
        world.cell("c", forever)
        for _ in range(2):
            asker = world.start("c")
            await passes()
            outcomes.append(asker)
        world.bus.deadlines.close()

    asyncio.run(asyncio.wait_for(main(), 20))
    assert all(asker.done() for asker in outcomes)
