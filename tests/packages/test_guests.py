"""WebAssembly modules: found in packages without Python code, beside it, and as files of their own."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest
from packaging.version import Version
from support.distributions import (
    GUEST,
    Project,
    Venv,
    fake_install,
    install_target,
    write_files,
    write_wheel,
)

from hostcore.contract.manifest import read_manifest
from hostcore.errors import LoadError, ManifestError
from hostcore.packages.discovery import Discovery
from hostcore.packages.locating import Release, locate
from hostcore.packages.sources import from_source

from .conftest import Lookout

SHOUT = {"shout": "acme_shout:shout.wasm"}
MANIFEST = '[shout]\npermissions = ["kv"]\n'
FILES = {"acme_shout/shout.wasm": GUEST}


def guest_project(directory: Path, **more: object) -> Project:
    settings = {"modules": SHOUT, "manifest": MANIFEST, "files": FILES, "code": False, **more}
    return Project(directory, "acme-shout", "1.2", **settings)


def located(site: Path, name: str = "shout") -> Release:
    return locate(Discovery([str(site)]).find(name))


def refused(site: Path, name: str = "shout") -> str:
    with pytest.raises(LoadError) as caught:
        located(site, name)
    assert caught.value.problems[0].code == "HC203"
    return str(caught.value)


def fake_guest(site: Path, value: str = "acme_shout:shout.wasm", files: tuple[str, ...] = ()) -> None:
    fake_install(site, "acme-shout", "1.2", {"shout": value}, files)


# --- installed -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", ["hatchling", "setuptools"])
def test_a_wheel_without_python_code_is_installed_and_found(
    venv: Venv, lookout: Lookout, tmp_path: Path, backend: str
) -> None:
    """A package folder that holds only a guest and a manifest is a release: it owns no names, its guest has a path."""
    venv.install(guest_project(tmp_path / "p", backend=backend).wheel(tmp_path / "dist"))
    release = lookout.sees("shout")
    folder = venv.site / "acme_shout"
    assert not (folder / "__init__.py").exists()
    assert (release["wasm"], release["manifest"]) == (str(folder / "shout.wasm"), str(folder / "module.toml"))
    assert (release["paths"], release["owned"], release["editable"]) == ([str(venv.site)], [], False)
    assert release["version"] == "1.2"
    venv.uninstall("acme-shout")
    assert "HC202" in lookout.sees("shout")["error"]


@pytest.mark.parametrize("layout", ["src", "flat"])
@pytest.mark.parametrize("backend", ["hatchling", "setuptools"])
def test_an_editable_install_leads_to_the_guest_in_the_working_tree(
    venv: Venv, lookout: Lookout, tmp_path: Path, backend: str, layout: str
) -> None:
    """The guest of an editable install is the one in the working tree, whatever the build backend writes."""
    project = guest_project(tmp_path / "p", backend=backend, layout=layout)
    venv.install(project.editable(tmp_path / "dist"))
    release = lookout.sees("shout")
    assert release["wasm"] == str(project.code / "acme_shout" / "shout.wasm")
    assert (release["paths"], release["editable"]) == ([str(project.code)], True)
    assert release["manifest"] == str(project.code / "acme_shout" / "module.toml")


def test_a_guest_in_a_nested_folder_and_a_namespace_is_found(site: Path) -> None:
    """The package may be a portion of a namespace that others share, and the file in a folder of the package."""
    fake_guest(site, "nsp.shout:guests/v1/shout.wasm", ("nsp/shout/guests/v1/shout.wasm", "nsp/shout/module.toml"))
    fake_install(site, "other", "1", {}, ["nsp/other/__init__.py"])
    release = located(site)
    assert release.wasm == str(site / "nsp" / "shout" / "guests" / "v1" / "shout.wasm")
    assert release.manifest == str(site / "nsp" / "shout" / "module.toml")
    assert (release.package, release.is_guest) == ("nsp.shout", True)


def test_without_a_record_a_guest_is_found_all_the_same(site: Path) -> None:
    """A guest needs no list of files: its package's folder is where the metadata is."""
    fake_guest(site, files=("acme_shout/shout.wasm",))
    (site / "acme_shout-1.2.dist-info" / "RECORD").unlink()
    assert located(site).wasm == str(site / "acme_shout" / "shout.wasm")


def test_a_missing_guest_names_what_is_there(site: Path) -> None:
    """A guest that is not in its package is an error with the files that are, and the one that was meant."""
    fake_guest(site, files=("acme_shout/shuot.wasm", "acme_shout/module.toml", "acme_shout/__init__.py"))
    message = refused(site)
    assert "names 'shout.wasm', which is not in its package" in message
    assert f"{site / 'acme_shout'} holds: module.toml, shuot.wasm" in message
    assert "did you mean 'shuot.wasm'?" in message
    (site / "acme_shout" / "shuot.wasm").unlink()
    assert "build it" in refused(site)
    (site / "acme_shout" / "shout.wasm").mkdir()
    assert "which is not in its package" in refused(site)


