"""Generations leave the process as it is, as far and as long as they can."""

from __future__ import annotations

import atexit
import importlib
import importlib.machinery
import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
from generations.support import PRIVATE, Sample, Surroundings, forget, living, tiny

from hostcore.generations import Generation, installed


@pytest.fixture
def one(tmp_path: Path) -> str:
    """The directory of release "1" of tiny."""
    return tiny(tmp_path, "1")


@pytest.fixture
def two(tmp_path: Path) -> str:
    """The directory of release "2" of tiny."""
    return tiny(tmp_path, "2")


FRESH_PROCESS = """
import atexit, builtins, codecs, importlib, os, sys
before = (sys.modules, builtins.__import__, importlib.import_module, atexit.register, atexit.unregister,
          codecs.register, codecs.register_error, os.register_at_fork)
finders = list(sys.meta_path)
from hostcore.generations import Generation, installed
def same():
    now = (sys.modules, builtins.__import__, importlib.import_module, atexit.register, atexit.unregister,
           codecs.register, codecs.register_error, os.register_at_fork)
    return all(a is b for a, b in zip(before, now)) and sys.meta_path == finders and type(sys.modules) is dict
assert same() and installed() == [], installed()
generations = [Generation("tiny", [path]) for path in sys.argv[1:]]
for generation in generations:
    generation.load("tiny").late()
assert installed() != [] and not same()
for generation in generations:
    generation.unload()
assert same() and installed() == [], installed()
assert not [name for name in sys.modules if name.startswith("tiny")]
print("clean")
"""


def test_fresh_process(one: str, two: str) -> None:
    """Importing the library installs nothing, and the last unload puts the originals back."""
    run = subprocess.run([sys.executable, "-W", "error", "-c", FRESH_PROCESS, one, two], capture_output=True, text=True)
    assert (run.returncode, run.stdout, run.stderr) == (0, "clean\n", "")


def test_living_generations_at_exit(one: str, two: str) -> None:
    """A process that ends with living generations ends quietly, and runs their exit handlers once."""
    code = (
        "import sys\nfrom hostcore.generations import Generation\n"
        "for path in sys.argv[1:]:\n"
        "    module = Generation('tiny', [path]).load('tiny')\n"
        "    exec('import atexit; atexit.register(print, VERSION)', vars(module))\n"
    )
    run = subprocess.run([sys.executable, "-W", "error", "-c", code, one, two], capture_output=True, text=True)
    assert (run.returncode, run.stdout, run.stderr) == (0, "2\n1\n", "")


def test_installed_names_what_is_there(one: str, two: str) -> None:
    """installed() lists what is in the process, more while a name is contested, and nothing in the end."""
    before = Surroundings.now()
    with living(Generation("tiny", [one])) as first:
        first.load("tiny")
        single = installed()
        assert single
        assert all(isinstance(line, str) for line in single)
        with living(Generation("tiny", [two])) as second:
            second.load("tiny")
            assert set(single) < set(installed())
        assert installed() == single
    assert installed() == []
    assert before.changes(Surroundings.now()) == []


def test_one_owner_is_plain(one: str) -> None:
    """With one owner sys.modules is the interpreter's dict and holds the module itself; names are exact strings."""
    modules = sys.modules
    with living(Generation("tiny", [one])) as generation:
        module = generation.load("tiny")
        assert sys.modules is modules
        assert type(sys.modules) is dict
        assert sys.modules["tiny"] is module is generation.modules["tiny"]
        assert type(module) is type(sys)
        assert type(module.__name__) is type(module.Thing.__module__) is type(module.late.__module__) is str


def test_one_owner_is_the_hosts_too(one: str) -> None:
    """With one owner the host imports the generation's modules, in every way, and loads the missing ones into it."""
    with living(Generation("tiny", [one])) as generation:
        module = generation.load("tiny")
        import tiny  # type: ignore[import-not-found]
        import tiny.other as other  # type: ignore[import-not-found]
        from tiny import part

        assert tiny is module
        assert tiny.other is other is generation.modules["tiny.other"] is sys.modules["tiny.other"]
        assert part is tiny.part is importlib.import_module("tiny.part") is generation.load("tiny.part")
        assert importlib.reload(part) is part
        assert importlib.util.find_spec("tiny").origin == module.__file__  # type: ignore[union-attr]
        assert module.late() == "1"
    assert not [name for name in sys.modules if name.partition(".")[0] == "tiny"]
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("tiny")


def test_loaded_before_published_by_nobody(one: str) -> None:
    """A host's import alone loads a package of which a living generation is the one owner."""
    with living(Generation("tiny", [one])) as generation:
        tiny_package = importlib.import_module("tiny")
        assert tiny_package is generation.modules["tiny"]


@pytest.mark.parametrize("unloaded_first", [0, 1])
def test_second_owner_comes_and_goes(one: str, two: str, unloaded_first: int) -> None:
    """When one of two owners goes away, whichever, the other is plain again."""
    generations = [Generation("tiny", [one]), Generation("tiny", [two])]
    try:
        for generation in generations:
            generation.load("tiny")
        assert [generation.load("tiny").late() for generation in generations] == ["1", "2"]
        leaving, staying = generations[unloaded_first], generations[1 - unloaded_first]
        leaving.unload()
        import tiny
        from tiny import other

        assert type(sys.modules) is dict
        assert sys.modules["tiny"] is tiny is staying.modules["tiny"]
        assert sys.modules["tiny.part"] is tiny.part is staying.modules["tiny.part"]
        assert other is staying.modules["tiny.other"]
    finally:
        for generation in generations:
            generation.unload()


