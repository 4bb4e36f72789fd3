"""Break a handler that overruns its deadline, and never anything else.

`Overrun` is raised inside the handler by one of two means:

* `SignalGuard`, for handlers on the main thread: a kernel timer (SIGALRM) ticks while handlers run, and its Python
  handler looks at the interrupted frame.  It raises only if that frame lies above a guard frame, is not the host's
  or asyncio's, and no host frame stands between.  Check and raise happen in one signal handler on one thread, so
  nothing can change in between: there is no race to lose.
* `ThreadGuard`, for any other thread: a watchdog thread uses `PyThreadState_SetAsyncExc`.  A handler that ends and
  a watchdog that fires both try to pop the same token; whoever loses gives way, and an exception that is already
  on its way is made to land inside `call`.

What cannot be broken: C code that never checks for signals (`sum(range(10**10))`), and, by the second means, any C
call at all; nor a handler that catches BaseException in a loop.

Nested handlers (a direct request runs in the asker's stack) suspend the outer one's deadline: their time is their
own.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # its functions make no enums
import atexit
import ctypes
import logging
import signal
import sys
import threading
import time
import types
from collections.abc import Callable
from math import inf
from typing import Any, Protocol, TypeVar

T = TypeVar("T")

SIGNAL_TICK = 0.02
THREAD_TICK = 0.01
_IDLE_TICKS = 50
_LOOK = 64
"""How many calls one that has stopped the timer, as `signal.alarm` does, stays unnoticed for."""
GRACE = 0.5
"""Seconds that a broken handler has to clean up before it is broken again."""
_ALARM = int(signal.SIGALRM)
_handler_of = _signal.getsignal
log = logging.getLogger("hostcore")
_HOST = ("hostcore", "asyncio", "importlib", "_frozen_importlib", "_frozen_importlib_external")
_TRANSPARENT = (  # frames that may stand between a handler and its guard: importing, and calling it by keyword
    "hostcore.generations",
    "hostcore.hosts.adapters",
    "hostcore.hosts.importing",
    "importlib",
    "_frozen_importlib",
)


class Overrun(BaseException):
    """Raised inside a handler whose time is up; not an Exception, so that `except Exception` lets it pass."""


class Guard(Protocol):
    """Runs handlers under a deadline, absolute in seconds of `time.monotonic()`."""

    kind: str

    def call(self, function: Callable[[Any], T], argument: Any, deadline: float) -> T:
        """Return `function(argument)`; raises Overrun if it had to be broken."""
        ...

    def close(self) -> None:
        """Stop watching."""


class NoGuard:
    """Watches nothing."""

    kind = "off"

    def call(self, function: Callable[[Any], T], argument: Any, deadline: float) -> T:
        """Return `function(argument)`."""
        return function(argument)

    def close(self) -> None:
        """Do nothing."""


def _interruptible(frame: types.FrameType | None, guards: set[types.CodeType]) -> bool:
    """Tell whether `frame` is a handler's, with no host code on top of it or between it and its guard."""
    if frame is None or _is_host(frame):
        return False
    while frame is not None and frame.f_code not in guards:
        name = frame.f_globals.get("__name__") or ""
        if _is_host(frame) and not name.startswith(_TRANSPARENT):
            return False
        frame = frame.f_back
    return frame is not None


def _is_host(frame: types.FrameType) -> bool:
    name = frame.f_globals.get("__name__")
    return isinstance(name, str) and name.partition(".")[0] in _HOST


class SignalGuard:
    """For the main thread.  One at a time in a process; owns SIGALRM and ITIMER_REAL until closed."""

    kind = "signal"

    def __init__(self, tick: float = SIGNAL_TICK) -> None:
        self.fired = 0
        self._tick = tick
        self._deadline = inf  # of the innermost running handler; infinite: none runs
        self._ticking = False
        self._closed = False
        self._idle = 0
        self._calls = 0
        self._guards = {SignalGuard.call.__code__}
        self._handler = self._on_tick  # one object, to be known again
        self._previous = signal.signal(signal.SIGALRM, self._handler)
        atexit.register(self.close)  # else a tick after the interpreter has gone kills the process

    def call(self, function: Callable[[Any], T], argument: Any, deadline: float) -> T:
        """Return `function(argument)`; raises Overrun if it had to be broken."""
        outer = self._deadline
        began = time.monotonic() if outer != inf else 0.0
        try:
            self._deadline = deadline
            self._calls += 1
            if not self._ticking or _handler_of(_ALARM) is not self._handler or not self._calls % _LOOK:
                self._start()
            return function(argument)
        finally:  # no tick raises while this frame is on top
            self._deadline = outer if outer == inf else outer + (time.monotonic() - began)

    def _start(self) -> None:
        if self._closed:  # the system has stopped, and SIGALRM would end the process: what is left over ends here
            raise Overrun
        if _handler_of(_ALARM) is not self._handler:  # a module has set another; without it nothing can be broken
            log.warning("SIGALRM was taken from the guard that breaks endless handlers, and is taken back; "
                        "a program that needs the signal sets guard = 'thread'")  # fmt: skip
            signal.signal(signal.SIGALRM, self._handler)
        self._ticking = True
        signal.setitimer(signal.ITIMER_REAL, self._tick, self._tick)

    def _on_tick(self, signum: int, frame: types.FrameType | None) -> None:
        if self._deadline == inf:
            self._idle += 1
            if self._idle > _IDLE_TICKS:
                self._idle = 0
                self._ticking = False
                signal.setitimer(signal.ITIMER_REAL, 0)
            return
        self._idle = 0
        if time.monotonic() >= self._deadline and _interruptible(frame, self._guards):
            self.fired += 1
            self._deadline = time.monotonic() + GRACE
            raise Overrun

    def close(self) -> None:
        """Give SIGALRM back."""
        signal.setitimer(signal.ITIMER_REAL, 0)
        if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGALRM) == self._handler:
            signal.signal(signal.SIGALRM, self._previous)
        atexit.unregister(self.close)
        self._ticking = False
        self._closed = True


