"""A load that fails leaves nothing behind, and says why in Python's own words."""

from __future__ import annotations

import sys
import traceback
from pathlib import Path
from typing import Any

import pytest
from generations.support import Sample, Surroundings, living, tiny

from hostcore.generations import Generation, installed

RELATED = ("bad", "tiny")


def package(root: Path, **files: str) -> Generation:
    """Write package `bad` with the given modules (`init` is the package itself), and return a generation of it."""
    (root / "bad").mkdir()
    for name, text in {"init": "", **files}.items():
        (root / "bad" / f"{'__init__' if name == 'init' else name}.py").write_text(text)
    return Generation("bad", [str(root)])


def nothing_left(generation: Generation) -> None:
    """Fail if a module of `generation` is anywhere."""
    assert generation.modules == {}
    assert [name for name in sys.modules if name.partition(".")[0] in RELATED] == []


FAILURES: dict[str, tuple[str, Any]] = {
    "raises": ("1 / 0", ZeroDivisionError),
    "exits": ("raise SystemExit(3)", SystemExit),
    "interrupted": ("raise KeyboardInterrupt", KeyboardInterrupt),
    "own base exception": ("class Stop(BaseException): pass\nraise Stop", BaseException),
    "missing dependency": ("import bad_dependency", ModuleNotFoundError),
    "missing module": ("from . import gone", ImportError),
    "missing module by name": ("import bad.gone", ModuleNotFoundError),
    "missing name": ("from .child import gone", ImportError),
    "syntax": ("def", SyntaxError),
    "null byte": ("x = '\\0'".replace("\\0", "\0"), (SyntaxError, ValueError)),
    "circular name": ("from .circle import late", ImportError),
}


@pytest.mark.parametrize("failure", FAILURES)
def test_failing_load_leaves_nothing(tmp_path: Path, failure: str) -> None:
    """Whatever a package raises comes out of load as it is; neither it nor its loaded children are left."""
    body, error = FAILURES[failure]
    circle = "from . import late\n"
    generation = package(tmp_path, init=f"from . import child\n{body}\n", child="A = 1\n", circle=circle)
    before = sys.modules
    with living(generation):
        with pytest.raises(error) as caught:
            generation.load("bad")
        nothing_left(generation)
        del caught
    assert installed() == []
    assert sys.modules is before


def test_system_exit_keeps_its_code(tmp_path: Path) -> None:
    """SystemExit from an import is raised by load with the code that the module gave."""
    with living(package(tmp_path, init="import sys\nsys.exit('leaving')\n")) as generation:
        with pytest.raises(SystemExit) as caught:
            generation.load("bad")
        assert caught.value.code == "leaving"
        nothing_left(generation)


def test_failing_subpackage_takes_its_children_along(sample: Sample) -> None:
    """A subpackage that fails is removed with its loaded children; the rest of the generation stays."""
    with living(Generation("mypkg", [sample.v1], owned={"mypkg"})) as generation:
        root = generation.load("mypkg")
        loaded = set(generation.modules)
        with pytest.raises(ValueError, match="half way"):
            generation.load("mypkg.half")
        assert set(generation.modules) == loaded
        assert not hasattr(root, "half")
        assert "mypkg.half" not in sys.modules
        assert "mypkg.half.child" not in sys.modules
        assert root.helper() == "v1"


def test_exit_in_a_late_import(sample: Sample) -> None:
    """A module that wants to leave while imported late leaves the generation whole."""
    with living(Generation("mypkg", [sample.v1], owned={"mypkg"})) as generation:
        root = generation.load("mypkg")
        with pytest.raises(SystemExit):
            generation.load("mypkg.quits")
        assert "mypkg.quits" not in generation.modules
        assert not hasattr(root, "quits")


