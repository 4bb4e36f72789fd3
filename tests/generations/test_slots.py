"""The places of the process that hold one value each get back what stood there before, whoever came between."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from generations.support import Sample, living, survivors

from hostcore.generations import Generation

SLOTS: dict[str, tuple[Callable[[], Any], Callable[[Any], object]]] = {
    "excepthook": (lambda: sys.excepthook, lambda value: setattr(sys, "excepthook", value)),
    "displayhook": (lambda: sys.displayhook, lambda value: setattr(sys, "displayhook", value)),
    "unraisablehook": (lambda: sys.unraisablehook, lambda value: setattr(sys, "unraisablehook", value)),
    "breakpoint_hook": (lambda: sys.breakpointhook, lambda value: setattr(sys, "breakpointhook", value)),
    "stdin": (lambda: sys.stdin, lambda value: setattr(sys, "stdin", value)),
    "stdout": (lambda: sys.stdout, lambda value: setattr(sys, "stdout", value)),
    "stderr": (lambda: sys.stderr, lambda value: setattr(sys, "stderr", value)),
    "threading_excepthook": (lambda: threading.excepthook, lambda value: setattr(threading, "excepthook", value)),
    "threading_trace": (threading.gettrace, threading.settrace),
    "threading_profile": (threading.getprofile, threading.setprofile),
    "showwarning": (lambda: warnings.showwarning, lambda value: setattr(warnings, "showwarning", value)),
    "formatwarning": (lambda: warnings.formatwarning, lambda value: setattr(warnings, "formatwarning", value)),
    "logging_logger_class": (logging.getLoggerClass, logging.setLoggerClass),
    "logging_record_factory": (logging.getLogRecordFactory, logging.setLogRecordFactory),
    "signal_handler": (
        lambda: signal.getsignal(signal.SIGUSR2),
        lambda value: signal.signal(signal.SIGUSR2, value),
    ),
}


class HostLogger(logging.Logger):
    """A class of loggers that the host has set."""


def host_value(name: str) -> Any:
    """Return something of the host's that the slot takes."""
    if name == "logging_logger_class":
        return HostLogger
    return type("HostStream", (), {"write": print, "flush": print})() if name.startswith("std") else lambda *_: None


@pytest.fixture(params=sorted(SLOTS))
def slot(request: pytest.FixtureRequest) -> Iterator[str]:
    """The name of a slot, which holds something of the host's, and has what it had in the end."""
    get, put = SLOTS[request.param]
    before = get()
    put(host_value(request.param))
    yield request.param
    put(before)
    logging.root.manager.loggerDict.pop("pins.of_own_class", None)


def generation(path: str) -> Generation:
    """A generation of pins."""
    return Generation("pins", [path], owned={"pins"})


def take(generation: Generation, slot: str) -> Any:
    """Let a generation take a slot; return what stands there then."""
    getattr(generation.load("pins.swept"), slot)()
    return SLOTS[slot][0]()


def test_back_to_the_hosts(sample: Sample, slot: str) -> None:
    """After an unload the host's own value is back, not Python's."""
    before = SLOTS[slot][0]()
    with living(generation(sample.v1)) as one:
        assert take(one, slot) is not before
    assert SLOTS[slot][0]() is before


def test_newer_goes(sample: Sample, slot: str) -> None:
    """When the newer of two goes, the older one's value is back, and then the host's."""
    before = SLOTS[slot][0]()
    with living(generation(sample.v1)) as older:
        olders = take(older, slot)
        with living(generation(sample.v2)) as newer:
            assert take(newer, slot) is not olders
        assert SLOTS[slot][0]() is olders
    assert SLOTS[slot][0]() is before


def test_older_goes(sample: Sample, slot: str) -> None:
    """When the older of two goes, the newer one's value stays, and the older is garbage; then the host's is back."""
    before = SLOTS[slot][0]()
    with living(generation(sample.v1)) as older:
        take(older, slot)
        with living(generation(sample.v2)) as newer:
            newers = take(newer, slot)
            watched = older.watch()
            older.unload()
            assert SLOTS[slot][0]() is newers
            assert survivors(watched) == []
        assert SLOTS[slot][0]() is before


