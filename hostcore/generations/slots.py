"""The places of the process that hold one value each: `sys.excepthook`, signal handlers, the class of loggers, ...

They are looked at whenever a generation comes, is published or goes; `Layers` remembers for each who took it from
whom.  A generation that goes gives back what it has taken, and a place that somebody else has taken since stays as
it is.  What was set and replaced again between two looks was never seen.  While no generation lives, nothing is kept.

Signal handlers can be set by the main thread only: what an unload in another thread cannot give back, the next look
in the main thread does.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # its functions make no enums
import logging
import operator
import signal
import sys
import threading
import types
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from hostcore.generations import table
from hostcore.generations.belonging import belongs_to, maker_of
from hostcore.generations.layers import HOST, MISSING, Layers
from hostcore.generations.rewiring import Swaps

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
_SIGNAL_AT: dict[int, int] = {
    number: len(_PLAIN) + index for index, number in enumerate(sorted(signal.valid_signals()))
}
_NOBODYS = (int, type(None), types.BuiltinFunctionType)
_SIGNAL, _LOOP_SIGNAL = "signal", "asyncio signal handler"
_lock = threading.RLock()
_layers = [Layers() for _ in _SLOTS]
_last: list[Any] = []
"""What the last look found: mostly, the next finds the same."""
_of_loops: dict[Any, dict[tuple[str, str], Layers]] = {}


def look() -> None:
    """Note what stands everywhere now."""
    with _lock:
        for loop in [loop for loop in _of_loops if loop.is_closed()]:
            del _of_loops[loop]
        values = [slot.get() for slot in _SLOTS]
        if not all(map(operator.is_, values, _last)) or len(values) != len(_last):
            noted = [_note(*each) for each in zip(_SLOTS, _layers, values, strict=True)]
            _last[:] = values if all(noted) else ()
        for slot, layers in _in_loop():
            _note(slot, layers, slot.get())


def restore(generation: Generation, swaps: Swaps) -> Iterator[tuple[str, str]]:
    """Put back what stood before `generation` where it still has a place; yield (registry, what).

    Who has wrapped what the generation had put there is to wrap what stood before instead: `swaps` gets to know.
    """
    look()
    with _lock:
        _last.clear()
        stays = False
        # The loop's first: to take a signal's handler out of it sets the signal's own.
        for slot, layers in [*_in_loop(), *zip(_SLOTS, _layers, strict=True)]:
            value, below = layers.take(generation.id)
            if value is MISSING:
                continue
            if slot.get() is not value:
                swaps.add(value, below)
            elif _may_put(slot):
                slot.put(None if below is MISSING else below)
                yield slot.registry, slot.what
            else:
                stays = True
        if not stays and not table.by_id.keys() - {generation.id}:
            _layers[:] = [Layers() for _ in _SLOTS]  # nobody is left to give anything back to
            _of_loops.clear()
    yield from _own_thread(generation)


def _note(slot: Slot, layers: Layers, value: Any) -> bool:
    """Note that `value` stands there; tell whether it may."""
    if value is layers.top:
        return True
    if slot.registry == _SIGNAL and getattr(value, "__module__", "") == "asyncio.unix_events":
        return True  # it stands for a handler of the event loop, which is a place of its own
    maker = None if type(value) in _NOBODYS else _maker_of(slot, value)
    if maker is None:
        layers.see(value, HOST)
    elif maker.alive:
        layers.see(value, maker.id)
    elif layers and _may_put(slot):
        slot.put(layers.top)  # left by an unload in another thread
    else:
        return False
    return True


def _maker_of(slot: Slot, value: Any) -> Generation | None:
    parts = (value._callback, *value._args) if slot.registry == _LOOP_SIGNAL and value is not None else (value,)
    return next((maker for maker in map(maker_of, parts) if maker is not None), None)


def _may_put(slot: Slot) -> bool:
    return slot.registry not in (_SIGNAL, _LOOP_SIGNAL) or threading.current_thread() is threading.main_thread()


def _in_loop() -> Iterator[tuple[Slot, Layers]]:
    loop = _running_loop()
    if loop is not None:
        known = _of_loops.setdefault(loop, {})
        for slot in _slots_of(loop, known):
            yield slot, known.setdefault((slot.registry, slot.what), Layers())


def _own_thread(generation: Generation) -> Iterator[tuple[str, str]]:
    """Trace and profile functions are each thread's own: there is no knowing what stood before, in which thread."""
    for name in ("trace", "profile"):
        function = getattr(sys, f"get{name}")()
        if function is not None and belongs_to(function, generation):
            getattr(sys, f"set{name}")(None)
            yield f"sys.set{name}", ""


def in_place() -> list[Any]:
    """Return what generations have put there."""
    return [value for layers in _layers for value in layers.values]


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
    before = _layers[_SIGNAL_AT[number]].top
    if before is not MISSING:
        _put_handler(number, before)
