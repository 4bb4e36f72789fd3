"""Calls on fibers: one store, one call at a time."""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine, Generator, Sequence
from ctypes import addressof, c_char_p, c_uint64, c_void_p
from math import inf
from threading import get_ident
from typing import Any, NamedTuple

from wasmtime import Store
from wasmtime.component import Func, FuncType, String

from hostcore.hosts.wasm.fast import library as lib
from hostcore.hosts.wasm.fast.values import Reader, read_bytes, read_text, reader
from hostcore.hosts.wasm.outcomes import Dead, Refused, TimeUp, check_thread, dead_of
from hostcore.hosts.wasm.ticker import TICK, Ticker

_SLICES = 2
"""Epochs that a fresh call may run for; one that was suspended gets one at a time."""


class Asked:
    """What a guest waits for: a coroutine of the host's, and how to give its result to the guest."""

    __slots__ = ("answer", "coroutine", "done")

    def __init__(self, coroutine: Coroutine[Any, Any, Any], answer: Callable[[Any], None]) -> None:
        self.coroutine = coroutine
        self.answer = answer
        self.done = False


class _Turn:
    """Lets the event loop have a turn."""

    def __await__(self) -> Generator[None, None, None]:
        yield


class Fiber:
    """Runs the calls into one store.

    Attributes:
        host: What the guest's imports are called on.
        context: The address of the store's context, by which callbacks find the fiber.
        asked: What the guest is waiting for, if it is.
        failure: What a host function raised; the guest has been trapped for it.
        dead: Why no call is possible any more, or None.
    """

    def __init__(
        self, store: Store, ticker: Ticker, host: Any, by_context: dict[int, Fiber], *, fuel: int | None = None,
        closed: Callable[[], None] = lambda: None,
    ) -> None:  # fmt: skip
        self.host = host
        self._fuel = fuel
        self._closed = closed
        self.asked: Asked | None = None
        self.failure: BaseException | None = None
        self.dead: Dead | None = None
        self._store = store
        self._ticker = ticker
        self._busy = False
        self._closing = False
        self._left = 0  # the future of a suspended call whose coroutine has not begun
        self._owner = get_ident()
        self._epoch = -1
        self._by_context = by_context
        self.context = lib.address(store._context())
        by_context[self.context] = self
        store.set_epoch_deadline(_SLICES)
        lib.yield_at_deadline(self.context, 1)

    def run(
        self, begin: Callable[..., int], end: Callable[[], Any], until: float = inf, arguments: Sequence[Any] = ()
    ) -> Any:
        """Make a call: its result, or a coroutine that returns it.

        Args:
            begin: Starts the call with `arguments` and returns its future.
            end: Returns the result, or raises what the library says.
            until: When the guest is stopped, in seconds of `time.monotonic()`; what it waits for does not count.
            arguments: Of `begin`.

        Raises:
            Dead: The guest trapped now, or did before; from then on nothing can be called.
            LifecycleError: This is not the thread that made the guest.
            BaseException: What a host function raised, such as KeyboardInterrupt.
        """
        if get_ident() != self._owner:
            check_thread(self._owner)  # which says so
        if self.dead is not None:
            raise self.dead.again()
        if self._busy:
            raise Dead("was called while another call is in hand")  # the library itself would let it through
        self._busy = True
        try:
            if self._fuel is not None:
                self._store.set_fuel(self._fuel)
            future = begin(*arguments)
        except BaseException as exc:
            self._give_up(exc)
            raise
        done = False
        try:
            done = self._poll(future)
        except BaseException as exc:  # a signal's handler, in between
            self._drop(future)
            self.kill(dead_of(exc))
            raise
        try:
            if not done:
                self._left = future
                return self._drive(future, end, until)
            lib.future_delete(future)
            self._busy = False
            return self._end(end)
        except (Refused, Dead):
            raise
        except BaseException as exc:  # the future may be gone or not: rather lost than freed twice
            self._give_up(exc)
            raise

    def _give_up(self, error: BaseException) -> None:
        """Have the guest replaced, rather than taken for busy for ever."""
        self._busy = False
        self.kill(dead_of(error))

    def _poll(self, future: int) -> bool:
        ticker = self._ticker
        ticker.polls += 1
        if ticker.asleep:
            ticker.wake()
        if self._epoch != ticker.epoch:
            self._epoch = ticker.epoch
            lib.set_deadline(self.context, _SLICES)
        return lib.poll(future)  # type: ignore[no-any-return]

    async def _drive(self, future: int, end: Callable[[], Any], until: float) -> Any:
        """Poll until the call has ended; a cancellation, or what stops it, ends the guest."""
        if not self._left:
            raise Dead("was closed")
        self._left = 0
        rested = time.monotonic()
        try:
            while True:
                asked = self.asked
                answered = asked is not None and not asked.done
                if asked is not None and answered:
                    asked.answer(await asked.coroutine)
                    asked.done = True
                # What the host answers at once gives nobody else a turn: a guest that only asks has slices too.
                if not answered or time.monotonic() - rested >= TICK:
                    await _Turn()
                    rested = time.monotonic()
                    if rested >= until:
                        raise TimeUp
                if self._closing:
                    raise Dead("was closed")
                if self._poll(future):
                    break
        except BaseException as exc:
            self.kill(dead_of(exc))
            raise
        finally:
            self._drop(future)
        return self._end(end)

    def _drop(self, future: int) -> None:
        if self.asked is not None:
            self.asked.coroutine.close()
            self.asked = None
        lib.future_delete(future)  # one that has not ended is taken down with its stack
        self._busy = False
        if self._closing:
            self._shut()

    def _end(self, end: Callable[[], Any]) -> Any:
        try:
            return end()
        except Dead as dead:
            failure, self.failure = self.failure, None
            self.kill(dead)
            if failure is not None:
                raise failure from None
            raise

    def kill(self, dead: Dead) -> None:
        """Let nothing be called any more."""
        if self.dead is None:
            self.dead = dead.again()

    def close(self) -> None:
        """Free the store: at once, or when the call in hand has been dropped."""
        self.kill(Dead("was closed"))
        self._closing = True
        if self._left:  # thrown away before it began: nobody else will
            left, self._left = self._left, 0
            self._drop(left)
        elif not self._busy:
            self._shut()

    def _shut(self) -> None:
        if self._by_context.pop(self.context, None) is not None:
            self._store.close()
            self._closed()


