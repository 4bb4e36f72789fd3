"""Topics and patterns."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hostcore.contract.topics import includes, is_pattern, is_topic, is_wild, matches

WORDS = st.sampled_from(["a", "b", "c"])
TOPICS = st.lists(WORDS, min_size=1, max_size=4).map(".".join)
PATTERNS = st.builds(
    lambda words, tail: ".".join([*words, *tail]) or "*",
    st.lists(st.sampled_from(["a", "b", "*"]), max_size=3),
    st.sampled_from([[], [">"]]),
)


@pytest.mark.parametrize("text", ["a", "repo.changed", "parser:python", "log.warn-2", "größe.x", "a/1.b"])
def test_topic(text):
    """Words of any characters but dots, stars, angles, blanks and controls, joined by dots, are a topic."""
    assert is_topic(text)
    assert is_pattern(text)
    assert not is_wild(text)


@pytest.mark.parametrize(
    "text",
    ["", ".", "a.", ".a", "a..b", "a b", "a\n", "a\x00", "a\x7f", "a\ud800", "a" * 257, "a*", "a.>b", ">.a", "a>"],
)
def test_neither_topic_nor_pattern(text):
    """Empty words, blanks, controls, surrogates, misplaced wildcards and overlong texts are refused."""
    assert not is_topic(text)
    assert not is_pattern(text)


@pytest.mark.parametrize("text", ["*", ">", "a.*", "*.b", "a.*.c", "a.>", "*.>", "*.*"])
def test_pattern_is_no_topic(text):
    """A text with wildcards can be subscribed to but not published to."""
    assert is_pattern(text)
    assert is_wild(text)
    assert not is_topic(text)


@pytest.mark.parametrize(
    ("pattern", "topic", "expected"),
    [
        ("repo.changed", "repo.changed", True), ("repo.changed", "repo.other", False),
        ("repo.*", "repo.changed", True), ("repo.*", "repo.file.changed", False), ("repo.*", "repo", False),
        ("repo.>", "repo.changed", True), ("repo.>", "repo.file.changed", True), ("repo.>", "repo", False),
        ("*.changed", "repo.changed", True), ("*.changed", "a.b.changed", False), ("*", "a", True), ("*", "a.b", False),
        (">", "a", True), (">", "a.b.c", True), ("a.*.c", "a.b.c", True), ("a.*.c", "a.b.d", False),
        ("a+.*", "a+.b", True), ("a+.*", "aa.b", False),
    ],
)  # fmt: skip
def test_matching(pattern, topic, expected):
    """A star stands for exactly one word, a final angle for one or more, everything else for itself."""
    assert matches(pattern, topic) is expected


@pytest.mark.parametrize(
    ("pattern", "other", "expected"),
    [
        ("repo.*", "repo.>", False), ("repo.>", "repo.*", True), ("repo.*", "repo.*", True), ("*", "a", True),
        ("*", ">", False), (">", "*", True), (">", ">", True), ("a.>", "a", False), ("a.*.>", "a.>", False),
        ("a.>", "a.*.>", True), ("*.b", "a.*", False), ("a.b.>", "a.b", False),
    ],
)  # fmt: skip
def test_a_pattern_within_another(pattern, other, expected):
    """One pattern includes another when nothing that the other matches escapes it."""
    assert includes(pattern, other) is expected


@given(PATTERNS, PATTERNS, TOPICS)
def test_includes_agrees_with_matches(pattern, other, topic):
    """Where one pattern includes another, every topic of the other is one of its own."""
    if includes(pattern, other) and matches(other, topic):
        assert matches(pattern, topic)


@given(PATTERNS, TOPICS)
def test_a_topic_is_included_exactly_when_it_matches(pattern, topic):
    """For a topic without wildcards, inclusion and matching are the same."""
    assert includes(pattern, topic) == matches(pattern, topic)


@given(st.text(), st.text())
def test_no_text_crashes_the_functions(pattern, topic):
    """Any two texts get an answer; a topic is always a pattern that matches itself."""
    matches(pattern, topic)
    includes(pattern, topic)
    if is_topic(topic):
        assert is_pattern(topic)
        assert matches(topic, topic)
        assert matches(">", topic)
