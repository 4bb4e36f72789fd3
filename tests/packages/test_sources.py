"""Modules that are not installed: project directories, wheels, directories made by pip."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support.distributions import Project, install_target, write_files, write_wheel

from hostcore.errors import LoadError
from hostcore.packages.sources import from_source

PACKAGE = "acme_counter/__init__.py"
TWO = {"counter": "acme_counter:Counter", "other": "acme_counter:Other"}


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def refusal(path: Path | str, cache: Path, name: str | None = None) -> str:
    with pytest.raises(LoadError) as caught:
        from_source(path, name, cache=cache)
    return str(caught.value)


@pytest.mark.parametrize("layout", ["src", "flat"])
def test_a_project_directory_is_a_release(
    tmp_path: Path, cache: Path, layout: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Name, version, code and manifest come from the project as it lies there; a relative path will do."""
    project = Project(tmp_path / "p", version="1.2", layout=layout, manifest="[counter]\n")
    write_files(project.directory, {"tests/test_x.py": "", "setup.py": ""})
    monkeypatch.chdir(tmp_path)
    release = from_source("p", cache=cache)
    assert release.label == "counter 1.2 (acme-counter)"
    assert release.paths == (str(project.code),)
    assert release.owned == ("acme_counter",)
    assert release.manifest == str(project.code / "acme_counter" / "module.toml")
    assert (release.editable, release.source) == (True, str(project.directory))
    assert not cache.exists()


HATCH = "[tool.hatch.build.targets.wheel]\npackages = {}\n"


@pytest.mark.parametrize(
    ("extra", "file", "code"),
    [
        (HATCH.format('["lib/acme_counter"]'), "lib/acme_counter/__init__.py", "lib"),
        (HATCH.format('["lib/deep/acme_counter", "more"]'), "lib/deep/acme_counter/__init__.py", "lib/deep"),
        (HATCH.format("{ odd = 1 }"), "src/acme_counter.py", "src"),
        ('[tool.setuptools.packages.find]\nwhere = ["python"]\n', "python/acme_counter/__init__.py", "python"),
        ("", "src/acme_counter.py", "src"),
        ("", "acme_counter.py", "."),
    ],
)
def test_build_settings_tell_where_the_code_is(tmp_path: Path, cache: Path, extra: str, file: str, code: str) -> None:
    """hatch's packages and setuptools' where are honoured where they are plain; else src, then the project itself."""
    text = '[project]\nname = "x"\nversion = "1"\n[project.entry-points."hostcore.modules"]\nm = "acme_counter:X"\n'
    write_files(tmp_path, {"pyproject.toml": text + extra, file: "", "src/unrelated.py": ""})
    release = from_source(tmp_path, cache=cache)
    assert release.paths[0] == str(tmp_path / code)
    assert "acme_counter" in release.owned


def test_portions_of_a_namespace_package_are_owned_in_a_project(tmp_path: Path, cache: Path) -> None:
    """A project that ships a portion of a namespace package owns only that."""
    project = Project(tmp_path / "p", modules={"own": "nsp.own:X"}, files={"nsp/own/__init__.py": ""})
    assert from_source(project.directory, cache=cache).owned == ("acme_counter", "nsp.own")
    project.extra = HATCH.format('["src/nsp"]')
    project.write()
    assert from_source(project.directory, cache=cache).owned == ("nsp.own",)


