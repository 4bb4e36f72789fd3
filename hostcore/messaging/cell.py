"""A cell: one address, its mailbox, and the one message it is handling.

The cell, not what stands behind it, owns the mailbox; a reload pauses the cell, swaps the instance, and resumes, so
no message is lost or handled twice.

    IDLE    -- nothing in hand; a request may run at once, in the asker's turn ("direct")
    QUEUED  -- messages wait and a drain is scheduled
    RUNNING -- one message is in hand

Guarantees: one message at a time; the order of each sender is kept; the mailbox is bounded and its waiting senders
are admitted in order; a message that expired or was abandoned while it waited is never started; an asker's timeout
or cancellation never reaches the handler.

How an async handler runs without a task per message: each cell has one persistent *runner* task.  The first step of
the handler's coroutine runs in the caller's stack, but as the runner (asyncio's current task is exchanged around
it) and in the cell's own context.  Only if the handler suspends is it handed to the runner, which drives it to its
end and then goes on with the mailbox.
"""

from __future__ import annotations

import asyncio
import time
from asyncio.tasks import _enter_task, _leave_task
from functools import partial
from math import inf
from types import CoroutineType
from typing import TYPE_CHECKING, Any

from hostcore.contract.messages import Envelope
from hostcore.errors import HostcoreError
from hostcore.messaging.current import Delivery, current
from hostcore.messaging.guard import Overrun
from hostcore.messaging.mailbox import IDLE, QUEUED, RUNNING, Mailbox
from hostcore.messaging.overtime import Overtime
from hostcore.messaging.pending import Pending
from hostcore.messaging.seams import Instance, Observer
from hostcore.messaging.stepping import NEW, Stepper, blame

if TYPE_CHECKING:
    from hostcore.messaging.deadlines import Deadlines

_now = time.monotonic
BATCH = 32


POISON = "poison: it was in hand both times when {!r} crashed"
"""The reason of the dead letter that a message becomes which must not be tried again."""


