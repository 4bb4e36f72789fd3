"""Digests of files: always those of what is in the file now, however it was changed."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

import pytest

from hostcore.packages import digests
from hostcore.packages.digests import read_with_sha256, sha256_of


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """No digest is known from before."""
    forget(monkeypatch)


def forget(monkeypatch: pytest.MonkeyPatch) -> None:
    """Know as little as a new process."""
    monkeypatch.setattr(digests, "_digests", {})
    monkeypatch.setattr(digests, "_read", set())


@pytest.fixture
def old(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every file counts as not changed for long."""
    monkeypatch.setattr(digests, "SETTLED_AFTER", -1)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_both_ways_give_the_digest(tmp_path: Path) -> None:
    """The digest is that of the contents, with them or without."""
    file = tmp_path / "a.wasm"
    file.write_bytes(b"one")
    assert sha256_of(file) == sha256(b"one")
    assert read_with_sha256(file) == (b"one", sha256(b"one"))


@pytest.mark.usefixtures("old")
def test_a_file_that_stays_is_hashed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The digest of a file that has not changed is not made again."""
    file = tmp_path / "a.wasm"
    file.write_bytes(b"one")
    found = sha256_of(file)
    monkeypatch.setattr(digests, "hashlib", None)
    assert sha256_of(file) == found
    assert read_with_sha256(file) == (b"one", found)


@pytest.mark.usefixtures("old")
@pytest.mark.parametrize("changed", ["rewritten", "exchanged", "with the old time"])
def test_a_change_shows(tmp_path: Path, changed: str) -> None:
    """A file of the same length has its own digest, whether it was rewritten, exchanged, or given the old time."""
    file, new = tmp_path / "a.wasm", tmp_path / "b.wasm"
    file.write_bytes(b"one")
    before = file.stat()
    sha256_of(file)
    _wait_for_a_tick(tmp_path, before.st_ctime_ns)
    if changed == "exchanged":
        new.write_bytes(b"two")
        new.replace(file)
    else:
        file.write_bytes(b"two")
    if changed == "with the old time":
        os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert sha256_of(file) == sha256(b"two")
    assert read_with_sha256(file) == (b"two", sha256(b"two"))


def test_a_file_that_has_just_changed_is_hashed_each_time(tmp_path: Path) -> None:
    """Nothing is kept of a file that another change could leave looking the same."""
    file = tmp_path / "a.wasm"
    file.write_bytes(b"one")
    sha256_of(file)
    read_with_sha256(file)
    assert not digests._digests


@pytest.mark.usefixtures("old")
def test_only_so_many_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of too many files, the newest digests are kept."""
    monkeypatch.setattr(digests, "_MOST", 2)
    for name in ("a", "b", "c"):
        (tmp_path / name).write_text(name)
        sha256_of(tmp_path / name)
    assert [*digests._digests.values()] == [sha256(b"b"), sha256(b"c")]


def test_what_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    """A file that is not there, and a directory, raise OSError."""
    for path in (tmp_path, tmp_path / "nothing"):
        for function in (sha256_of, read_with_sha256):
            with pytest.raises(OSError, match=r"No such file|Is a directory"):
                function(path)


def _wait_for_a_tick(folder: Path, since: int) -> None:
    """Wait until the file system's clock has gone on."""
    probe, end = folder / "probe", time.monotonic() + 5
    probe.touch()
    while probe.stat().st_ctime_ns <= since:
        assert time.monotonic() < end
        os.utime(probe)


# --- on disk -------------------------------------------------------------------------------------------------------


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file in which digests outlive a process; all files count as large."""
    monkeypatch.setenv("HOSTCORE_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(digests, "_LARGE", 0)
    return tmp_path / "cache" / "digests.msgpack"


@pytest.mark.usefixtures("old")
def test_the_next_process_need_not_read_the_file(tmp_path: Path, disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The digest of a large file that has not changed is known to the next process."""
    file = tmp_path / "a.wasm"
    file.write_bytes(b"one")
    found = sha256_of(file)
    assert disk.stat().st_size > 64
    forget(monkeypatch)
    monkeypatch.setattr(digests, "hashlib", None)
    assert sha256_of(file) == found


@pytest.mark.usefixtures("old")
@pytest.mark.parametrize(
    "content", [b"", b"\xc1", b"\x91\x92\x01\x02", b"\x91\x92\x95\x01\x02\x03\x04\x05\xa1x", b"x" * 9000]
)
def test_a_damaged_file_is_as_good_as_none(
    tmp_path: Path, disk: Path, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    """Garbage where the digests are kept is not used, and is replaced."""
    disk.parent.mkdir()
    disk.write_bytes(content)
    file = tmp_path / "a.wasm"
    file.write_bytes(b"one")
    assert sha256_of(file) == sha256(b"one")
    forget(monkeypatch)
    monkeypatch.setattr(digests, "hashlib", None)
    assert sha256_of(file) == sha256(b"one")


@pytest.mark.usefixtures("old")
def test_a_cache_that_cannot_be_written(tmp_path: Path, disk: Path) -> None:
    """Where nothing can be kept, the digest is made all the same."""
    disk.parent.write_bytes(b"a file where the folder should be")
    file = tmp_path / "a.wasm"
    file.write_bytes(b"one")
    assert sha256_of(file) == sha256(b"one")
