"""From an entry point to the directories and names that a generation loads, without an import."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.distributions import entry_points, fake_install, write_files

from hostcore.errors import LoadError
from hostcore.packages.discovery import Discovery
from hostcore.packages.editable import finder_mapping
from hostcore.packages.locating import Release, locate
from hostcore.packages.owned import owned_by_files, owned_in

COUNTER = {"counter": "acme_counter:Counter"}
PACKAGE = "acme_counter/__init__.py"


def located(site: Path, name: str = "counter") -> Release:
    return locate(Discovery([str(site)]).find(name))


@pytest.mark.parametrize(
    ("files", "owned"),
    [
        (["acme/__init__.py", "acme/a.py", "acme/deep/er/b.py"], {"acme"}),
        (["acme.py", "_acme.abi3.so"], {"acme", "_acme"}),
        (["nsp/own/__init__.py", "nsp/own/a.py", "nsp/loose.py"], {"nsp.own", "nsp.loose"}),
        (["nsp/mid/own/__init__.py"], {"nsp.mid.own"}),
        (["acme/__init__.py", "acme_data/x.json", "acme/__pycache__/a.cpython-311.pyc"], {"acme"}),
        (["logging/__init__.py", "json.py", "acme.py"], {"acme"}),
        (["../../bin/acme", "/etc/acme.py", "my-script.py", ".hidden/a.py", ".", "acme.py"], {"acme"}),
        (["x-1.dist-info/METADATA", "x.pth"], set()),
    ],
)
def test_a_distribution_owns_its_packages_and_its_portions_of_namespaces(
    site: Path, files: list[str], owned: set[str]
) -> None:
    """Whole packages and modules are owned; of a namespace package only the portions; data and stdlib never."""
    write_files(site, {file: "" for file in files if not file.startswith((".", "/"))})
    assert owned_by_files(site, files) == owned


@pytest.mark.parametrize(
    "init",
    ["__path__ = __import__('pkgutil').extend_path(__path__, __name__)", "pkg_resources.declare_namespace(__name__)"],
)
def test_a_namespace_package_of_the_old_kind_is_shared(site: Path, init: str) -> None:
    """An `__init__.py` that every distribution ships does not make the namespace package anybody's own."""
    files = {"nsp/__init__.py": init, "nsp/own/__init__.py": ""}
    write_files(site, files)
    assert owned_by_files(site, files) == owned_in(site, "nsp") == {"nsp.own"}


def test_a_project_directory_owns_its_code_and_not_its_surroundings(tmp_path: Path) -> None:
    """Of a flat project the packages and modules are owned, not its build files, data, caches or documentation."""
    names = ["acme/__init__.py", "one.py", "setup.py", "docs/conf.py", "tests/test_x.py", ".venv/x/__init__.py"]
    names += ["nsp/own/__init__.py", "nsp/loose.py", "__pycache__/x.py", "json/__init__.py", "my-dir/__init__.py"]
    write_files(tmp_path, dict.fromkeys(names, ""))
    (tmp_path / "nsp" / "round").symlink_to(tmp_path)
    assert owned_in(tmp_path) == {"acme", "one"}
    assert owned_in(tmp_path, "nsp") == {"acme", "one", "nsp.own", "nsp.loose"}
    assert owned_in(tmp_path / "nowhere") == set()


def test_an_installed_release_is_told_in_full(site: Path) -> None:
    """The release has the label, paths, names and manifest of its distribution."""
    fake_install(site, "acme-counter", "1.4.0", COUNTER, [PACKAGE, "acme_counter/module.toml"])
    release = located(site)
    assert release == Release(
        name="counter",
        value="acme_counter:Counter",
        distribution="acme-counter",
        version="1.4.0",
        paths=(str(site),),
        owned=("acme_counter",),
        manifest=str(site / "acme_counter" / "module.toml"),
    )
    assert release.label == "counter 1.4.0 (acme-counter)"
    assert release.package == "acme_counter"


def test_the_nearest_manifest_counts(site: Path) -> None:
    """The manifest is beside the package that is named, or in its nearest parent that has one; it may be missing."""
    points = {"deep": "acme.a.b:X", "guest": "acme.c:guest.wasm", "near": "acme.a:X", "bare": "bare:X"}
    files = ["acme/__init__.py", "acme/module.toml", "acme/a/__init__.py", "acme/a/b.py", "acme/c/__init__.py"]
    fake_install(site, "acme", "1", points, [*files, "acme/c/module.toml", "acme/c/guest.wasm", "bare.py"])
    manifests = {name: located(site, name).manifest for name in points}
    top, near = str(site / "acme" / "module.toml"), str(site / "acme" / "c" / "module.toml")
    assert manifests == {"deep": top, "guest": near, "near": top, "bare": ""}


def no_record(info: Path) -> None:
    (info / "RECORD").unlink()


def binary_record(info: Path) -> None:
    (info / "RECORD").write_bytes(b"\xff\xfe\0")


@pytest.mark.parametrize("damage", [no_record, binary_record])
@pytest.mark.parametrize("top_level", ["", "acme_counter\n_acme\nmissing\n"])
def test_without_a_record_top_level_txt_or_the_entry_point_tells(
    site: Path, damage: Callable[[Path], None], top_level: str
) -> None:
    """Where RECORD is missing or unreadable the names come from `top_level.txt`, or else from the entry point."""
    info = fake_install(site, "acme-counter", "1", COUNTER, [PACKAGE, "_acme.py", "other/__init__.py"])
    damage(info)
    if top_level:
        (info / "top_level.txt").write_text(top_level)
    assert located(site).owned == (("_acme", "acme_counter") if top_level else ("acme_counter",))


