"""A thread of one module's own, for its blocking hooks.

One at a time, as everywhere in a module.  The thread is a daemon: a hook that hangs in C code can then neither
starve other modules, as it would in a shared pool, nor keep the program from exiting.
"""

from __future__ import annotations

import asyncio
import contextvars
import queue
import threading
import time
from collections.abc import Callable
from typing import Any

Job = tuple[Callable[[], Any], "asyncio.Future[Any]"]


class Lane:
    """Runs callables in one thread, in order; the thread starts with the first of them."""

    def __init__(self, name: str, loop: asyncio.AbstractEventLoop) -> None:
        self.name = name
        self._loop = loop
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._context = contextvars.Context()  # not the thread's own: that lives until the thread has ended
        self.busy = False
        self.since = 0.0  # when it began with what it is doing, in seconds of `time.monotonic()`

    @property
    def ident(self) -> int:
        """The number of the thread, 0 before it has started."""
        return (self._thread.ident or 0) if self._thread is not None else 0

    async def run(self, function: Callable[[], Any]) -> Any:
        """Call `function` in the thread and return, or raise, what comes of it.

        Cancelling does not stop the function; its outcome is then dropped.
        """
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name=f"hostcore:{self.name}", daemon=True)
            self._thread.start()
        future: asyncio.Future[Any] = self._loop.create_future()
        self._jobs.put((function, future))
        return await future

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            function, future = job
            self.since, self.busy = time.monotonic(), True
            try:
                outcome, error = self._context.run(function), None
            except BaseException as exc:  # noqa: BLE001 - it belongs to whoever waits
                outcome, error = None, exc
            self.busy = False
            del job, function  # before anybody hears of the end: they hold the module, which may be unloaded then
            try:
                self._loop.call_soon_threadsafe(_settle, future, outcome, error)
            except RuntimeError:  # the loop is closed: nobody waits any more
                return
            del future, outcome, error

    def close(self) -> bool:
        """Let the thread end after what it is doing; tell whether it had nothing in hand."""
        self._jobs.put(None)
        self._thread = None
        self._context = contextvars.Context()  # what the module has set in it goes
        return not self.busy


def _settle(future: asyncio.Future[Any], outcome: Any, error: BaseException | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(outcome)
    elif isinstance(error, StopIteration):
        future.set_exception(RuntimeError("hook raised StopIteration"))
    else:
        future.set_exception(error)
