"""The places of the process that hold one value each: `sys.excepthook`, signal handlers, the class of loggers, ...

They are looked at whenever a generation comes, is published or goes; `Layers` remembers for each who took it from
whom.  A generation that goes gives back what it has taken, and a place that somebody else has taken since stays as
it is.  What was set and replaced again between two looks was never seen.

Signal handlers can be set by the main thread only: what an unload in another thread cannot give back, the next look
in the main thread does.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # its functions make no enums
import logging
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from hostcore.generations import table
from hostcore.generations.belonging import belongs_to, maker_of
from hostcore.generations.layers import HOST, MISSING, Layers

if TYPE_CHECKING:
    from hostcore.generations.generation import Generation

_SYS = ("excepthook", "displayhook", "unraisablehook", "breakpointhook", "stdin", "stdout", "stderr")


class Slot(NamedTuple):
    """A place that holds one value."""

    registry: str
    what: str
    get: Callable[[], Any]
    put: Callable[[Any], object]


def _attribute(owner: Any, name: str) -> Slot:
    return Slot(f"{owner.__name__}.{name}", "", partial(getattr, owner, name), partial(setattr, owner, name))


_PLAIN = (
    *(_attribute(sys, name) for name in _SYS),
    _attribute(threading, "excepthook"),
    _attribute(warnings, "showwarning"),
    _attribute(warnings, "formatwarning"),
    Slot("threading.settrace", "", threading.gettrace, threading.settrace),
    Slot("threading.setprofile", "", threading.getprofile, threading.setprofile),
    Slot("logging.setLoggerClass", "", logging.getLoggerClass, logging.setLoggerClass),
    Slot("logging.setLogRecordFactory", "", logging.getLogRecordFactory, logging.setLogRecordFactory),
)


def _put_handler(number: int, handler: Any) -> None:
    signal.signal(number, signal.SIG_DFL if handler is None else handler)  # None: it was not Python's


def _name_of(number: int) -> str:
    return signal.Signals(number).name if number in _NAMED else str(number)


_NAMED = frozenset(signal.Signals)
_SLOTS = (
    *_PLAIN,
    *(
        Slot("signal", _name_of(number), partial(_signal.getsignal, number), partial(_put_handler, number))
        for number in sorted(signal.valid_signals())
    ),
)
_SIGNAL, _LOOP_SIGNAL = "signal", "asyncio signal handler"
_lock = threading.RLock()
_layers: dict[tuple[str, str], Layers] = {}
_of_loops: dict[Any, dict[tuple[str, str], Layers]] = {}


def look() -> None:
    """Note what stands everywhere now."""
    with _lock:
        for loop in [loop for loop in _of_loops if loop.is_closed()]:
            del _of_loops[loop]
        for slot, layers in _everywhere():
            value = slot.get()
            if value is not layers.top:
                _note(slot, layers, value)


def restore(generation: Generation) -> Iterator[tuple[str, str]]:
    """Put back what stood before `generation` where it still has a place; yield (registry, what)."""
    look()
    with _lock:
        for slot, layers in _everywhere():
            value, below = layers.take(generation.id)
            if value is not MISSING and slot.get() is value and _may_put(slot):
                slot.put(None if below is MISSING else below)
                yield slot.registry, slot.what
        if not table.by_id.keys() - {generation.id}:
            _layers.clear()  # nobody is left to give anything back
            _of_loops.clear()
    yield from _own_thread(generation)


def _note(slot: Slot, layers: Layers, value: Any) -> None:
    if slot.registry == _SIGNAL and getattr(value, "__module__", "") == "asyncio.unix_events":
        return  # it stands for a handler of the event loop, which is a place of its own
    maker = _maker_of(slot, value)
    if maker is None:
        layers.see(value, HOST)
    elif maker.alive:
        layers.see(value, maker.id)
    elif layers and _may_put(slot):
        slot.put(layers.top)  # left by an unload in another thread


def _maker_of(slot: Slot, value: Any) -> Generation | None:
    parts = (value._callback, *value._args) if slot.registry == _LOOP_SIGNAL and value is not None else (value,)
    return next((maker for maker in map(maker_of, parts) if maker is not None), None)


def _may_put(slot: Slot) -> bool:
    return slot.registry not in (_SIGNAL, _LOOP_SIGNAL) or threading.current_thread() is threading.main_thread()


def _everywhere() -> Iterator[tuple[Slot, Layers]]:
    loop = _running_loop()
    if loop is not None:  # first: to take a signal's handler out of it sets the signal's own
        known = _of_loops.setdefault(loop, {})
        for slot in _slots_of(loop, known):
            yield slot, known.setdefault((slot.registry, slot.what), Layers())
    for slot in _SLOTS:
        key = slot.registry, slot.what
        yield slot, _layers.get(key) or _layers.setdefault(key, Layers())


def _own_thread(generation: Generation) -> Iterator[tuple[str, str]]:
    """Trace and profile functions are each thread's own: there is no knowing what stood before, in which thread."""
    for name in ("trace", "profile"):
        function = getattr(sys, f"get{name}")()
        if function is not None and belongs_to(function, generation):
            getattr(sys, f"set{name}")(None)
            yield f"sys.set{name}", ""


# --- the places of an event loop -------------------------------------------------------------------------------


def _running_loop() -> Any:
    events = table.real.get("asyncio.events")
    loop = events._get_running_loop() if events is not None else None
    return loop if hasattr(loop, "get_exception_handler") else None


def _slots_of(loop: Any, known: dict[tuple[str, str], Layers]) -> Iterator[Slot]:
    yield Slot("asyncio exception handler", "", loop.get_exception_handler, loop.set_exception_handler)
    yield Slot("asyncio task factory", "", loop.get_task_factory, loop.set_task_factory)
    handlers: dict[int, Any] = getattr(loop, "_signal_handlers", {})  # asyncio's own loop tells; others do not
    seen = [int(what) for registry, what in list(known) if registry == _LOOP_SIGNAL]
    for number in dict.fromkeys([*handlers, *seen]):
        yield Slot(_LOOP_SIGNAL, str(int(number)), partial(handlers.get, number), partial(_put_in_loop, loop, number))


def _put_in_loop(loop: Any, number: int, handle: Any) -> None:
    if handle is not None:
        loop.add_signal_handler(number, handle._callback, *handle._args)
        return
    loop.remove_signal_handler(number)
    before = _layers.get((_SIGNAL, _name_of(number)), Layers()).top
    if before is not MISSING:
        _put_handler(number, before)
