"""Ways to keep something of an unloaded module alive, one a function, and the package whose objects they keep.

Each function gets the package and returns what takes the pin away again; `PINS` says how each is to be reported.
"""

from __future__ import annotations

import ctypes
import functools
import gc
import importlib
import json
import logging
import signal
import sys
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from generations.support import living, survivors

from hostcore.generations import Generation
from hostcore.generations.holders import Holder

ACME = """
import logging, threading

class Thing:
    def method(self): ...

class Handler(logging.Handler):
    def emit(self, record): ...

class Failure(Exception): ...

class Plain:
    pass

def work(*args): ...

def fail(): raise Failure

async def wait(event): await event.wait()

def block(ready, event):
    ready.set()
    event.wait()

def maker():
    def inner(): ...
    return inner

registry = {"thing": [Thing()], "self": Thing}
log = logging.getLogger("acme")
"""
Release = Callable[[], Any]
Watched = list[tuple[str, str, "weakref.ref[Any]"]]
HERE = __name__


@contextmanager
def leaking(directory: Path, pin: Callable[[Any], Any]) -> Iterator[Watched]:
    """Load acme, unload it, and let `pin` hold something of it; when that is undone, nothing of acme may be alive."""
    (directory / "acme.py").write_text(ACME)
    with living(Generation("acme", [directory], owned={"acme"})) as generation:
        acme = generation.load("acme")
        watched = generation.watch()
    del generation
    release = pin(acme)
    del acme
    gc.collect()
    try:
        yield watched
    finally:
        release()
        vars(kept).clear()
    del release, pin
    assert survivors(watched) == []


def places(holders: list[Holder]) -> list[tuple[str, str]]:
    """Return (what, root) of each, without the count of what else is held."""
    return [(holder.what.partition(" (")[0], holder.root) for holder in holders]


class Slotted:
    """An object of the host's without a dictionary."""

    __slots__ = ("callback",)


class Unseen(msgspec.Struct, gc=False):
    """Holds a value where the garbage collector does not look."""

    value: Any


class Kept:
    """What host code keeps its objects in."""


kept: Any = Kept()


def forgetting(name: str) -> Release:
    return functools.partial(vars(kept).pop, name)


def keep(value: Any) -> Release:
    kept.it = value
    return forgetting("it")


def logging_handler(acme: Any) -> Release:
    """A handler on the root logger."""
    handlers = logging.root.handlers
    before = list(handlers)
    handlers[:] = [logging.NullHandler(), logging.NullHandler(), acme.Handler()]
    return lambda: handlers.__setitem__(slice(None), before)


def formatter(acme: Any) -> Release:
    """An attribute of a handler of the host's on a logger of the host's."""
    handler = logging.NullHandler()
    handler.formatter = acme.Thing()
    logging.getLogger("hostlog").addHandler(handler)
    return lambda: logging.root.manager.loggerDict.pop("hostlog")


def shared_list(acme: Any) -> Release:
    """A list of the host's with many."""
    importlib.import_module("hostlib").KEPT[:] = [acme.Thing() for _ in range(100)]
    return importlib.import_module("hostlib").KEPT.clear


def module_attribute(acme: Any) -> Release:
    """An attribute of a module of the host's."""
    importlib.import_module("hostlib").patched = acme.work
    return lambda: delattr(importlib.import_module("hostlib"), "patched")


def dictionary_value(acme: Any) -> Release:
    """A value of a dictionary, under a string."""
    return keep({"other": 1, "acme": acme.Thing})


def dictionary_key(acme: Any) -> Release:
    """A key of a dictionary."""
    return keep({acme.Thing: 1})


def long_key(acme: Any) -> Release:
    """A value under a key that is too long to be shown."""
    return keep({"k" * 100: acme.Thing})


def tuple_key(acme: Any) -> Release:
    """A value under a tuple."""
    return keep({(int, 1, "x", None): acme.Thing})


def in_set(acme: Any) -> Release:
    """An item of a set."""
    return keep({acme.Thing})


def in_deque(acme: Any) -> Release:
    """An item of a deque."""
    return keep(deque([1, acme.Thing]))


