"""asyncio inside a guest: a loop that waits for nothing but time.

WASI has neither threads nor the sockets that asyncio's own loops wake up by, so this one has no selector: what a task
can wait for is other tasks, and the clock, for which the host suspends the guest.  Calls of the host are synchronous
here, so most hooks end in their first step, which a task makes at once (`eager_start`): the loop is not turned at all.

The loop counts as the running one from the first hook to the last, so a `def` hook can start tasks too.  Tasks that
outlive their hook go on while another one runs.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from asyncio import events
from collections.abc import Callable, Coroutine
from typing import Any

PASSES = 100
"""How often the loop is turned for tasks that a hook has left behind, or that must end."""

_EAGER: dict[str, Any] = {"eager_start": True} if sys.version_info >= (3, 12) else {}


class _Clock:
    """Stands where asyncio's loops have a selector."""

    def __init__(self, sleep: Callable[[float], None]) -> None:
        self._sleep = sleep

    def select(self, timeout: float | None = None) -> list[Any]:
        """Wait until the next timer is due; `timeout` is in seconds, None where there is no timer."""
        if timeout is None:
            raise RuntimeError("it waits for something that nothing inside the guest will ever do")
        if timeout > 0:
            self._sleep(timeout)
        return []

    def close(self) -> None:
        """Do nothing: there is nothing to close."""


class GuestLoop(asyncio.BaseEventLoop):
    """An event loop of tasks and timers."""

    # asyncio's own: what is to run in the next pass, and the thread that the loop runs in.
    _ready: Any
    _thread_id: int | None

    def __init__(self, sleep: Callable[[float], None]) -> None:
        """Make the loop the running one of this thread; `sleep` waits for so many seconds."""
        super().__init__()
        self._selector = _Clock(sleep)

    def install(self) -> None:
        """Make this the running loop, as far as asyncio and its callers can tell."""
        events._set_running_loop(self)
        self._thread_id = threading.get_ident()  # what `is_running` goes by, without which no task starts eagerly

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Run `coroutine` as a task to its end and return its result."""
        task = asyncio.Task(coroutine, loop=self, **_EAGER)
        return task.result() if task.done() else self._turn(task)

    @property
    def busy(self) -> bool:
        """Whether something is ready to run."""
        return bool(self._ready)

    def settle(self) -> None:
        """Turn the loop until nothing is ready any more, or `PASSES` times."""
        self._turn(self.create_task(self._passes()))

    async def _passes(self) -> None:
        for _ in range(PASSES):
            if not self._ready:
                return
            await asyncio.sleep(0)

    def _turn(self, task: asyncio.Task[Any]) -> Any:
        """Run the loop until `task` is done; return its result.  What the waiting itself raises ends the task first."""
        events._set_running_loop(None)
        self._thread_id = None
        try:
            return self.run_until_complete(task)
        except BaseException:
            if not task.done():
                self._cancel(task)
            raise
        finally:
            self.install()

    def _cancel(self, task: asyncio.Task[Any]) -> None:
        """Cancel a task that can never end, and let it clean up without waiting for anything."""
        task.cancel()
        for _ in range(PASSES):
            if task.done() or not self._ready:
                break
            self.stop()  # so that the loop is turned once
            self.run_forever()
        if task.done() and not task.cancelled():
            task.exception()  # looked at: the error of the waiting itself is told

    # --- what a loop without a selector is asked for by asyncio ------------------------------------------------

    def _process_events(self, event_list: list[Any]) -> None:
        """Take no events: there are none."""

    def _write_to_self(self) -> None:
        """Wake nothing up: there is one thread."""

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:  # type: ignore[override]
        """Call `func` here and now, since there are no threads; `asyncio.to_thread` works by this."""
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as exc:  # noqa: BLE001 - whatever it raises is the future's
            future.set_exception(exc)
        return future
