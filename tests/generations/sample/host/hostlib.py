"""A library of the host's, shared by all generations: what it asks for, it asks for as the host."""

import atexit
import functools
import importlib
import sys


def stmt():
    import privdep

    return privdep.VERSION


def from_():
    from privdep import VERSION, sub

    assert sub
    return VERSION


def by_name(name):
    return importlib.import_module(name)


def builtin(name):
    __import__(name)
    return sys.modules[name]


def optional():
    try:
        import onlyprivate
    except ImportError:
        return False
    return bool(onlyprivate)


def version(name):
    import importlib.metadata

    return importlib.metadata.version(name)


def hints():
    import typing

    import privdep

    return typing.get_type_hints(privdep.Annotated)["own"] == privdep.HostOnly | None


@functools.singledispatch
def describe(value):
    return "host"


@functools.lru_cache(maxsize=16)
def remembered(value):
    return [value]


class Cached:
    @functools.lru_cache(maxsize=16)
    def remembered(self, value):
        return [value]

    @staticmethod
    @functools.lru_cache(maxsize=16)
    def remembered_statically(value):
        return [value]

    @functools.singledispatchmethod
    def describe(self, value):
        return "host"


KEPT = []
ON_EVENT = None


def fresh():
    """Return an object that the host keeps."""
    KEPT.append(Cached())
    return KEPT[-1]


def at_exit(function):
    atexit.register(function)


def swallow(function):
    """Call `function` and forget what it raises."""
    try:
        function()
    except Exception:
        return True
    return False
