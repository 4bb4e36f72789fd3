"""What runs is found when it keeps a generation alive: threads, tasks, timers, contexts.  No leaked code is run."""

from __future__ import annotations

import asyncio
import contextvars
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from generations.pins import ACME, IT, Release, keep, kept, leaking, places
from generations.support import survivors

from hostcore.generations.holders import find_holders

HERE = __name__
variable: contextvars.ContextVar[Any] = contextvars.ContextVar("request", default=None)


@contextmanager
def thread(target: Callable[..., Any], *args: Any) -> Iterator[None]:
    """Run `target(ready, event, *args)` in a thread, up to where it waits for the event."""
    ready, event = threading.Event(), threading.Event()
    worker = threading.Thread(target=target, args=(ready, event, *args), name="holder")
    worker.start()
    del target, args
    ready.wait()
    try:
        yield
    finally:
        event.set()
        worker.join()


def in_thread(target: Callable[..., Any], *args: Any) -> Release:
    """Start the thread, and return what ends it."""
    manager = thread(target, *args)
    manager.__enter__()
    return lambda: manager.__exit__(None, None, None)


def hold(ready: threading.Event, event: threading.Event, box: list[Any]) -> None:
    held = box.pop()
    ready.set()
    event.wait()
    del held


def hold_in_list(ready: threading.Event, event: threading.Event, box: list[Any]) -> None:
    jobs = [1, {"job": box.pop()}]
    ready.set()
    event.wait()
    del jobs


def hold_in_closure(ready: threading.Event, event: threading.Event, box: list[Any]) -> None:
    captured = box.pop()

    def inner() -> Any:
        return captured

    ready.set()
    event.wait()
    inner()


def let_go(ready: threading.Event, event: threading.Event, box: list[Any], step: threading.Event) -> None:
    held = box.pop()
    ready.set()
    step.wait()
    held = None
    kept.stepped.set()
    event.wait()
    del held


@pytest.mark.parametrize(
    ("target", "path"),
    [(hold, "held"), (hold_in_list, "jobs[1]['job']"), (hold_in_closure, "captured")],
    ids=["variable", "list", "closure"],
)
def test_variable_of_a_thread(tmp_path: Path, target: Callable[..., Any], path: str) -> None:
    """A variable of a function that runs in a thread is named, with its function and thread."""
    root = f"local variable `{path}` of function {HERE}.{target.__name__} in thread 'holder'"
    with leaking(tmp_path, lambda acme: in_thread(target, [acme.Thing()])) as watched:
        assert places(find_holders(watched)) == [("a Thing of acme", root)]


def test_variables_are_left_as_they_were(tmp_path: Path) -> None:
    """Looking at a running function's variables keeps nothing in it: what it lets go of dies while it still runs."""
    step, kept.stepped = threading.Event(), threading.Event()
    stepped = kept.stepped
    with leaking(tmp_path, lambda acme: in_thread(let_go, [acme.Thing()], step)) as watched:
        assert "`held`" in find_holders(watched)[0].root
        step.set()
        stepped.wait()
        assert survivors(watched) == []


def test_variables_are_not_read_under_a_tracer(tmp_path: Path) -> None:
    """While Python code traces the process, snapshots of variables are left alone where the interpreter has such."""
    before = threading.gettrace()
    with leaking(tmp_path, lambda acme: in_thread(hold, [acme.Thing()])) as watched:
        threading.settrace(lambda *args: None)
        try:
            (holder,) = find_holders(watched)
        finally:
            threading.settrace(before)  # type: ignore[arg-type]
    expected = "local variable `held`" if sys.version_info >= (3, 13) else "something outside"
    assert holder.root.startswith(expected)


def test_locals_of_others_stay() -> None:
    """A dictionary that a running function got from locals() keeps its entries."""

    def own_locals() -> Any:
        value = 1
        taken = locals()
        find_holders([("function", "own_locals", weakref.ref(own_locals))])
        return value, taken["value"]

    assert own_locals() == (1, 1)


def test_code_that_a_thread_runs(tmp_path: Path) -> None:
    """A thread that runs the generation's own code is named, with the line it is at."""
    line = next(n for n, text in enumerate(ACME.splitlines(), 1) if "event.wait()" in text and "async" not in text)
    with leaking(tmp_path, lambda acme: in_thread(acme.block)) as watched:
        assert places(find_holders(watched)) == [
            ("function acme.block", "`_target` of thread 'holder'"),
            ("function acme.block", f"thread 'holder', which runs line {line}"),
        ]


