"""Classes and functions whose annotations, pickles or sources are found by their module's name."""
# ruff: noqa: UP045 - Optional[...] is what the hints resolve to

import collections.abc
import copy
import dataclasses
import inspect
import os
import pickle
import shelve
import tempfile
import traceback
import typing
import warnings

import mypkg
from mypkg import models

from . import HERE, equal, same


def dataclass_classvar():
    """dataclasses sees that an annotation in a string is a ClassVar."""
    equal([field.name for field in dataclasses.fields(models.Node)], ["name", "kid"])


def type_hints():
    """typing.get_type_hints finds the own generation's classes."""
    equal(typing.get_type_hints(models.Node)["kid"], typing.Optional[models.Leaf])
    equal(typing.get_type_hints(models.TD)["leaf"], models.Leaf)
    equal(typing.get_type_hints(models.NT)["b"], typing.Optional[models.Leaf])
    equal(typing.get_type_hints(models.G.m)["return"], models.Node)


def msgspec_forward_reference():
    """msgspec resolves a forward reference to the own generation's class."""
    import msgspec

    same(type(msgspec.json.decode(b'{"kid":{"v":1}}', type=models.S).kid), models.SLeaf)


def attrs_forward_reference():
    """attrs resolves a forward reference to the own generation's class."""
    import attrs

    attrs.resolve_types(models.At)
    same(attrs.fields(models.At).kid.type, models.Leaf)


def pydantic_forward_reference():
    """pydantic resolves a forward reference to the own generation's class."""
    models.P.model_rebuild()
    same(type(models.P(kid={"v": 1}).kid), models.PLeaf)


def pickle_in_c():
    """The C pickler takes objects there and back to the very same classes, by every protocol."""
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        for value in models.samples():
            _same_kind(pickle.loads(pickle.dumps(value, protocol)), value)


def pickle_in_python():
    """The Python pickler takes objects there and back to the very same classes."""
    for value in models.samples():
        _same_kind(pickle._loads(pickle._dumps(value)), value)


def _same_kind(copied, value):
    same(type(copied), type(value))
    if isinstance(value, type):
        same(copied, value)


def pickle_holds_plain_names():
    """A pickle holds plain names, so that any generation and any process can read it."""
    pickled = pickle.dumps(models.Leaf(), 0)
    assert b"hostcore" not in pickled, pickled
    assert b"mypkg.models" in pickled, pickled


def shelf():
    """An object comes back from a shelf as its own generation's class."""
    with tempfile.TemporaryDirectory() as directory:
        with shelve.open(f"{directory}/x") as store:
            store["a"] = models.Leaf(4)
        with shelve.open(f"{directory}/x") as store:
            same(type(store["a"]), models.Leaf)


def deepcopy():
    """copy.deepcopy keeps the classes."""
    for value in models.samples():
        same(type(copy.deepcopy(value)), type(value))


def source():
    """inspect finds the own release's source of classes and functions."""
    assert "class Node" in inspect.getsource(models.Node)
    assert "def helper" in inspect.getsource(mypkg.core.helper)
    equal(inspect.getfile(models.Node), models.__file__)


def module_of_a_class():
    """inspect.getmodule finds the own generation's module."""
    same(inspect.getmodule(models.Node).__dict__, models.__dict__)


def traceback_lines():
    """A traceback shows the own release's file, line number and source line, and no machinery between."""
    try:
        import mypkg.boom  # noqa: F401
    except ValueError as error:
        frames = traceback.extract_tb(error.__traceback__)
    else:
        raise AssertionError("boom did not raise")
    last = frames[-1]
    equal((os.path.basename(last.filename), last.lineno, last.line), ("boom.py", 2, 'raise ValueError("x")'))
    equal([os.path.basename(frame.filename) for frame in frames], ["classes.py", "boom.py", "boom.py"])
    equal(os.path.dirname(last.filename), HERE)


def warning_stacklevel():
    """A warning with stacklevel=2 at import points at the line that imports."""
    import sys

    sys.modules.pop("mypkg.warner", None)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        import mypkg.warner  # noqa: F401
    equal(os.path.basename(caught[0].filename), "classes.py")


def init_subclass():
    """__init_subclass__ of the own generation's base sees new subclasses."""
    from mypkg.core import Base

    before = len(Base.subs)

    class Fresh(Base):
        def go(self): ...

    equal(len(Base.subs), before + 1)
    assert Fresh()


def abc_register():
    """A class registered on an own ABC is an instance of it."""

    class Virtual:
        pass

    mypkg.core.Base.register(Virtual)
    assert isinstance(Virtual(), mypkg.core.Base)
    assert isinstance([], collections.abc.Sequence)
