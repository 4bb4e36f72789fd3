"""Know the places from which objects are named: where a search for what holds an object ends.

A *root* is alive by itself: a module in `sys.modules`, a class or function that its name leads to, another
generation's module, a pending task or timer, a thread that runs.  A *last resort* is a root only if there is no other:
a variable of a running function, a live context, or what no Python code can see.

A *carrier* is what just wraps another object, such as a tuple, a bound method or a frame.  Whoever holds a carrier
holds what is in it, so each of its holders counts for itself.  Anything else (a list, an instance, a class) is an
*owner*: a thing can be taken out of it, so one name for it is enough.
"""

from __future__ import annotations

import contextvars
import functools
import signal
import threading
import types
from typing import Any

from hostcore.generations import frames, table
from hostcore.generations.belonging import is_class
from hostcore.generations.looking import (
    class_dict,
    entry,
    instance_dict,
    is_a,
    items,
    module_dict,
    shortest_name,
    text,
)
from hostcore.generations.naming import Label, enter

_CARRIERS = (
    tuple,
    frozenset,
    BaseException,
    functools.partial,
    property,
    staticmethod,
    classmethod,
    types.AsyncGeneratorType,
    types.CellType,
    types.CoroutineType,
    types.FrameType,
    types.FunctionType,
    types.GeneratorType,
    types.GenericAlias,
    types.MappingProxyType,
    types.MethodType,
    types.MethodWrapperType,
    types.TracebackType,
)
_COST_OF_CONTEXT = 6.0
_COST_OF_THREAD = 8.0
_COST_OF_OWN_THREAD = 12.0
_COST_OF_UNSEEN = 20.0


def is_carrier(obj: Any) -> bool:
    """Tell whether `obj` just wraps what it refers to."""
    return issubclass(type(obj), _CARRIERS)


class Roots:
    """The named places of the process, as they are when it is made; holds ids and text."""

    def __init__(self) -> None:
        self._places: dict[int, Label] = {id(table.real): Label("sys.modules")}
        for name, module in items(table.real):
            self._add(module, text(name), "")
        for generation in list(table.by_id.values()):
            for name, module in list(generation.modules.items()):
                self._add(module, text(name), f", of module {text(generation.label)}")

    def _add(self, module: Any, name: str, tail: str) -> None:
        self._places[id(module)] = Label(name, tail=tail)
        if is_a(module, types.ModuleType):
            self._places[id(module_dict(module))] = Label(name, tail=tail, namespace=True)

    def forget(self, obj: Any) -> None:
        """Do not take `obj` for a root: it is of the generation that is looked at."""
        self._places.pop(id(obj), None)

    def label(self, obj: Any) -> Label | None:
        """Return the label of a root; None if `obj` is none."""
        place = self._places.get(id(obj))
        if place is not None:
            return place
        if is_class(obj) or type(obj) is types.FunctionType:
            name = shortest_name(obj)
            return Label(name) if name else None
        if is_a(obj, threading.Thread):
            return _thread(obj)
        return _of_asyncio(obj)


def _thread(obj: Any) -> Label | None:
    name = text(entry(instance_dict(obj) or {}, "_name"))
    alive = any(thread is obj for thread in threading.enumerate())
    return Label("", words=f"thread {name!r}", cost=1) if alive else None


def _of_asyncio(obj: Any) -> Label | None:
    asyncio = table.real.get("asyncio")
    if asyncio is None:
        return None
    if is_a(obj, asyncio.Task):
        done: bool = asyncio.Task.done(obj)
        return None if done else Label("", words=f"task {text(asyncio.Task.get_name(obj))!r}", cost=1)
    if is_a(obj, asyncio.TimerHandle):
        scheduled = entry(class_dict(asyncio.TimerHandle), "_scheduled").__get__(obj)
        return Label("", words="a timer of the event loop", cost=1) if scheduled is True else None
    if is_a(obj, asyncio.BaseEventLoop):
        return Label("", words="the event loop", cost=2)
    return None


def context(obj: Any) -> Label | None:
    """Return the label of a live context; None for anything else."""
    return enter(Label("", cost=_COST_OF_CONTEXT), obj) if type(obj) is contextvars.Context else None


def last_resorts(objects: dict[int, Any], unseen: dict[int, int], own: types.CodeType) -> dict[int, Label]:
    """Return labels for objects that something holds which no Python code sees, by their numbers.

    Args:
        objects: Number -> object.
        unseen: Number -> how many references to it are not explained.
        own: The code of the search, whose own variables do not count.
    """
    found: dict[int, Label] = {}
    for number, use in frames.uses(objects, own).items():
        cost = _COST_OF_OWN_THREAD if use.own_thread else _COST_OF_THREAD
        found[number] = Label(use.variable, words=use.where, noun="local variable", cost=cost)
    for number, obj in objects.items():
        if number not in found:
            found[number] = _signal(obj) or Label("", words=_unseen(unseen[number]), cost=_COST_OF_UNSEEN)
    return found


def _signal(obj: Any) -> Label | None:
    for number in signal.valid_signals():
        if signal.getsignal(number) is obj:
            return Label("", words=f"the handler of signal {getattr(number, 'name', number)}", cost=1)
    return None


def _unseen(references: int) -> str:
    many = "1 reference" if references == 1 else f"{references} references"
    return f"something outside of the garbage collector's sight, such as a C extension or atexit ({many})"
