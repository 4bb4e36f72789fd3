"""What a generation adds to sys.path and sys.modules goes with it, unless somebody else may need it."""

from __future__ import annotations

import importlib
import json
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from generations.support import living, survivors

from hostcore.generations import Generation

Make = Callable[..., Generation]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Makes a generation of a package whose code that is."""
    made: list[Generation] = []
    before = list(sys.path), set(sys.modules)

    def make(body: str, name: str = "adder", release: str = "") -> Generation:
        directory = tmp_path / (release or f"release{len(made) + 1}")
        (directory / name).mkdir(parents=True, exist_ok=True)
        (directory / name / "__init__.py").write_text(body)
        made.append(Generation(name, [directory], owned={name}))
        made[-1].load(name)
        return made[-1]

    yield make
    for generation in made:
        generation.unload()
    sys.path[:] = before[0]
    for name in set(sys.modules) - before[1]:
        if name.startswith("pins_"):
            del sys.modules[name]


OWN = "import os, sys\nsys.path.insert(0, os.path.join(os.path.dirname(__file__), 'vendored'))"
PARENT = "import os, sys\nsys.path.append(os.path.dirname(os.path.dirname(__file__)))"


@pytest.mark.parametrize("code", [OWN, PARENT, "import sys\nsys.path[:] = ['/pins/elsewhere', *sys.path]"])
def test_paths_go(make: Make, code: str) -> None:
    """What was added to sys.path while the module was imported goes, the rest keeps its order."""
    before = list(sys.path)
    one = make(code)
    (added,) = set(sys.path) - set(before)
    sys.path_importer_cache[added] = None
    assert one.unload() == [("sys.path", added)]
    assert sys.path == before
    assert added not in sys.path_importer_cache


def test_own_directory_added_later(make: Make) -> None:
    """A directory inside its own package goes whenever it was added; another directory that came later stays."""
    before = list(sys.path)
    one = make(f"def add():\n    {OWN.replace(chr(10), chr(10) + '    ')}\n    sys.path.append('/pins/later')")
    one.load("adder").add()
    found = one.unload()
    assert [registry for registry, _ in found] == ["sys.path"]
    assert sys.path == [*before, "/pins/later"]


def test_paths_of_the_host_stay(make: Make) -> None:
    """What the host adds, before or after, stays, the generation's own directory too."""
    sys.path.append("/pins/host")
    one = make("import sys\nif '/pins/host' not in sys.path:\n    sys.path.append('/pins/host')")
    release = str(Path(one.load("adder").__file__).parents[1])
    sys.path += ["/pins/later", release]
    assert one.unload() == []
    assert sys.path[-3:] == ["/pins/host", "/pins/later", release]


@pytest.mark.parametrize("guard", ["", "if '/pins/shared' not in sys.path: "])
def test_paths_through_reloads(make: Make, guard: str) -> None:
    """A path that each release adds, guarded or not, is there once a release lives, and goes with the last."""
    before = list(sys.path)
    code = f"import sys\n{guard}sys.path.append('/pins/shared')"
    current = make(code)
    for _ in range(4):
        following = make(code)
        current.unload()
        assert sys.path == [*before, "/pins/shared"]
        current = following
    current.unload()
    assert sys.path == before


def test_paths_of_a_release_that_is_rolled_back(make: Make) -> None:
    """What a newer release has added goes with it; the older one's stays."""
    before = list(sys.path)
    one = make("import sys\nsys.path.append('/pins/old')")
    make("import sys\nsys.path.append('/pins/new')").unload()
    assert sys.path == [*before, "/pins/old"]
    one.unload()
    assert sys.path == before


def test_modules_made_by_hand(make: Make) -> None:
    """A module put into sys.modules by hand goes, with objects of the generation in it or without, None too."""
    one = make(
        "import sys, types\n"
        "def own(): ...\n"
        "class Own:\n"
        "    def method(self): ...\n"
        "sys.modules['pins_empty'] = types.ModuleType('pins_empty')\n"
        "sys.modules['pins_none'] = None\n"
        "sys.modules['pins_own'] = types.ModuleType('pins_own')\n"
        "sys.modules['pins_own'].own = own\n"
        "sys.modules['pins_instance'] = Own()\n"
        "sys.modules['json.pins_below'] = Own()\n"
    )
    watched = one.watch()
    assert sorted(what for registry, what in one.unload() if registry == "sys.modules") == [
        "json.pins_below", "pins_empty", "pins_instance", "pins_none", "pins_own",
    ]  # fmt: skip
    assert [name for name in sys.modules if "pins_" in name] == []
    assert survivors(watched) == []


