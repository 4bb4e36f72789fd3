"""Calls in a thread of the guest's own: one at a time, ended by the epoch at their deadline."""

from __future__ import annotations

import asyncio
import contextvars
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import partial
from math import ceil, inf
from types import CoroutineType
from typing import Any

from wasmtime import Store

from hostcore.hosts.wasm.outcomes import Dead, TimeUp, check_thread, dead_of
from hostcore.hosts.wasm.ticker import TICK, Ticker
from hostcore.messaging.lane import Lane

_FOREVER = 1 << 40
_INTERRUPTED = "interrupt"


class ThreadRunner:
    """Runs the calls into one store; see `Runner`.

    The store is touched by the event loop's thread while it is made, and by its own thread from the first call on.
    """

    def __init__(
        self, store: Store, ticker: Ticker, host: Any, runners: dict[int, Any], *, fuel: int | None = None,
        closed: Callable[[], None] = lambda: None,
    ) -> None:  # fmt: skip
        self.store, self.host = store, host
        self.dead: Dead | None = None
        self.failure: BaseException | None = None
        self._ticker, self._fuel, self._closed = ticker, fuel, closed
        self._loop = asyncio.get_running_loop()
        self._lane = Lane("guest", self._loop)
        self._context = contextvars.copy_context()
        self._busy = self._closing = False
        self._asked: asyncio.Task[Any] | None = None
        self._owner = threading.get_ident()
        runners[0] = self

    def run(
        self, begin: Callable[..., Any], end: Callable[[], Any], until: float = inf, arguments: Sequence[Any] = ()
    ) -> Any:
        """Return a coroutine that makes the call; see `Runner.run`."""
        check_thread(self._owner)
        if self.dead is not None:
            raise self.dead.again()
        if self._busy:
            raise Dead("was called while another call is in hand")
        self._context = contextvars.copy_context()  # what is being handled: host functions run in it
        return self._run(partial(begin, *arguments), end, until)

    async def _run(self, begin: Callable[[], Any], end: Callable[[], Any], until: float) -> Any:
        self._busy = True
        work = asyncio.ensure_future(self._lane.run(lambda: self._enter(begin, until)))
        work.add_done_callback(self._free)
        self._keep_ticking(work)
        try:
            await asyncio.wait({work})
        except BaseException as exc:  # nobody waits any more: the thread ends when it asks the host, or at the deadline
            self.kill(dead_of(exc))
            if self._asked is not None:
                self._asked.cancel()
            raise
        try:
            work.result()
            return end()
        except Dead as dead:
            self.kill(dead)
            failure, self.failure = self.failure, None
            if failure is not None:
                raise failure from None
            if _INTERRUPTED in dead.reason:
                raise TimeUp from None
            raise

    def _keep_ticking(self, work: asyncio.Future[Any]) -> None:
        """See to it that the epoch goes on, and so the deadline comes, until the thread is through."""
        if work.done():
            return
        self._ticker.polls += 1
        if self._ticker.asleep:
            self._ticker.wake()
        self._loop.call_later(10 * TICK, self._keep_ticking, work)

    def _free(self, work: asyncio.Future[Any]) -> None:
        if not work.cancelled():
            work.exception()  # looked at: if somebody waits, he gets it
        self._busy = False
        if self._closing:
            self._ticker.left -= 1
            self._shut()

    def _enter(self, begin: Callable[[], Any], until: float) -> None:
        left = until - time.monotonic()
        self.store.set_epoch_deadline(_FOREVER if left == inf else max(1, ceil(left / TICK)))
        if self._fuel is not None:
            self.store.set_fuel(self._fuel)
        begin()

    def ask(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call a host function on the event loop, from the guest's thread, and wait for what it returns."""

        outcome: Future[Any] = Future()

        async def call() -> None:
            try:
                result = function(self.host, *arguments)
                outcome.set_result(await result if type(result) is CoroutineType else result)
            except BaseException as exc:  # noqa: BLE001 - the guest's thread has it; KeyboardInterrupt would end the loop
                outcome.set_exception(exc)

        def start() -> None:
            if self.dead is not None:
                outcome.set_exception(self.dead.again())
                return
            self._asked = self._loop.create_task(call(), context=self._context)
            self._asked.add_done_callback(lambda _: _settle(outcome))

        self._loop.call_soon_threadsafe(start)
        return outcome.result()

    def kill(self, dead: Dead) -> None:
        """Let nothing be called any more."""
        if self.dead is None:
            self.dead = dead.again()

    def close(self) -> None:
        """Free the store, after the call in hand."""
        self.kill(Dead("was closed"))
        if self._busy and not self._closing:
            self._ticker.left += 1
        self._closing = True
        if not self._busy:
            self._shut()

    def _shut(self) -> None:
        self._closing = False
        self._lane.close()
        if not self._lane.busy:
            self.store.close()
        self._closed()


def _settle(outcome: Future[Any]) -> None:
    if not outcome.done():  # cancelled before it began
        outcome.set_exception(RuntimeError("the host was cancelled"))


def kept(work: Callable[[], Any]) -> tuple[Callable[[], None], Callable[[], Any]]:
    """Return two steps: one does `work`, the other returns or raises what came of it."""
    outcome: list[Any] = []

    def begin() -> None:
        outcome.clear()
        try:
            outcome.append((work(), None))
        except BaseException as exc:  # noqa: BLE001 - of a guest or of the library; `end` raises it where it is waited for
            outcome.append((None, exc))

    def end() -> Any:
        result, error = outcome.pop()
        if error is None:
            return result
        raise error if isinstance(error, (KeyboardInterrupt, SystemExit)) else dead_of(error)

    return begin, end
