"""Registrations that keep a generation alive unless its unload removes them."""

import atexit
import builtins
import codecs
import copyreg
import functools
import gc
import importlib
import json
import linecache
import logging
import os
import re
import signal
import sqlite3
import sys
import threading
import types
import typing
import warnings
import weakref

import hostlib
import msgspec

from . import Own, own


class OwnHandler(logging.Handler):
    def emit(self, record):
        Own.calls.append(record)


class OwnFormatter(logging.Formatter):
    pass


class OwnFilter(logging.Filter):
    pass


class OwnLogger(logging.Logger):
    pass


class OwnWarning(UserWarning):
    pass


class OwnFinder:
    def find_spec(self, name, path=None, target=None):
        return None


class OwnLoader:
    def get_source(self, name):
        return ""


class OwnStream:
    """Stands in front of a stream of the process."""

    def __init__(self, stream):
        self.stream = stream

    def __getattr__(self, name):
        return getattr(self.stream, name)


def atexit_function():
    """An exit handler that is a function."""
    atexit.register(own, 1)


def atexit_method():
    """An exit handler that is a bound method."""
    atexit.register(Own().method)


def atexit_by_a_library():
    """An exit handler that a library of the host's registered for the generation."""
    hostlib.at_exit(own)


def fork_hook():
    """A hook that runs at fork."""
    os.register_at_fork(after_in_child=own)


def codec_search():
    """A codec search function."""

    def search(name):
        Own.calls.append(name)

    codecs.register(search)


def codec_error_handler():
    """A codec error handler."""

    def handler(error):
        return ("", error.end)

    codecs.register_error("pins.errors", handler)


def logging_handler():
    """A handler of an own class on the root logger."""
    logging.getLogger().addHandler(OwnHandler())


def logging_formatter():
    """A standard handler with an own formatter."""
    handler = logging.NullHandler()
    handler.setFormatter(OwnFormatter())
    logging.getLogger("pins.formatter").addHandler(handler)


def logging_handler_filter():
    """A standard handler with an own filter."""
    handler = logging.NullHandler()
    handler.addFilter(OwnFilter())
    logging.getLogger("pins.handler_filter").addHandler(handler)


def logging_filter():
    """A filter on a logger of the host's."""
    logging.getLogger("hostlib").addFilter(OwnFilter())


def logging_filter_function():
    """A function as filter on a logger of the host's."""
    logging.getLogger("hostlib").addFilter(own)


def logging_logger_class():
    """An own logger class as the process's default, and a logger of it."""
    logging.setLoggerClass(OwnLogger)
    logging.getLogger("pins.of_own_class")


def logging_logger_below():
    """A logger of an own class that is the parent of one of the host's."""
    child = logging.getLogger("pins.parent.child")
    parent = logging.Logger.manager.loggerDict.pop("pins.parent")
    assert isinstance(parent, logging.PlaceHolder)
    logging.Logger.manager.loggerDict["pins.parent"] = child.parent = OwnLogger("pins.parent")


def logging_record_factory():
    """A factory of log records."""
    logging.setLogRecordFactory(lambda *args, **keywords: logging.LogRecord(*args, **keywords))


def breakpoint_hook():
    """sys.breakpointhook."""
    sys.breakpointhook = own


def warnings_filter():
    """A warnings filter for an own category."""
    warnings.simplefilter("ignore", OwnWarning)


def copyreg_pickle():
    """A reducer for an own class in copyreg."""
    copyreg.pickle(Own, lambda value: (Own, ()))


def copyreg_pickle_of_host():
    """An own reducer for a class of the host's."""
    copyreg.pickle(hostlib.Cached, lambda value: (hostlib.Cached, ()))


def sqlite3_adapter():
    """An adapter for an own class in sqlite3."""
    sqlite3.register_adapter(Own, repr)


def sqlite3_converter():
    """An own converter in sqlite3."""
    sqlite3.register_converter("pins", own)


class Tagged(msgspec.Struct, tag="tagged"):
    pass


class Labelled(msgspec.Struct, tag="labelled"):
    pass


def msgspec_union():
    """A union of own tagged Structs that msgspec has decoded."""
    msgspec.convert({"type": "tagged"}, Tagged | Labelled)


def overloads():
    """Functions that typing.overload remembers."""

    @typing.overload
    def choose(value: int) -> int: ...
    @typing.overload
    def choose(value: str) -> str: ...
    def choose(value):
        return value

    choose(1)


def dataclass_transform():
    """A dataclass_transform on an overload, which typing writes onto a function of its own."""

    @typing.dataclass_transform(field_specifiers=(own,))
    @typing.overload
    def make(value: int) -> int: ...
    @typing.overload
    def make(value: str) -> str: ...
    def make(value):
        return value

    make(1)


def cache_of_a_function():
    """A cache of the host's that holds an own class as key."""
    hostlib.remembered(Own)


def cache_of_an_instance():
    """A cache of the host's that holds an own object in its result."""
    hostlib.remembered(Own())


def cache_of_a_method():
    """A cache on a method of the host's that holds an own class."""
    hostlib.Cached().remembered((Own,))


def cache_of_a_static_method():
    """A cache on a static method of the host's that holds an own class."""
    hostlib.Cached.remembered_statically((Own,))


def singledispatch_of_host():
    """An implementation registered with a generic function of the host's."""
    hostlib.describe.register(Own, own)
    assert hostlib.describe(Own()) is None


def meta_path_finder():
    """An importer on sys.meta_path."""
    sys.meta_path.append(OwnFinder())


def path_hook():
    """A hook on sys.path_hooks."""

    def hook(entry):
        raise ImportError(entry)

    sys.path_hooks.append(hook)


