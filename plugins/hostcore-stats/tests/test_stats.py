"""The module's hooks, called as a host calls them."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

import hostcore
from hostcore_stats import FileParsed, GetSummary, Reset, Stats, Summary

EVENT = FileParsed(lines=3, symbols={"class": 1}, imports=["os", "re"], errors=1)


@pytest.fixture
def make_stats(ports):
    """Start a module, as a new generation would be."""

    def make(top: int = 10) -> Stats:
        stats = Stats()
        stats.initialize(hostcore.Context("stats", "1.0.0", 1, {"top": top}, ports))
        return stats

    return make


def test_it_listens_to_parsers(make_stats, ports) -> None:
    """The module subscribes to the event of every parser, and to nothing else."""
    make_stats()
    assert ports.subscribed == ["parser.parsed"]


def test_summary(make_stats, message) -> None:
    """An event has no reply; the totals are told when asked for, with as many imports as configured."""
    stats = make_stats(top=1)
    assert stats.handle_message(message(EVENT)) is None
    assert stats.handle_message(message(GetSummary())) == Summary(1, 3, {"class": 1}, 1, [("os", 1)])


def test_reset(make_stats, message) -> None:
    """A reset answers with the last totals and begins again from zero."""
    stats = make_stats()
    stats.handle_message(message(EVENT))
    assert stats.handle_message(message(Reset())).files == 1
    assert stats.handle_message(message(GetSummary())) == Summary(0, 0, {}, 0, [])


def test_an_event_of_a_newer_parser_is_understood() -> None:
    """Fields of an event that this release does not know are ignored."""
    data = {**msgspec.to_builtins(EVENT), "path": "a.py", "comments": 4}
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(data), type=FileParsed) == EVENT


def test_state_goes_on(make_stats, message) -> None:
    """A generation that restores the state of another, as encoded data, goes on where that one stopped."""
    old, new = make_stats(), make_stats()
    old.handle_message(message(EVENT))
    new.restore_state(msgspec.msgpack.decode(msgspec.msgpack.encode(old.get_state())))
    for stats in (old, new):
        stats.handle_message(message(EVENT))
    assert new.handle_message(message(GetSummary())) == old.handle_message(message(GetSummary()))
    assert new.get_state()["imports"] == {"os": 2, "re": 2}


def test_state_is_a_snapshot(make_stats, message) -> None:
    """A state that was taken does not change with later events."""
    stats = make_stats()
    state = stats.get_state()
    stats.handle_message(message(EVENT))
    assert state == {"files": 0, "lines": 0, "symbols": {}, "errors": 0, "imports": {}}


@pytest.mark.parametrize("state", [None, [], {"files": "many"}, {"symbols": {"class": None}}])
def test_broken_state_is_refused(make_stats, message, state: Any) -> None:
    """A state of another shape is refused, and the totals stay as they were."""
    stats = make_stats()
    stats.handle_message(message(EVENT))
    with pytest.raises(msgspec.ValidationError):
        stats.restore_state(state)
    assert stats.handle_message(message(GetSummary())).files == 1
