"""What the host's own code sees of generations, with no hosted frame on the stack."""

from __future__ import annotations

import asyncio
import contextvars
import importlib
import importlib.util
import pickle
import shelve
import sys
import typing
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from generations.support import SETTINGS, Sample, Setting, forget, living, on_path, tiny

from hostcore.generations import Generation

every_setting = pytest.mark.parametrize("setting", SETTINGS, indirect=True, scope="module")


def in_a_thread(function: Callable[..., typing.Any], *args: object) -> typing.Any:
    """Run in a thread that knows nothing of the caller's context."""
    with ThreadPoolExecutor(1) as executor:
        return executor.submit(contextvars.Context().run, function, *args).result()


@every_setting
def test_type_hints_from_the_host(setting: Setting) -> None:
    """typing resolves a hosted class's hints to its own generation, called from the host."""
    models = setting.generation.load("mypkg.models")
    assert typing.get_type_hints(models.Node)["kid"] == models.Leaf | None


@every_setting
def test_type_hints_from_a_thread(setting: Setting) -> None:
    """typing resolves a hosted class's hints in a thread without context or hosted frames."""
    models = setting.generation.load("mypkg.models")
    assert in_a_thread(typing.get_type_hints, models.Node)["kid"] == models.Leaf | None


@every_setting
def test_python_pickle_from_a_thread(setting: Setting) -> None:
    """The Python pickler finds the very class in a thread without context or hosted frames."""
    models = setting.generation.load("mypkg.models")
    assert in_a_thread(pickle._dumps, models.Leaf(3))  # type: ignore[attr-defined]


@pytest.mark.parametrize("setting", ["plain", "alone", "newer"], indirect=True, scope="module")
def test_pickle_from_the_host(setting: Setting) -> None:
    """The C pickler takes objects of the published generation there and back, in any thread."""
    models = setting.generation.load("mypkg.models")
    for pickled in (pickle.dumps(models.Leaf(3)), in_a_thread(pickle.dumps, models.Leaf(3))):
        assert type(pickle.loads(pickled)) is models.Leaf
        assert type(in_a_thread(pickle.loads, pickled)) is models.Leaf


@pytest.mark.parametrize("setting", ["older"], indirect=True, scope="module")
def test_pickle_when_active(setting: Setting) -> None:
    """The C pickler takes objects of an unpublished generation there and back while it is active."""
    models = setting.generation.load("mypkg.models")
    with setting.generation.activate():
        assert type(pickle.loads(pickle.dumps(models.Leaf(3)))) is models.Leaf


@pytest.mark.parametrize("setting", ["older", "beside_host"], indirect=True, scope="module")
def test_pickle_of_an_unpublished_generation_is_loud(setting: Setting) -> None:
    """The C pickler refuses an object of a generation that the host does not see; it never mistakes its class."""
    models = setting.generation.load("mypkg.models")
    with pytest.raises(pickle.PicklingError, match="not the same object"):
        in_a_thread(pickle.dumps, models.Leaf(3))


@pytest.mark.parametrize("setting", ["beside_host"], indirect=True, scope="module")
def test_shelf_beside_the_hosts_copy_is_loud(setting: Setting, tmp_path: Path) -> None:
    """The standard library pickles in C from its own frames; beside a host's copy that is refused, not mistaken."""
    models = setting.generation.load("mypkg.models")
    refused = pytest.raises(pickle.PicklingError, match="not the same object")
    with shelve.open(str(tmp_path / "x")) as store, setting.generation.activate(), refused:
        store["a"] = models.Leaf(4)


@pytest.mark.parametrize("setting", ["newer"], indirect=True, scope="module")
def test_host_sees_the_published_generation(setting: Setting) -> None:
    """All of the host's ways to import give the published generation's modules."""
    import mypkg.lazy12  # type: ignore[import-not-found]
    from mypkg import core, lazy13

    assert mypkg.VERSION == mypkg.lazy12.VERSION == lazy13.VERSION == "v2"
    assert core.Base is setting.generation.modules["mypkg.core"].Base
    assert sys.modules["mypkg"].VERSION == "v2"
    assert importlib.import_module("mypkg.sub").Base is core.Base
    spec = importlib.util.find_spec("mypkg.lazy1")
    assert spec is not None
    assert spec.origin is not None
    assert "/v2/" in spec.origin


