"""Limits: how near to what was asked for memory is held, and how bombs of all kinds end."""

from __future__ import annotations

import os

import pytest

pytestmark = pytest.mark.usefixtures("fully")
MEGABYTE = 1024**2


@pytest.mark.parametrize("megabytes", [16, 64])
@pytest.mark.parametrize("attempt", ["fill_with_large_blocks", "fill_with_private_maps", "fill_with_threads"])
def test_memory_is_held_to_what_was_asked(caging, world, cage, uid, megabytes, attempt):
    """A module gets its memory, not 5 % more nor less, however it takes it, and lives on after a MemoryError."""
    done = caging.run(attempt, world, {**cage, "memory": megabytes * MEGABYTE}, uid)
    assert (done.error, done.status) == ("", 0)
    assert 0.95 * megabytes <= done.result <= 1.05 * megabytes


def test_small_objects_take_no_more(caging, world, cage):
    """Small objects have an overhead of Python's own, which counts as the module's."""
    done = caging.run("fill_with_small_objects", world, {**cage, "memory": 32 * MEGABYTE})
    assert 0.75 * 32 <= done.result <= 1.05 * 32


def test_shared_maps_are_bounded_by_addresses(caging, world, cage):
    """What can be shared between processes counts with the code of libraries, under its own bound."""
    done = caging.run("fill_with_shared_maps", world, {**cage, "memory": 16 * MEGABYTE, "mapped": 32 * MEGABYTE})
    assert 0.95 * 48 <= done.result <= 48
    unbound = caging.run("fill_with_shared_maps", world, {**cage, "memory": 16 * MEGABYTE, "mapped": None})
    assert unbound.result == 2048


def test_one_enormous_block(caging, world, cage, uid):
    """A request beyond all limits is an ordinary MemoryError."""
    assert (
        caging.run("fill_memory_with_one_block", world, {**cage, "memory": 16 * MEGABYTE}, uid).error == "MemoryError"
    )


@pytest.mark.parametrize(
    ("attempt", "error"), [("open_without_end", "EMFILE"), ("fill_the_disk", "EFBIG"), ("grow_a_file", "EFBIG")]
)
def test_bombs_of_files(caging, world, cage, uid, attempt, error):
    """Too many files, and too large ones, are an error where they are made, and kill nothing."""
    done = caging.run(attempt, world, {**cage, "files": 24, "file_size": 4 * MEGABYTE}, uid)
    assert (done.error, done.status) == (error, 0)


def test_a_bomb_of_threads(caging, world, cage, uid, apart):
    """An ordinary user's worker has no more threads than it may; root's has what its memory holds."""
    done = caging.run("thread_without_end", world, {**cage, "tasks": 20, "memory": 16 * MEGABYTE}, uid)
    most = 20 if uid is not None or os.geteuid() else 16 * MEGABYTE // (64 * 1024)
    assert 1 < done.result <= most


def test_processor_time(caging, world, cage):
    """A worker that has used up its processor time is ended by a signal that says so."""
    assert caging.run("spin", world, {**cage, "cpu": 1}).status == -24