def test_modules_added_later(make: Make) -> None:
    """What is added after the import goes if the generation made it; the host's own, made by hand too, stays."""
    one = make(
        "import sys, types\n"
        "def own(): ...\n"
        "def add():\n"
        "    sys.modules['pins_own'] = types.ModuleType('pins_own')\n"
        "    sys.modules['pins_own'].own = own\n"
    )
    one.load("adder").add()
    sys.modules["pins_hosts"] = hosts = types.ModuleType("pins_hosts")
    assert one.unload() == [("sys.modules", "pins_own")]
    assert sys.modules["pins_hosts"] is hosts


@pytest.mark.parametrize("when", ["at import", "later"])
def test_in_place_of_the_hosts(make: Make, when: str) -> None:
    """A library of the host's that was replaced in sys.modules is back, the same object."""
    replace = "import json, sys\nclass Own:\n    def method(self): ...\ndef add():\n    sys.modules['json'] = Own()\n"
    one = make(replace + ("add()" if when == "at import" else ""))
    one.load("adder").add()
    assert sys.modules["json"] is not json
    assert ("sys.modules", "json") in one.unload()
    assert sys.modules["json"] is json
    assert importlib.import_module("json") is json


def test_file_of_its_own_under_another_name(make: Make, tmp_path: Path) -> None:
    """A file of its own that the module loads by hand under another name goes too."""
    (tmp_path / "release1" / "adder").mkdir(parents=True)
    (tmp_path / "release1" / "adder" / "extra.py").write_text("VALUE = 1\n")
    one = make(
        "import importlib.util, os, sys\n"
        "file = os.path.join(os.path.dirname(__file__), 'extra.py')\n"
        "spec = importlib.util.spec_from_file_location('pins_extra', file)\n"
        "sys.modules['pins_extra'] = module = importlib.util.module_from_spec(spec)\n"
        "spec.loader.exec_module(module)\n"
    )
    assert sys.modules["pins_extra"].VALUE == 1
    assert one.unload() == [("sys.modules", "pins_extra")]
    assert "pins_extra" not in sys.modules


def test_libraries_stay(make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A library of the host's that hosted code is the first to import stays, with the parts it makes by hand."""
    library = "import sys, types\nsys.modules[__name__ + '.moves'] = moves = types.ModuleType('pins_library.moves')\n"
    (tmp_path / "pins_library.py").write_text(library)
    monkeypatch.syspath_prepend(tmp_path)
    one = make("import pins_library")
    assert one.unload() == []
    assert sys.modules["pins_library.moves"] is sys.modules["pins_library"].moves


def test_modules_through_reloads(make: Make) -> None:
    """A module that only the first of several releases has put there goes with the last."""
    code = (
        "import sys, types\nif 'pins_once' not in sys.modules: sys.modules['pins_once'] = types.ModuleType('pins_once')"
    )
    one = make(code)
    module = sys.modules["pins_once"]
    two = make(code)
    assert one.unload() == []
    assert sys.modules["pins_once"] is module
    assert two.unload() == [("sys.modules", "pins_once")]
    assert "pins_once" not in sys.modules


def test_failed_import(make: Make) -> None:
    """What a module adds before its import fails goes too."""
    before = list(sys.path)
    with pytest.raises(ZeroDivisionError):
        make(
            "import sys, types\n"
            "sys.path.append('/pins/failed')\n"
            "sys.modules['pins_failed'] = types.ModuleType('x')\n"
            "1 / 0\n"
        )
    (one,) = [g for g in _living() if g.label == "adder"]
    assert sorted(one.unload()) == [("sys.modules", "pins_failed"), ("sys.path", "/pins/failed")]
    assert sys.path == before


def _living() -> list[Any]:
    from hostcore.generations import table

    return list(table.by_id.values())


def test_path_importers(make: Make) -> None:
    """A finder of the generation's in the cache of path entry finders goes, whoever looked for the entry."""
    with living(
        make("import sys\nclass Finder:\n    def find_spec(self, *_): ...\nsys.path_importer_cache['pins:'] = Finder()")
    ) as one:
        watched = one.watch()
        assert one.unload() == [("sys.path_importer_cache", "pins:")]
        assert survivors(watched) == []
