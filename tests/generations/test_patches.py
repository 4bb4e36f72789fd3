"""What hosted code wrote over in the host's modules is as before when it goes, whoever wrote over it before or after.

The host's module is one made for each test, `shared`, which hosted code imports.
"""

from __future__ import annotations

import abc
import builtins
import collections.abc
import functools
import gc
import importlib
import sys
import textwrap
import types
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from generations.support import survivors

from hostcore.generations import Generation, patches, records

SHARED = """
DATA = {"some": "data"}
HOOK = None

def greet(name):
    return f"hello {name}"

class Base:
    def inherited(self):
        return "inherited"

class Thing(Base):
    def method(self):
        return "method"

    @staticmethod
    def static():
        return "static"

    @classmethod
    def make(cls):
        return "class"

    @property
    def value(self):
        return "value"

def wrapped(name):
    return [name]
"""
PATCHER = """
import functools
import shared

{body}
"""
WRAPPERS = {
    "global": """
        original = shared.greet
        def greet(name):
            return f"@V@({original(name)})"
        shared.greet = greet
        """,
    "imported": """
        from shared import greet as original
        shared.greet = lambda name: f"@V@({original(name)})"
        """,
    "cell": """
        def wrap(function):
            @functools.wraps(function)
            def wrapper(name):
                return f"@V@({function(name)})"
            return wrapper
        shared.greet = wrap(shared.greet)
        """,
    "default": """
        def greet(name, original=shared.greet):
            return f"@V@({original(name)})"
        shared.greet = greet
        """,
    "keyword_default": """
        def greet(name, *, original=shared.greet):
            return f"@V@({original(name)})"
        shared.greet = greet
        """,
    "partial": """
        def call(original, name):
            return f"@V@({original(name)})"
        shared.greet = functools.partial(call, shared.greet)
        """,
    "partial_keyword": """
        def call(name, original):
            return f"@V@({original(name)})"
        shared.greet = functools.partial(call, original=shared.greet)
        """,
    "instance": """
        class Wrapper:
            def __init__(self, original):
                self.original = original
            def __call__(self, name):
                return f"@V@({self.original(name)})"
        shared.greet = Wrapper(shared.greet)
        """,
    "method": """
        class Wrapper:
            def __init__(self, original):
                self.original = original
            def greet(self, name):
                return f"@V@({self.original(name)})"
        shared.greet = Wrapper(shared.greet).greet
        """,
    "class_attribute": """
        class Wrapper:
            original = staticmethod(shared.greet)
            @classmethod
            def greet(cls, name):
                return f"@V@({cls.original(name)})"
        shared.greet = Wrapper.greet
        """,
    "table": """
        originals = {"greet": [shared.greet]}
        shared.greet = lambda name: f"@V@({originals['greet'][0](name)})"
        """,
}


@pytest.fixture
def shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A module of the host's."""
    (tmp_path / "shared.py").write_text(SHARED)
    monkeypatch.syspath_prepend(tmp_path)
    yield importlib.import_module("shared")
    del sys.modules["shared"]