def test_without_a_record_only_the_named_portion_of_a_namespace_is_owned(site: Path) -> None:
    """Who else has portions in the namespace package cannot be known, so only what is named counts."""
    info = fake_install(
        site, "nsp-own", "1", {"own": "nsp.own.sub:X"}, ["nsp/own/__init__.py", "nsp/other/__init__.py"]
    )
    no_record(info)
    assert located(site, "own").owned == ("nsp.own",)


def test_an_egg_info_in_a_working_tree_is_editable(tmp_path: Path) -> None:
    """What setuptools' old develop command leaves, an egg-info beside the code, is located as a working tree."""
    points = entry_points(COUNTER)
    write_files(tmp_path, {"x.egg-info/PKG-INFO": "Name: x\nVersion: 1\n", "x.egg-info/entry_points.txt": points,
                           "x.egg-info/top_level.txt": "acme_counter\n", PACKAGE: ""})  # fmt: skip
    release = located(tmp_path)
    assert release.owned == ("acme_counter",)
    assert release.editable


def editable(site: Path, files: dict[str, str]) -> None:
    fake_install(site, "acme-counter", "1", COUNTER, list(files))
    write_files(site, files)


def test_path_lines_of_a_pth_file_are_followed(site: Path, tmp_path: Path) -> None:
    """Every line that is a path outside is a working tree; comments, imports and paths inside are not."""
    write_files(tmp_path / "one", {PACKAGE: "", "acme_counter/module.toml": ""})
    write_files(tmp_path / "two", {"helper.py": ""})
    lines = ["# x", "import os", "", str(tmp_path / "one"), "../two", "inside", str(site / "inside")]
    editable(site, {"_acme_counter.pth": "\n".join(lines)})
    release = located(site)
    assert release.paths == (str(tmp_path / "one"), str(tmp_path / "two"))
    assert release.owned == ("acme_counter", "helper")
    assert release.manifest == str(tmp_path / "one" / "acme_counter" / "module.toml")


def test_a_setuptools_finder_is_followed_for_packages_modules_and_namespaces(site: Path, tmp_path: Path) -> None:
    """The finder's mapping gives directories and names, and its code is not run."""
    write_files(tmp_path / "p", {PACKAGE: "", "single.py": "", "nsp/own/__init__.py": "", "lib/deep/__init__.py": ""})
    mapping = {n: str(tmp_path / "p" / n) for n in ("acme_counter", "single", "nsp")}
    mapping |= {"lib.deep": str(tmp_path / "p" / "lib" / "deep"), "renamed": str(tmp_path / "p" / "acme_counter")}
    finder = f"raise SystemExit('run')\nMAPPING: dict[str, str] = {mapping!r}\nNAMESPACES = {{}}\n"
    editable(site, {"__editable__.acme.pth": "import __editable___acme_finder; __editable___acme_finder.install()",
                    "__editable___acme_finder.py": finder})  # fmt: skip
    release = located(site)
    assert release.paths == (str(tmp_path / "p"),)
    assert release.owned == ("acme_counter", "lib.deep", "nsp.own", "single")
    assert release.editable


@given(st.text())
def test_any_finder_is_parsed_without_an_exception(text: str) -> None:
    """A finder of unknown style, or no Python at all, gives an empty mapping."""
    assert finder_mapping(text) == {}
    assert finder_mapping(f"MAPPING = {text!r}") == {}


def test_a_mapping_that_is_not_made_of_plain_strings_is_left_alone() -> None:
    """Only literal strings are taken from a finder."""
    assert finder_mapping("MAPPING = {'a': f(), **b, 1: 'x', 'ok': '/p/ok'}\nMAPPING = other()") == {"ok": "/p/ok"}


@pytest.mark.parametrize(
    ("points", "files", "words"),
    [
        ({"counter": "acme_countr:X"}, [PACKAGE], ["'acme_countr'", "did you mean 'acme_counter'?"]),
        ({"counter": "json:X"}, [PACKAGE], ["'json'", "acme_counter"]),
        (COUNTER, [], ["'acme_counter'", "no importable package", "without -e"]),
    ],
)
def test_an_entry_point_that_names_nothing_of_its_own_is_refused(
    site: Path, points: dict[str, str], files: list[str], words: list[str]
) -> None:
    """The error HC203 names the release, what is named, what is there and what to do."""
    fake_install(site, "acme-counter", "1.0", points, files)
    with pytest.raises(LoadError) as caught:
        located(site)
    for word in ["HC203 counter 1.0 (acme-counter)", *words]:
        assert word in str(caught.value)


def test_a_distribution_that_went_away_after_the_scan_is_told(site: Path) -> None:
    """Between finding and locating a module pip may uninstall it; the error says so."""
    info = fake_install(site, "acme-counter", "1", COUNTER, [PACKAGE])
    entry = Discovery([str(site)]).find("counter")
    info.rename(site / "gone")
    with pytest.raises(LoadError, match="was uninstalled after it was found"):
        locate(entry)


def test_an_entry_in_an_archive_is_refused_with_advice(tmp_path: Path) -> None:
    """A wheel on the path is discovered but not loaded from; the error says how it can be."""
    from support.distributions import write_wheel

    wheel = write_wheel(tmp_path / "acme_counter-1.0-py3-none-any.whl", {PACKAGE: ""})
    with pytest.raises(LoadError, match="give the wheel as source"):
        locate(Discovery([str(wheel)]).find("counter"))
