"""Capabilities and requirements."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import Version

from hostcore.contract.versions import MAX_LENGTH, Capability, Requirement, parse_range, parse_version

NAMES = st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9._:-]{0,8}[A-Za-z0-9])?", fullmatch=True)
VERSIONS = st.from_regex(r"(0|[1-9][0-9]{0,3})(\.(0|[1-9][0-9]{0,3})){0,3}((a|b|rc)[0-9])?", fullmatch=True)
RANGES = st.lists(st.builds("{}{}".format, st.sampled_from([">=", "<", "!=", "==", "<=", ">"]), VERSIONS), max_size=3)


def test_capability_has_a_name_and_a_version():
    """A capability splits at its slash; without one its version is 0."""
    capability = Capability("parser:python/1.2")
    assert (capability.name, capability.version) == ("parser:python", Version("1.2"))
    assert Capability("stats").version == Version("0")
    assert repr(capability) == "Capability('parser:python/1.2')"


def test_capabilities_compare_by_name_and_version():
    """Equal versions are equal however written; order is that of versions, not of text."""
    assert Capability("a/1") == Capability("a/1.0")
    assert hash(Capability("a/1")) == hash(Capability("a/1.0"))
    assert sorted(map(Capability, ["a/1.10", "a/1.9", "A/2"])) == list(map(Capability, ["A/2", "a/1.9", "a/1.10"]))
    assert Capability("a/1") != "a/1"
    with pytest.raises(TypeError):
        assert Capability("a/1") < "a/2"


@pytest.mark.parametrize(
    "text",
    ["", "/1", "a/", "a/x", "a b", "-a", "a-", "a/1/2", "a\n", pytest.param("a/" + "9" * 5000, id="huge"), "a" * 300],
)
def test_bad_capability_is_refused(text):
    """What is not NAME or NAME/VERSION is a ValueError with a short text."""
    with pytest.raises(ValueError, match=r"expected (NAME|one)") as raised:
        Capability(text)
    assert len(str(raised.value)) < 250


@pytest.mark.parametrize(
    ("text", "name", "optional", "inside", "outside"),
    [
        ("clock", "clock", False, ["0", "99"], []),
        ("clock>=2,<3", "clock", False, ["2", "2.9.1", "2.5rc1"], ["1.9", "3"]),
        ("clock>=2?", "clock", True, ["2"], ["1"]),
        ("clock?", "clock", True, ["1"], []),
        (" parser:python >= 1.2 , < 2 ? ", "parser:python", True, ["1.2"], ["2"]),
        ("acme.metrics~=1.4", "acme.metrics", False, ["1.9"], ["2.0", "garbage"]),
    ],
)
def test_requirement_is_read(text, name, optional, inside, outside):
    """A requirement is a name, a PEP 440 range and perhaps a question mark; pre-releases lie in the range."""
    requirement = Requirement(text)
    assert (requirement.name, requirement.optional) == (name, optional)
    assert all(requirement.admits(version) for version in inside)
    assert not any(requirement.admits(version) for version in outside)
    assert requirement.admits(Version(inside[0]))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "?",
        ">=2",
        "clock 2",
        "clock>>2",
        "clock>=2??",
        "clock>=x",
        "a b>=1",
        pytest.param("a" + " " * 5000 + "?x", id="long"),
    ],
)
def test_bad_requirement_is_refused(text):
    """What is not NAME with a range is a ValueError that shows one that is."""
    with pytest.raises(ValueError, match=r"expected .* as in|expected one such as"):
        Requirement(text)


def test_requirements_compare_by_what_they_ask():
    """Two requirements are equal when they ask the same, in whatever order and spacing."""
    assert Requirement("a>=1,<2") == Requirement("a < 2, >= 1")
    assert len({Requirement("a>=1,<2"), Requirement("a<2,>=1")}) == 1
    assert Requirement("a>=1") != Requirement("a>=1?")
    assert repr(Requirement("a>=1?")) == "Requirement('a>=1?')"


def test_unreadable_version_counts_as_zero():
    """A version that nobody can read sorts below all others instead of failing."""
    assert parse_version("1.4") == Version("1.4")
    assert parse_version("garbage") == parse_version("9" * 5000) == Version("0")


@pytest.mark.parametrize("text", ["x", "1", ">=", "=>1", ">=1;<2", pytest.param(">=" + "9" * MAX_LENGTH, id="long")])
def test_bad_range_is_refused(text):
    """A malformed or oversized range is a ValueError."""
    with pytest.raises(ValueError, match="is not a version range"):
        parse_range(text)


@given(st.builds("{}/{}".format, NAMES, VERSIONS))
def test_capability_survives_printing(text):
    """Every capability parses back from what it prints as."""
    capability = Capability(text)
    assert Capability(str(capability)) == capability


@given(NAMES, RANGES, st.sampled_from(["", "?"]))
def test_requirement_survives_printing(name, ranges, mark):
    """Every requirement parses back from what it prints as."""
    requirement = Requirement(name + ",".join(ranges) + mark)
    assert Requirement(str(requirement)) == requirement
    assert str(Requirement(str(requirement))) == str(requirement)


@given(st.one_of(st.text(), st.from_regex(r"[a-z/?<>=~!., 0-9*]{0,40}", fullmatch=True)))
def test_no_text_crashes_a_parser(text):
    """Any text parses, and then prints to what parses again, or is a ValueError."""
    for kind in (Capability, Requirement):
        try:
            value = kind(text)
        except ValueError:
            continue
        assert kind(str(value)) == value