def test_a_missing_package_names_where_it_was_looked_for(site: Path) -> None:
    """A guest whose package's folder does not exist says so, and in which directories it was looked for."""
    fake_guest(site)
    message = refused(site)
    assert "names the package 'acme_shout', which is not there" in message
    assert f"looked in: {site}" in message


def test_a_working_tree_that_is_gone_is_told(venv: Venv, lookout: Lookout, tmp_path: Path) -> None:
    """An editable install whose directory was moved away is named as such."""
    project = guest_project(tmp_path / "p")
    venv.install(project.editable(tmp_path / "dist"))
    project.directory.rename(tmp_path / "moved")
    assert "which is not there any more" in lookout.sees("shout")["error"]


@pytest.mark.parametrize("file", ["../other/shout.wasm", "/etc/shout.wasm", "a/../../shout.wasm", "..\\shout.wasm"])
def test_a_guest_outside_of_its_package_is_refused(site: Path, file: str) -> None:
    """No entry point leads out of its package: metadata that tries declares nothing, other entries are refused."""
    fake_guest(site, f"acme_shout:{file}", ("acme_shout/x.wasm", "other/shout.wasm", "shout.wasm"))
    scan = Discovery([str(site)]).scan()
    assert not scan.modules
    assert scan.problems[0].code == "HC114"
    (site / "acme_shout-1.2.dist-info" / "entry_points.txt").write_text(
        "[hostcore.modules]\nshout = acme_shout:x.wasm\n"
    )
    entry = Discovery([str(site)]).find("shout")
    with pytest.raises(LoadError, match="leads out of its package"):
        locate(type(entry)(entry.name, f"acme_shout:{file}", entry.distribution, entry.version, entry.metadata))


def test_a_link_out_of_the_package_is_refused(site: Path, tmp_path: Path) -> None:
    """A link to a file elsewhere is refused; one within the package, or the package itself being one, is not."""
    fake_guest(site, files=("acme_shout/real.wasm",))
    write_files(tmp_path, {"elsewhere.wasm": GUEST})
    guest = site / "acme_shout" / "shout.wasm"
    guest.symlink_to(tmp_path / "elsewhere.wasm")
    assert "a link out of its package" in refused(site)
    guest.unlink()
    guest.symlink_to("real.wasm")
    assert located(site).wasm == str(guest)
    (site / "acme_shout").rename(tmp_path / "tree")
    (site / "acme_shout").symlink_to(tmp_path / "tree")
    assert located(site).wasm == str(guest)


# --- beside Python code --------------------------------------------------------------------------------------------


def test_the_guest_built_from_python_code_is_found_beside_it(site: Path) -> None:
    """A module's own guest lies in its package, called as the module; without one there is none."""
    points = {"counter": "acme:Counter", "other": "acme.deep.core:Other", "bare": "bare_mod:X", "none": "acme:None_"}
    files = ["acme/__init__.py", "acme/deep/__init__.py", "acme/deep/core.py", "bare_mod.py"]
    guests = ["acme/counter.wasm", "acme/deep/other.wasm", "bare.wasm"]
    fake_install(site, "acme", "1", points, [*files, *guests])
    found = {name: located(site, name) for name in points}
    assert [found[name].wasm for name in points] == [*(str(site / guest) for guest in guests), ""]
    assert not any(release.is_guest for release in found.values())
    assert found["counter"].owned == ("acme", "bare_mod")


def test_a_built_guest_that_is_a_link_elsewhere_does_not_count(site: Path, tmp_path: Path) -> None:
    """What lies outside of the package is not the module's."""
    fake_install(site, "acme", "1", {"counter": "acme:Counter"}, ["acme/__init__.py"])
    write_files(tmp_path, {"elsewhere.wasm": GUEST})
    (site / "acme" / "counter.wasm").symlink_to(tmp_path / "elsewhere.wasm")
    assert located(site, "counter").wasm == ""


def test_a_package_called_wasm_is_python_code(site: Path) -> None:
    """Without a colon "shout.wasm" is the dotted name of a Python module."""
    fake_install(site, "acme", "1", {"odd": "shout.wasm"}, ["shout/__init__.py", "shout/wasm.py"])
    release = located(site, "odd")
    assert (release.owned, release.is_guest, release.package) == (("shout",), False, "shout.wasm")