class Shape(NamedTuple):
    """The type of an exported function: how many strings it takes, and how its result is read."""

    parameters: int
    read: Reader | None


def shape_of(kind: FuncType, *, text: bool = False) -> Shape:
    """Return the shape of a function; strings in its result are read as bytes, or as `text`.

    Raises:
        TypeError: It is of no type of the interface.
    """
    if not all(isinstance(parameter, String) for _, parameter in kind.params):
        raise TypeError("its arguments are not all strings")
    read = reader(kind.result, read_text if text else read_bytes) if kind.result is not None else None
    return Shape(len(kind.params), read)


class Function:
    """An exported function of a component whose arguments are all strings.

    What a call needs is made with the first: most guests are never asked for most of their functions.
    """

    def __init__(self, store: Store, function: Func, shape: Shape) -> None:
        self._count, self._read = shape
        self._handle = function._func  # 16 bytes that the library reads at each call
        self._context = lib.address(store._context())
        self._call: tuple[Any, ...] = ()

    def _prepare(self) -> None:
        count = self._count
        # A string is its kind, its size and where it is: words 0, 1 and 2 of four.  The texts are Python's own bytes,
        # which the second array keeps alive.
        self._arguments: Any = (c_uint64 * (4 * max(1, count)))()
        self._texts: Any = (c_char_p * len(self._arguments)).from_buffer(self._arguments)
        self._arguments[0 : 4 * count : 4] = [lib.KIND_STRING] * count
        self._sizes, self._pointers = slice(1, 4 * count, 4), slice(2, 4 * count, 4)
        self._result = (c_uint64 * 4)()
        self._error = c_void_p(0)
        self._target = addressof(self._result)
        self._call = lib.prepared(
            lib.call_async, addressof(self._handle), self._context, addressof(self._arguments), count, self._target,
            0 if self._read is None else 1, addressof(self._error),
        )  # fmt: skip

    def begin(self, *arguments: bytes) -> int:
        """Start a call and return its future."""
        if not self._call:
            self._prepare()
        self._arguments[self._sizes] = [*map(len, arguments)]
        self._texts[self._pointers] = arguments
        return lib.call_async(*self._call)  # type: ignore[no-any-return]

    def end(self) -> Any:
        """Return the result of the call that has ended.

        Raises:
            Refused: The guest answered with an error.
            Dead: It trapped.
        """
        pointer = self._error.value
        if pointer:
            self._error.value = None
            raise dead_of(lib.take_error(pointer))
        if self._read is None:
            return None
        try:
            return self._read(self._target)
        finally:
            lib.val_delete(self._target)
            self._result[0] = 0  # else the next call would free it once more
