"""A guest's file, looked into and read."""

from __future__ import annotations

from pathlib import Path

import pytest

from hostcore.errors import LoadError
from hostcore.hosts.wasm import files
from hostcore.hosts.wasm.counting import memories_of
from hostcore.hosts.wasm.files import Changed, GuestFile
from hostcore.hosts.wasm.kinds import Kind
from hostcore.packages.locating import Release


def release(path: Path) -> Release:
    return Release("g", "g.wasm", "acme", "1.0", (str(path.parent),), (), wasm=str(path))


def test_it_is_looked_into_like_bytes(tmp_path: Path) -> None:
    """Single places of a file can be had without reading it all, in any order, and its length."""
    data = bytes(range(256)) * 3
    path = tmp_path / "g.wasm"
    path.write_bytes(data)
    file = GuestFile(release(path))
    assert (len(file), file.head, file.read()) == (len(data), data, data)
    assert [file[at] for at in (700, 0, 1, 255, 256, 767, 64, 63)] == [
        data[at] for at in (700, 0, 1, 255, 256, 767, 64, 63)
    ]


def test_memories_are_counted_in_a_file(tmp_path: Path) -> None:
    """What is counted in a file is what is counted in its bytes."""
    data = b"\0asm\1\0\0\0" + b"\x00\x81\x01" + b"x" * 129 + b"\x05\x05\x02\x00\x01\x00\x01"
    path = tmp_path / "g.wasm"
    path.write_bytes(data)
    assert memories_of(GuestFile(release(path)), Kind.CORE) == memories_of(data, Kind.CORE) == 2


def test_a_file_that_changes_meanwhile(tmp_path: Path) -> None:
    """What was replaced or cut off after it was looked at is noticed, not mixed up with what it was."""
    path = tmp_path / "g.wasm"
    path.write_bytes(b"one" * 100)
    file = GuestFile(release(path))
    path.write_bytes(b"two")
    with pytest.raises(Changed):
        file.read()
    with pytest.raises(Changed):
        file[200]


def test_what_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing file and one that is too large are errors that name the module and the file."""
    with pytest.raises(LoadError, match="cannot be read: No such file") as missing:
        GuestFile(release(tmp_path / "g.wasm"))
    assert missing.value.code == "HC203"
    path = tmp_path / "g.wasm"
    path.write_bytes(b"12345")
    monkeypatch.setattr(files, "LARGEST", 4)
    with pytest.raises(LoadError, match="is 5 bytes; at most 4 are loaded"):
        GuestFile(release(path))
    monkeypatch.setattr(files, "LARGEST", 5)
    file = GuestFile(release(path))
    path.unlink()
    with pytest.raises(LoadError, match="cannot be read"):
        file.read()
