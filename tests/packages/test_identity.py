"""What tells one release from another, and whose it is said to be."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.distributions import GUEST, Project, write_files
from support.modules import COUNTER, ModuleWriter, install

from hostcore.errors import LoadError
from hostcore.packages.discovery import Discovery
from hostcore.packages.identity import publisher_of, release_digest
from hostcore.packages.locating import Release, locate
from hostcore.packages.sources import from_source


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder with the distribution "acme-counter" installed."""
    folder = tmp_path / "site"
    folder.mkdir()
    files = {"acme_counter/deep/more.py": "x = 1\n", "acme_counter/data.txt": "data"}
    install(folder, "counter", COUNTER, manifest="permissions = ['kv']", files=files)
    return folder


def installed(site: Path) -> Release:
    return locate(Discovery([str(site)]).scan().modules["counter"])


@pytest.mark.parametrize("name", ["__init__.py", "deep/more.py", "data.txt", "module.toml"])
def test_one_byte_makes_another_release(site: Path, name: str) -> None:
    """Code at any depth, data and the manifest count; the same bytes give the same digest."""
    before = release_digest(installed(site))
    assert before == release_digest(installed(site)) and len(before) == 64
    file = site / "acme_counter" / name
    text = file.read_text()
    file.write_text(text + "\n# x")
    assert release_digest(installed(site)) != before
    file.write_text(text)
    assert release_digest(installed(site)) == before


def test_names_and_places_count(site: Path) -> None:
    """A file that is new, gone, or called otherwise makes another release; cached bytecode does not."""
    before = release_digest(installed(site))
    (site / "acme_counter" / "__pycache__").mkdir()
    (site / "acme_counter" / "__pycache__" / "x.cpython-313.pyc").write_bytes(b"x")
    (site / "acme_other.py").write_text("")
    assert release_digest(installed(site)) == before
    (site / "acme_counter" / "code.pyc").write_bytes(b"x")  # is imported as it is
    assert release_digest(installed(site)) != before
    (site / "acme_counter" / "code.pyc").unlink()
    (site / "acme_counter" / "data.txt").rename(site / "acme_counter" / "deep" / "data.txt")
    assert release_digest(installed(site)) != before


def test_a_module_in_a_single_file_has_one(tmp_path: Path) -> None:
    """Neighbours of other names do not count."""
    write_files(tmp_path, {"one.py": "x = 1", "one_more.py": "x = 1", "two.py": ""})
    release = Release("m", "one:M", "acme-m", "1.0", (str(tmp_path),), ("one",))
    before = release_digest(release)
    (tmp_path / "one_more.py").write_text("")
    assert release_digest(release) == before
    (tmp_path / "one.py").write_text("x = 2")
    assert release_digest(release) != before


def test_of_a_working_tree_the_manifest_counts(write: ModuleWriter, tmp_path: Path) -> None:
    """An author may edit the code without being another release; what it asks for makes one."""
    project = write(COUNTER, "counter", manifest="permissions = ['kv']")

    def digest() -> str:
        return release_digest(from_source(project, "counter", cache=tmp_path))

    before = digest()
    (project / "acme_counter" / "__init__.py").write_text("# changed")
    assert digest() == before
    (project / "acme_counter" / "module.toml").write_text("[counter]\npermissions = ['kv', 'clock']\n")
    assert digest() != before


def test_a_guest_in_a_file_has_one(tmp_path: Path) -> None:
    """Its bytes count, and the manifest beside it."""
    guest = tmp_path / "m.wasm"
    found = set()
    for content, manifest in ((GUEST, ""), (GUEST + b"\0\x02\x01a", ""), (GUEST, "[m]\n"), (GUEST, "[m]\n\n")):
        guest.write_bytes(content)
        (tmp_path / "module.toml").write_text(manifest)
        found.add(release_digest(from_source(guest, cache=tmp_path)))
    assert len(found) == 4


def test_a_file_that_is_gone_is_an_error(site: Path) -> None:
    """A release whose manifest has gone meanwhile has no digest, and says so."""
    release = installed(site)
    (site / "acme_counter" / "module.toml").unlink()
    with pytest.raises(LoadError, match="cannot be read") as caught:
        release_digest(release)
    assert caught.value.code == "HC203"


def test_the_publisher_is_what_the_metadata_says(tmp_path: Path) -> None:
    """Authors come before maintainers, of a wheel as of a project; the build writes the one from the other."""
    project = Project(tmp_path / "p")
    text = (project.directory / "pyproject.toml").read_text()
    people = 'authors = [{name = "Ada", email = "ada@acme.example"}]\nmaintainers = [{name = "Bob"}]\n'
    (project.directory / "pyproject.toml").write_text(text.replace("[project]\n", f"[project]\n{people}", 1))
    assert publisher_of(from_source(project.directory, "counter", cache=tmp_path)) == "Ada <ada@acme.example>"
    wheel = project.wheel(tmp_path)
    assert publisher_of(from_source(wheel, "counter", cache=tmp_path / "cache")) == "Ada <ada@acme.example>"


@pytest.mark.parametrize(
    ("said", "publisher"),
    [
        ("authors = [{name = 'Ada'}]", "Ada"), ("authors = [{email = 'a@b.example'}]", "a@b.example"),
        ("maintainers = [{name = 'Bob'}]", "Bob"), ("authors = []", ""), ("authors = 'Ada'", ""),
        ("authors = ['Ada']", ""), ("authors = [{}]", ""), ("", ""),
    ],
)  # fmt: skip
def test_a_project_that_names_nobody_has_no_publisher(write: ModuleWriter, tmp_path: Path, said, publisher) -> None:
    """Whatever stands there instead is nobody."""
    project = write(COUNTER, "counter")
    file = project / "pyproject.toml"
    file.write_text(file.read_text().replace("[project]\n", f"[project]\n{said}\n"))
    assert publisher_of(from_source(project, "counter", cache=tmp_path)) == publisher


def test_who_says_nothing_has_no_publisher(site: Path, tmp_path: Path) -> None:
    """Metadata without an author, or none at all, names nobody."""
    assert publisher_of(installed(site)) == ""
    assert publisher_of(Release("m", "m:M", "acme-m", "1.0", (str(tmp_path),), ("m",))) == ""


@pytest.fixture
def write(tmp_path: Path) -> ModuleWriter:
    """Write a module's project and return its directory."""
    return ModuleWriter(tmp_path)
