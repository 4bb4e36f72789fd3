"""Whatever is done to a cell in whatever order, its promises hold (a stateful model).

Messages are numbered in the order in which they are sent; a cell handles them in that order or not at all.
"""

from __future__ import annotations

import asyncio

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from messaging.support import Plain, World, passes

from hostcore.errors import HookError, StoppedError

KINDS = st.sampled_from(["plain", "suspending", "gated", "raising", "raising later"])
CAPACITY = 3


class CellMachine(RuleBasedStateMachine):
    """Drives one cell by random steps; `started` is what its handlers saw."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.numbers = iter(range(1 << 30))
        self.started: list[int] = []
        self.inside = self.generation = 0
        self.gate: asyncio.Event
        self.requests: dict[int, tuple[str, asyncio.Task]] = {}
        self.sends: dict[int, asyncio.Task] = {}
        self.pauses: list[asyncio.Task] = []
        self.cancelled: set[int] = set()

    def go(self, coroutine=None):
        async def run():
            result = await coroutine if coroutine is not None else None
            await passes(80)  # enough for everything that can happen by itself
            return result

        return self.loop.run_until_complete(run())

    @initialize()
    def begin(self) -> None:
        async def make():
            self.gate = asyncio.Event()
            return World()

        self.world = self.go(make())
        self.new_cell()

    def new_cell(self) -> None:
        self.cell = self.world.cell("c", lambda message: None, capacity=CAPACITY)
        self.cell.swap(Plain("c", self.handler()))

    def handler(self):
        async def waiting(kind):
            if kind == "gated":
                await self.gate.wait()
            await asyncio.sleep(0)

        async def handle(number, kind, generation):
            self.enter(number)
            try:
                if kind in ("gated", "suspending", "raising later"):
                    await waiting(kind)
                if kind.startswith("raising"):
                    raise ValueError(kind)
                return [number, generation]
            finally:
                self.inside -= 1

        def choose(message, generation=self.generation):
            number, kind = message.payload
            if kind == "plain":
                self.enter(number)
                self.inside -= 1
                return [number, generation]
            return handle(number, kind, generation)

        return choose

    def enter(self, number: int) -> None:
        self.started.append(number)
        self.inside += 1
        assert self.inside == 1, "two at once"

    # --- steps -----------------------------------------------------------------------------------------------------

    @rule(kind=KINDS)
    def request(self, kind: str) -> None:
        number = next(self.numbers)
        self.requests[number] = kind, self.loop.create_task(self.world.request("c", (number, kind)))
        self.go()

    @rule(kind=KINDS)
    def send(self, kind: str) -> None:
        number = next(self.numbers)
        self.sends[number] = self.loop.create_task(self.world.send("c", (number, kind)))
        self.go()

    @rule(kinds=st.lists(KINDS, min_size=2, max_size=6))
    def burst(self, kinds: list[str]) -> None:
        for kind in kinds:
            number = next(self.numbers)
            self.sends[number] = self.loop.create_task(self.world.send("c", (number, kind)))
        self.go()

    @rule(choice=st.randoms(use_true_random=False))
    def give_up(self, choice) -> None:
        waiting = {n: t for n, t in self.sends.items() if not t.done()}
        waiting |= {n: t for n, (_, t) in self.requests.items() if not t.done()}
        if waiting:
            number = choice.choice(sorted(waiting))
            waiting[number].cancel()
            self.cancelled.add(number)
            self.go()

    @rule()
    def open_gate(self) -> None:
        self.gate.set()
        self.go()
        self.gate.clear()

    @rule()
    def pause(self) -> None:
        self.pauses.append(self.loop.create_task(self.cell.pause()))
        self.go()

    @precondition(lambda self: self.pauses)
    @rule()
    def resume(self) -> None:
        pausing = self.pauses.pop()
        pausing.cancel()
        self.go()
        self.cell.resume()
        self.go()

    @precondition(lambda self: any(task.done() for task in self.pauses))
    @rule()
    def swap(self) -> None:
        self.generation += 1
        self.cell.swap(Plain("c", self.handler()))
        self.go()

    @rule()
    def stop_and_start_anew(self) -> None:
        self.world.bus.remove("c", "stopped")
        self.go()
        for task in [*self.pauses, *self.sends.values(), *(task for _, task in self.requests.values())]:
            assert task.done(), "somebody waits for a stopped cell"
        self.check_outcomes(stopped=True)
        self.pauses = []
        self.new_cell()

    # --- promises --------------------------------------------------------------------------------------------------

    @invariant()
    def in_order_and_never_twice(self) -> None:
        assert self.started == sorted(set(self.started))

    @invariant()
    def quiet_while_paused(self) -> None:
        if any(task.done() for task in self.pauses):
            assert self.inside == 0
            assert self.cell.delivery is None

    @invariant()
    def nothing_waits_without_need(self) -> None:
        if not self.pauses and not self.inside:
            assert self.cell.depth == 0

    def check_outcomes(self, *, stopped: bool) -> None:
        """Check every request and send that has ended, and forget it."""
        for number, (kind, task) in list(self.requests.items()):
            if task.done():
                del self.requests[number]
                if not task.cancelled():
                    self.check_reply(number, kind, task, stopped)
        for number, task in list(self.sends.items()):
            if task.done():
                del self.sends[number]
                refused = task.cancelled() or task.exception() is not None
                assert not (refused and number in self.started), "refused and handled"

    def check_reply(self, number: int, kind: str, task: asyncio.Task, stopped: bool) -> None:
        error = task.exception()
        if error is None:
            assert task.result()[0] == number
            assert not kind.startswith("raising")
        elif isinstance(error, HookError):
            assert kind.startswith("raising")
        else:
            assert isinstance(error, StoppedError)
            assert stopped
        if not isinstance(error, StoppedError):
            assert number in self.started

    def teardown(self) -> None:
        while self.pauses:
            self.resume()
        for _ in range(200):
            if not self.inside and not self.cell.depth:
                break
            self.open_gate()
        sent = [*self.sends, *self.requests]
        assert all(task.done() for task in [*self.sends.values(), *(task for _, task in self.requests.values())])
        assert {number for number in sent if number not in self.cancelled} <= set(self.started), "something was lost"
        self.check_outcomes(stopped=False)
        self.world.close()
        self.go()
        assert not asyncio.all_tasks(self.loop), "a runner is left"
        self.loop.close()


CellMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


class TestCellModel(CellMachine.TestCase):
    """Any sequence of messages, pauses, swaps and stops keeps the promises of a cell."""
