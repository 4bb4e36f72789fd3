"""Which modules a changed path concerns, what sources look like, and when a burst of changes is over."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from queue import SimpleQueue

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.distributions import fake_install, write_files
from support.hosting import TIME
from support.modules import ECHO, install

from hostcore.cli.watch.bursts import PATIENCE, QUIET, Burst
from hostcore.cli.watch.habits import TIMES, Habits
from hostcore.cli.watch.lookout import Lookout, Scene
from hostcore.cli.watch.outcomes import Outcome
from hostcore.cli.watch.sources import Sources, concerned, sources_of
from hostcore.cli.watch.views import View
from hostcore.packages.discovery import Discovery
from hostcore.packages.locating import Release, locate
from hostcore.packages.sources import from_source
from hostcore.runtime.reports import ReloadReport

SITE = "/venv/site"


def release(owned: str = "acme", value: str = "", paths: str = "/proj/src", **more: object) -> Release:
    names = tuple(owned.split())
    return Release("echo", value or f"{names[0]}:Echo", "acme-echo", "1.0", tuple(paths.split()), names, **more)


def project(**more: object) -> Sources:
    return sources_of(release(**{"editable": True, "source": "/proj", **more}))


def concerns(sources: Sources, path: str) -> bool:
    return concerned([path], {"echo": sources}) == {"echo": [path]}


@pytest.mark.parametrize(
    "path",
    ["/proj/src/acme/__init__.py", "/proj/src/acme/deep/er/core.py", "/proj/src/acme/data/table.csv",
     "/proj/src/acme/module.toml", "/proj/pyproject.toml", "/proj/src/helper.py", "/proj/src/acme/build/plan.py",
     "/proj/src/acme/caf\udce9.py", "/proj/src/acme/no suffix"],
)  # fmt: skip
def test_what_a_projects_release_owns_concerns_it(path):
    """Code, data, manifest and pyproject.toml of a project concern its module, and so does a new module beside."""
    assert concerns(project(), path)


@pytest.mark.parametrize(
    "path",
    ["/proj/src/acme/__pycache__/core.cpython-313.pyc", "/proj/src/acme/core.pyc", "/proj/src/acme/.core.py.swp",
     "/proj/src/acme/core.py~", "/proj/src/acme/#core.py#", "/proj/src/acme/.#core.py", "/proj/src/acme/4913",
     "/proj/src/acme/core.py.tmp", "/proj/src/acme/core.py___jb_tmp___", "/proj/src/acme/.git/index",
     "/proj/src/acme/.cache/deep/data.json", "/proj/.git/HEAD", "/proj/build/lib/acme/core.py", "/proj/README.md",
     "/proj/src/acme_echo.egg-info/RECORD", "/proj/src/acme_echo.egg-info/SOURCES.txt", "/proj/src/acme2/core.py",
     "/proj/src/setup.py", "/proj/tests/test_core.py", "/other/pyproject.toml", "/", "/proj/src", ""],
)  # fmt: skip
def test_what_tools_leave_behind_and_what_is_beside_concerns_nobody(path):
    """Bytecode, editors' temporary files, hidden directories, builds and other packages concern no module."""
    assert concerned([path], {"echo": project()}) == {}


def test_a_guests_sources_are_its_file_and_what_describes_it(tmp_path):
    """A new guest, manifest or pyproject.toml concerns a WebAssembly module, and nothing else of its project does."""
    points = '[project.entry-points."hostcore.modules"]\nshout = "acme:a/shout.wasm"\n'
    files = {"pyproject.toml": f'[project]\nname = "acme"\nversion = "1"\n{points}', "src/acme/a/shout.wasm": ""}
    write_files(tmp_path, files)
    sources = sources_of(from_source(tmp_path, cache=tmp_path))
    for path in ("src/acme/a/shout.wasm", "src/acme/module.toml", "pyproject.toml"):
        assert concerns(sources, f"{tmp_path}/{path}")
    for path in ("src/acme/shout.c", "src/acme/other.wasm", "src/helper.py", "src/acme/a/shout.wasm.tmp"):
        assert not concerns(sources, f"{tmp_path}/{path}")


