"""Whatever is done to modules in whatever order, at once or one after the other, a reload keeps its promises (a model).

Two modules, of which `top` requires `base`, are loaded, unloaded, reloaded to good and to broken releases, alone and
in a cascade, and rolled back, while messages come.  Every handler writes what it handles into a ledger outside, and
keeps the same in its state: so the ledger says what must be in the state, which generation handled what, and in which
order.

The steps are drawn before the first is taken: whenever hypothesis draws, it looks at the modules in `sys.modules` and
keeps those that are new to it, which would be leaks.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Coroutine
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st
from messaging.support import passes
from support.modules import ModuleWriter
from system.support import PATIENCE, SETTINGS, until

import hostcore
from hostcore import State, errors
from hostcore.generations import table

BODY = """
@hookimpl
async def initialize(self, context):
    self.context = context
    self.spoilt = False
    self.seen = []
    self.born = await context.invoke("ledger", "birth")

@hookimpl
async def handle_message(self, message):
    number, kind = message.payload
    mine = [self.context.name, message.sender, number, self.context.generation, self.born]
    await self.context.invoke("ledger", "enter", entry=mine)
    try:
        self.seen.append(number)
        if kind == "suspend":
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        elif kind == "crash":
            raise ValueError("on purpose")
        elif kind == "nested":
            await self.context.request("base", [-number, "suspend"])
        self.spoilt = self.spoilt or kind == "spoil"
        return number
    finally:
        await self.context.invoke("ledger", "leave", module=self.context.name)

@hookimpl
def get_state(self):
    if self.spoilt:
        self.spoilt = False
        raise ValueError("spoilt on purpose")
    return {"seen": self.seen, "born": self.born}

@hookimpl
def restore_state(self, state):
    self.seen, self.born = state["seen"], state["born"]

@hookimpl
def execute(self, request):
    return {"seen": self.seen, "born": self.born}
"""
BROKEN = {  # phase -> what of a release makes it fail there: the body, what stands above it, its manifest
    "prepare": (BODY, "def broken(:", ""),
    "migrate": (BODY + "\n@hookimpl\ndef migrate_state(self, state):\n    raise ValueError\n", "", "state_version = 2"),
    "restore": (BODY.replace('state["born"]', 'state["absent"]'), "", ""),
    "verify": (BODY + "\n@hookimpl\ndef check_health(self):\n    return False\n", "", ""),
}
NAMES = st.sampled_from(["base", "top"])
KINDS = st.sampled_from(["plain", "suspend", "plain", "suspend", "crash", "nested", "spoil"])
RELEASES = st.sampled_from(["1.0", "2.0", "1.0", "2.0", *BROKEN])
REFUSED = (errors.LifecycleError, errors.UnknownModuleError, errors.LoadError, errors.ResolutionError, errors.HookError)
UNHANDLED = (errors.StoppedError, errors.UnknownModuleError)


class Entry(NamedTuple):
    """One message that a handler began with."""

    module: str
    sender: str
    number: int
    generation: int
    born: int


class Ledger:
    """A host service that writes down what handlers do."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.births = 0
        self.inside: set[str] = set()

    def birth(self) -> int:
        self.births += 1
        return self.births

    def enter(self, entry: list[Any]) -> None:
        self.entries.append(Entry(*entry))
        assert entry[0] not in self.inside, "two handlers of one module at once"
        self.inside.add(entry[0])

    def leave(self, module: str) -> None:
        self.inside.remove(module)

    def of(self, module: str) -> list[Entry]:
        return [entry for entry in self.entries if entry.module == module]


class Message(NamedTuple):
    """One that was sent, by the task that sends it."""

    module: str
    number: int
    kind: str
    wants_reply: bool
    task: asyncio.Task[Any]


class Change(NamedTuple):
    """A load, unload, reload or rollback in hand."""

    what: str
    release: str
    task: asyncio.Task[Any]


