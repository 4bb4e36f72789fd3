"""Sizes and durations: parsed, refused, printed back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hostcore.contract import units
from hostcore.contract.units import format_duration, format_size, parse_duration, parse_size


@pytest.mark.parametrize(
    ("written", "size"),
    [
        (1, 1), (1024, 1024), (2048.0, 2048), ("1B", 1), ("10 kB", 10_000), ("64MiB", 64 * 1024**2),
        ("64mib", 64 * 1024**2), (" 1.5 GiB ", 1536 * 1024**2), ("2TB", 2 * 10**12), ("1048576TiB", units.MAX_SIZE),
    ],
)  # fmt: skip
def test_size_is_read(written, size):
    """A number counts bytes; text takes decimal and binary units in any case, with or without a space."""
    assert parse_size(written) == size
    assert type(parse_size(written)) is int


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        (1, 1.0), (0.5, 0.5), ("200ms", 0.2), ("1s", 1.0), ("2m", 120.0), ("1.5 h", 5400.0), ("365d", 365 * 86400.0),
        ("1us", 1e-6), ("0.1s", 0.1),
    ],
)  # fmt: skip
def test_duration_is_read(written, seconds):
    """A number counts seconds; text takes units from microseconds to days."""
    assert parse_duration(written) == seconds
    assert type(parse_duration(written)) is float


@pytest.mark.parametrize(
    ("written", "says"),
    [
        (0, "out of range"), (-1, "out of range"), (float("nan"), "out of range"), (float("inf"), "out of range"),
        pytest.param(10**5000, "out of range", id="huge"), ("0B", "out of range"), ("1048577TiB", "out of range"),
        ("0.3B", "out of range"),
        (1.5, "not a whole number"), ("1.0001kB", "not a whole number"), ("64", "no unit"), ("", "not a size"),
        ("MiB", "not a size"), ("-1MiB", "not a size"), ("1e3kB", "not a size"), ("64MiB of RAM", "not a size"),
        ("64MuB", "did you mean 'MB'"), ("3 apples", "expected one of B, kB"), (True, "a number of bytes"),
        (None, "a number of bytes"), ([1], "a number of bytes"), pytest.param("1" * 10_000, "not a size", id="long"),
        ("٣MB", "not a size"),
    ],
)  # fmt: skip
def test_bad_size_is_refused(written, says):
    """What is no positive, bounded, whole number of bytes is refused with the reason."""
    with pytest.raises(ValueError, match=says):
        parse_size(written)


@pytest.mark.parametrize(
    ("written", "says"),
    [
        (0, "out of range"), (-0.5, "out of range"), (float("nan"), "out of range"), (float("inf"), "out of range"),
        pytest.param(10**5000, "out of range", id="huge"), ("0ms", "out of range"), ("366d", "out of range"),
        (1e-7, "out of range"),
        ("1", "no unit"), ("", "not a duration"), ("-1s", "not a duration"), ("1s 2ms", "not a duration"),
        ("1M", "unknown unit 'M'"), ("1sec", "unknown unit"), (False, "a number of seconds"), (None, "a number of"),
    ],
)  # fmt: skip
def test_bad_duration_is_refused(written, says):
    """What is no positive, bounded time is refused with the reason."""
    with pytest.raises(ValueError, match=says):
        parse_duration(written)


@pytest.mark.parametrize(
    ("size", "written"),
    [(1, "1B"), (1000, "1kB"), (1024, "1KiB"), (1025, "1025B"), (64 * 1024**2, "64MiB"), (3 * 10**9, "3GB")],
)
def test_size_prints_in_the_largest_whole_unit(size, written):
    """A size prints with the largest unit that needs no fraction, binary before decimal."""
    assert format_size(size) == written


@pytest.mark.parametrize(
    ("seconds", "written"),
    [
        (0.2, "200ms"), (1.0, "1s"), (90.0, "90s"), (120, "2m"), (86400.0, "1d"), (1.5e-6, "0.0000015s"),
        (0.1234567, "0.1234567s"),
    ],
)  # fmt: skip
def test_duration_prints_in_the_largest_whole_unit(seconds, written):
    """A duration prints with the largest unit that needs no fraction."""
    assert format_duration(seconds) == written


@given(st.integers(1, units.MAX_SIZE))
def test_size_survives_printing(size):
    """Every size parses back from what it prints as."""
    assert parse_size(format_size(size)) == size


@given(st.floats(units.MIN_DURATION, units.MAX_DURATION))
def test_duration_survives_printing(seconds):
    """Every duration parses back, to the last bit, from what it prints as."""
    assert parse_duration(format_duration(seconds)) == seconds


QUANTITIES = st.from_regex(r"\s?-?[0-9]{0,40}(\.[0-9]{0,40})?\s?[a-zA-Z]{0,4}", fullmatch=True)


@given(st.one_of(st.text(), QUANTITIES, st.floats(), st.integers(), st.none(), st.binary()))
def test_nothing_crashes_the_parsers(value):
    """Any value gives a bounded, positive number or a ValueError, and nothing else."""
    for parse, most in ((parse_size, units.MAX_SIZE), (parse_duration, units.MAX_DURATION)):
        try:
            amount = parse(value)
        except ValueError as error:
            assert len(str(error)) < 200
        else:
            assert 0 < amount <= most