def test_a_guest_in_a_file_of_its_own_is_its_source(tmp_path):
    """The file and the manifest that may lie beside it concern the module."""
    write_files(tmp_path, {"shout.wasm": ""})
    sources = sources_of(from_source(tmp_path / "shout.wasm", cache=tmp_path))
    assert concerns(sources, f"{tmp_path}/shout.wasm")
    assert concerns(sources, f"{tmp_path}/module.toml")
    assert not concerns(sources, f"{tmp_path}/other.wasm")
    assert sources.shown(f"{tmp_path}/shout.wasm") == "shout.wasm"


def test_an_installed_guests_upgrade_is_seen_at_its_record(tmp_path):
    """Installed, it is the RECORD that tells of a new release, as for Python code; so for `pip install --target`."""
    info = fake_install(tmp_path, "acme-shout", "1", {"shout": "acme_shout:shout.wasm"}, ["acme_shout/shout.wasm"])
    installed = sources_of(locate(Discovery([str(tmp_path)]).find("shout")), str(info))
    assert concerns(installed, f"{info}/RECORD")
    assert concerns(installed, f"{tmp_path}/acme_shout/shout.wasm")
    target = sources_of(from_source(tmp_path, cache=tmp_path))
    assert concerns(target, f"{tmp_path}/acme_shout/shout.wasm")


def test_a_hidden_directory_above_a_project_changes_nothing():
    """Only below the package do hidden directories not count: the project itself may lie in one."""
    sources = sources_of(release(paths="/home/.work/proj", editable=True, source="/home/.work/proj"))
    assert concerns(sources, "/home/.work/proj/acme/core.py")


def test_a_flat_layouts_tests_are_not_its_code():
    """Tests and documentation beside a flat package are owned, being importable, but do not concern the module."""
    sources = project(owned="acme tests docs", paths="/proj")
    assert not concerns(sources, "/proj/tests/test_core.py")
    assert not concerns(sources, "/proj/docs/conf.py")
    assert concerns(project(owned="tests", paths="/proj"), "/proj/tests/core.py")


def test_a_single_file_module_and_an_extension():
    """A module that is one file, compiled or not, is concerned by that file."""
    sources = sources_of(release(paths=SITE))
    assert concerns(sources, f"{SITE}/acme.py")
    assert concerns(sources, f"{SITE}/acme.abi3.so")
    assert not concerns(sources, f"{SITE}/acme.txt")
    assert not concerns(sources, f"{SITE}/helper.py")  # other distributions' files lie there too


def test_only_its_own_portion_of_a_namespace_package():
    """Of a namespace package only the portions that the release owns count, and a manifest in any parent."""
    sources = sources_of(release("acme.echo", "acme.echo.main:Echo", SITE))
    assert concerns(sources, f"{SITE}/acme/echo/main.py")
    assert concerns(sources, f"{SITE}/acme/module.toml")
    assert not concerns(sources, f"{SITE}/acme/other/main.py")


def test_an_installs_record_is_the_sign_of_an_upgrade():
    """Of a metadata directory only RECORD counts, of whichever version, and of no other distribution."""
    sources = sources_of(release(paths=SITE), f"{SITE}/acme_echo-1.0.dist-info")
    assert concerns(sources, f"{SITE}/Acme.Echo-2.0.dist-info/RECORD")
    assert not concerns(sources, f"{SITE}/acme_echo-1.0.dist-info/METADATA")
    assert not concerns(sources, f"{SITE}/acme_echo2-1.0.dist-info/RECORD")
    assert not concerns(sources, f"{SITE}/~cme_echo-1.0.dist-info/RECORD")
    assert not concerns(sources, f"{SITE}/acme_echo-1.0.dist-info/deeper/RECORD")


def test_a_wheel_is_watched_itself():
    """A module from a wheel is concerned by the wheel, not by the cache that it is unpacked into."""
    sources = sources_of(release(paths="/cache/abc", source="/dist/acme.whl"))
    assert concerns(sources, "/dist/acme.whl")
    assert not concerns(sources, "/cache/abc/acme/core.py")


def test_a_shared_package_concerns_both():
    """A file of a package that two modules share concerns both, one of its own only that one; paths are in order."""
    modules = {
        "one": sources_of(release("acme shared", paths=SITE)),
        "two": sources_of(release("other shared", paths=SITE)),
    }
    changes = {f"{SITE}/shared/b.py", f"{SITE}/acme/core.py", f"{SITE}/shared/a.py"}
    assert concerned(changes, modules) == {
        "one": [f"{SITE}/acme/core.py", f"{SITE}/shared/a.py", f"{SITE}/shared/b.py"],
        "two": [f"{SITE}/shared/a.py", f"{SITE}/shared/b.py"],
    }


