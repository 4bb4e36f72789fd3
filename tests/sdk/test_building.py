"""Building a guest: what is fetched, what is refused, and what is left when it goes wrong."""

from __future__ import annotations

import io
import sys
import tarfile
from pathlib import Path

import pytest
from support.distributions import write_files, write_wheel

from hostcore.errors import BuildError, LoadError
from hostcore.packages.projects import Project
from hostcore.sdk import building, componentizing, dependencies, staging

PYPROJECT = """
[project]
name = "acme-counter"
version = "1.0"
dependencies = [{dependencies}]

[project.entry-points."hostcore.modules"]
counter = "acme_counter:Counter"

[tool.hostcore.build]
include = [{include}]
"""


def project(folder: Path, code: str = "", dependencies: str = "", include: str = "") -> Path:
    """Write a project and return its directory."""
    text = PYPROJECT.format(dependencies=dependencies, include=include)
    write_files(folder, {"pyproject.toml": text, "acme_counter/__init__.py": code})
    return folder


# --- dependencies ----------------------------------------------------------------------------------------------


def test_what_is_wanted():
    """hostcore is inside already; markers are those of a guest."""
    asked = [
        "hostcore>=0.1", "Hostcore", "black>=25 ; python_version >= '3.14'", 'uvloop; sys_platform != "wasi"',
        "x[extra]~=1.0", 'y; sys_platform == "wasi" and python_version < "3.14"',
    ]  # fmt: skip
    assert dependencies.wanted("counter", asked) == ["black>=25", "x[extra]~=1.0"]


def test_requirements_that_cannot_be_read():
    """All requirements that are none are listed."""
    with pytest.raises(BuildError) as caught:
        dependencies.wanted("counter", ["fine", "not fine!", "== 3"])
    assert [problem.code for problem in caught.value.problems] == ["HC221", "HC221"]
    assert "'not fine!'" in str(caught.value)


@pytest.fixture
def index(tmp_path, monkeypatch) -> Path:
    """A folder that pip finds wheels in, and nowhere else."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    return folder


def test_a_pure_dependency_is_fetched(index, tmp_path):
    """A wheel of pure Python is unpacked where the guest will find it."""
    write_wheel(index / "acme_base-1.0-py3-none-any.whl", {"acme_base.py": "x = 1\n"}, name="acme-base")
    dependencies.fetch("counter", ["acme-base"], tmp_path / "deps")
    assert (tmp_path / "deps" / "acme_base.py").is_file()


@pytest.mark.parametrize("tag", ["cp314-cp314-manylinux_2_17_x86_64", "cp314-cp314-linux_x86_64"])
def test_a_dependency_of_machine_code(index, tmp_path, tag):
    """A dependency that has wheels for machines only is named, with what to do."""
    write_wheel(index / f"acme_fast-1.0-{tag}.whl", {"acme_fast.py": ""}, name="acme-fast", tag=tag)
    with pytest.raises(BuildError, match="'acme-fast' has no wheel of pure Python") as caught:
        dependencies.fetch("counter", ["acme-fast"], tmp_path / "deps")
    assert (caught.value.code, caught.value.module) == ("HC221", "counter")
    assert 'sys_platform != "wasi"' in caught.value.hint


BACKEND = """
import os, subprocess, zipfile

INFO = "acme_fast-1.5.dist-info/"
FILES = {{"acme_fast.py": "", INFO + "METADATA": "Metadata-Version: 2.1\\nName: acme-fast\\nVersion: 1.5\\n",
          INFO + "WHEEL": "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: {tag}\\n", INFO + "RECORD": ""}}

def build_wheel(directory, config_settings=None, metadata_directory=None):
    if subprocess.call([os.environ.get("CC", "true"), "acme_fast.c"]) == 0 or {stubborn}:
        FILES["_acme_fast.so"] = "machine code"
    name = "acme_fast-1.5-{tag}.whl"
    with zipfile.ZipFile(os.path.join(directory, name), "w") as archive:
        for file, text in FILES.items():
            archive.writestr(file, text)
    return name
"""


def write_source(index: Path, *, tag: str = "py3-none-any", stubborn: bool = False) -> None:
    """Write the source of acme-fast 1.5, which compiles a part of itself where there is a compiler."""
    files = {
        "pyproject.toml": '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n',
        "backend.py": BACKEND.format(tag=tag, stubborn=stubborn),
        "PKG-INFO": "Metadata-Version: 2.1\nName: acme-fast\nVersion: 1.5\n",
    }
    with tarfile.open(index / "acme_fast-1.5.tar.gz", "w:gz") as archive:
        for name, text in files.items():
            info = tarfile.TarInfo(f"acme_fast-1.5/{name}")
            info.size = len(text.encode())
            archive.addfile(info, io.BytesIO(text.encode()))


@pytest.mark.parametrize("releases", [["1.0"], ["1.0", "1.1"]])
def test_a_dependency_that_can_do_without_machine_code(index, tmp_path, releases):
    """Where there are wheels for machines only, a pure one is built from source; here, of a dependency's dependency."""
    write_wheel(index / "acme_fast-1.5-cp314-cp314-linux_x86_64.whl", {"_acme_fast.so": ""}, name="acme-fast",
                version="1.5", tag="cp314-cp314-linux_x86_64")  # fmt: skip
    write_source(index, tag="cp313-cp313-linux_x86_64")
    for version in releases:
        text = f"Metadata-Version: 2.1\nName: acme-base\nVersion: {version}\nRequires-Dist: acme-fast <2,>=1\n"
        metadata = {f"acme_base-{version}.dist-info/METADATA": text}
        write_wheel(index / f"acme_base-{version}-py3-none-any.whl", metadata, name="acme-base", version=version)
    told = []
    dependencies.fetch("counter", ["acme-base"], tmp_path / "deps", told.append)
    assert told == ["building a pure wheel of acme-fast from its source"]
    assert (tmp_path / "deps" / "acme_fast.py").is_file()
    assert not list((tmp_path / "deps").glob("*.so"))