_set_async_exc = ctypes.pythonapi.PyThreadState_SetAsyncExc


class _Arm:
    """One guarded call: whoever pops `token` (atomically) decides whether it ends or is broken."""

    __slots__ = ("deadline", "fired", "ident", "token")

    def __init__(self, ident: int, deadline: float) -> None:
        self.token = [None]
        self.deadline = deadline
        self.ident = ident
        self.fired = False


class ThreadGuard:
    """For threads other than the main one; one watchdog thread serves them all."""

    kind = "thread"

    def __init__(self, tick: float = THREAD_TICK) -> None:
        self.fired = 0
        self._tick = tick
        self._arms: dict[int, _Arm] = {}
        self._guards = {ThreadGuard.call.__code__}
        self._stop = threading.Event()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None

    def _watch(self) -> None:
        while not self._stop.is_set():
            if not self._arms:
                self._wake.wait()
                self._wake.clear()
            self._stop.wait(self._tick)
            self.scan(time.monotonic())

    def scan(self, now: float) -> None:
        """Break every call whose deadline lies before `now` and whose thread stands in handler code."""
        frames = sys._current_frames()
        for arm in list(self._arms.values()):
            if arm.deadline > now or not _interruptible(frames.get(arm.ident), self._guards):
                continue
            try:
                arm.token.pop()
            except IndexError:
                continue  # it has just ended
            _set_async_exc(ctypes.c_ulong(arm.ident), ctypes.py_object(Overrun))
            self.fired += 1
            arm.fired = True

    def call(self, function: Callable[[Any], T], argument: Any, deadline: float) -> T:
        """Return `function(argument)`; raises Overrun if it had to be broken."""
        me = threading.get_ident()
        outer = self._arms.get(me)
        if outer is not None:
            self._suspend(outer, me)
        if self._thread is None:
            self._thread = threading.Thread(target=self._watch, name="hostcore:watchdog", daemon=True)
            self._thread.start()
        began = time.monotonic()
        arm = _Arm(me, deadline)
        try:
            try:
                self._arms[me] = arm
                if not self._wake.is_set():
                    self._wake.set()
                return function(argument)
            finally:
                self._end(arm, me)
        except Overrun:
            self._end(arm, me)  # it may have landed before the first; a second does nothing
            raise
        finally:
            if outer is not None:
                self._resume(outer, me, time.monotonic() - began)

    def hasten(self, ident: int) -> None:
        """Have the call that thread `ident` is in broken as soon as can be: nobody waits for it any more."""
        arm = self._arms.get(ident)
        if arm is not None:
            arm.deadline = 0.0

    def _suspend(self, outer: _Arm, me: int) -> None:
        """Keep the outer call from being broken while a nested one runs."""
        try:
            self._end(outer, me)
        except Overrun:
            return  # it was just being broken; it will be, once it is armed again

    def _resume(self, outer: _Arm, me: int, seconds: float) -> None:
        outer.deadline += seconds
        outer.fired = False
        outer.token = [None]
        self._arms[me] = outer

    def _end(self, arm: _Arm, me: int) -> None:
        """See to it that nothing is on its way to this thread; an Overrun that was is raised here."""
        if self._arms.pop(me, None) is not arm:
            return
        try:
            arm.token.pop()
        except IndexError:
            pass
        else:
            return  # ours: the watchdog can no longer fire
        # The watchdog's: if it has not landed yet, it does at one of these jumps, inside `call`.  (Clearing it with
        # NULL instead would keep the interpreters 3.11 and 3.12 in their slow path until the next one.)
        while not arm.fired:
            time.sleep(0)
        for _ in range(3):
            pass

    def close(self) -> None:
        """End the watchdog thread."""
        self._stop.set()
        self._wake.set()


def make_guard(mode: str) -> Guard:
    """Return the guard for handlers on this thread, which runs the event loop.

    Args:
        mode: "signal", "thread", "off", or "auto": by signal on the main thread if nobody else uses SIGALRM.

    Raises:
        ValueError: "signal" was asked for outside the main thread.
    """
    if mode == "off":
        return NoGuard()
    on_main = threading.current_thread() is threading.main_thread()
    if mode == "signal" and not on_main:
        raise ValueError("guard 'signal' works on the main thread only; use 'auto' or 'thread'")
    free = on_main and signal.getsignal(signal.SIGALRM) in (signal.SIG_DFL, None)
    return SignalGuard() if mode == "signal" or (mode == "auto" and free) else ThreadGuard()