class Driver:
    """Takes steps with one system; nothing is awaited before a step `settle`."""

    def __init__(self, probation: bool) -> None:
        self.loop = asyncio.new_event_loop()
        self.ledger = Ledger()
        self.numbers = iter(range(1, 1 << 30))
        self.messages: list[Message] = []
        self.changes: list[Change] = []
        self.spoilt = False  # a state could not be taken, perhaps
        self.odd = False  # a release that cannot be reloaded to was loaded: nor can it be rolled back to
        self.may_spoil = not probation  # it would go back to an older state, as it should
        self.begin({"failures": 2 if probation else 0, "keep": 2})

    def go(self, work: Coroutine[Any, Any, Any] | None = None, count: int = 3) -> Any:
        async def run() -> Any:
            async with asyncio.timeout(PATIENCE):
                result = await work if work is not None else None
            await passes(count)
            return result

        return self.loop.run_until_complete(run())

    def begin(self, reload: dict[str, Any]) -> None:
        self.folder = tempfile.TemporaryDirectory()
        write = ModuleWriter(Path(self.folder.name))
        self.sources = {
            (name, release): write(
                body, name, version="1.0" if release in BROKEN else release, top=above,
                manifest=manifest + ("\nrequires = ['base']" if name == "top" else ""),
            )
            for name in ("base", "top")
            for release, (body, above, manifest) in {"1.0": (BODY, "", ""), "2.0": (BODY, "", ""), **BROKEN}.items()
        }  # fmt: skip
        modules = {name: {"source": str(self.sources[name, "1.0"])} for name in ("base", "top")}
        self.system = hostcore.ModuleSystem(
            {**SETTINGS, "modules": modules, "reload": reload}, services={"ledger": self.ledger}
        )
        self.go(self.system.start())
        self.go(self.system.load("top"))

    # --- steps -----------------------------------------------------------------------------------------------------

    def ask(self, name: str, kinds: list[str], replies: bool) -> None:
        for kind in kinds:
            if (kind == "nested" and name == "base") or (kind == "spoil" and not self.may_spoil):
                kind = "plain"
            self.spoilt |= kind == "spoil"
            number = next(self.numbers)
            how = self.system.request if replies else self.system.send
            task = self.loop.create_task(_await(how, name, [number, kind]))
            self.messages.append(Message(name, number, kind, replies, task))
        self.go()

    def load(self, name: str, release: str) -> None:
        self.change("load", release, self.system.load(name, source=self.sources[name, release]))

    def unload(self, name: str, force: bool) -> None:
        self.change("unload", "", self.system.unload(name, force=force))

    def reload(self, name: str, release: str, cascade: bool) -> None:
        source = self.sources[name, release]
        self.change("reload", release, _await(self.system.reload, name, source=source, cascade=cascade))

    def rollback(self, name: str) -> None:
        self.change("rollback", "", self.system.rollback(name, state="current"))

    def change(self, what: str, release: str, work: Coroutine[Any, Any, Any]) -> None:
        self.changes.append(Change(what, release, self.loop.create_task(work)))
        self.go()

    def cancel(self, which: int) -> None:
        waiting = [change.task for change in self.changes if not change.task.done()]
        if which < len(waiting):
            waiting[which].cancel()
            self.go()

    def go_on(self, count: int) -> None:
        self.go(count=count)

    def settle(self) -> None:
        tasks = [each.task for each in (*self.messages, *self.changes)]
        if tasks:
            _, waiting = self.go(asyncio.wait(tasks, timeout=PATIENCE / 2))
            assert not waiting, f"still waiting: {waiting}"
        self.go(self.quiet())
        for change in self.changes:
            self.check_change(change)
        for message in self.messages:
            self.check_message(message)
        self.changes, self.messages = [], []
        self.check_order()
        self.check_generations()
        self.check_states()

    async def quiet(self) -> None:
        """Wait for what was sent, and for rollbacks of probation."""
        await until(lambda: not self.ledger.inside and not any(each.mailbox for each in self.system.modules.values()))
        while rollbacks := [task for task in asyncio.all_tasks() if task.get_name().startswith("hostcore:rollback")]:
            await asyncio.wait(rollbacks)

    # --- promises --------------------------------------------------------------------------------------------------

    def check_change(self, change: Change) -> None:
        if change.task.cancelled():
            return
        error, broken = change.task.exception(), change.release in BROKEN
        if error is not None:
            assert isinstance(error, REFUSED), error
        elif change.what == "unload":
            assert change.task.result() == ()
        elif change.what == "load":
            assert change.release != "prepare"
            self.odd |= broken
        else:
            self.check_report(change, change.task.result(), broken)

    def check_report(self, change: Change, report: hostcore.ReloadReport, broken: bool) -> None:
        for each in (report, *report.others):
            assert each.leaks == ()
            assert each.rolled_back == report.rolled_back, "some of a cascade switched, and others did not"
        if report.old_generation == 0:  # it had failed, so this was a load
            self.odd |= broken
            return
        assert report.rolled_back or not broken
        if report.rolled_back and not self.odd:
            assert broken or self.spoilt, report.reason
            assert report.phase == change.release or (report.phase == "snapshot" and self.spoilt), report.reason

    def check_message(self, message: Message) -> None:
        handled = [entry.module for entry in self.ledger.entries if entry.number == message.number]
        error = message.task.exception()
        assert handled in ([], [message.module])
        if error is None and message.wants_reply:
            assert (message.task.result(), handled) == (message.number, [message.module])
            assert message.kind != "crash"
        elif isinstance(error, errors.HookError):
            assert handled
            assert message.kind in ("crash", "nested")
        elif error is not None:
            assert isinstance(error, UNHANDLED), error
            assert not handled

    def check_order(self) -> None:
        """Whoever sends, a module handles it once, in the order of sending."""
        for name in ("base", "top"):
            for sender in ("host", "top"):
                numbers = [abs(entry.number) for entry in self.ledger.of(name) if entry.sender == sender]
                assert numbers == sorted(set(numbers))

    def check_generations(self) -> None:
        """One generation of a module is alive, and only such as served have handled, in the order in which they did."""
        running = [name for name, info in self.system.modules.items() if info.state is State.RUNNING]
        odd = [info for info in self.system.modules.values() if info.state not in (State.RUNNING, State.FAILED)]
        assert odd == []
        assert sorted(generation.label for generation in table.by_id.values()) == sorted(running)
        for name in ("base", "top"):
            if not self.ledger.of(name):
                continue
            served = iter(entry.generation for entry in self.system.history(name)
                          if entry.what in ("loaded", "reloaded", "rolled back"))  # fmt: skip
            handled = [number for number, _ in groupby(entry.generation for entry in self.ledger.of(name))]
            assert all(number in served for number in handled), "a generation handled that did not serve then"

    def check_states(self) -> None:
        """A module's state is what it has handled since it was loaded, whichever of its generations did."""
        for name, info in self.system.modules.items():
            if info.state is not State.RUNNING:
                continue
            state = self.go(_await(self.system.execute, name))
            handled = [entry.number for entry in self.ledger.of(name) if entry.born == state["born"]]
            assert state["seen"] == handled
        for name in ("base", "top"):
            loads = sum(entry.what == "loaded" for entry in self.system.history(name))
            births = [born for born, _ in groupby(entry.born for entry in self.ledger.of(name))]
            assert len(births) == len(set(births)) <= loads, "a state was lost on the way"

    def end(self) -> None:
        """Stop in the middle of things: nobody is left waiting."""
        how = self.system.request
        asking = [self.loop.create_task(_await(how, "top", [next(self.numbers), "suspend"])) for _ in range(3)]
        self.change("reload", "2.0", _await(self.system.reload, "base", source=self.sources["base", "2.0"]))
        self.go(self.system.stop())
        mine = [*asking, *(each.task for each in (*self.messages, *self.changes))]
        waiting = [task for task in mine if not task.done()]
        for task in set(mine).difference(waiting):
            _ = task.cancelled() or task.exception()  # looked at: it is no news
        left = [task for task in asyncio.all_tasks(self.loop) if task not in waiting]
        self.loop.close()
        self.folder.cleanup()
        assert not waiting, f"somebody waits for a stopped system: {waiting}"
        assert not left, f"left: {left}"