Make = Callable[..., Generation]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Makes a generation whose one module runs that code, and whose version is `@V@` in it."""
    made: list[Generation] = []

    def make(body: str, name: str = "patcher") -> Generation:
        directory = tmp_path / f"release{len(made) + 1}"
        directory.mkdir()
        code = PATCHER.format(body=textwrap.dedent(body)).replace("@V@", str(len(made) + 1))
        (directory / f"{name}.py").write_text(code)
        made.append(Generation(name, [directory], owned={name}))
        made[-1].load(name)
        return made[-1]

    yield make
    for generation in made:
        generation.unload()


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_one(shared: Any, make: Make, wrapper: str) -> None:
    """What one generation wrote over is the host's again, the same object."""
    before = shared.greet
    one = make(WRAPPERS[wrapper])
    assert shared.greet("you") == "1(hello you)"
    assert ("patch", "shared.greet") in one.unload()
    assert shared.greet is before


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_newer_goes(shared: Any, make: Make, wrapper: str) -> None:
    """When the newer of two goes, the older's patch is back, the same object, and goes on."""
    one = make(WRAPPERS[wrapper])
    ones = shared.greet
    two = make(WRAPPERS[wrapper])
    assert shared.greet("you") == "2(1(hello you))"
    watched = two.watch()
    two.unload()
    assert shared.greet is ones
    assert shared.greet("you") == "1(hello you)"
    assert survivors(watched) == []
    del ones
    watched = one.watch()
    one.unload()
    assert shared.greet("you") == "hello you"
    assert survivors(watched) == []


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_older_goes(shared: Any, make: Make, wrapper: str) -> None:
    """When the older of two goes, the newer's patch wraps what the older had replaced, and the older is garbage."""
    before = shared.greet
    one = make(WRAPPERS[wrapper])
    two = make(WRAPPERS[wrapper])
    twos = shared.greet
    watched = one.watch()
    one.unload()
    assert shared.greet is twos
    assert shared.greet("you") == "2(hello you)"
    assert survivors(watched) == []
    two.unload()
    assert shared.greet is before


def test_many_generations(shared: Any, make: Make) -> None:
    """Through many reloads each new generation wraps the host's function in the end, never a chain."""
    before = shared.greet
    current = make(WRAPPERS["cell"])
    for version in range(2, 20):
        following = make(WRAPPERS["cell"])
        current.unload()
        assert shared.greet("you") == f"{version}(hello you)"
        current = following
    current.unload()
    assert shared.greet is before


def test_many_living_generations(shared: Any, make: Make) -> None:
    """A wrapper is found among many living generations, and the middle one of three wrappers can go."""
    make("", "zero")
    one, two, three = (make(WRAPPERS["cell"], name) for name in ("one", "two", "three"))
    for number in range(20):
        make("from shared import wrapped", f"bystander{number}")
    assert shared.greet("you") == "4(3(2(hello you)))"
    watched = two.watch()
    two.unload()
    assert shared.greet("you") == "4(2(hello you))"
    assert survivors(watched) == []
    three.unload()
    assert shared.greet("you") == "2(hello you)"
    one.unload()
    assert shared.greet("you") == "hello you"


def test_picked_up_without_patching(shared: Any, make: Make) -> None:
    """A generation that has imported another's patch has the host's function once the other goes."""
    before = shared.greet
    one = make("shared.greet = lambda name: 'patched'")
    two = make("from shared import greet", "user")
    assert two.load("user").greet("you") == "patched"
    watched = one.watch()
    one.unload()
    assert two.load("user").greet is before
    assert survivors(watched) == []


def test_the_host_has_written_over_it(shared: Any, make: Make) -> None:
    """What the host wrote over a patch stays, and becomes what later generations give back."""
    one = make("shared.greet = lambda name: 'patched'")
    shared.greet = hosts = lambda name: "the host's"
    one.unload()
    assert shared.greet is hosts
    two = make("shared.greet = lambda name: 'patched'")
    two.unload()
    assert shared.greet is hosts


def test_the_host_has_patched_before(shared: Any, make: Make) -> None:
    """A change of the host's between two generations is what the second gives back, not what the first had found."""
    make("shared.greet = lambda name: 'patched'").unload()
    shared.greet = hosts = lambda name: "the host's"
    make("shared.greet = lambda name: 'patched'").unload()
    assert shared.greet is hosts


def test_additions_go(shared: Any, make: Make) -> None:
    """Attributes that were added are gone, those of the host's and of another generation stay."""
    one = make("shared.ones = lambda: 1\nshared.both = lambda: 1")
    two = make("shared.twos = lambda: 2\nshared.both = lambda: 2", "other")
    shared.hosts = hosts = lambda: 0
    one.unload()
    assert not hasattr(shared, "ones")
    assert (shared.both(), shared.twos(), shared.hosts) == (2, 2, hosts)
    two.unload()
    assert not hasattr(shared, "both")
    assert not hasattr(shared, "twos")
    assert shared.hosts is hosts