@given(st.lists(st.text()), st.text())
def test_any_path_is_decided(paths, name):
    """Whatever the paths are, they concern a module or do not; nothing raises."""
    assert set(concerned(paths, {name: project()})) <= {name}


def test_paths_are_shown_short_and_printable():
    """A path is shown relative to where the module is imported from, with what is not UTF-8 spelt out."""
    sources = project()
    assert sources.shown("/proj/src/acme/core.py") == "acme/core.py"
    assert sources.shown("/proj/pyproject.toml") == "pyproject.toml"
    assert sources.shown("/proj/src/acme/\udcff.py") == "acme/\\xff.py"
    assert sources.shown("/elsewhere/core.py") == "/elsewhere/core.py"


# --- views -----------------------------------------------------------------------------------------------------


def of_project(directory: Path, name: str = "echo") -> Sources:
    return sources_of(from_source(directory, name, cache=directory / "cache"))


def of_site(site: Path, name: str = "echo") -> Sources:
    entry = Discovery([str(site)]).scan().modules[name]
    return sources_of(locate(entry), entry.metadata)


def changed(before: View, sources: Sources) -> set[str]:
    return {os.path.basename(path) for path in before.changes(View([sources]))}


def test_a_view_sees_whatever_happens_to_a_file(write):
    """Written, rewritten in the same size, renamed over, removed, new and below a new directory: all are changes."""
    directory = write(ECHO, files={"acme_echo/a.py": "1", "acme_echo/b.py": "1", "acme_echo/c.py": "1"})
    package, sources = directory / "acme_echo", of_project(directory)
    before = View([sources])
    assert changed(before, sources) == set()
    os.utime(package / "a.py", ns=(1, 1))
    (package / "swap").write_text("2")
    os.replace(package / "swap", package / "b.py")
    (package / "c.py").unlink()
    write_files(package, {"new/deep/d.py": "1", "module.toml": "", "__pycache__/x.pyc": "", "new/.hidden": ""})
    os.utime(directory / "pyproject.toml", ns=(1, 1))
    assert changed(before, sources) == {"a.py", "b.py", "c.py", "d.py", "module.toml", "pyproject.toml"}


def test_a_hard_link_made_elsewhere_is_no_change(write, tmp_path):
    """Installers link files out of their cache into other environments, which leaves content and time as they were."""
    directory = write(ECHO)
    sources = of_project(directory)
    before = View([sources])
    os.link(directory / "acme_echo" / "__init__.py", tmp_path / "link.py")
    assert changed(before, sources) == set()


def test_only_directories_that_matter_are_watched(write):
    """The package and the directories that hold it are watched; a virtual environment or .git beside it is not."""
    directory = write(ECHO, files={".git/HEAD": "", "venv/lib/x.py": "", "acme_echo/data/t.csv": "",
                                   "acme_echo/__pycache__/x.pyc": ""})  # fmt: skip
    places = View([of_project(directory)]).places
    assert set(places) == {str(directory), str(directory / "acme_echo"), str(directory / "acme_echo" / "data")}


def test_what_is_not_there_is_waited_for_in_the_nearest_parent(write):
    """Of a project that is gone the nearest directory above it is watched, and one that was replaced is noticed."""
    directory = write(ECHO)
    sources = of_project(directory)
    before = View([sources])
    assert not before.moved()
    shutil.copytree(directory, directory.with_name("copy"))
    shutil.rmtree(directory)
    assert before.moved()
    assert set(View([sources]).places) == {str(directory.parent)}
    directory.with_name("copy").rename(directory)
    assert before.moved()
    assert set(View([sources]).places) == set(before.places)


def test_links_in_a_circle_end(write):
    """A package with links that lead back into it is walked once, and what a link leads to counts."""
    directory = write(ECHO, files={"far/data.csv": ""})
    package = directory / "acme_echo"
    (package / "loop").symlink_to(package)
    (package / "up").symlink_to(directory)
    (package / "data").symlink_to(directory / "far")
    (package / "nowhere").symlink_to(directory / "nothing")
    names = [os.path.basename(path) for path in View([of_project(directory)]).files]
    assert "data.csv" in names
    assert names.count("__init__.py") <= 2