class Cell(Mailbox):
    """One address."""

    def __init__(
        self, name: str, loop: asyncio.AbstractEventLoop, deadlines: Deadlines, observer: Observer, *,
        capacity: int, blocked_after: float,
    ) -> None:  # fmt: skip
        super().__init__(name, loop, observer, capacity)
        self.deadlines = deadlines
        self.blocked_after = blocked_after
        self.instance: Instance | None = None
        self.delivery: Delivery | None = None
        self.runner: asyncio.Task[None] | None = None
        self._overtime: Overtime | None = None
        self._waiting: Pending | None = None  # for the message in hand
        self._park: asyncio.Future[None] | None = None
        self._handed: tuple[Stepper, Envelope, Pending | None, float] | None = None
        self._quiet: asyncio.Future[None] | None = None
        self._lost = ""  # the message that was in hand when the instance crashed, until its handler has ended
        self._again = ""  # the one that was put back after that

    # --- execution ---------------------------------------------------------------------------------------------

    def run_now(self, envelope: Envelope, pending: Pending) -> None:
        """Handle a request in the asker's own turn; only if `free`."""
        self.work = RUNNING
        if self._begin(envelope, pending):
            if self._box or self._quiet is not None or self._room:
                self._settle()
            else:
                self.work = IDLE

    def _begin(self, envelope: Envelope, pending: Pending | None) -> bool:
        """Start one message.  True: it is done; False: the runner will finish it."""
        instance = self.instance
        assert instance is not None
        began, blamed = _now(), blame.seconds
        delivery = self.delivery = Delivery(self, envelope)
        self._waiting = pending
        try:
            result = instance.context.run(self._start, instance, delivery)
            if type(result) is CoroutineType:
                limit = instance.limit(envelope)
                done, result = self._first_step(instance, envelope, result, began + limit)
                if not done:
                    self._check_blocked(envelope, began, blamed)
                    self._hand_over(result, envelope, pending, began, limit)
                    return False
            self._succeed(instance, envelope, pending, result)
        except BaseException as exc:  # noqa: BLE001 - whatever a module raises stays with it
            self._fail(instance, envelope, pending, exc)
        delivery.active = False
        self.delivery = None
        self._waiting = None
        self.tally.record(self._check_blocked(envelope, began, blamed))
        return True

    @staticmethod
    def _start(instance: Instance, delivery: Delivery) -> Any:
        current.set(delivery)
        return instance.start(delivery.envelope)

    def _first_step(self, instance: Instance, envelope: Envelope, coroutine: Any, deadline: float) -> tuple[bool, Any]:
        """Run a handler up to its first suspension, as the runner; (True, result) or (False, the rest of it)."""
        deadline = min(deadline, envelope.deadline)
        if self._park is None or self._park.done():  # no runner yet, or it was cancelled: a new one takes it all
            self.runner = None
            return False, Stepper(instance, coroutine, NEW, deadline)
        loop, runner = self.loop, self.runner
        assert runner is not None
        asking = asyncio.current_task(loop)
        if asking is not None:
            _leave_task(loop, asking)
        _enter_task(loop, runner)
        try:
            yielded = instance.context.run(instance.step, coroutine.send, None, deadline)
        except StopIteration as stop:
            return True, stop.value
        finally:
            _leave_task(loop, runner)
            if asking is not None:
                _enter_task(loop, asking)
        return False, Stepper(instance, coroutine, yielded, deadline)

    def _hand_over(
        self, rest: Stepper, envelope: Envelope, pending: Pending | None, began: float, limit: float
    ) -> None:
        self._handed = (rest, envelope, pending, began)
        rest.watch = partial(self._check_blocked, envelope)
        if limit != inf:
            assert self.delivery is not None
            self._overtime = Overtime(self, self.delivery, limit, began + limit)
        if self.runner is None:
            context = rest.instance.context
            # Not by the loop's task factory: an eager one would run it before it is known as the runner.
            self.runner = asyncio.Task(self._run(), loop=self.loop, name=f"hostcore:{self.name}", context=context)
        elif self._park is not None and not self._park.done():
            self._park.set_result(None)

    async def _run(self) -> None:
        """Be the runner: parked until a handler suspends, then take it to its end and go on with the mailbox."""
        me = asyncio.current_task(self.loop)
        assert me is not None
        while self.runner is me:
            if self._handed is None:
                self._park = self.loop.create_future()
                try:
                    await self._park
                except asyncio.CancelledError as exc:
                    if self._handed is None or self.runner is not me:
                        raise  # another instance, and so another runner, has taken over
                    self._handed[0].thrown = exc  # such as asyncio.timeout(0) in the handler
            if self._handed is None:  # it was given up on in the same pass of the loop
                continue
            (rest, envelope, pending, began), self._handed = self._handed, None
            if not await self._finish(rest, envelope, pending, began):
                return
            if me.cancelling() and self.runner is me:
                # By the module, or because the loop ends; either way it goes, and the next message gets another.
                self.runner = self._park = None
            self._settle()

    async def _finish(self, rest: Stepper, envelope: Envelope, pending: Pending | None, began: float) -> bool:
        """Take a handler to its end; False if it was evicted meanwhile, and the cell is not its own any more."""
        instance, delivery = rest.instance, self.delivery
        assert delivery is not None
        try:
            self._succeed(instance, envelope, pending, await rest)
        except BaseException as exc:  # noqa: BLE001 - whatever a module raises stays with it
            late = isinstance(exc, asyncio.CancelledError) and self._overtime is not None and self._overtime.times > 0
            if delivery.active:  # else it was given up on, and its caller has been answered
                self._fail(instance, envelope, pending, Overrun() if late else exc)
        finally:
            delivery.active = False
            evicted = self.delivery is not delivery
            if not evicted:
                self._let_go()
                self.tally.record(_now() - began)
        return not evicted

    def _let_go(self) -> None:
        if self._overtime is not None:
            self._overtime.slot.discard(self._overtime)
        self.delivery = self._waiting = self._overtime = None

    def _drain(self) -> None:
        if self.work is not QUEUED:
            return
        self.work = RUNNING
        now = _now()
        for _ in range(BATCH):
            if not self._box or self.paused:
                break
            entry = self._take(now)
            if entry is not None and not self._begin(*entry):
                return  # RUNNING; the runner goes on from here
        self._settle()

    def _settle(self) -> None:
        if self._room:
            self._admit()
        if self._box and not self.paused and not self.stopped:
            self.work = QUEUED
            self.loop.call_soon(self._drain, context=self._context)
            return
        self.work = IDLE
        if self._quiet is not None and not self._quiet.done():
            self._quiet.set_result(None)
            self._quiet = None

    # --- outcomes ----------------------------------------------------------------------------------------------

    def _succeed(self, instance: Instance, envelope: Envelope, pending: Pending | None, result: Any) -> None:
        if pending is not None:
            pending.resolve(instance.finish(envelope, result))

    def _fail(self, instance: Instance, envelope: Envelope, pending: Pending | None, error: BaseException) -> None:
        self.tally.failed += 1
        named = instance.translate(envelope, error)
        error.__traceback__ = None  # its frames would keep the module's code alive
        lost, self._lost = self._lost == envelope.id, ""
        if pending is not None:
            pending.fail(named)
        elif lost:
            self._put_back(envelope)
        self.observer.failed(self, envelope, named)

    def _put_back(self, envelope: Envelope) -> None:
        """Have a message that nobody awaits, and that was in hand at a crash, handled next; but only once more."""
        if self.stopped or self._again == envelope.id:
            self.observer.dead(envelope, self.stopped or POISON.format(self.name))
        else:
            self._again = envelope.id
            self._box.appendleft((envelope, None))  # it had its place already: also beyond the capacity

    def _check_blocked(self, envelope: Envelope, began: float, blamed: float) -> float:
        seconds = _now() - began
        own = seconds - (blame.seconds - blamed)
        if own > self.blocked_after:
            blame.seconds += own
            self.observer.blocked(self, envelope, own)
        return seconds

    # --- life --------------------------------------------------------------------------------------------------

    def hold(self) -> None:
        """Stop delivery after the message in hand, without waiting for its end; undone by `resume`."""
        self.paused += 1

    async def pause(self) -> None:
        """Stop delivery and wait until nothing is in hand; senders go on filling the mailbox.

        If the waiting is cancelled, the cell stays paused: the caller resumes it.
        """
        self.paused += 1
        await self.quiet()

    async def quiet(self) -> None:
        """Wait until nothing is in hand; only while paused."""
        while self.work is RUNNING:
            if self._quiet is None or self._quiet.done():
                self._quiet = self.loop.create_future()
            await asyncio.shield(self._quiet)

    def resume(self) -> None:
        """Undo one `pause` or `hold`."""
        self.paused -= 1
        if not self.paused and self.work is not RUNNING:
            self._settle()

    def swap(self, instance: Instance | None) -> None:
        """Put another instance behind the address, with a context and runner of its own; only while paused."""
        runner, self.runner, self._park = self.runner, None, None
        if runner is not None:
            runner.cancel()
        self.instance = instance

    def abandon(self, reason: str) -> None:
        """Give up on the message in hand: its caller is answered, its coroutine is thrown away.

        For a handler that does not end although it was asked to.
        """
        runner = self.runner
        self._give_up(reason)
        if runner is not None and self.work is RUNNING:
            self.stopped = self.stopped or reason
            runner.cancel()

    def lose(self, message: str) -> None:
        """Take note that the instance has crashed with the message of that id in hand.

        Its handler is about to fail.  Whoever awaits the message is answered then; if nobody does, it is handled
        again, and if it is in hand at another crash, it becomes a dead letter.
        """
        self._lost = message

    def evict(self, reason: str, error: HostcoreError | None = None) -> None:
        """Give up on the message in hand and be quiet at once, whatever its handler still does; only while paused.

        Its caller is answered.  The handler is cancelled; if it ignores that, it goes on as nobody's.

        Args:
            reason: Why, for a caller or the dead letter.
            error: The crash that it amounts to: for a caller, and what nobody awaits is handled again, as by `lose`.
        """
        self._give_up(reason, error)
        if self.work is RUNNING:
            self._let_go()
            self.swap(self.instance)
            self._settle()

    def _give_up(self, reason: str, error: HostcoreError | None = None) -> None:
        delivery, self._lost = self.delivery, ""
        if delivery is not None and delivery.active:
            delivery.active = False
            if error is None:
                self._refuse(delivery.envelope, self._waiting, reason)
            elif self._waiting is not None:
                self._waiting.fail(error)
            else:
                self._put_back(delivery.envelope)
        if self._handed is not None:  # its runner has not begun, and a task cancelled before it began never does
            (rest, *_), self._handed = self._handed, None
            rest.discard()
            self.delivery = self._waiting = self._overtime = None
            self._settle()

    def stop(self, reason: str) -> None:
        """Refuse what is in hand, all that waits, and every later message, with `reason`."""
        self.shut(reason)
        self._give_up(reason)
        self.swap(None)