def test_module_level_before_the_callers_variables(tmp_path: Path) -> None:
    """A variable of the caller's comes after the places of the process, and a container's name is no variable."""

    def pin(acme: Any) -> Release:
        kept.things = [acme.Thing()]
        return keep(acme.work)

    with leaking(tmp_path, pin) as watched:
        mine, things = kept.it, kept.things
        try:
            assert places(find_holders(watched)) == [
                ("function acme.work", IT),
                ("a Thing of acme", IT.replace("it", "things[0]")),
                ("function acme.work", f"local variable `mine` of function {HERE}."
                 "test_module_level_before_the_callers_variables in thread 'MainThread'"),
            ]  # fmt: skip
        finally:
            del mine, things


async def wait_with(event: asyncio.Event, value: Any) -> None:
    held = [value]
    del value
    await event.wait()
    del held


async def outer(event: asyncio.Event, box: list[Any]) -> None:
    await wait_with(event, box.pop())


async def test_task(tmp_path: Path) -> None:
    """A pending task is named: for the generation's own coroutine, and for a variable of another's."""
    event = asyncio.Event()
    tasks: list[asyncio.Task[Any]] = []

    def pin(acme: Any) -> Release:
        tasks.append(asyncio.create_task(acme.wait(event), name="own"))
        tasks.append(asyncio.create_task(outer(event, [acme.Thing()]), name="poll"))
        return tasks.clear

    with leaking(tmp_path, pin) as watched:
        await asyncio.sleep(0)
        for search in (find_holders, lambda watched: asyncio.to_thread(find_holders, watched)):
            found = search(watched)
            assert sorted(places(await found if asyncio.iscoroutine(found) else found)) == [
                ("a Thing of acme", f"local variable `held[0]` of coroutine {HERE}.wait_with of task 'poll'"),
                ("coroutine acme.wait", "task 'own'"),
            ]
        del found
        event.set()
        await asyncio.gather(*tasks)
        await asyncio.sleep(0)


async def test_timer(tmp_path: Path) -> None:
    """A timer of the event loop is named."""
    loop = asyncio.get_running_loop()

    def pin(acme: Any) -> Release:
        timers = [loop.call_later(3600, acme.work), loop.call_later(3600, print, acme.Thing())]
        return lambda: [timer.cancel() for timer in timers]

    with leaking(tmp_path, pin) as watched:
        assert sorted(places(find_holders(watched))) == [
            ("a Thing of acme", "`_args[0]` of a timer of the event loop"),
            ("function acme.work", "`_callback` of a timer of the event loop"),
        ]


async def test_future_callback(tmp_path: Path) -> None:
    """A callback of a future that the host holds is named."""
    future = asyncio.get_running_loop().create_future()

    def pin(acme: Any) -> Release:
        future.add_done_callback(acme.work)
        kept.future = future
        return lambda: future.remove_done_callback(acme_work())

    def acme_work() -> Any:
        return future._callbacks[0][0]

    with leaking(tmp_path, pin) as watched:
        ((what, root),) = places(find_holders(watched))
        assert (what, root.startswith("generations.pins.kept.future.") or root) == ("function acme.work", True)


def test_context_variable(tmp_path: Path) -> None:
    """A value in a context that the host keeps is named by its variable."""

    def pin(acme: Any) -> Release:
        context = contextvars.copy_context()
        context.run(variable.set, [acme.Thing()])
        return keep(context)

    with leaking(tmp_path, pin) as watched:
        assert places(find_holders(watched)) == [
            ("a Thing of acme", f"context variable `request[0]` of a live context of `{IT}`")
        ]


def test_context_of_a_thread(tmp_path: Path) -> None:
    """A value in the context that a thread is in, which nothing else knows of, is named by its variable."""

    def pin(acme: Any) -> Release:
        token = variable.set(acme.Thing)
        return lambda: variable.reset(token)

    with leaking(tmp_path, pin) as watched:
        assert places(find_holders(watched)) == [("class acme.Thing", "context variable `request` of a live context")]