def cache(acme: Any) -> Release:
    """A cache of a function of the host's."""
    hostlib = importlib.import_module("hostlib")
    hostlib.remembered(acme.Thing)
    return hostlib.remembered.cache_clear


def method_cache(acme: Any) -> Release:
    """A cache of a static method of the host's."""
    hostlib = importlib.import_module("hostlib")
    hostlib.Cached.remembered_statically((acme.Thing,))
    return hostlib.Cached.remembered_statically.cache_clear


def closure(acme: Any) -> Release:
    """A variable that an inner function of the host's holds."""
    callback = acme.work

    def wrapper() -> Any:
        return callback

    return keep(wrapper)


def default_argument(acme: Any) -> Release:
    """The default of an argument of a function of the host's."""

    def defaults(value: Any = acme.work) -> Any:
        return value

    return keep(defaults)


def keyword_default(acme: Any) -> Release:
    """The default of a keyword argument of a function of the host's."""

    def defaults(*, value: Any = acme.work) -> Any:
        return value

    return keep(defaults)


def named_function(acme: Any) -> Release:
    """An attribute of a function that a module of the host's has."""
    importlib.import_module("hostlib").by_name.hook = acme.work
    return lambda: delattr(importlib.import_module("hostlib").by_name, "hook")


def class_attribute(acme: Any) -> Release:
    """An attribute of a class of the standard library."""
    json.JSONEncoder.hook = acme.work  # type: ignore[attr-defined]
    return lambda: delattr(json.JSONEncoder, "hook")


def subclass(acme: Any) -> Release:
    """A class of the host's that inherits from one of the module's."""
    return keep(type("Sub", (acme.Thing,), {"__module__": HERE}))


def instance_attribute(acme: Any) -> Release:
    """An attribute of an object of the host's."""
    return keep(acme.Thing())


def slot(acme: Any) -> Release:
    """A slot of an object of the host's."""
    slotted = Slotted()
    slotted.callback = acme.work
    return keep([slotted])


def bound_method(acme: Any) -> Release:
    """A bound method of an object of the module's."""
    return keep(acme.Thing().method)


def partial(acme: Any) -> Release:
    """A partial of a function of the module's."""
    return keep([functools.partial(acme.work, 1)])


def partial_argument(acme: Any) -> Release:
    """An argument that a partial of a function of the host's holds."""
    return keep(functools.partial(print, 1, acme.Thing()))


def exception(acme: Any) -> Release:
    """A stored exception of the module's."""
    try:
        acme.fail()
    except Exception as exc:
        return keep(exc)
    raise AssertionError


def host_function(thing: Any) -> None:
    raise ValueError


def stored_traceback(acme: Any) -> Release:
    """A variable in the traceback of a stored exception of the host's."""
    thing = acme.Thing()
    del acme
    try:
        host_function(thing)
    except ValueError as exc:
        del thing
        exc.__traceback__ = exc.__traceback__.tb_next  # type: ignore[union-attr]
        return keep(exc)
    raise AssertionError


def generator(acme: Any) -> Release:
    """A variable of a suspended generator of the host's."""

    def walk(item: Any) -> Iterator[int]:
        yield 1
        yield len([item])

    walker = walk(acme.Thing)
    next(walker)
    return keep(walker)


def thread_local(acme: Any) -> Release:
    """An attribute of a thread-local object."""
    local = threading.local()
    local.thing = acme.Thing()
    return keep(local)


class Pair(NamedTuple):
    left: Any
    right: Any


def named_tuple(acme: Any) -> Release:
    """A field of a named tuple."""
    return keep([Pair(1, acme.Thing)])


class Struct(msgspec.Struct):
    left: Any
    right: Any


def struct(acme: Any) -> Release:
    """A field of an object of a class that C code made."""
    return keep([Struct(1, acme.Thing)])


def hidden_object(acme: Any) -> Release:
    """What only C code refers to."""
    value = ctypes.py_object(acme.work)
    ctypes.pythonapi.Py_IncRef(value)
    address = id(acme.work)
    del value
    return lambda: ctypes.pythonapi.Py_DecRef(ctypes.cast(address, ctypes.py_object))