def test_nones_and_classes(shared: Any, make: Make) -> None:
    """A None that became a function is None again, a class that became a subclass is itself."""
    thing = shared.Thing
    one = make("shared.HOOK = lambda: 1\nclass Thing(shared.Thing):\n    def more(self): ...\nshared.Thing = Thing")
    assert shared.Thing is not thing
    watched = one.watch()
    assert sorted(what for registry, what in one.unload()) == ["shared.HOOK", "shared.Thing"]
    assert shared.HOOK is None
    assert shared.Thing is thing
    assert survivors(watched) == []


def test_data_is_not_kept(shared: Any, make: Make) -> None:
    """What was written over data stays where it is, and keeps its code: nobody has kept the data."""
    reference = weakref.ref(shared.greet)
    one = make("class Own(dict):\n    def more(self): ...\nshared.DATA = Own()")
    watched = one.watch()
    assert one.unload() == []
    assert type(shared.DATA).__name__ == "Own"
    assert "class patcher.Own" in survivors(watched)
    assert reference() is shared.greet


CLASS_PATCHES = {
    "method": "shared.Thing.method = lambda self: 'patched'",
    "static": "shared.Thing.static = staticmethod(lambda: 'patched')",
    "make": "shared.Thing.make = classmethod(lambda cls: 'patched')",
    "value": "shared.Thing.value = property(lambda self: 'patched')",
    "inherited": "shared.Thing.inherited = lambda self: 'patched'",
}


@pytest.mark.parametrize("name", CLASS_PATCHES)
def test_class_attributes(shared: Any, make: Make, name: str) -> None:
    """What was written over in a class of the host's, or over what it inherits, is as before."""
    before = dict(vars(shared.Thing))
    one = make(CLASS_PATCHES[name])
    assert vars(shared.Thing)[name] is not before.get(name)
    watched = one.watch()
    assert one.unload() == [("patch", f"shared.Thing.{name}")]
    assert dict(vars(shared.Thing)) == before
    assert survivors(watched) == []


@pytest.mark.parametrize("name", ["method", "static", "inherited"])
def test_class_attributes_wrapped_twice(shared: Any, make: Make, name: str) -> None:
    """When the older of two wrappers of a method goes, the newer wraps the host's, or what the class inherits."""
    kind = "staticmethod" if name == "static" else ""
    body = f"original = shared.Thing.{name}\nshared.Thing.{name} = {kind}(lambda *args: '@V@' + original(*args))"
    before = dict(vars(shared.Thing))
    one, two = make(body), make(body)
    assert getattr(shared.Thing(), name)() == f"21{name}"
    watched = one.watch()
    one.unload()
    assert getattr(shared.Thing(), name)() == f"2{name}"
    assert survivors(watched) == []
    two.unload()
    assert dict(vars(shared.Thing)) == before


def test_builtins(shared: Any, make: Make) -> None:
    """A builtin that was written over is itself again, in the host and in a generation made in between."""
    before = builtins.ascii
    body = "import builtins\noriginal = builtins.ascii\nbuiltins.ascii = lambda value: '@V@' + original(value)"
    try:
        one = make(body)
        two = make("def use(value): return ascii(value)", "user")
        assert two.load("user").use(1) == "11"
        watched = one.watch()
        one.unload()
        assert builtins.ascii is before
        assert two.load("user").use(1) == "1"
        assert survivors(watched) == []
    finally:
        builtins.ascii = before


def test_held_before_it_came(shared: Any, make: Make) -> None:
    """What the host had taken from a generation before that ever imported the module is left alone."""
    one = make("def own(): ...\ndef touch():\n    import late_host\n    late_host.added = own")
    late: Any = types.ModuleType("late_host")
    late.mine = one.load("patcher").own
    sys.modules["late_host"] = late
    try:
        one.load("patcher").touch()
        one.unload()
        assert callable(late.mine)
        assert not hasattr(late, "added")
    finally:
        del sys.modules["late_host"]


