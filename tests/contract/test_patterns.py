"""Patterns of names, as policies have them."""

from __future__ import annotations

from hostcore.contract.patterns import publisher_fits


def test_brackets_are_no_pattern() -> None:
    """A publisher may have them in its name; "[!x]*" does not stand for nearly everybody."""
    assert publisher_fits("Acme [bot] <bot@acme.example>", ["acme [bot] <*"])
    assert not publisher_fits("Acme b <bot@acme.example>", ["acme [bot] <*"])
    assert not publisher_fits("Mallory", ["[!x]*"])
