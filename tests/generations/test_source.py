"""A generation runs the source as it is on the disk now, and leaves the disk alone."""

from __future__ import annotations

import importlib.util
import os
import py_compile
import sys
from pathlib import Path

import pytest
from generations.support import living, tiny

from hostcore.generations import Generation


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The sources of a release "1" of tiny; bytecode may be written, as in an ordinary run."""
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    return Path(tiny(tmp_path, "1")) / "tiny"


def edit(file: Path, old: str, new: str) -> None:
    """Replace text by text of the same length, and keep the file's time."""
    assert len(old) == len(new)
    stat = file.stat()
    file.write_text(file.read_text().replace(old, new))
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert (file.stat().st_size, file.stat().st_mtime_ns) == (stat.st_size, stat.st_mtime_ns)


def load(package: Path) -> Generation:
    """Load tiny and its part as a new generation."""
    generation = Generation("tiny", [str(package.parent)])
    generation.load("tiny.part")
    return generation


def versions(generation: Generation) -> tuple[str, str]:
    """Tell the versions of the package and of its part."""
    return generation.load("tiny").VERSION, generation.load("tiny.part").VERSION


def test_edit_of_same_size_and_time(package: Path) -> None:
    """A new generation sees an edit that changes neither the size nor the time of a file; the old one does not."""
    with living(load(package)) as first:
        edit(package / "__init__.py", '"1"', '"2"')
        edit(package / "part.py", '"1"', '"2"')
        with living(load(package)) as second:
            assert versions(first) == ("1", "1")
            assert versions(second) == ("2", "2")


def test_late_import_reads_the_source_of_its_time(package: Path) -> None:
    """A module imported late is compiled from the file as it is then."""
    with living(load(package)) as generation:
        edit(package / "other.py", '"1"', '"2"')
        assert generation.load("tiny.other").VERSION == "2"


def test_file_added_after_the_first_import(package: Path) -> None:
    """A file added to a package after its directory was read can be imported, within the same second too."""
    with living(load(package)) as generation:
        stat = package.stat()
        (package / "added.py").write_text("VERSION = 'added'\n")
        os.utime(package, ns=(stat.st_atime_ns, stat.st_mtime_ns))
        with living(load(package)) as fresh:
            assert fresh.load("tiny.added").VERSION == "added"
        importlib.invalidate_caches()
        assert generation.load("tiny.added").VERSION == "added"


@pytest.mark.parametrize("mode", list(py_compile.PycInvalidationMode))
def test_poisoned_bytecode_is_ignored(package: Path, mode: py_compile.PycInvalidationMode) -> None:
    """A .pyc that is valid by time or by hash but holds other code is not run."""
    for name in ("__init__", "part"):
        poison(package / f"{name}.py", mode)
    with living(load(package)) as generation:
        assert versions(generation) == ("1", "1")


def poison(file: Path, mode: py_compile.PycInvalidationMode) -> None:
    """Write a .pyc for `file` that the interpreter takes for good and that holds another version."""
    edit(file, '"1"', '"X"')
    py_compile.compile(str(file), doraise=True, invalidation_mode=mode)
    edit(file, '"X"', '"1"')


def test_no_bytecode_is_written(package: Path) -> None:
    """Loading, late imports and unloading write nothing beside the sources."""
    before = sorted(package.parent.rglob("*"))
    with living(load(package)) as generation:
        generation.load("tiny").late()
        generation.load("tiny.other")
    assert sorted(package.parent.rglob("*")) == before


def test_no_bytecode_by_the_hosts_imports(package: Path) -> None:
    """An import or a reload by the host of a hosted module writes no bytecode either."""
    before = sorted(package.parent.rglob("*"))
    with living(load(package)):
        import tiny.other  # type: ignore[import-not-found]

        edit(package / "other.py", '"1"', '"2"')
        assert importlib.reload(tiny.other).VERSION == "2"
    assert sorted(package.parent.rglob("*")) == before


def test_bytecode_without_source(package: Path) -> None:
    """A release that ships bytecode only is loaded from it."""
    for name in ("__init__", "part"):
        py_compile.compile(str(package / f"{name}.py"), cfile=str(package / f"{name}.pyc"), doraise=True)
        (package / f"{name}.py").unlink()
    with living(load(package)) as generation:
        assert versions(generation) == ("1", "1")


def test_source_shown_is_the_source_run(package: Path) -> None:
    """inspect shows a new generation's source, not the one that was shown for the old."""
    import inspect

    with living(load(package)) as first:
        assert "part.VERSION" in inspect.getsource(first.load("tiny").late)
        edit(package / "__init__.py", "return part.VERSION", "return part.NEWER__")
        with living(load(package)) as second:
            assert "NEWER__" in inspect.getsource(second.load("tiny").late)


def test_path_importer_cache_is_untouched(package: Path) -> None:
    """The process's cache of finders holds nothing for a generation's directories."""
    with living(load(package)):
        pass
    assert not [entry for entry in sys.path_importer_cache if entry.startswith(str(package.parent))]


def test_source_encodings(package: Path) -> None:
    """A coding line and a byte order mark are honoured."""
    (package / "latin.py").write_bytes(b"# -*- coding: latin-1 -*-\nTEXT = '\xe4'\n")
    (package / "marked.py").write_bytes(b"\xef\xbb\xbfTEXT = '\xc3\xa4'\n")
    with living(load(package)) as generation:
        assert generation.load("tiny.latin").TEXT == generation.load("tiny.marked").TEXT == "ä"