@pytest.mark.parametrize("setting", ["alone", "older", "newer"], indirect=True, scope="module")
def test_private_names_are_the_hosts_own(setting: Setting) -> None:
    """The host imports its own copy of a private name, or none; it never gets a generation's."""
    import privdep  # type: ignore[import-not-found]
    from privdep.sub import S  # type: ignore[import-not-found]

    assert privdep.VERSION == sys.modules["privdep"].VERSION == "host"
    assert S.__module__ == "privdep.sub"
    assert setting.version == setting.generation.load("privdep").VERSION
    with pytest.raises(ModuleNotFoundError) as caught:
        importlib.import_module("onlyprivate")
    assert caught.value.name == "onlyprivate"
    assert "onlyprivate" not in sys.modules


@pytest.mark.parametrize("setting", ["beside_host"], indirect=True, scope="module")
def test_host_keeps_its_own_copy(setting: Setting, sample: Sample) -> None:
    """A host that had imported a package keeps it, by statement and by table, and loads the rest from its own files."""
    import mypkg
    from mypkg import lazy1, sub

    assert mypkg.VERSION == lazy1.VERSION == mypkg.helper() == "v9"
    assert sys.modules["mypkg"] is mypkg
    assert sys.modules["mypkg.sub"] is sub is importlib.import_module("mypkg.sub")
    assert importlib.import_module("mypkg.lazy2").VERSION == "v9"
    assert importlib.reload(lazy1).VERSION == "v9"
    assert mypkg.__file__ == f"{sample.host_copy}/mypkg/__init__.py"
    models = importlib.import_module("mypkg.models")
    assert type(pickle.loads(pickle.dumps(models.Leaf(1)))) is models.Leaf
    assert typing.get_type_hints(models.Node)["kid"] == models.Leaf | None
    assert setting.generation.load("mypkg").VERSION == "v1"


def test_host_copy_outlives_the_generation(sample: Sample) -> None:
    """After the last unload the host's copy is in sys.modules as before, the very same objects, nothing rebound."""
    with on_path(sample.host_copy):
        import mypkg

        names = {name: module for name, module in sys.modules.items() if name.partition(".")[0] == "mypkg"}
        bound = dict(vars(mypkg))
        with living(Generation("mypkg", [sample.v1])) as generation:
            generation.load("mypkg.lazy1")
            generation.load("mypkg.models")
            generation.publish()
        after = {name: module for name, module in sys.modules.items() if name.partition(".")[0] == "mypkg"}
        assert after == names
        assert vars(mypkg) == bound
    forget()


@pytest.mark.parametrize("setting", ["older"], indirect=True, scope="module")
async def test_activation_follows_tasks(setting: Setting) -> None:
    """An activation reaches the tasks started in it, ends with it, and stays out of other tasks."""

    async def version() -> str:
        await asyncio.sleep(0)
        return str(sys.modules["mypkg"].VERSION)

    outside = asyncio.create_task(version())
    with setting.generation.activate() as active:
        assert active is setting.generation
        inside = asyncio.create_task(version())
        assert await version() == "v1"
    assert [await outside, await inside, await version()] == ["v2", "v1", "v2"]


def test_publish_moves_the_host_over(tmp_path: Path) -> None:
    """A second generation is the host's from its publishing on, until the first is published again."""
    with (
        living(Generation("tiny", [tiny(tmp_path, "1")])) as first,
        living(Generation("tiny", [tiny(tmp_path, "2")])) as second,
    ):
        first.load("tiny")
        first.publish()
        second.load("tiny.part")
        assert sys.modules["tiny"].VERSION == importlib.import_module("tiny.part").VERSION == "1"
        second.publish()
        assert sys.modules["tiny"].VERSION == importlib.import_module("tiny.part").VERSION == "2"
        first.publish()
        assert sys.modules["tiny"].VERSION == importlib.import_module("tiny.part").VERSION == "1"