# --- sources -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", ["src", "flat"])
def test_a_project_with_a_guest_is_a_source(tmp_path: Path, layout: str) -> None:
    """The guest and manifest in a project directory are a release, without a build."""
    project = guest_project(tmp_path / "p", layout=layout)
    release = from_source(project.directory, cache=tmp_path / "cache")
    folder = project.code / "acme_shout"
    assert (release.wasm, release.manifest) == (str(folder / "shout.wasm"), str(folder / "module.toml"))
    assert (release.label, release.owned, release.editable) == ("shout 1.2 (acme-shout)", (), True)
    assert release.source == str(project.directory)
    (folder / "shout.wasm").unlink()
    with pytest.raises(LoadError, match=r"holds: module\.toml"):
        from_source(project.directory, cache=tmp_path / "cache")


def test_a_wheel_and_a_target_directory_with_a_guest_are_sources(tmp_path: Path) -> None:
    """What pip would install of a guest works as it lies there."""
    wheel = guest_project(tmp_path / "p").wheel(tmp_path)
    install_target(tmp_path / "target", wheel)
    for source in (wheel, tmp_path / "target"):
        release = from_source(source, "shout", cache=tmp_path / "cache")
        assert (release.source, release.editable, release.owned) == (str(source), False, ())
        assert Path(release.wasm).read_bytes() == GUEST
        assert read_manifest(release.manifest, "shout").permissions


def test_a_wheel_without_its_guest_is_refused(tmp_path: Path) -> None:
    """A wheel whose entry point names a guest that it does not hold says what it holds."""
    wheel = write_wheel(tmp_path / "x.whl", {"acme_shout/other.wasm": GUEST}, modules=SHOUT)
    with pytest.raises(LoadError, match=r"holds: other\.wasm"):
        from_source(wheel, cache=tmp_path / "cache")


@pytest.mark.parametrize("file", ["shout.wasm", "shout.bin", "shout"])
def test_a_file_with_a_guest_is_a_source(tmp_path: Path, file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A guest is known by its content or its suffix; it is called as its file, and its content is its version."""
    write_files(tmp_path, {file: GUEST})
    monkeypatch.chdir(tmp_path)
    release = from_source(file, cache=tmp_path / "cache")
    version = f"0+sha.{hashlib.sha256(GUEST).hexdigest()[:12]}"
    assert str(Version(release.version)) == version
    assert (release.name, release.value, release.label) == ("shout", file, f"shout {version} ({file})")
    assert release.wasm == release.source == str(tmp_path / file)
    assert (release.owned, release.is_guest, release.package, release.manifest) == ((), True, "", "")
    assert from_source(file, "other", cache=tmp_path / "cache").name == "other"
    assert not (tmp_path / "cache").exists()


def test_the_manifest_beside_a_file_counts_if_it_is_about_the_module(tmp_path: Path) -> None:
    """A `module.toml` beside the file is the module's if it has a table for it; a broken one is reported."""
    write_files(tmp_path, {"shout.wasm": GUEST, "module.toml": MANIFEST})
    release = from_source(tmp_path / "shout.wasm", cache=tmp_path)
    assert release.manifest == str(tmp_path / "module.toml")
    assert from_source(tmp_path / "shout.wasm", "other", cache=tmp_path).manifest == ""
    write_files(tmp_path, {"module.toml": "[shout\n"})
    broken = from_source(tmp_path / "shout.wasm", cache=tmp_path)
    with pytest.raises(ManifestError, match=r"module\.toml"):
        read_manifest(broken.manifest, "shout")


def test_garbage_called_wasm_is_the_hosts_to_refuse(tmp_path: Path) -> None:
    """What only claims to be a guest is not taken for a wheel: whoever compiles it says what is wrong."""
    write_files(tmp_path, {"shout.wasm": b"PK\x03\x04 no guest", "empty.wasm": b""})
    assert from_source(tmp_path / "shout.wasm", cache=tmp_path).is_guest
    assert from_source(tmp_path / "empty.wasm", cache=tmp_path).is_guest


@pytest.mark.parametrize("name", ["a b.wasm", ".wasm", "-.wasm"])
def test_a_file_that_cannot_name_a_module_needs_a_name(tmp_path: Path, name: str) -> None:
    """A stem that is no module's name is an error that asks for one."""
    write_files(tmp_path, {name: GUEST})
    with pytest.raises(LoadError, match="give the module a name"):
        from_source(tmp_path / name, cache=tmp_path)
    assert from_source(tmp_path / name, "shout", cache=tmp_path).name == "shout"


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_that_cannot_be_read_says_so(tmp_path: Path) -> None:
    """A guest without read permission is an error that gives the reason."""
    write_files(tmp_path, {"shout.wasm": GUEST})
    (tmp_path / "shout.wasm").chmod(0)
    with pytest.raises(LoadError, match="cannot be read: Permission denied"):
        from_source(tmp_path / "shout.wasm", cache=tmp_path)
