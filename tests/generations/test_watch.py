"""What a generation says of itself: its names, its modules and what must die with it."""

from __future__ import annotations

import types
import weakref
from pathlib import Path

from generations.support import PRIVATE, Sample, living, tiny

from hostcore.generations import Generation


def test_watch_names_everything(tmp_path: Path) -> None:
    """watch() lists each module, class and function of the generation once, with a weak reference."""
    with living(Generation("tiny", [tiny(tmp_path, "1")])) as generation:
        module = generation.load("tiny")
        watched = generation.watch()
        assert sorted((kind, name) for kind, name, _ in watched) == [
            ("class", "tiny.Thing"),
            ("function", "tiny.late"),
            ("module", "tiny"),
        ]
        assert {type(ref) for *_, ref in watched} == {weakref.ref}
        assert {id(ref()) for *_, ref in watched} == {id(module), id(module.Thing), id(module.late)}


def test_watch_looks_into_classes(sample: Sample) -> None:
    """watch() reaches nested classes, methods, properties and wrapped functions, and nothing of others."""
    code = (
        "import functools, json\n"
        "from json import dumps, JSONEncoder\n"
        "class Outer(JSONEncoder):\n"
        "    class Inner:\n"
        "        @staticmethod\n"
        "        def static(): ...\n"
        "        @classmethod\n"
        "        def made(cls): ...\n"
        "        @property\n"
        "        def value(self): ...\n"
        "    @functools.cache\n"
        "    def cached(self): ...\n"
    )
    with living(Generation("mypkg", [sample.v1], owned={"onlyprivate"})) as generation:
        exec(code, vars(generation.load("onlyprivate")))
        names = {name for _, name, _ in generation.watch()}
        inner = {f"onlyprivate.Outer.Inner{tail}" for tail in ("", ".static", ".made", ".value")}
        assert names == {"onlyprivate", "onlyprivate.K", "onlyprivate.Outer", "onlyprivate.Outer.cached", *inner}


def test_modules_is_its_own_table(sample: Sample) -> None:
    """modules maps plain names to the generation's module objects, private ones included, and to nothing else."""
    with living(Generation("mypkg", [sample.v1], private=PRIVATE)) as generation:
        root = generation.load("mypkg")
        generation.load("onlyprivate")
        assert generation.modules["mypkg"] is root
        assert generation.modules["mypkg.core"] is root.core
        assert {type(module) for module in generation.modules.values()} == {types.ModuleType}
        assert {name.partition(".")[0] for name in generation.modules} == {"mypkg", "onlyprivate"}
        assert all(name == module.__name__ for name, module in generation.modules.items())


def test_owned_names(sample: Sample) -> None:
    """A generation owns what its directories hold: packages, modules and its part of a namespace; nothing of others."""
    with living(Generation("mypkg", [sample.v1], private=PRIVATE)) as generation:
        owned = ("mypkg", "mypkg.sub.deep", "mypkg.nothere", "privdep", "onlyprivate", "nsp.own", "nsp")
        assert [name for name in owned if not generation.owns(name)] == []
        others = ("nsp.other", "json", "mypkg_dist", "mypkgs", "hostlib", "my")
        assert [name for name in others if generation.owns(name)] == []
        assert [name for name in owned if generation.is_private(name)] == ["privdep", "onlyprivate"]


def test_standard_library_is_never_owned(tmp_path: Path) -> None:
    """A file named as a module of the standard library is not owned: the library is the host's."""
    (tmp_path / "json.py").write_text("WRONG = True\n")
    (tmp_path / "fine.py").write_text("import json\n")
    with living(Generation("fine", [tmp_path])) as generation:
        assert not generation.owns("json")
        assert not hasattr(generation.load("fine").json, "WRONG")


def test_load_returns_the_module_named(tmp_path: Path) -> None:
    """load gives the module of exactly that name, the same each time, with its parents loaded and bound."""
    with living(Generation("tiny", [tiny(tmp_path, "1")])) as generation:
        part = generation.load("tiny.part")
        assert part.__name__ == "tiny.part"
        assert generation.load("tiny.part") is part is generation.load("tiny").part
        assert list(generation.modules) == ["tiny", "tiny.part"]


def test_identity(tmp_path: Path) -> None:
    """A generation has a label, a number that grows, a telling repr, and is alive until its unload."""
    with (
        living(Generation("first", [tiny(tmp_path, "1")])) as first,
        living(Generation("second", [tiny(tmp_path, "2")])) as second,
    ):
        assert (first.label, second.label) == ("first", "second")
        assert first.id < second.id
        assert "first" in repr(first)
        assert str(first.id) in repr(first)
        assert first.alive
        first.unload()
        assert not first.alive
        assert second.alive