def test_not_reached_by_import(shared: Any, make: Make) -> None:
    """A patch of a module that a generation never imported stays; later generations know it for no one's original."""
    before = shared.greet
    stranger: Any = types.ModuleType("stranger")
    stranger.greet = before
    sys.modules["stranger"] = stranger
    try:
        one = make("import sys\ndef own(name): return 'patched'\nsys.modules['stranger'].greet = own")
        two = make("import stranger", "user")
        watched = one.watch()
        one.unload()
        assert stranger.greet("you") == "patched"
        assert survivors(watched) != []
        two.unload()
        stranger.greet = before
        assert survivors(watched) == []
    finally:
        del sys.modules["stranger"]


def test_submodules(make: Make, shared: Any) -> None:
    """Submodules are undone too: reached as attributes, imported by name, or by importlib."""
    import json.decoder
    import xml.dom.minidom

    before = json.decoder.scanstring, xml.dom.minidom.parse, xml.dom.minidom.Node
    one = make(
        "import json, importlib, xml.dom.minidom\n"
        "def own(*_): ...\n"
        "json.decoder.scanstring = own\n"
        "importlib.import_module('.minidom', 'xml.dom').parse = own\n"
        "xml.dom.minidom.Node = own\n"
    )
    assert {what for _, what in one.unload()} == {
        "json.decoder.scanstring", "xml.dom.minidom.parse", "xml.dom.minidom.Node",
    }  # fmt: skip
    assert (json.decoder.scanstring, xml.dom.minidom.parse, xml.dom.minidom.Node) == before


def test_a_hosts_module_that_goes(make: Make, shared: Any) -> None:
    """The record of a module of the host's does not keep it alive, and its new copy has a record of its own."""
    make("shared.greet = lambda name: 'patched'").unload()
    reference = weakref.ref(shared)
    known = len(patches._records)
    sys.modules["shared"] = fresh = types.ModuleType("shared")
    exec(SHARED, vars(fresh))
    two = make("shared.greet = lambda name: 'patched'")
    assert len(patches._records) == known + 1
    two.unload()
    assert fresh.greet("you") == "hello you"
    assert reference() is shared


def test_a_process_keeps_one_record(make: Make, shared: Any) -> None:
    """However many generations touch a module, there is one record of it, and none of their objects in it."""
    first = make(WRAPPERS["cell"])
    count = len(patches._records)
    for _ in range(20):
        second = make(WRAPPERS["cell"])
        first.unload()
        first = second
    first.unload()
    assert len(patches._records) == count
    assert records.layered == []
    gc.collect()


def test_registered_with_a_shared_abc(make: Make, shared: Any) -> None:
    """A registration with an ABC of the host's, and what its caches know of it, is gone with the class."""
    before = [len(part) for part in abc._get_dump(collections.abc.Sequence)[:3]]  # type: ignore[attr-defined]
    one = make(
        "import collections.abc\n"
        "class Own:\n"
        "    def method(self): ...\n"
        "class Other:\n"
        "    def method(self): ...\n"
        "collections.abc.Sequence.register(Own)\n"
        "assert isinstance(Own(), collections.abc.Sequence)\n"
        "assert not isinstance(Other(), collections.abc.Sequence)\n"
    )
    dump = abc._get_dump(collections.abc.Sequence)[:3]  # type: ignore[attr-defined]
    assert [len(part) for part in dump] != before
    watched = one.watch()
    del dump
    one.unload()
    assert survivors(watched) == []
    after = abc._get_dump(collections.abc.Sequence)[:3]  # type: ignore[attr-defined]
    assert [reference for part in after for reference in part if reference() is None] == []
    assert len(after[0]) == before[0]


def test_caches_of_the_host(make: Make, shared: Any) -> None:
    """A function of the host's written over by a cached own one is undone as well."""
    shared.wrapped = functools.cache(shared.wrapped)
    before = shared.wrapped
    one = make("shared.wrapped = functools.cache(lambda name: 'patched')")
    watched = one.watch()
    one.unload()
    assert shared.wrapped is before
    assert survivors(watched) == []
