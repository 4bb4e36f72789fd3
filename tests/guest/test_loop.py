"""The event loop inside a guest, run here with a clock that can be looked at."""

from __future__ import annotations

import asyncio
import threading

import pytest

from hostcore.errors import DeniedError
from hostcore.guest.inside.loop import GuestLoop


class Clock:
    """Time that passes when the loop sleeps, and else stands still."""

    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []
        self.refused: Exception | None = None

    def sleep(self, seconds: float) -> None:
        if self.refused is not None:
            raise self.refused
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def loop(clock):
    """A loop as it is inside: in a thread of its own, where no other loop runs."""
    made = GuestLoop(clock.sleep)
    made.time = lambda: clock.now
    yield made
    made._thread_id = None
    made.close()


def inside(function):
    """Call `function` in a thread of its own and return its result, or raise what it raised."""
    box: list[object] = []

    def call() -> None:
        try:
            box.append(function())
        except BaseException as exc:
            box.append(exc)

    thread = threading.Thread(target=call)
    thread.start()
    thread.join()
    if isinstance(box[0], BaseException):
        raise box[0]
    return box[0]


def run(loop, coroutine):
    def call():
        loop.install()
        return loop.run(coroutine)

    return inside(call)


def test_a_result(loop, clock):
    """What a coroutine returns is the result; without waiting no time passes."""

    async def main():
        return asyncio.current_task() is not None and asyncio.get_running_loop() is loop

    assert run(loop, main()) is True
    assert clock.slept == []


def test_an_exception_keeps_its_traceback(loop):
    """What a coroutine raises comes out with the frame that raised it."""

    async def main():
        raise ValueError("mine")

    with pytest.raises(ValueError, match="mine") as caught:
        run(loop, main())
    assert caught.traceback[-1].name == "main"


def test_sleeping(loop, clock):
    """Sleep is the clock's; several sleeps at once take as long as the longest."""

    async def main():
        await asyncio.gather(*(asyncio.sleep(n) for n in (3, 1, 2)))

    run(loop, main())
    assert clock.slept == [1, 1, 1]


def test_timeouts_and_tasks(loop):
    """Timeouts, task groups, events and queues work as anywhere."""

    async def main():
        queue: asyncio.Queue[int] = asyncio.Queue()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(5):
                await asyncio.Event().wait()
        async with asyncio.TaskGroup() as group:
            group.create_task(queue.put(1))
            got = group.create_task(queue.get())
        return got.result(), await asyncio.to_thread(lambda: 2)

    assert run(loop, main()) == (1, 2)


def test_waiting_for_nothing(loop):
    """A coroutine that nothing can wake is an error, and cleans up."""
    cleaned = []

    async def main():
        try:
            await asyncio.Event().wait()
        finally:
            cleaned.append(True)

    with pytest.raises(RuntimeError, match="nothing inside the guest"):
        run(loop, main())
    assert cleaned == [True]


def test_a_clock_that_is_refused(loop, clock):
    """Where the host refuses to wait, that error is the hook's, and the loop goes on with the next one."""
    clock.refused = DeniedError("no clock")
    with pytest.raises(DeniedError):
        run(loop, asyncio.sleep(1))
    clock.refused = None
    assert run(loop, asyncio.sleep(1, "slept")) == "slept"


def test_a_coroutine_that_ignores_its_end(loop):
    """A coroutine that will not be cancelled is given up on."""

    async def main():
        while True:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                pass

    with pytest.raises(RuntimeError, match="nothing inside the guest"):
        run(loop, main())


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt])
def test_leaving_is_an_exception_like_others(loop, error):
    """SystemExit and KeyboardInterrupt come out of a hook and leave the loop usable."""

    async def main(wait):
        await asyncio.sleep(wait)
        raise error

    for wait in (0, 1):
        with pytest.raises(error):
            run(loop, main(wait))
    assert run(loop, asyncio.sleep(0, "fine")) == "fine"


def test_tasks_that_are_left(loop):
    """Tasks that outlive their hook go on when the loop settles; endless ones do not hold it."""
    steps = []

    async def some():
        for step in range(5):
            steps.append(step)
            await asyncio.sleep(0)

    async def endless():
        while True:  # noqa: ASYNC110 - it waits for nothing on purpose
            await asyncio.sleep(0)

    def call():
        loop.install()
        tasks = [loop.create_task(some()), loop.create_task(endless())]
        assert loop.busy
        loop.settle()
        tasks[1].cancel()
        loop.settle()
        return tasks[0].done() and tasks[1].cancelled() and not loop.busy

    assert inside(call) is True
    assert steps == [0, 1, 2, 3, 4]


def test_a_def_hook_can_start_tasks(loop):
    """Once it is installed the loop counts as the running one, outside of coroutines too."""

    def call():
        loop.install()
        task = asyncio.create_task(asyncio.sleep(0, "done"))
        loop.settle()
        return task.result()

    assert inside(call) == "done"
