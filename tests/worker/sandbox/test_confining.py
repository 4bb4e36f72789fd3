"""Confining: what is reported, what is refused before anything is done, and what lesser platforms do."""

from __future__ import annotations

import json
import os

import pytest

from hostcore.hosts.worker.sandbox import landlock, reading
from hostcore.hosts.worker.sandbox.cage import LAYERS, Cage, Layer
from hostcore.hosts.worker.sandbox.confining import confine
from hostcore.hosts.worker.sandbox.levels import LEVELS, at_least, lacking, level_of, needed
from hostcore.hosts.worker.sandbox.probing import probe

ON, OFF = Layer(True, "so"), Layer(False, "because")


def test_every_layer_reports(caging, world, cage, fully, apart, uid):
    """All layers are in the report, in their order, each in force with what it does."""
    report = caging.run("own_status", world, {**cage, "memory": 2**25}, uid).report
    assert tuple(report) == LAYERS
    assert all(in_force and detail for in_force, detail in report.values())
    assert "32 MB of memory" in report["rlimits"][1]


def test_a_layer_that_is_not_wanted(caging, world, cage, fully):
    """A layer that the cage does not name is reported as switched off, and the others hold."""
    cage["layers"] = [name for name in LAYERS if name != "landlock"]
    done = caging.run("read_secret", world, cage)
    assert done.error == ""
    assert done.report["landlock"] == [False, "switched off"]
    assert level_of({name: Layer(*layer) for name, layer in done.report.items()}) == "limits"


def test_a_path_that_does_not_exist(caging, world, cage, fully):
    """A granted path that is not there is skipped and named; the rest is granted."""
    cage["read"].append("/nowhere/at/all")
    done = caging.run("read_code", world, cage)
    assert done.result == "secret"
    assert "not there: /nowhere/at/all" in done.report["landlock"][1]


def test_a_single_file_can_be_granted(caging, world, cage, fully):
    """A file is granted by itself: for reading, or for writing."""
    assert caging.run("read_secret", world, {**cage, "read": [*cage["read"], world["secret"]]}).result == "secret"
    assert caging.run("write_secret", world, {**cage, "read": [*cage["read"], world["secret"]]}).error == "EACCES"
    assert caging.run("write_secret", world, {**cage, "write": [world["secret"]]}).error == ""


def test_a_process_with_threads_is_not_confined(caging, world, fully):
    """Threads that run already would stay outside, so that is an error, and nothing is done."""
    assert caging.run("thread_then_confine", world, None).error == "RuntimeError"


def test_a_layer_that_does_not_exist(here):
    """A cage that names an unknown layer is refused before anything is done."""
    with pytest.raises(ValueError, match="no layers of the sandbox: walls"):
        confine(Cage(layers=("rlimits", "walls")))


@pytest.mark.parametrize("newest", range(1, 8))
def test_older_kernels(caging, world, fully, newest):
    """With each version of Landlock files are held, and the report says what else is."""
    if newest > landlock.version():
        pytest.skip(f"the kernel has only version {landlock.version()}")
    attempt = "go_with_landlock_of"
    told = caging.run(attempt, {**world, "newest": newest}, None).result
    assert told.startswith(f"ABI {newest}: files")
    assert (("TCP" in told), ("signals" in told)) == (newest >= 4, newest >= 6)


def test_without_landlock_truncating_is_refused(caging, world, cage, fully):
    """Where nothing holds `truncate` to the granted files, it is denied as a whole."""
    cage["layers"] = [name for name in LAYERS if name != "landlock"]
    assert caging.run("truncate_secret", world, cage).error == "EPERM"


def test_a_cage_is_plain_data():
    """A cage goes through JSON and is as before in all that matters."""
    cage = Cage(read=("/a",), memory=5)
    again = Cage(**json.loads(json.dumps(cage._asdict())))
    assert (tuple(again.read), again.memory, tuple(again.layers)) == (cage.read, 5, LAYERS)


def test_probing_does_not_confine_the_caller(here):
    """The caller can do all it could before, and knows what a worker would get."""
    found = probe()
    assert tuple(found) == LAYERS
    assert found == here
    assert os.listdir("/")


def test_probing_without_an_interpreter(monkeypatch):
    """If no process can be started to try it in, no layer is in force, and the reason is told."""
    monkeypatch.setattr("sys.executable", "/nowhere/python")
    assert level_of(probe()) == "none"
    assert "/nowhere/python" in probe()["landlock"].detail


@pytest.mark.parametrize(
    ("off", "level"),
    [((), "full"), (("namespaces",), "files"), (("seccomp",), "files"), (("landlock",), "limits"),
     (("landlock", "seccomp"), "limits"), (("rlimits",), "none"), (("no_new_privs",), "none"), (LAYERS, "none"),
     (("session", "pdeathsig", "capabilities", "undumpable"), "full")],
)  # fmt: skip
def test_levels(off, level):
    """The level is the highest of which all layers, and those of the levels below, are in force."""
    layers = {name: OFF if name in off else ON for name in LAYERS}
    assert level_of(layers) == level
    assert all(at_least(level, each) == (not lacking(layers, each)) for each in LEVELS)
    assert set(lacking(layers, "full")) == set(off) & set(needed("full"))


def test_levels_are_ordered_and_no_others_exist():
    """Levels compare by strength, and a name that is none is an error; no report at all is the lowest."""
    assert LEVELS == ("none", "limits", "files", "full")
    assert level_of({}) == "none"
    with pytest.raises(ValueError, match="total"):
        at_least("full", "total")
    with pytest.raises(ValueError, match="total"):
        needed("total")


def test_what_python_reads_gives_away_no_home(monkeypatch, tmp_path):
    """A search path that leads through a home directory, the root or the temporary files does not grant these."""
    home = tmp_path / "home" / "me"
    (home / "project" / "package").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    wide = [str(home), str(home.parent), "/", "", "/tmp", "/etc", "/usr", "/nowhere"]
    granted = reading.default_read([*wide, str(home / "project"), str(home / "project" / "package")])
    assert str(home / "project") in granted
    assert str(home / "project" / "package") not in granted  # it is inside
    assert not {*wide, os.path.realpath(home.parent)} & set(granted)
    assert len(granted) == len(set(granted))