async def test_context_of_a_task(tmp_path: Path) -> None:
    """A value in the context of a task is named by its variable and the task."""
    event = asyncio.Event()
    tasks: list[asyncio.Task[Any]] = []

    def pin(acme: Any) -> Release:
        context = contextvars.copy_context()
        context.run(variable.set, acme.Thing)
        tasks.append(asyncio.Task(event.wait(), context=context, name="poll"))
        return tasks.clear

    with leaking(tmp_path, pin) as watched:
        await asyncio.sleep(0)
        assert places(find_holders(watched)) == [
            ("class acme.Thing", "context variable `request` of a live context of task 'poll'")
        ]
        event.set()
        await asyncio.gather(*tasks)
        await asyncio.sleep(0)


def test_beside_running_threads(tmp_path: Path) -> None:
    """A search from a thread of its own, while others make and drop objects, finds what there is each time."""
    stop = threading.Event()

    def churn() -> None:
        while not stop.is_set():
            made = [{"a": [number, (number,)]} for number in range(200)]
            made.append({"made": made})  # garbage for the collector

    def search(watched: Any, found: list[Any]) -> None:
        found += [places(find_holders(watched)) for _ in range(10)]

    churners = [threading.Thread(target=churn) for _ in range(3)]
    with leaking(tmp_path, lambda acme: keep([acme.Thing()])) as watched:
        found: list[Any] = []
        for churner in churners:
            churner.start()
        searcher = threading.Thread(target=search, args=(watched, found))
        searcher.start()
        searcher.join()
        stop.set()
        for churner in churners:
            churner.join()
        assert found == [[("a Thing of acme", f"{IT}[0]")]] * 10


HOSTILE = """
class Text(str):
    def __str__(self): raise SystemExit("str")
    __repr__ = __format__ = __hash__ = __eq__ = __str__

class Meta(type):
    def __getattribute__(cls, name): raise SystemExit(f"meta {name}")
    def __eq__(cls, other): raise SystemExit("meta eq")
    def __hash__(cls): raise SystemExit("meta hash")
    def __repr__(cls): raise SystemExit("meta repr")
    def __instancecheck__(cls, other): raise SystemExit("meta instance")
    def __subclasscheck__(cls, other): raise SystemExit("meta subclass")
    __mro__ = property(lambda cls: 1 / 0)

class Hostile(metaclass=Meta):
    def __getattribute__(self, name): raise SystemExit(f"get {name}")
    def __eq__(self, other): raise SystemExit("eq")
    def __hash__(self): raise SystemExit("hash")
    def __repr__(self): raise SystemExit("repr")
    def __bool__(self): raise SystemExit("bool")
    def __len__(self): raise SystemExit("len")
    def __iter__(self): raise SystemExit("iter")
    __class__ = property(lambda self: 1 / 0)
    __dict__ = property(lambda self: 1 / 0)
    __slots__ = ("inner",)

class Items(list):
    def __iter__(self): raise SystemExit("list iter")
    __getitem__ = __len__ = __eq__ = __bool__ = __iter__

class Table(dict):
    def items(self): raise SystemExit("dict items")
    def __iter__(self): raise SystemExit("dict iter")
    __getitem__ = __len__ = __eq__ = get = keys = values = __iter__

class Proxy:
    @property
    def __class__(self): return Plain
    def __getattr__(self, name): raise SystemExit(name)
"""


def test_hostile_objects(tmp_path: Path) -> None:
    """No code of a leaked object runs: neither its special methods nor its class's nor its metaclass's."""

    def pin(acme: Any) -> Release:
        exec(HOSTILE, vars(acme))
        kept.hostile = acme.Hostile()
        kept.items = acme.Items([acme.Hostile()])
        kept.table = acme.Table(x=acme.Hostile())
        kept.proxy = [acme.Proxy()]
        kept.text = {1: acme.Text("x")}
        return lambda: None

    with leaking(tmp_path, pin) as watched:
        found = dict(map(reversed, places(find_holders(watched))))
        prefix = IT.removesuffix("it")
        assert found == {
            f"{prefix}hostile": "a Hostile of acme",
            f"{prefix}items": "an Items of acme",
            f"{prefix}table": "a Table of acme",
            f"{prefix}proxy[0]": "a Proxy of acme",
            f"{prefix}text[1]": "a Text of acme",
        }
        del found
