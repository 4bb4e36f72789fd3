"""Kept code: a generation made again from what another was made of, whatever its files are by then."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hostcore.generations import Generation
from hostcore.generations.keeping import KeptCode, MixedReleaseError

NAMES = ("kept_sample", "kept_sample.a", "kept_sample.b", "kept_sample.sub", "kept_sample.sub.c")
FILES = {name: f"{name.replace('.', '/')}{'/__init__' if name in (NAMES[0], NAMES[3]) else ''}.py" for name in NAMES}


def write(folder: Path, value: str) -> None:
    for name, file in FILES.items():
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_text(f"VALUE = {name + ' ' + value!r}\n")


@contextmanager
def generation(folder: Path, kept: KeptCode | None = None) -> Iterator[Generation]:
    made = Generation("sample", [folder], owned=["kept_sample"], kept=kept)
    try:
        yield made
    finally:
        made.unload()


def load(made: Generation, name: str) -> str:
    loaded: str = made.load(name).VALUE
    return loaded


@settings(max_examples=30, deadline=None)
@given(st.sets(st.sampled_from(NAMES)), st.sampled_from(["same", "touched", "changed", "deleted"]))
def test_never_mixed(loaded: set[str], what: str) -> None:
    """What was loaded before is the old code; the rest comes from unchanged files, and never from others."""
    with TemporaryDirectory() as directory:
        folder = Path(directory)
        write(folder, "old")
        with generation(folder) as first:
            for name in sorted(loaded):
                assert load(first, name) == f"{name} old"
            kept, known = first.code, set(first.modules)
        if what == "touched":
            write(folder, "old")
        elif what == "changed":
            write(folder, "new")
        elif what == "deleted":
            shutil.rmtree(folder / "kept_sample")
        with generation(folder, kept) as second:
            for name in sorted(known):
                assert load(second, name) == f"{name} old"
            for name in sorted(set(NAMES) - known) if known else ():
                if what in ("same", "touched"):
                    assert load(second, name) == f"{name} old"
                else:
                    with pytest.raises(ImportError):
                        load(second, name)


def test_a_mixed_release_is_named(tmp_path: Path) -> None:
    """The error names the module that was wanted, and says how to have it kept."""
    write(tmp_path, "old")
    with generation(tmp_path) as first:
        load(first, "kept_sample")
        kept = first.code
    write(tmp_path, "new")
    with generation(tmp_path, kept) as second, pytest.raises(MixedReleaseError, match=r"'kept_sample\.a'") as caught:
        load(second, "kept_sample.a")
    assert caught.value.name == "kept_sample.a"
    assert "import it at the top" in str(caught.value)


def test_kept_again(tmp_path: Path) -> None:
    """A generation made from kept code can itself be kept, as often as one likes."""
    write(tmp_path, "old")
    kept = None
    for _ in range(4):
        with generation(tmp_path, kept) as made:
            assert load(made, "kept_sample.sub.c") == "kept_sample.sub.c old"
            kept = made.code
        shutil.rmtree(tmp_path / "kept_sample", ignore_errors=True)
