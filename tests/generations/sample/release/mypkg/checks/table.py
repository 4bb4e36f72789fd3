"""sys.modules as hosted code and the libraries that it calls see it, and the names of modules."""

import importlib
import importlib.metadata
import json
import logging
import sqlite3
import sys

import mypkg
import mypkg.checks.table as me

from . import VERSION, equal, same


def own_entry():
    """sys.modules[__name__] is the module that asks."""
    same(sys.modules[__name__].__dict__, globals())
    same(sys.modules[__name__], me)
    same(sys.modules["mypkg"], mypkg)


def get_and_contains():
    """`in`, get and a missing name behave as they do on a dict."""
    assert "mypkg.core" in sys.modules
    same(sys.modules.get("mypkg.core"), mypkg.core)
    assert "mypkg.nothere" not in sys.modules
    same(sys.modules.get("mypkg.nothere"), None)
    try:
        sys.modules["mypkg.nothere"]
    except KeyError as error:
        equal(error.args, ("mypkg.nothere",))
    else:
        raise AssertionError("no error")


def setattr_on_own_entry():
    """An attribute set on sys.modules[__name__] is a global of the module."""
    sys.modules[__name__].ADDED = 5
    equal(globals()["ADDED"], 5)


def put_and_pop():
    """A module put into sys.modules can be had back and taken out again."""
    fresh = type(sys)("mypkg.put_here")
    sys.modules["mypkg.put_here"] = fresh
    same(sys.modules["mypkg.put_here"], fresh)
    same(sys.modules.pop("mypkg.put_here"), fresh)
    assert "mypkg.put_here" not in sys.modules
    same(sys.modules.setdefault("mypkg.put_here", fresh), fresh)
    del sys.modules["mypkg.put_here"]
    same(sys.modules.pop("mypkg.put_here", None), None)


def delete_and_import_again():
    """A module taken out of sys.modules runs anew when it is imported again."""
    import mypkg.lazy14 as before

    del sys.modules["mypkg.lazy14"]
    import mypkg.lazy14 as after

    assert after is not before
    same(sys.modules["mypkg.lazy14"], after)
    equal(after.VERSION, VERSION)


def replace_later():
    """An object put under a loaded module's name is what the next import gives."""
    import mypkg.lazy15 as module

    stand_in = type(sys)("mypkg.lazy15")
    sys.modules["mypkg.lazy15"] = stand_in
    try:
        same(importlib.import_module("mypkg.lazy15"), stand_in)
        same(__import__("mypkg.lazy15", fromlist=["x"]), stand_in)
    finally:
        sys.modules["mypkg.lazy15"] = module
    same(importlib.import_module("mypkg.lazy15"), module)


def iteration():
    """Going through sys.modules shows own modules once, and never another generation's."""
    assert "mypkg.core" in list(sys.modules)
    same(dict(sys.modules)["mypkg.core"].Base, mypkg.core.Base)
    equal([m for n, m in sys.modules.items() if n == "mypkg"], [mypkg])
    equal([m for m in sys.modules.values() if m is mypkg], [mypkg])
    assert all(name in sys.modules for name in list(sys.modules) if name.startswith("mypkg"))
    assert len(sys.modules) >= len([n for n in sys.modules if n.startswith("mypkg")])


def standard_library_is_shared():
    """The standard library is the host's."""
    same(sys.modules["json"], json)
    same(sys.modules["logging"].root, logging.root)


def names_are_plain():
    """Modules, classes and loggers carry the plain names."""
    equal(__name__, "mypkg.checks.table")
    equal(mypkg.core.Base.__module__, "mypkg.core")
    equal(logging.getLogger(__name__).name, "mypkg.checks.table")
    equal(repr(__name__), "'mypkg.checks.table'")


def name_as_key():
    """A module's name compares, hashes and formats as the string that it is."""
    assert hash(__name__) == hash("mypkg.checks.table")
    assert {"mypkg.checks.table": 1}[__name__]
    equal(f"{__name__}", "mypkg.checks.table")
    equal(json.dumps({__name__: __name__}), '{"mypkg.checks.table": "mypkg.checks.table"}')


def name_is_an_exact_str():
    """A module's name is an exact str, so strict C code takes it."""
    same(type(__name__), str)
    equal(sys.intern(__name__), "mypkg.checks.table")
    sqlite3.connect(":memory:").execute("select ?", (__name__,)).connection.close()


def name_in_orjson():
    """orjson takes a module's name."""
    import orjson

    equal(orjson.dumps({"a": __name__}), b'{"a":"mypkg.checks.table"}')


def name_in_msgspec():
    """msgspec takes a module's name."""
    import msgspec

    equal(msgspec.json.encode({"a": __name__}), b'{"a":"mypkg.checks.table"}')


def name_in_yaml():
    """PyYAML takes a module's name."""
    import yaml

    equal(yaml.safe_dump([__name__]), "- mypkg.checks.table\n")


def name_in_pydantic_strict():
    """pydantic takes a module's name in strict mode."""
    import pydantic

    equal(pydantic.TypeAdapter(str).validate_python(__name__, strict=True), "mypkg.checks.table")


def name_in_tomlkit():
    """tomlkit takes a module's name."""
    import tomlkit

    equal(tomlkit.dumps({"a": __name__}), 'a = "mypkg.checks.table"\n')


def distribution_version():
    """importlib.metadata finds the own release, and the host's distributions too."""
    equal(importlib.metadata.version("mypkg-dist"), VERSION[1] + ".0")
    assert importlib.metadata.version("attrs")