async def _await(call: Any, /, *arguments: Any, **named: Any) -> Any:
    return await call(*arguments, **named)


def step(name: str, /, **arguments: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[str, dict[str, Any]]]:
    """Draw a call of one of the driver's methods."""
    return st.tuples(st.just(name), st.fixed_dictionaries(arguments))


ASK = step("ask", name=NAMES, kinds=st.lists(KINDS, min_size=1, max_size=8), replies=st.booleans())
RELOAD = step("reload", name=NAMES, release=RELEASES, cascade=st.booleans())
STEPS = st.one_of(
    ASK,
    RELOAD,
    ASK,
    RELOAD,
    step("load", name=NAMES, release=RELEASES),
    step("unload", name=NAMES, force=st.booleans()),
    step("rollback", name=NAMES),
    step("cancel", which=st.integers(0, 3)),
    step("go_on", count=st.sampled_from([1, 5, 20, 100])),
    step("settle"),
)


@settings(max_examples=30, deadline=None)
@given(steps=st.lists(STEPS, min_size=5, max_size=30), probation=st.booleans())
def test_any_steps(steps: list[tuple[str, dict[str, Any]]], probation: bool) -> None:
    """Any sequence of messages, loads, unloads, reloads, rollbacks and cancellations keeps the promises."""
    driver = Driver(probation)
    try:
        for name, arguments in steps:
            getattr(driver, name)(**arguments)
        driver.settle()
    finally:
        driver.end()
    assert not table.by_id
