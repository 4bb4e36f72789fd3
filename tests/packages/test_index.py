"""The index makes scans faster and never wrong."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import pytest
from support.distributions import entry_points, fake_install

from hostcore.packages import discovery as discovery_file
from hostcore.packages import folders
from hostcore.packages.discovery import Discovery
from hostcore.packages.index import read_index, write_index

COUNTER = {"counter": "acme_counter:Counter"}


@pytest.fixture
def index(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "index.json"


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The folders that were read, and not taken from a snapshot."""
    seen: list[str] = []

    def read(path: str, stamp: folders.Stamp) -> folders.Folder:
        seen.append(path)
        return folders.read_folder(path, stamp)

    monkeypatch.setattr(discovery_file, "read_folder", read)
    return seen


@pytest.mark.usefixtures("trusting")
def test_a_second_process_reads_no_distribution(site: Path, index: Path, reads: list[str]) -> None:
    """What one discovery found is in the index for the next, with its problems; the file is its owner's only."""
    fake_install(site, "acme-counter", "1", COUNTER)
    fake_install(site, "broken", "1", "[hostcore.modules]\nbroken\n")
    first = Discovery([str(site)], index).scan()
    assert first == Discovery([str(site)], index).scan() == Discovery([str(site)]).scan()
    assert len(first.problems) == 1
    assert reads == [str(site)] * 2
    assert index.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in index.parent.iterdir()] == ["index.json"]


def test_a_folder_that_changed_just_now_is_not_trusted(
    site: Path, index: Path, reads: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within two seconds of a change every scan reads the folder again, and nothing is written."""
    assert folders.SETTLED_AFTER == 2 * 10**9
    monkeypatch.setattr(folders, "SETTLED_AFTER", 3600 * 10**9)  # so that a slow machine is no reason to fail
    fake_install(site, "acme-counter", "1", COUNTER)
    discovery = Discovery([str(site)], index)
    assert discovery.scan() == discovery.scan()
    assert reads == [str(site)] * 2
    assert not index.exists()


def clock_moves_on(site: Path) -> None:
    """Return once the file system's clock has ticked since the last change in `site`."""
    last = max(path.stat().st_ctime_ns for path in [site, *site.rglob("*")])
    probe = site.parent / "probe"
    probe.touch()
    while probe.stat().st_ctime_ns <= last:
        probe.touch()


def rewrite(site: Path, info: Path) -> None:
    (info / "entry_points.txt").write_text(entry_points({"other": "acme_counter:Other"}))


def rewrite_with_old_times(site: Path, info: Path) -> None:
    before = (info / "entry_points.txt").stat()
    rewrite(site, info)
    os.utime(info / "entry_points.txt", ns=(before.st_atime_ns, before.st_mtime_ns))


def complete_another(site: Path, info: Path) -> None:
    (site / "late-1.dist-info" / "entry_points.txt").write_text(entry_points({"other": "late:X"}))


def new_version(site: Path, info: Path) -> None:
    (info / "METADATA").write_text("Name: acme-counter\nVersion: 2\n")


@pytest.mark.parametrize("change", [rewrite, rewrite_with_old_times, complete_another, new_version])
@pytest.mark.usefixtures("trusting")
def test_a_distribution_that_changes_in_place_is_seen(site: Path, index: Path, change: Any) -> None:
    """The folder's own stamp stays, a watched file's does not: the scan equals one without an index."""
    (site / "late-1.dist-info").mkdir()
    info = fake_install(site, "acme-counter", "1", COUNTER)
    discovery = Discovery([str(site)], index)
    before = discovery.scan()
    clock_moves_on(site)
    change(site, info)
    truth = Discovery([str(site)]).scan()
    assert truth != before
    assert discovery.scan() == truth == Discovery([str(site)], index).scan()


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"\xff\xfe", b"[]", b'{"format": 0, "folders": {}}', b'{"format": 1, "folders": {"/x": {"stamp": 1}}}'],
)
@pytest.mark.usefixtures("trusting")
def test_an_index_that_is_damaged_or_foreign_is_replaced(site: Path, index: Path, content: bytes) -> None:
    """Whatever is in the file, the scan is right and the file is good afterwards."""
    fake_install(site, "acme-counter", "1", COUNTER)
    index.parent.mkdir()
    index.write_bytes(content)
    assert list(Discovery([str(site)], index).scan().modules) == ["counter"]
    assert list(read_index(index)) == [str(site)]


@pytest.mark.usefixtures("trusting")
def test_a_folder_without_distributions_is_not_kept(site: Path, index: Path) -> None:
    """The directories that a program happens to be started in do not fill the index."""
    (site / "file").touch()
    Discovery([str(site)], index).scan()
    assert not index.exists()


@pytest.mark.usefixtures("trusting")
def test_an_index_of_an_older_format_is_ignored(site: Path, index: Path) -> None:
    """An index that differs in nothing but the number of its format is not read."""
    fake_install(site, "acme-counter", "1", COUNTER)
    Discovery([str(site)], index).scan()
    data = msgspec.json.decode(index.read_bytes())
    index.write_bytes(msgspec.json.encode({**data, "format": 2}))
    assert read_index(index) == {}


@pytest.mark.usefixtures("trusting")
def test_an_index_that_cannot_be_written_is_no_error(site: Path, tmp_path: Path) -> None:
    """Discovery works where the index is a directory, or lies below a file; nothing is left behind."""
    fake_install(site, "acme-counter", "1", COUNTER)
    (tmp_path / "directory").mkdir()
    (tmp_path / "file").touch()
    before = sorted(tmp_path.iterdir())
    for index in (tmp_path / "directory", tmp_path / "file" / "index"):
        discovery = Discovery([str(site)], index)
        assert list(discovery.scan().modules) == list(discovery.scan().modules) == ["counter"]
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.usefixtures("trusting")
def test_folders_of_other_programs_stay_in_the_index_while_they_exist(tmp_path: Path, index: Path) -> None:
    """Two programs with different paths share a file; a folder that is gone is dropped from it."""
    for name in "abc":
        fake_install(tmp_path / name, name, "1", {name: f"{name}:X"})
    Discovery([str(tmp_path / "a")], index).scan()
    Discovery([str(tmp_path / "b")], index).scan()
    assert set(read_index(index)) == {str(tmp_path / "a"), str(tmp_path / "b")}
    (tmp_path / "a").rename(tmp_path / "moved")
    Discovery([str(tmp_path / "c")], index).scan()
    assert set(read_index(index)) == {str(tmp_path / "b"), str(tmp_path / "c")}


@pytest.mark.usefixtures("trusting")
def test_writers_at_once_leave_a_whole_index(tmp_path: Path, index: Path) -> None:
    """While many write, every read sees a whole index, never a part of one."""
    for number in range(4):
        fake_install(tmp_path / str(number), f"d{number}", "1", {f"m{number}": "x:X"})
    snapshots = [
        {str(tmp_path / str(n)): folders.read_folder(str(tmp_path / str(n)), folders.stamp_of(str(tmp_path / str(n))))}
        for n in range(4)
    ]
    write_index(index, snapshots[0])
    with ThreadPoolExecutor(8) as pool:
        writes = [pool.submit(write_index, index, snapshots[number % 4]) for number in range(200)]
        sizes = {len(read_index(index)) for _ in range(200)}
    assert all(write.result() for write in writes)
    assert 0 not in sizes
    assert [path.name for path in index.parent.iterdir()] == ["index.json"]
