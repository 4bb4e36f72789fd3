"""What holds a generation weakly, or holds it only through itself: it dies without help."""

import abc
import collections.abc
import contextvars
import copy
import dataclasses
import functools
import json
import pickle
import sys
import threading
import typing
import warnings

import attrs
import hostlib
import msgspec
import pydantic

from . import Own, own

_T = typing.TypeVar("_T")


class OwnWarning(UserWarning):
    pass


class OnDemand:
    """Makes up its attributes, and fails."""

    def __getattr__(self, name):
        raise LookupError(name)


def abc_register():
    """A class registered on an ABC, and asked about."""
    collections.abc.Sized.register(Own)
    assert isinstance(Own(), collections.abc.Sized)
    assert not isinstance(Own(), collections.abc.Callable)


def subclass_of_host():
    """A subclass of a class of the host's."""

    class Sub(hostlib.Cached):
        pass

    assert Sub in hostlib.Cached.__subclasses__()


def own_abc():
    """An ABC of its own with a virtual subclass of the host's."""

    class Abstract(abc.ABC):
        pass

    Abstract.register(hostlib.Cached)
    assert issubclass(hostlib.Cached, Abstract)


def typing_caches():
    """Subscriptions of typing's generics with own classes."""

    class Box(typing.Generic[_T]):
        pass

    assert Box[Own] and typing.Optional[Own] and typing.Callable[[Own], Own] and list[Own]  # noqa: UP045


def dataclass():
    """A dataclass, its fields, and a copy of an instance."""

    @dataclasses.dataclass
    class Point:
        x: "int" = 0
        own: "Own | None" = None

    assert typing.get_type_hints(Point, None, {"Own": Own})
    assert copy.deepcopy(Point(1)) == Point(1)


def models():
    """Models of pydantic, msgspec and attrs."""

    class Model(pydantic.BaseModel):
        x: int = 0

    class Struct(msgspec.Struct):
        x: int = 0

    @attrs.define
    class Class:
        x: int = 0

    assert Model(x=1).model_dump_json() == '{"x":1}'
    assert msgspec.json.decode(b'{"x":1}', type=Struct) == Struct(1)
    assert attrs.asdict(Class(1)) == {"x": 1}


def pickled():
    """Objects pickled and read back."""
    assert type(pickle.loads(pickle.dumps(Own()))) is Own


def encoded():
    """A JSON encoder with an own default."""
    assert json.dumps(Own(), default=lambda value: 1) == "1"


def own_singledispatch():
    """A singledispatch function of its own, called with a class of the host's."""

    @functools.singledispatch
    def describe(value):
        return "any"

    describe.register(hostlib.Cached, lambda value: "cached")
    assert describe(hostlib.Cached()) == "cached"


def own_cache():
    """A cache of its own that holds an own class."""

    @functools.cache
    def remembered(value):
        return [value]

    remembered(Own)


def finished_thread():
    """A thread that has run its code and ended."""
    thread = threading.Thread(target=own)
    thread.start()
    thread.join()


def context_variable():
    """A context variable set in a context that is gone."""
    variable = contextvars.ContextVar("pins.variable")
    contextvars.copy_context().run(variable.set, Own())


def raised():
    """An exception that was raised and handled."""
    try:
        raise type("OwnError", (Exception,), {"__module__": __name__})(Own())
    except Exception as error:
        assert error.args


def caught_by_the_host():
    """An own exception that went through a library of the host's."""

    class OwnError(Exception):
        pass

    def fail():
        raise OwnError(Own())

    assert hostlib.swallow(fail)


def ignored_warning():
    """A warning of its own that it ignores for a while: C code remembers the filters of the last warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", OwnWarning)
        warnings.warn("ignored", OwnWarning, stacklevel=1)


def attributes_on_demand():
    """An object that answers for every attribute, or fails: nobody asks it."""
    vars(sys.modules[__name__])["on_demand"] = OnDemand()