def test_a_view_of_nothing_is_empty():
    """Without sources nothing is watched."""
    assert (View().files, View().places, View().moved()) == ({}, {}, False)


# --- bursts ----------------------------------------------------------------------------------------------------


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def scene(clock: Clock) -> Scene:
    return Scene(clock)


def looked(scene: Scene, clock: Clock, seconds: float) -> dict[str, list[str]]:
    """Return what is due when the scene is looked at after so many seconds."""
    clock.now += seconds
    scene.look()
    return {name: [os.path.basename(path) for path in paths] for name, paths in scene.due().items()}


def test_a_burst_is_due_once_when_it_is_over(scene, clock, write):
    """While files go on changing nothing is due; then all of them are, once."""
    package = write(ECHO, files={"acme_echo/a.py": "", "acme_echo/b.py": ""}) / "acme_echo"
    scene.aim({"echo": of_project(package.parent)})
    for number, name in enumerate(["a.py", "b.py", "a.py"]):
        (package / name).write_text("x" * (number + 1))
        assert looked(scene, clock, QUIET * 0.9) == {}
        assert scene.restless
    assert looked(scene, clock, QUIET * 1.1) == {"echo": ["a.py", "b.py"]}
    assert not scene.restless
    assert looked(scene, clock, 10) == {}


def test_a_burst_that_does_not_end_is_due_after_some_time(clock):
    """A file that changes all the time does not keep its module from being reloaded for ever."""
    burst = Burst(clock())
    burst.note({"/a": None}, ["/a"], clock() + PATIENCE - 0.01)
    assert not burst.over(clock() + PATIENCE - 0.001)
    burst.note({"/a": None}, ["/a"], clock() + PATIENCE)
    assert burst.over(clock() + PATIENCE)


def test_files_that_are_as_before_count_for_nothing(scene, clock, write):
    """A checkout that moves a file away and back again leads to no reload."""
    package = write(ECHO) / "acme_echo"
    scene.aim({"echo": of_project(package.parent)})
    (package / "__init__.py").rename(package / "old.txt")
    assert looked(scene, clock, 0.01) == {}
    (package / "old.txt").rename(package / "__init__.py")
    assert looked(scene, clock, 0.01) == {}
    assert looked(scene, clock, QUIET * 2) == {}
    assert not scene.restless


def test_an_upgrade_is_due_when_its_record_is_there(scene, clock, site):
    """From the removal of the old RECORD until the new one is there nothing is due; then everything is, once."""
    install(site, "echo", ECHO)
    scene.aim({"echo": of_site(site)})
    shutil.rmtree(site / "acme_echo-1.0.dist-info")
    assert looked(scene, clock, 0) == {}
    (site / "acme_echo" / "__init__.py").write_text("")
    assert looked(scene, clock, 1) == {}
    assert looked(scene, clock, PATIENCE * 2) == {}
    assert not scene.restless  # an uninstalled module costs nothing
    fake_install(site, "acme-echo", "1.1", {"echo": "acme_echo:Module"})
    assert looked(scene, clock, 1) == {}
    assert looked(scene, clock, QUIET * 2) == {"echo": ["RECORD", "RECORD", "__init__.py"]}


def test_aiming_anew_loses_no_change_and_invents_none(scene, clock, write):
    """What changed just before a module comes or goes still counts; a module that comes does not count as changed."""
    one, two = write(ECHO, "one"), write(ECHO, "two")
    scene.aim({"one": of_project(one, "one")})
    (one / "acme_one" / "new.py").touch()
    (one / "acme_one" / "__init__.py").unlink()
    scene.aim({"one": of_project(one, "one"), "two": of_project(two, "two")})
    assert looked(scene, clock, QUIET * 2) == {"one": ["__init__.py", "new.py"]}
    (one / "acme_one" / "new.py").unlink()
    (two / "acme_two" / "new.py").touch()
    scene.look()
    scene.aim({"two": of_project(two, "two")})
    assert looked(scene, clock, QUIET * 2) == {"two": ["new.py"]}