def test_classes_are_plain_again(one: str, two: str) -> None:
    """When one of two owners goes away, the other's classes carry exact strings again."""
    with living(Generation("tiny", [one])) as first:
        thing = first.load("tiny").Thing
        with living(Generation("tiny", [two])) as second:
            second.load("tiny")
            assert thing.__module__ == "tiny"
        assert type(thing.__module__) is str


def test_second_owner_loads_less(one: str, two: str) -> None:
    """A module that only the first of two owners has loaded is whole again when the second goes."""
    with living(Generation("tiny", [one])) as first:
        first.load("tiny.other")
        with living(Generation("tiny", [two])) as second:
            second.load("tiny.part")
            second.publish()
            assert importlib.import_module("tiny.part").VERSION == "2"
        assert type(sys.modules) is dict
        assert sorted(name for name in sys.modules if name.startswith("tiny")) == ["tiny", "tiny.other"]
        assert importlib.import_module("tiny.part").VERSION == "1"


def test_unrelated_names_are_plain(sample: Sample, one: str, two: str) -> None:
    """While other names are contested, a name with one owner is still itself in sys.modules."""
    with (
        living(Generation("tiny", [one])) as first,
        living(Generation("tiny", [two])) as second,
        living(Generation("mypkg", [sample.v1], owned={"mypkg"})) as third,
    ):
        first.load("tiny")
        second.load("tiny")
        module = third.load("mypkg")
        assert sys.modules["mypkg"] is module
        assert type(module.Base.__module__) is str
        assert sys.modules["json"] is importlib.import_module("json")


def test_foreign_entries_of_sys_modules_stay(one: str, two: str) -> None:
    """What the host puts into sys.modules while names are contested is there afterwards."""
    with living(Generation("tiny", [one])) as first, living(Generation("tiny", [two])) as second:
        first.load("tiny")
        second.load("tiny")
        sys.modules["tiny_neighbour"] = sys
    assert sys.modules.pop("tiny_neighbour") is sys


def test_changes_made_meanwhile_are_kept(one: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A finder or a wrapper that the host installs while generations live survives the last unload."""

    class Finder:
        @staticmethod
        def find_spec(name: str, path: object = None, target: object = None) -> None:
            return None

    monkeypatch.setattr(sys, "meta_path", sys.meta_path[:])
    with living(Generation("tiny", [one])) as generation:
        generation.load("tiny")
        sys.meta_path.insert(0, Finder)
    assert sys.meta_path[0] is Finder
    assert installed() == []


def test_private_copy_first_hosts_copy_later(sample: Sample) -> None:
    """The host can import its own copy of a name after a generation has loaded a private one."""
    forget()
    with living(Generation("mypkg", [sample.v1], private=PRIVATE)) as generation:
        own = generation.load("privdep")
        import privdep  # type: ignore[import-not-found]

        assert privdep is not own
        assert (privdep.VERSION, own.VERSION) == ("host", "v1")
        assert sys.modules["privdep"] is privdep
        assert generation.load("privdep") is own
    assert sys.modules["privdep"] is privdep
    forget()


def test_one_extension_for_two_generations(sample: Sample) -> None:
    """Two generations of one release share its extension module, which gets each caller's modules."""
    if sample.without_extensions:
        pytest.skip(sample.without_extensions)
    with (
        living(Generation("a", [sample.v1], owned={"mypkg"})) as first,
        living(Generation("b", [sample.v1], owned={"mypkg"})) as second,
    ):
        assert first.load("mypkg._multi") is second.load("mypkg._multi")
        for generation in (first, second):
            generation.load("mypkg.checks.extensions").multi_phase()


def test_the_python_twin_of_an_extension(sample: Sample, tmp_path: Path) -> None:
    """A Python file beside an extension module of the same name is loaded in its place, afresh each time."""
    if sample.without_extensions:
        pytest.skip(sample.without_extensions)
    package = tmp_path / "mypkg"
    package.mkdir()
    for extension in Path(sample.v1, "mypkg").glob("_multi.*.so"):
        (package / extension.name).write_bytes(extension.read_bytes())
    for name in ("__init__", "_multi"):
        (package / f"{name}.py").write_text("KIND = 'Python'\n")
    with (
        living(Generation("a", [str(tmp_path)], owned={"mypkg"})) as first,
        living(Generation("b", [str(tmp_path)], owned={"mypkg"})) as second,
    ):
        modules = [generation.load("mypkg._multi") for generation in (first, second)]
        assert [module.KIND for module in modules] == ["Python", "Python"]
        assert modules[0] is not modules[1]


def test_pure_extensions_are_refused(sample: Sample) -> None:
    """With extensions="pure" an extension module without a Python twin is an ImportError that says what to do."""
    if sample.without_extensions:
        pytest.skip(sample.without_extensions)
    with living(Generation("mypkg", [sample.v1], owned={"mypkg"}, extensions="pure")) as generation:
        with pytest.raises(ImportError, match="extension module") as caught:
            generation.load("mypkg._multi")
        assert caught.value.name == "mypkg._multi"
        assert "mypkg._multi" not in generation.modules


def test_shared_names_stay_the_hosts(sample: Sample) -> None:
    """A name that is shared is the host's inside the generation too."""
    with living(Generation("mypkg", [sample.v1], shared=["privdep"])) as generation:
        assert not generation.owns("privdep")
        exec("import privdep", vars(generation.load("mypkg")))
        assert generation.load("mypkg").privdep.VERSION == "host"
    forget()


def test_exit_handlers_of_the_host_are_untouched(one: str) -> None:
    """A handler that the host registers and unregisters while generations live never runs."""
    called: list[int] = []
    with living(Generation("tiny", [one])) as generation:
        generation.load("tiny")
        atexit.register(called.append, 1)
        atexit.unregister(called.append)
    assert called == []
