"""Drive a handler's coroutine step by step, each under the guard and each timed."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from hostcore.messaging.seams import Instance

_now = time.monotonic
GRACE = 1.0
"""Seconds that one step of a handler may hold the loop after its limit has passed."""
NEW = object()
"""Stands for what a coroutine has given out before its first step."""


class Blame:
    """Seconds of held loop already put down to a handler: a direct request must not count for its asker too."""

    seconds = 0.0


blame = Blame()


class Stepper:
    """Drives a suspended handler's coroutine from the runner, each step under the guard.

    `watch`, if set, is called after each step with what `Cell._check_blocked` needs to know.
    """

    __slots__ = ("coroutine", "deadline", "instance", "thrown", "watch", "yielded")

    def __init__(self, instance: Instance, coroutine: Any, yielded: Any, deadline: float) -> None:
        self.instance = instance
        self.coroutine = coroutine
        self.yielded = yielded  # what its first step gave out; NEW: it has not started
        self.deadline = deadline
        self.thrown: BaseException | None = None
        self.watch: Callable[[float, float], object] | None = None

    def __await__(self) -> Any:
        send, throw = self.coroutine.send, self.coroutine.throw
        yielded = self.yielded
        try:
            if yielded is NEW:
                yielded = self._step(send, None, 0.0)
            elif self.thrown is not None and not (yielded is not None and yielded.cancel()):
                # Cancelled between hand-over and wake-up; where what it awaits could be cancelled, that tells it.
                if yielded is not None:
                    yielded._asyncio_future_blocking = False
                yielded = self._step(throw, self.thrown)
            while True:
                try:
                    value = yield yielded
                except GeneratorExit:
                    self.coroutine.close()
                    raise
                except BaseException as exc:  # noqa: BLE001 - cancellation and all: the handler's to deal with
                    yielded = self._step(throw, exc)
                else:
                    yielded = self._step(send, value)
        except StopIteration as stop:
            return stop.value

    def _step(self, resume: Callable[[Any], Any], value: Any, grace: float = GRACE) -> Any:
        """Take one step; after the first, a handler past its limit still gets `grace` to clean up."""
        began, blamed = _now(), blame.seconds
        try:
            return self.instance.step(resume, value, max(self.deadline, began + grace))
        finally:
            if self.watch is not None:
                self.watch(began, blamed)

    def discard(self) -> None:
        """Throw the coroutine away; what it raises then is nobody's any more."""
        try:
            self.instance.context.run(self._step, lambda _: self.coroutine.close(), None)
        except BaseException:  # noqa: BLE001 - the module's
            return
