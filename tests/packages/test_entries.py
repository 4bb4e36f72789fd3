"""`entry_points.txt` is read as the packaging specification has it, and what is wrong in it is reported."""

from __future__ import annotations

import importlib_metadata
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hostcore.contract import versions
from hostcore.packages.entries import HOOKSPECS, MODULES, NAME, Declaration, parse_entry_points

IDENTIFIER = st.from_regex(r"[a-z_][a-z0-9_]{0,5}", fullmatch=True)
DOTTED = st.lists(IDENTIFIER, min_size=1, max_size=3).map(".".join)
VALUE = st.tuples(DOTTED, DOTTED).map(":".join)
MODULE_NAME = st.from_regex(r"[a-z0-9](?:[a-z0-9._:-]{0,8}[a-z0-9])?", fullmatch=True)
FILE = st.dictionaries(st.sampled_from([MODULES, HOOKSPECS, "console_scripts"]), st.dictionaries(MODULE_NAME, VALUE))


def test_module_names_are_those_that_can_be_required() -> None:
    """What discovery takes for a module's name and what a requirement can name are the same."""
    assert NAME.pattern == versions.NAME.pattern


@given(st.text())
def test_any_text_is_read_without_an_exception(text: str) -> None:
    """No text makes the parser raise, and what it returns is complete."""
    for group, name, value in parse_entry_points(f"[{MODULES}]\n{text}")[0]:
        assert group and name and value


@given(FILE)
def test_well_formed_text_means_what_importlib_metadata_says(file: dict[str, dict[str, str]]) -> None:
    """Of a well-formed file the parser returns hostcore's groups as `importlib_metadata` reads them."""
    text = "\n".join(
        line for group, points in file.items() for line in [f"[{group}]", *(f"{k} = {v}" for k, v in points.items())]
    )
    expected = importlib_metadata.EntryPoints._from_text_for(text, None)
    found, problems = parse_entry_points(text)
    assert not problems
    assert sorted(found) == sorted((p.group, p.name, p.value) for p in expected if p.group in (MODULES, HOOKSPECS))


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        ("acme_counter", "acme_counter"),
        ("acme.counter : Counter.inner", "acme.counter:Counter.inner"),
        ("acme_counter:Counter [fast,more]", "acme_counter:Counter"),
        ("acme_shout:shout.wasm", "acme_shout:shout.wasm"),
        ("acme_shout:guests/my-shout.v1.wasm", "acme_shout:guests/my-shout.v1.wasm"),
    ],
)
def test_values_are_brought_into_their_plain_form(value: str, plain: str) -> None:
    """Blanks and extras are taken out of a value; objects, nested objects and guest files are allowed."""
    found, problems = parse_entry_points(f"[{MODULES}]\ncounter={value}\n")
    assert found == [Declaration(MODULES, "counter", plain)]
    assert not problems


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("counter", "HC113"),
        ("counter =", "HC114"),
        ("= acme:Counter", "HC114"),
        ("my counter = acme:Counter", "HC114"),
        ("counter = acme counter", "HC114"),
        ("counter = acme:", "HC114"),
        ("counter = :Counter", "HC114"),
        ("counter = acme:../x.wasm", "HC114"),
        ("counter = acme:/x.wasm", "HC114"),
        ("counter = 1acme:Counter", "HC114"),
    ],
)
def test_a_line_that_cannot_be_used_is_reported_and_the_others_count(line: str, code: str) -> None:
    """A bad line becomes one problem that says where it is; the good line after it is still found."""
    found, problems = parse_entry_points(f"[{MODULES}]\n{line}\ngood = acme:Good\n", "x/entry_points.txt")
    assert [declaration.name for declaration in found] == ["good"]
    assert [(problem.code, problem.where) for problem in problems] == [(code, "x/entry_points.txt:2")]


def test_a_name_declared_twice_is_reported_and_the_first_counts() -> None:
    """Of two lines with one name in one group the first is used."""
    found, problems = parse_entry_points(f"[{MODULES}]\na = x:X\na = y:Y\n[{HOOKSPECS}]\na = z\n")
    assert found == [Declaration(MODULES, "a", "x:X"), Declaration(HOOKSPECS, "a", "z")]
    assert [problem.code for problem in problems] == ["HC114"]


def test_what_is_in_other_groups_is_no_business_of_ours() -> None:
    """Comments, and lines of other groups however broken, give neither entries nor problems."""
    text = f"before\n[console_scripts]\nbroken\nx = \n# a\n[{MODULES}]\n; b\n  # c = d:e\n a = x:X \n[other]\n???"
    assert parse_entry_points(text) == ([Declaration(MODULES, "a", "x:X")], [])