def untracked_container(acme: Any) -> Release:
    """An object that the garbage collector does not look into."""
    return keep(Unseen(acme.Thing))


def signal_handler(acme: Any) -> Release:
    """A handler of a signal."""
    before = signal.signal(signal.SIGUSR2, acme.work)
    return lambda: signal.signal(signal.SIGUSR2, before)


def modules_entry(acme: Any) -> Release:
    """The module itself, put into sys.modules."""
    sys.modules["acme_alias"] = acme
    return lambda: sys.modules.pop("acme_alias")


def builtins_entry(acme: Any) -> Release:
    """A name in builtins."""
    __builtins__["acme_work"] = acme.work  # type: ignore[index]
    return lambda: __builtins__.pop("acme_work")  # type: ignore[attr-defined]


def local_function(acme: Any) -> Release:
    """A function that a function of the module's made."""
    return keep(acme.maker())


def namespace(acme: Any) -> Release:
    """The namespace of a module."""
    return keep(vars(acme))


OUTSIDE = "something outside of the garbage collector's sight, such as a C extension or atexit (1 reference)"
IT = f"{HERE}.kept.it"
PINS: tuple[tuple[Callable[[Any], Release], str, str], ...] = (
    (logging_handler, "a Handler of acme", "logging.root.handlers[2]"),
    (formatter, "a Thing of acme", "logging.Logger.manager.loggerDict['hostlog'].handlers[0].formatter"),
    (shared_list, "a Thing of acme", "hostlib.KEPT[0]"),
    (module_attribute, "function acme.work", "hostlib.patched"),
    (dictionary_value, "class acme.Thing", f"{IT}['acme']"),
    (dictionary_key, "class acme.Thing", f"{IT}.<key>"),
    (long_key, "class acme.Thing", f"{IT}['{'k' * 40}...']"),
    (tuple_key, "class acme.Thing", f"{IT}[(int, 1, 'x', ...)]"),
    (in_set, "class acme.Thing", f"{IT}.<item>"),
    (in_deque, "class acme.Thing", f"{IT}[1]"),
    (cache, "class acme.Thing", "hostlib.remembered.<cache>"),
    (method_cache, "class acme.Thing", "hostlib.Cached.remembered_statically.<cache>"),
    (closure, "function acme.work", f"{IT}.<closure callback>"),
    (default_argument, "function acme.work", f"{IT}.__defaults__[0]"),
    (keyword_default, "function acme.work", f"{IT}.__kwdefaults__['value']"),
    (named_function, "function acme.work", "hostlib.by_name.hook"),
    (class_attribute, "function acme.work", "json.JSONEncoder.hook"),
    (subclass, "class acme.Thing", f"{IT}.<base>"),
    (instance_attribute, "a Thing of acme", IT),
    (slot, "function acme.work", f"{IT}[0].callback"),
    (bound_method, "method acme.Thing.method", IT),
    (partial, "function acme.work", f"{IT}[0].func"),
    (partial_argument, "a Thing of acme", f"{IT}.args[1]"),
    (exception, "a Failure of acme", IT),
    (
        stored_traceback,
        "a Thing of acme",
        f"local variable `thing` of function {HERE}.host_function of `{IT}.__traceback__`",
    ),
    (generator, "class acme.Thing", f"local variable `item` of generator {HERE}.generator.<locals>.walk of `{IT}`"),
    (thread_local, "a Thing of acme", f"{IT}.thing"),
    (named_tuple, "class acme.Thing", f"{IT}[0].right"),
    (struct, "class acme.Thing", f"{IT}[0].right"),
    (hidden_object, "function acme.work", OUTSIDE),
    (untracked_container, "class acme.Thing", OUTSIDE),
    (signal_handler, "function acme.work", "the handler of signal SIGUSR2"),
    (modules_entry, "module acme", "sys.modules['acme_alias']"),
    (builtins_entry, "function acme.work", "builtins.acme_work"),
    (local_function, "function acme.maker.<locals>.inner", IT),
    (namespace, "the namespace of acme", IT),
)