def gc_callback():
    """A callback of the garbage collector."""
    gc.callbacks.append(lambda phase, info: None)


def finalizer_function():
    """A weakref.finalize on an object of the host's that calls an own function."""
    weakref.finalize(hostlib.fresh(), own)


def finalizer_argument():
    """A weakref.finalize on an object of the host's that holds an own object."""
    weakref.finalize(hostlib.fresh(), print, Own())


def excepthook():
    """sys.excepthook."""
    sys.excepthook = own


def displayhook():
    """sys.displayhook."""
    sys.displayhook = own


def unraisablehook():
    """sys.unraisablehook."""
    sys.unraisablehook = own


def stdout():
    """An own stream as sys.stdout."""
    sys.stdout = OwnStream(sys.stdout)


def stderr():
    """An own stream as sys.stderr."""
    sys.stderr = OwnStream(sys.stderr)


def threading_excepthook():
    """threading.excepthook."""
    threading.excepthook = own


def signal_handler():
    """A signal handler."""
    signal.signal(signal.SIGUSR2, own)


def builtins_addition():
    """A name added to builtins."""
    builtins.pins_own = own


def builtins_patch():
    """A function of builtins written over."""
    original = builtins.ascii

    def ascii(value):
        return original(value)

    builtins.ascii = ascii


def stdin():
    """An own stream as sys.stdin."""
    sys.stdin = OwnStream(sys.stdin)


def showwarning():
    """warnings.showwarning."""
    warnings.showwarning = own


def formatwarning():
    """warnings.formatwarning."""
    warnings.formatwarning = own


def threading_trace():
    """The trace function of threads to come."""
    threading.settrace(own)


def threading_profile():
    """The profile function of threads to come."""
    threading.setprofile(own)


def profile():
    """The profile function of this thread."""
    sys.setprofile(own)


def trace():
    """The trace function of this thread."""

    def trace(frame, event, argument):
        return None

    sys.settrace(trace)


def audit_hook():
    """An audit hook."""

    def hook(event, args):
        Own.calls.append(event)

    sys.addaudithook(hook)


def logging_standard_handler():
    """A handler of a standard class on the root logger, which `logging.basicConfig` makes too."""
    logging.getLogger().addHandler(logging.NullHandler())


def warnings_standard_filter():
    """A warnings filter for a standard category."""
    warnings.filterwarnings("ignore", message="pins", category=DeprecationWarning)


def patched_function():
    """A function of the host's, wrapped."""
    original = hostlib.version

    def version(name):
        return original(name)

    hostlib.version = version


def patched_by_partial():
    """A function of the host's written over by a partial of an own one."""
    hostlib.version = functools.partial(own, hostlib.version)


def patched_by_instance():
    """A function of the host's written over by an own object."""
    hostlib.version = Own()


def patched_class():
    """A class of the host's written over by a subclass."""

    class Cached(hostlib.Cached):
        def remembered(self, value):
            return value

    hostlib.Cached = Cached


def patched_none():
    """A None of the host's written over."""
    hostlib.ON_EVENT = own


def patched_method():
    """A method of a class of the host's."""
    hostlib.Cached.remembered = lambda self, value: value


def patched_static_method():
    """A static method of a class of the host's."""
    hostlib.Cached.remembered_statically = staticmethod(own)


def patched_property():
    """A property added to a class of the host's."""
    hostlib.Cached.size = property(own)


def patched_submodule():
    """A function of a submodule that was never imported by its name."""
    json.decoder.scanstring = own


def patched_by_import_module():
    """A function of a module that was imported by importlib."""
    importlib.import_module("colorsys").rgb_to_hls = own


def added_to_module():
    """An attribute added to a module of the host's."""
    hostlib.pins_added = own


def module_made_by_hand():
    """A module put into sys.modules by hand, with an own function in it."""
    fake = types.ModuleType("pins_fake")
    fake.own = own
    sys.modules["pins_fake"] = fake


def module_instance():
    """An own object in sys.modules."""
    sys.modules["pins_object"] = Own()


def module_in_place_of_the_hosts():
    """An own object in sys.modules in the place of a library of the host's."""
    sys.modules["hostlib"] = Own()


def path_importer():
    """An own finder in the cache of path entry finders."""
    sys.path_importer_cache["pins:"] = OwnFinder()


class Pattern(str):
    __slots__ = ()


def re_pattern():
    """A pattern of an own class, compiled and matched."""
    assert re.match(Pattern("pins+"), "pinss")


def re_template():
    """A replacement of an own class."""
    assert re.sub("pins(.)", Pattern(r"\1"), "pins!") == "!"


def singledispatch_method_of_host():
    """An implementation registered with a generic method of the host's."""
    hostlib.Cached.describe.register(Own, lambda self, value: "own")
    assert hostlib.Cached().describe(Own()) == "own"


def codec_looked_up():
    """A codec that was looked up, and so is in the interpreter's cache."""

    def search(name):
        if name == "pins_codec":
            return codecs.CodecInfo(lambda text, errors="strict": (b"", 0), own, name=name)
        return None

    codecs.register(search)
    assert "text".encode("pins-codec") == b""


def last_exception():
    """The exception that the interpreter printed last."""

    def fail():
        raise ValueError("pins")

    try:
        fail()
    except ValueError as error:
        sys.last_value, sys.last_traceback, sys.last_type = error, error.__traceback__, ValueError


def lines_of_an_own_loader():
    """A source that linecache is to get from an own loader."""
    linecache.lazycache("<pins>", {"__name__": "pins", "__loader__": OwnLoader()})
