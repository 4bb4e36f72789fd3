"""A module's own thread for what blocks."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref

import pytest

from hostcore.messaging.lane import Lane


@pytest.fixture
async def lane():
    made = Lane("m", asyncio.get_running_loop())
    yield made
    made.close()


async def test_results_and_errors_come_back(lane):
    """What a callable returns or raises is what comes of it, whatever it raises."""
    assert await lane.run(lambda: 5) == 5
    for error in (ValueError, SystemExit, KeyboardInterrupt, GeneratorExit):

        def bad(error=error):
            raise error("x")

        # As a future's exception, SystemExit would go through the loop: it is looked at from outside.
        future = asyncio.ensure_future(lane.run(bad))
        if issubclass(error, Exception):
            with pytest.raises(error):
                await future
        else:
            future.cancel()
    assert await lane.run(lambda: 6) == 6


async def test_stop_iteration_is_translated(lane):
    """StopIteration, which a future cannot hold, becomes a RuntimeError."""

    def bad():
        raise StopIteration

    with pytest.raises(RuntimeError, match="StopIteration"):
        await lane.run(bad)


async def test_one_thread_one_at_a_time_in_order(lane):
    """Everything runs in one daemon thread, named after the module, in the order in which it came."""
    log, inside = [], threading.Lock()

    def job(number):
        assert inside.acquire(blocking=False)
        log.append((number, threading.current_thread()))
        inside.release()

    await asyncio.gather(*(lane.run(lambda number=number: job(number)) for number in range(20)))
    assert [number for number, _ in log] == list(range(20))
    (thread,) = {thread for _, thread in log}
    assert thread.name == "hostcore:m"
    assert thread.daemon


async def test_the_loop_goes_on(lane):
    """While the thread blocks, the event loop does not."""
    gate = threading.Event()
    blocked = asyncio.create_task(lane.run(gate.wait))
    await asyncio.sleep(0)
    gate.set()  # only a running loop comes to this
    assert await asyncio.wait_for(blocked, 10) is True


async def test_cancelling_does_not_stop_the_function(lane):
    """Whoever gives up waiting does not stop the function; its outcome is dropped, and the next one runs."""
    gate, ended = threading.Event(), []

    def job():
        gate.wait()
        ended.append(True)
        raise ValueError

    waiting = asyncio.create_task(lane.run(job))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    gate.set()
    assert await lane.run(lambda: "next") == "next"
    assert ended == [True]


async def test_nothing_is_kept_between_jobs(lane):
    """A waiting thread keeps neither the last function nor its outcome alive."""

    class Thing:
        pass

    thing = Thing()
    watched = weakref.ref(thing)
    await lane.run(lambda thing=thing: thing)
    del thing
    await lane.run(lambda: None)
    gc.collect()
    assert watched() is None


async def test_closing_tells_whether_it_was_idle():
    """`close` says whether something is still running; the thread ends after it."""
    lane, gate, begun = Lane("m", asyncio.get_running_loop()), threading.Event(), threading.Event()
    thread = None

    def job():
        nonlocal thread
        thread = threading.current_thread()
        begun.set()
        gate.wait()

    waiting = asyncio.create_task(lane.run(job))
    await asyncio.to_thread(begun.wait)
    assert lane.close() is False
    gate.set()
    await waiting
    await asyncio.to_thread(thread.join)
    idle = Lane("m", asyncio.get_running_loop())
    await idle.run(lambda: None)
    assert idle.close() is True


def test_a_loop_that_is_gone():
    """A function that ends after its loop was closed harms nobody, and its thread ends."""
    gate, begun, threads = threading.Event(), threading.Event(), []

    def job():
        threads.append(threading.current_thread())
        begun.set()
        gate.wait()

    async def main():
        waiting = asyncio.create_task(Lane("m", asyncio.get_running_loop()).run(job))
        await asyncio.to_thread(begun.wait)
        waiting.cancel()

    asyncio.run(main())
    gate.set()
    threads[0].join(10)
    assert not threads[0].is_alive()
