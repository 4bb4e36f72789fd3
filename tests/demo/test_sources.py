"""Which files the demo sends, and how it reads them."""

from __future__ import annotations

import tempfile
from pathlib import Path

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hostcore.cli.demo.sources import Sources


def test_files_are_sorted_and_named_from_the_path(tmp_path: Path) -> None:
    """Files are found at any depth, in a stable order, and named relative to the path."""
    for name in ("b.py", "pkg/a.py", "a.py", "a.pyc", "pkg/readme"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x = 1\n")
    sources = Sources(tmp_path)
    assert [sources.name(file) for file in sources.files] == ["a.py", "b.py", "pkg/a.py"]


def test_links_to_directories_are_not_followed(tmp_path: Path) -> None:
    """A link that leads back up does not make the search endless."""
    (tmp_path / "a.py").write_text("")
    (tmp_path / "loop").symlink_to(tmp_path)
    assert len(Sources(tmp_path).files) == 1


def test_no_file(tmp_path: Path) -> None:
    """A directory without a Python file is refused by name."""
    with pytest.raises(click.BadParameter, match=str(tmp_path)):
        Sources(tmp_path)


def test_a_file_that_comes_back_is_not_sent(tmp_path: Path) -> None:
    """A file that could not be read once stays skipped, with the first reason."""
    file = tmp_path / "a.py"
    file.write_bytes(b"\0")
    sources = Sources(tmp_path)
    assert sources.read(file) is None
    file.write_text("x = 1\n")
    assert sources.read(file) is None
    assert list(sources.skipped) == ["a.py"]


def test_a_file_that_is_gone(tmp_path: Path) -> None:
    """A file that disappears after it was found is skipped."""
    file = tmp_path / "a.py"
    file.write_text("")
    sources = Sources(tmp_path)
    file.unlink()
    assert sources.read(file) is None
    assert sources.skipped == {"a.py": "is not there, or not a regular file"}


@given(st.one_of(st.binary(max_size=200), st.text(max_size=100).map(lambda text: text.encode("utf-8", "replace")),
                 st.binary(max_size=40).map(lambda tail: b"# coding: " + tail)))  # fmt: skip
def test_any_bytes(data: bytes) -> None:
    """Whatever a file holds, it is read as text or skipped with a reason."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "a.py")
        file.write_bytes(data)
        sources = Sources(file)
        text = sources.read(file)
        assert isinstance(text, str) if not sources.skipped else text is None and sources.skipped["a.py"]
