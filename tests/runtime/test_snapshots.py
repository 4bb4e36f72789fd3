"""Snapshots: what goes in comes out, and what an older release does not know is there again on the way forward."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hostcore.errors import StateError
from hostcore.messaging import wire
from hostcore.runtime.snapshots import Snapshot, complete, encode_state, unknown_fields

KEYS = st.text(max_size=3)
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=10,
)
TABLES = st.dictionaries(KEYS, PLAIN, max_size=5)
ANYTHING = PLAIN | st.sampled_from([object(), {"x": object()}, 2**64, "\ud800", lambda: 0, st]) | st.complex_numbers()


def encode(state: Any, limit: int = 10**6) -> bytes:
    return encode_state(state, module="m", label="m 1.0", limit=limit)


@given(PLAIN)
def test_what_goes_in_comes_out(state: Any) -> None:
    """Plain data is the same after its way through a snapshot, and made anew at each look."""
    snapshot = Snapshot(encode(state), 1, 1, "1.0")
    assert snapshot.value() == state
    if isinstance(state, dict | list) and state:
        assert snapshot.value() is not snapshot.value()


@given(ANYTHING, st.integers(0, 50))
def test_anything_else_is_a_named_error(state: Any, limit: int) -> None:
    """Whatever a module calls its state gives bytes within the limit or a StateError that names the module."""
    try:
        assert len(encode(state, limit)) <= limit
    except StateError as error:
        assert error.module == "m"
        assert error.code == "HC321"


def test_a_state_within_itself() -> None:
    """A state that contains itself is refused, not followed for ever."""
    state: list[Any] = []
    state.append(state)
    with pytest.raises(StateError, match="contains itself"):
        encode(state)


@given(TABLES, st.sets(KEYS), TABLES)
def test_there_and_back_loses_nothing(state: dict[str, Any], known: set[str], changed: dict[str, Any]) -> None:
    """Fields that the older release does not know are back, with its changes to those that it knows."""
    returned = {key: value for key, value in state.items() if key in known}
    aside = unknown_fields(state, returned)
    assert {**returned, **aside} == state
    later = {**returned, **{key: value for key, value in changed.items() if key in known}}
    assert complete(later, aside) == {**aside, **later}


@given(TABLES, TABLES)
def test_what_is_given_wins(state: dict[str, Any], aside: dict[str, Any]) -> None:
    """What a release gives itself is never replaced by what was set aside; neither argument is changed."""
    before = dict(state), dict(aside)
    assert {key: complete(state, aside)[key] for key in state} == state
    assert (state, aside) == before


@given(TABLES)
def test_nothing_deleted_comes_back(state: dict[str, Any]) -> None:
    """A release that gives back all that it got has nothing set aside: what it deletes later is gone."""
    assert unknown_fields(state, dict(state)) == {}
    assert complete({}, unknown_fields(state, state)) == {}


@given(PLAIN, PLAIN)
def test_other_shapes(given_state: Any, returned: Any) -> None:
    """State that is no table has no fields to set aside, and is not touched."""
    if not (isinstance(given_state, dict) and isinstance(returned, dict)):
        assert unknown_fields(given_state, returned) == {}
    if not isinstance(returned, dict):
        assert complete(returned, {"a": 1}) == returned


class Table(msgspec.Struct):
    a: int


def test_structs_are_tables() -> None:
    """A Struct counts as the table that it is encoded to; what cannot be encoded is left for the encoder to refuse."""
    assert unknown_fields({"a": 1, "b": 2}, Table(a=1)) == {"b": 2}
    assert complete(Table(a=3), {"b": 2}) == {"a": 3, "b": 2}
    assert wire.decode_raw(encode(complete(Table(a=3), {}))) == {"a": 3}
    odd = object()
    assert complete(odd, {"b": 2}) is odd
    assert unknown_fields({"b": 2}, odd) == {}