def test_failing_second_generation_leaves_the_first(tmp_path: Path, sample: Sample) -> None:
    """A new generation that fails to load leaves the published one as it was, for itself and for the host."""
    (tmp_path / "mypkg").mkdir()
    (tmp_path / "mypkg" / "__init__.py").write_text("from . import core\nimport mypkg.gone\n")
    (tmp_path / "mypkg" / "core.py").write_text("")
    with living(Generation("mypkg", [sample.v1], owned={"mypkg"})) as first:
        root = first.load("mypkg")
        first.publish()
        with living(Generation("mypkg", [tmp_path])) as second:
            with pytest.raises(ModuleNotFoundError) as caught:
                second.load("mypkg")
            assert caught.value.name == "mypkg.gone"
            assert second.modules == {}
            assert root.helper() == sys.modules["mypkg.core"].helper() == "v1"
        assert sys.modules["mypkg"] is root
        assert sys.modules["mypkg.core"] is root.core


def test_load_can_be_tried_again(tmp_path: Path) -> None:
    """The same generation loads once the file is mended."""
    with living(package(tmp_path, init="from .child import A\n", child="1 / 0\n")) as generation:
        with pytest.raises(ZeroDivisionError):
            generation.load("bad")
        (tmp_path / "bad" / "child.py").write_text("A = 1\n")
        assert generation.load("bad").A == 1


def test_load_after_unload(tmp_path: Path) -> None:
    """An unloaded generation loads nothing any more, and says so by an ImportError that names module and generation."""
    generation = Generation("tiny", [tiny(tmp_path, "1")])
    module = generation.load("tiny")
    assert generation.alive
    generation.unload()
    assert not generation.alive
    with pytest.raises(ImportError, match="unloaded") as caught:
        generation.load("tiny.part")
    assert caught.value.name == "tiny.part"
    assert repr(generation) in str(caught.value)
    with pytest.raises(ImportError):
        module.late()
    assert installed() == []


def test_unload_twice(tmp_path: Path) -> None:
    """A second unload finds nothing and does nothing."""
    generation = Generation("tiny", [tiny(tmp_path, "1")])
    generation.load("tiny")
    generation.unload()
    with living(Generation("tiny", [tiny(tmp_path, "2")])) as other:
        other.load("tiny")
        assert generation.unload() == []
        assert sys.modules["tiny"] is other.modules["tiny"]


def test_unload_of_what_never_loaded(tmp_path: Path) -> None:
    """A generation that never loaded anything unloads without a trace."""
    before = Surroundings.now()
    assert Generation("tiny", [tiny(tmp_path, "1")]).unload() == []
    assert before.changes(Surroundings.now()) == []


def test_old_code_does_not_reach_the_new_generation(tmp_path: Path) -> None:
    """Code of an unloaded generation gets an error from its late imports, never another generation's module."""
    first = Generation("tiny", [tiny(tmp_path, "1")])
    late = first.load("tiny").late
    first.unload()
    with living(Generation("tiny", [tiny(tmp_path, "2")])) as second:
        second.load("tiny.part")
        second.publish()
        with pytest.raises(ImportError, match="unloaded"):
            late()


@pytest.mark.parametrize("name", ["tiny.nothere", "tiny.part.deeper", "nothere", ""])
def test_names_that_are_not_there(tmp_path: Path, name: str) -> None:
    """Loading what the generation does not hold is an error in the words of Python, and leaves nothing."""
    with living(Generation("tiny", [tiny(tmp_path, "1")])) as generation:
        with pytest.raises((ModuleNotFoundError, ValueError)) as caught:
            generation.load(name)
        assert name in str(caught.value)
        assert name not in generation.modules


def test_failing_path(tmp_path: Path) -> None:
    """A directory that is not there is an error when the generation is made, and nothing is registered."""
    with pytest.raises(FileNotFoundError):
        Generation("tiny", [tmp_path / "nowhere"])
    assert installed() == []


def test_traceback_shows_the_module_only(tmp_path: Path) -> None:
    """The traceback of a failing load shows the caller and the module's own lines, no machinery of imports."""
    with living(package(tmp_path, init="from . import child\n", child="\n1 / 0\n")) as generation:
        with pytest.raises(ZeroDivisionError) as caught:
            generation.load("bad")
        frames = [(Path(f.filename).name, f.lineno) for f in traceback.extract_tb(caught.value.__traceback__)]
    assert frames[-2:] == [("__init__.py", 1), ("child.py", 2)]
    assert [name for name, _ in frames if "importlib" in name] == []