@pytest.mark.parametrize(("stubborn", "asked"), [(True, "acme-fast"), (False, "acme-fast>=2")])
def test_a_source_that_is_of_no_use(index, tmp_path, stubborn, asked):
    """A source that gives machine code all the same, or is of another version, is refused as if it were not there."""
    write_source(index, stubborn=stubborn)
    with pytest.raises(BuildError, match=f"{asked!r} has no wheel of pure Python.*none can be built") as caught:
        dependencies.fetch("counter", [asked], tmp_path / "deps")
    assert caught.value.code == "HC221"


def test_nothing_to_fetch(tmp_path, monkeypatch):
    """Without dependencies pip is not even asked."""
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    dependencies.fetch("counter", [], tmp_path)


# --- before the tool runs --------------------------------------------------------------------------------------


def test_without_the_tool(tmp_path, monkeypatch):
    """Where componentize-py is missing the error says how to get it."""
    monkeypatch.setitem(sys.modules, "componentize_py", None)
    with pytest.raises(BuildError) as caught:
        building.build_wasm(project(tmp_path))
    assert (caught.value.code, caught.value.hint) == ("HC223", "pip install componentize-py")


def test_a_module_that_is_not_declared(tmp_path):
    """A wrong name is an error that knows the right one."""
    with pytest.raises(BuildError, match="did you mean 'counter'"):
        building.build_wasm(project(tmp_path), module="countr")


def test_no_project(tmp_path):
    """A directory without a usable `pyproject.toml` is the same error as when it is loaded."""
    with pytest.raises(LoadError, match="HC204"):
        building.build_wasm(tmp_path)


def test_tables_of_another_shape(tmp_path, monkeypatch):
    """A table of texts that is none is named by its keys."""
    monkeypatch.setitem(sys.modules, "componentize_py", sys)
    folder = project(tmp_path, include="7")
    with pytest.raises(BuildError, match=r"'tool\.hostcore\.build\.include'"):
        building.build_wasm(folder)


def test_where_it_goes(tmp_path):
    """A component lies beside the package's `__init__.py`, or beside a module that is one file."""
    release = Project(project(tmp_path)).release("counter")
    assert building.default_output(release) == tmp_path / "acme_counter" / "counter.wasm"
    (tmp_path / "acme_counter" / "__init__.py").unlink()
    (tmp_path / "acme_counter").rmdir()
    (tmp_path / "acme_counter.py").write_text("")
    release = Project(tmp_path).release("counter")
    assert building.default_output(release) == tmp_path / "counter.wasm"


def test_what_is_staged_of_a_project(tmp_path):
    """Code is staged without bytecode, machine code, hidden files and components that were built before."""
    folder = project(tmp_path / "project")
    write_files(folder / "acme_counter", {"a/b.py": "", "a/data.txt": "", "a/__pycache__/b.pyc": "", "counter.wasm": "",
                                          "fast.so": "", ".hidden": ""})  # fmt: skip
    (tmp_path / "stage").mkdir()
    stage = staging.lay_out(tmp_path / "stage", Project(folder).release("counter"))
    files = {str(path.relative_to(stage.app)) for path in stage.app.rglob("*") if path.is_file()}
    assert files == {
        "hostcore_guest_entry.py",
        *(f"acme_counter/{it}" for it in ("__init__.py", "a/b.py", "a/data.txt")),
    }


# --- with the tool ---------------------------------------------------------------------------------------------

BAD = """
import hostcore
from dataclasses import dataclass

@dataclass
class Point:
    x: int

class Counter:
    @hostcore.hookimpl
    def handle_message(self, mesage): ...

    @hostcore.hookimpl
    def execute(self, request: Point): ...
"""


def test_hooks_that_are_wrong(tmp_path):
    """Wrong hooks are found while the guest is built, all at once; the old component stays, and no other file."""
    pytest.importorskip("componentize_py")
    folder = project(tmp_path, BAD)
    (folder / "acme_counter" / "counter.wasm").write_text("old")
    with pytest.raises(BuildError) as caught:
        building.build_wasm(folder)
    assert [problem.code for problem in caught.value.problems] == ["HC301", "HC311"]
    assert "acme_counter/__init__.py:" in str(caught.value)
    assert sorted(path.name for path in (folder / "acme_counter").iterdir()) == ["__init__.py", "counter.wasm"]
    assert (folder / "acme_counter" / "counter.wasm").read_text() == "old"


def test_what_the_tool_says():
    """What a guest tells while it is built is an error with its place; else the tool's last line counts."""
    told = {
        "text": "ModuleNotFoundError: No module named 'ssl'",
        "where": "a/b.py:3",
        "traceback": "...",
        "missing": "ssl",
    }
    error = componentizing._refused("counter", told, "")
    assert (error.code, error.problems[0].where, error.traceback) == ("HC222", "a/b.py:3", "...")
    assert "'ssl'" in error.hint
    error = componentizing._refused("counter", None, "AssertionError\n\nCaused by: no memory\n")
    assert error.message == "componentize-py failed: Caused by: no memory"
