"""The directory of a worker is removed, however hard its module has made that."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from hostcore.hosts.worker.folders import PREFIX, remove, remove_abandoned


def nested(folder: Path, depth: int) -> None:
    """Make directories in each other, deeper than any path can be written."""
    place = os.open(folder, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("d", dir_fd=place)
        inner = os.open("d", os.O_RDONLY, dir_fd=place)
        os.close(place)
        place = inner
    os.close(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=place))
    os.close(place)


def test_deep(tmp_path: Path) -> None:
    """Directories may be nested deeper than there are calls or descriptors; the way down takes few of these."""
    folder = tmp_path / "deep"
    folder.mkdir()
    nested(folder, 1200)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(int(name) for name in os.listdir("/proc/self/fd"))
    resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 8, hard))
    try:
        remove(folder)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert not folder.exists()


def test_awkward(tmp_path: Path) -> None:
    """Directories that deny everything go too; what links lead to stays as it is."""
    outside = tmp_path / "outside"
    outside.mkdir(0o755)
    (outside / "kept").write_text("kept")
    folder = tmp_path / "awkward"
    (folder / "a" / "locked").mkdir(parents=True)
    (folder / "a" / "link").symlink_to(outside)
    (folder / "link").symlink_to(outside)
    (folder / "nowhere").symlink_to("nowhere")
    os.mkfifo(folder / "a" / "pipe")
    (folder / "a" / "locked" / "inner").mkdir(mode=0)
    (folder / "a" / "locked").chmod(0)
    (folder / "locked").mkdir(mode=0)
    (folder / "a").chmod(0)
    remove(folder)
    assert not folder.exists()
    assert (outside / "kept").read_text() == "kept"
    assert outside.stat().st_mode & 0o777 == 0o755


def test_nothing_there(tmp_path: Path) -> None:
    """What is gone already, or is no directory, is left alone."""
    remove(tmp_path / "gone")
    (tmp_path / "file").write_text("x")
    remove(tmp_path / "file")
    assert (tmp_path / "file").exists()


def test_abandoned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a host left behind that is gone is removed; what belongs to one that runs, or is no worker's, stays."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    for name in (f"{PREFIX}{gone.pid}-a", f"{PREFIX}{os.getpid()}-b", f"{PREFIX}other", "other"):
        (tmp_path / name / "inner").mkdir(parents=True)
    remove_abandoned()
    assert {path.name for path in tmp_path.iterdir()} == {f"{PREFIX}{os.getpid()}-b", f"{PREFIX}other", "other"}
