"""How the totals add up."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hostcore_stats.messages import FileParsed, Summary
from hostcore_stats.totals import Totals

counts = st.integers(0, 10_000)
modules = st.lists(st.sampled_from(["os", "os.path", "asyncio", ".", "..a", "typing"]), max_size=5)
kinds = st.dictionaries(st.sampled_from(["class", "function", "method"]), counts)
events = st.lists(st.builds(FileParsed, counts, kinds, modules, counts), max_size=20)


def totals_of(*events: FileParsed) -> Totals:
    """Return the totals of some events."""
    totals = Totals()
    for event in events:
        totals.add(event)
    return totals


def test_nothing_yet() -> None:
    """Before the first event all totals are zero."""
    assert Totals().summary(10) == Summary(0, 0, {}, 0, [])


def test_events_add_up() -> None:
    """Lines, symbols of each kind and errors of all events are summed."""
    first = FileParsed(lines=3, symbols={"class": 1, "method": 2}, imports=[], errors=1)
    second = FileParsed(lines=4, symbols={"method": 5}, imports=[], errors=0)
    assert totals_of(first, second).summary(10) == Summary(2, 7, {"class": 1, "method": 7}, 1, [])


def test_imports_are_counted_by_package() -> None:
    """Absolute imports count for their top-level package, relative ones not at all, the most frequent come first."""
    event = FileParsed(lines=1, symbols={}, imports=["os.path", "os", "abc", ".", "..os", "typing", "abc"], errors=0)
    assert totals_of(event).summary(10).imports == [("abc", 2), ("os", 2), ("typing", 1)]
    assert totals_of(event).summary(1).imports == [("abc", 2)]
    assert totals_of(event).summary(0).imports == []


def test_totals_share_nothing() -> None:
    """New totals begin empty, whatever others have counted."""
    totals_of(FileParsed(lines=1, symbols={"class": 1}, imports=["os"], errors=0))
    assert Totals() == Totals(0, 0, {}, 0, {})


@given(events, events)
def test_the_order_of_events_does_not_matter(first: list[FileParsed], second: list[FileParsed]) -> None:
    """Totals depend on which events came, not on their order."""
    assert totals_of(*first, *second).summary(9) == totals_of(*second, *first).summary(9)


@given(events)
def test_totals_are_sums(events: list[FileParsed]) -> None:
    """Each total is the sum over all events."""
    summary = totals_of(*events).summary(9)
    assert (summary.files, summary.lines) == (len(events), sum(event.lines for event in events))
    assert summary.errors == sum(event.errors for event in events)
    assert sum(summary.symbols.values()) == sum(sum(event.symbols.values()) for event in events)