def test_three_leave_in_any_order(sample: Sample, slot: str) -> None:
    """Of three, the middle one goes first and then the last: the first one's value is back."""
    with living(generation(sample.v1)) as first, living(generation(sample.v2)) as second:
        firsts = take(first, slot)
        with living(generation(sample.v1)) as third:
            take(second, slot)
            thirds = take_after_look(third, slot)
            second.unload()
            assert SLOTS[slot][0]() is thirds
        assert SLOTS[slot][0]() is firsts


def take_after_look(generation: Generation, slot: str) -> Any:
    """Take a slot after everybody has looked at it."""
    generation.publish()
    return take(generation, slot)


def test_the_host_has_taken_it_since(sample: Sample, slot: str) -> None:
    """What the host has set since a generation came is left alone, and is not reported."""
    with living(generation(sample.v1)) as one:
        take(one, slot)
        hosts = host_value(slot)
        SLOTS[slot][1](hosts)
        found = one.unload()
        assert SLOTS[slot][0]() is hosts
        assert [registry for registry, _ in found if registry not in ("logging logger", "sys.modules")] == []


def test_what_the_host_set_in_between(sample: Sample, slot: str) -> None:
    """What the host sets between two generations is what the second gives back."""
    with living(generation(sample.v1)) as one:
        take(one, slot)
        hosts = host_value(slot)
        SLOTS[slot][1](hosts)
        with living(generation(sample.v2)) as two:
            take(two, slot)
            one.unload()
        assert SLOTS[slot][0]() is hosts


def test_put_back_by_its_own_code(sample: Sample, slot: str) -> None:
    """A generation that has put back what it found leaves nothing to undo."""
    before = SLOTS[slot][0]()
    with living(generation(sample.v1)) as one:
        take(one, slot)
        SLOTS[slot][1](before)
        one.publish()
        with living(generation(sample.v2)) as two:
            take(two, slot)
        assert SLOTS[slot][0]() is before


def test_signal_handler_in_another_thread(sample: Sample) -> None:
    """An unload in a thread cannot put a signal handler back; the main thread does it when it next looks."""
    before = signal.getsignal(signal.SIGUSR2)
    try:
        with living(generation(sample.v2)) as other, living(generation(sample.v1)) as one:
            own = take(one, "signal_handler")
            thread = threading.Thread(target=one.unload)
            thread.start()
            thread.join()
            assert signal.getsignal(signal.SIGUSR2) is own
            other.publish()
            assert signal.getsignal(signal.SIGUSR2) == before
    finally:
        signal.signal(signal.SIGUSR2, before)


async def test_event_loop(sample: Sample) -> None:
    """The exception handler, the task factory and signal handlers of the running loop go back to the host's."""
    loop = asyncio.get_running_loop()

    def handler(*_: Any) -> None: ...

    def on_signal(*_: Any) -> None: ...

    before = signal.getsignal(signal.SIGUSR1)
    signal.signal(signal.SIGUSR1, on_signal)
    loop.set_exception_handler(handler)
    code = (
        "import asyncio, signal\n"
        "def handler(*_): ...\n"
        "def factory(loop, coroutine, **options): return asyncio.Task(coroutine, loop=loop, **options)\n"
        "loop = asyncio.get_running_loop()\n"
        "loop.set_exception_handler(handler)\n"
        "loop.set_task_factory(factory)\n"
        "loop.add_signal_handler(signal.SIGUSR1, handler)\n"
        "del loop\n"
    )
    try:
        with living(generation(sample.v1)) as older:
            exec(code, vars(older.load("pins")))
            with living(generation(sample.v2)) as newer:
                exec(code, vars(newer.load("pins")))
                watched = newer.watch()
                found = newer.unload()
            assert loop.get_exception_handler() is older.load("pins").handler
            assert loop.get_task_factory() is older.load("pins").factory
            assert loop._signal_handlers[signal.SIGUSR1]._callback is older.load("pins").handler  # type: ignore[attr-defined]
            assert {registry for registry, _ in found} == {
                "asyncio exception handler", "asyncio task factory", "asyncio signal handler",
            }  # fmt: skip
        assert loop.get_exception_handler() is handler
        assert loop.get_task_factory() is None
        assert not loop._signal_handlers  # type: ignore[attr-defined]
        assert signal.getsignal(signal.SIGUSR1) is on_signal
        await asyncio.sleep(0)
        assert survivors(watched) == []
    finally:
        loop.set_exception_handler(None)
        signal.signal(signal.SIGUSR1, before)