def test_a_dynamic_version_counts_as_zero(tmp_path: Path, cache: Path) -> None:
    """A version that only a build can compute is "0"."""
    project = Project(tmp_path / "p")
    text = project.pyproject().replace('version = "1.0"', 'dynamic = ["version"]')
    write_files(project.directory, {"pyproject.toml": text})
    assert from_source(project.directory, cache=cache).version == "0"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"[project\n", ["is not TOML"]),
        (b"\xff", ["is not UTF-8"]),
        (b"[tool.poetry]\nname = 'x'\n", ["no [project] table", "give a wheel"]),
        (b"[project]\nname = 'x'\n", ["declares no module", '[project.entry-points."hostcore.modules"]']),
        (b"[project]\nname = 'x'\ndynamic = ['entry-points']\n", ["declares no module", "computed by the build"]),
        (
            b"[project]\nname = 'x'\n[project.entry-points.'hostcore.modules']\n'a b' = 'x:X'\nc = 3.5\nd = ''\n",
            ["'a b' in [hostcore.modules] is not a module name", "'c' in", "'d' in"],
        ),
        (b"[project]\nname='x'\n[project.entry-points.'hostcore.modules']\na = 'gone:X'\n", ["HC203", "'gone'"]),
    ],
)
def test_a_project_that_cannot_be_used_says_all_that_is_wrong(
    tmp_path: Path, cache: Path, text: bytes, words: list[str]
) -> None:
    """Each mistake in `pyproject.toml` is told with its file, all in one error."""
    write_files(tmp_path, {"pyproject.toml": text})
    message = refusal(tmp_path, cache)
    for word in [str(tmp_path), *words]:
        assert word in message


def test_a_wheel_built_by_hatchling_is_a_release(tmp_path: Path, cache: Path) -> None:
    """A wheel is unpacked once, under its digest, and used from there."""
    wheel = Project(tmp_path / "p", version="1.2", manifest="[counter]\n").wheel(tmp_path)
    release = from_source(wheel, cache=cache)
    (unpacked,) = cache.iterdir()
    assert release.label == "counter 1.2 (acme-counter)"
    assert release.paths == (str(unpacked),)
    assert release.owned == ("acme_counter",)
    assert release.manifest == str(unpacked / "acme_counter" / "module.toml")
    assert (release.editable, release.source) == (False, str(wheel))
    marker = unpacked / "marker"
    marker.touch()
    assert from_source(str(wheel), "counter", cache=cache) == release
    assert marker.exists()


def test_a_directory_made_by_pip_is_a_source(tmp_path: Path, cache: Path) -> None:
    """In a directory of `pip install --target` the module is found by its metadata."""
    target = tmp_path / "target"
    install_target(target, Project(tmp_path / "p", version="3").wheel(tmp_path))
    release = from_source(target, cache=cache)
    assert release.label == "counter 3 (acme-counter)"
    assert (release.paths, release.editable) == ((str(target),), False)


@pytest.mark.parametrize("kind", ["project", "wheel"])
def test_of_several_modules_one_must_be_named(tmp_path: Path, cache: Path, kind: str) -> None:
    """Without a name several are an error that lists them, a wrong name one that says which is meant."""
    project = Project(tmp_path / "p", modules=TWO)
    source = project.directory if kind == "project" else write_wheel(tmp_path / "x.whl", {PACKAGE: ""}, modules=TWO)
    assert from_source(source, "other", cache=cache).value == "acme_counter:Other"
    assert "several modules: counter, other" in refusal(source, cache)
    message = refusal(source, cache, "countr")
    assert "no module named 'countr'" in message
    assert "did you mean 'counter'?" in message


def test_what_is_no_source_is_refused(tmp_path: Path, cache: Path) -> None:
    """A missing path, an empty directory, a device, a file that is no wheel: each has a clear error with a way out."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.whl").write_text("no wheel")
    assert "does not exist" in refusal(tmp_path / "nowhere", cache)
    assert "holds no installed module" in refusal(tmp_path / "empty", cache)
    assert "neither a file nor a directory" in refusal(os.devnull, cache)
    assert "is no wheel" in refusal(tmp_path / "text.whl", cache)
    plain = write_wheel(tmp_path / "plain.whl", {PACKAGE: "", "acme_counter-1.0.dist-info/entry_points.txt": ""})
    assert "holds no module" in refusal(plain, cache)


def test_metadata_that_hides_a_module_is_reported_with_it(tmp_path: Path, cache: Path) -> None:
    """If a wheel's only entry point is broken, the error says so beside that there is no module."""
    points = "[hostcore.modules]\ncounter = \n"
    wheel = write_wheel(tmp_path / "x.whl", {PACKAGE: "", "acme_counter-1.0.dist-info/entry_points.txt": points})
    message = refusal(wheel, cache)
    assert "HC204" in message and "HC114" in message