def test_what_a_module_writes_while_it_loads_soon_does_not_count(tmp_path):
    """A file written during each of several loads counts no more, other files and other times of writing do."""
    file, other = tmp_path / "cache", tmp_path / "other"
    habits = Habits()
    file.touch()
    other.touch()
    os.utime(file, ns=(0, 1_000_000_000))
    for _ in range(TIMES - 1):
        habits.loads("echo", 900_000_000, 1_100_000_000)
        assert habits.without("echo", [str(file)]) == [str(file)]
    habits.loads("echo", 900_000_000, 1_100_000_000)
    assert habits.without("echo", [str(file), str(other), "/gone"]) == [str(other), "/gone"]
    os.utime(file, ns=(0, 5_000_000_000))
    assert habits.without("echo", [str(file)]) == [str(file)]
    assert habits.without("other", [str(file)]) == [str(file)]


def test_what_is_written_during_a_load_that_goes_on_counts_as_well(tmp_path):
    """A change that is noticed before the load has ended is the module's own writing too."""
    file = tmp_path / "cache"
    file.touch()
    habits = Habits()
    habits.loads("echo", file.stat().st_mtime_ns)
    assert [habits.without("echo", [str(file)]) for _ in range(TIMES)][-1] == []


# --- the lookout -----------------------------------------------------------------------------------------------


def test_where_the_kernel_refuses_to_watch_it_looks_by_itself(write, monkeypatch, caplog):
    """Beyond the system's limit of watched directories it looks every second, and says so once."""

    def refuse(*places: str, **options: object) -> None:
        raise OSError("OS file watch limit reached.")

    monkeypatch.setattr("watchfiles.watch", refuse)
    directory, found = write(ECHO), SimpleQueue()
    lookout = Lookout(found.put)
    lookout.aim({"echo": of_project(directory)})
    lookout.start()
    try:
        for name in ("new.py", "newer.py"):
            (directory / "acme_echo" / name).touch()
            assert found.get(timeout=TIME) == {"echo": [str(directory / "acme_echo" / name)]}
    finally:
        lookout.close()
    assert [record.getMessage() for record in caplog.records] == [
        "watching by looking every second, for: OS file watch limit reached."
    ]


# --- outcomes --------------------------------------------------------------------------------------------------


class Report(ReloadReport, frozen=True, kw_only=True):
    traceback: str = ""


def outcome(report: ReloadReport, *shown: str) -> Outcome:
    found = Outcome("echo", [f"/src/{path}" for path in shown], list(shown))
    found.report = report
    return found


def test_an_outcome_is_one_line_however_many_files_changed():
    """The line names a few of the changed files and counts the others; odd names cannot break it."""
    report = ReloadReport(module="echo", old_generation=1, new_generation=2, old_version="1.0", new_version="1.1",
                          duration_ms=31.24, downtime_ms=0.26)  # fmt: skip
    line = outcome(report, "a.py", "new\nline.py", "c.py", "d.py", "e.py").line()
    told = "reloaded echo: 1.0 (generation 1) -> 1.1 (generation 2) in 31.2 ms, held 0.3 ms"
    assert line.partition(" ")[2] == f"{told}; a.py, new line.py, c.py and 2 more changed"


def test_a_rolled_back_reload_shows_error_and_traceback():
    """Below the line stand the error, and the module's traceback behind a rule; a syntax error has its caret there."""
    traceback = 'File "a.py", line 1\n    def x(:\n          ^\nSyntaxError: invalid syntax\n'
    report = Report(module="echo", old_generation=1, new_generation=2, old_version="1.0", rolled_back=True,
                    reason="HC201 echo 1.0: no\n  --> a.py:1", traceback=traceback)  # fmt: skip
    told = outcome(report, "a.py")
    assert told.line().partition(" ")[2] == "rolled back echo: 1.0 (generation 1) serves on; a.py changed"
    assert told.details().splitlines() == [
        "  HC201 echo 1.0: no", "    --> a.py:1", '  | File "a.py", line 1', "  |     def x(:", "  |           ^",
        "  | SyntaxError: invalid syntax",
    ]  # fmt: skip
    assert not told.succeeded


def test_what_is_left_of_the_old_generation_is_shown():
    """Objects of the old generation that are still alive are named below the line."""
    told = outcome(ReloadReport(module="echo", old_generation=3, new_generation=4, leaks=("acme.Thing",)), "a.py")
    assert told.details() == "  still alive of generation 3: acme.Thing"
    assert told.succeeded
