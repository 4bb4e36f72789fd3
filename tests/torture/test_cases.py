"""The table of cases: complete, true, and the one that the documentation shows."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest
from torture.attacks import BY_KEY
from torture.cases import GROUPS, PAGE, Without, page

TESTS = Path(__file__).parents[1]
CASES = [case for cases in GROUPS.values() for case in cases]


@cache
def functions(file: str) -> set[str]:
    """Return the names of the tests in a file."""
    tree = ast.parse((TESTS / file).read_text("utf-8"))
    return {node.name for node in tree.body if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_proofs(case) -> None:
    """For each tier a case has tests, all of which exist, or a reason why there are none."""
    for tier, proof in case.proofs().items():
        if isinstance(proof, Without):
            assert proof.reason, tier
            continue
        assert proof, tier
        for node in proof:
            file, _, name = node.partition("::")
            name, _, key = name.partition("[")
            assert name in functions(file), node
            assert not key or key.removesuffix("]") in BY_KEY, node


def test_every_attack_belongs_to_a_case() -> None:
    """No attack is made without a case that says what it is for."""
    named = {
        node for case in CASES for proof in case.proofs().values() if not isinstance(proof, Without) for node in proof
    }
    assert {f"torture/test_attacks.py::test_attack[{key}]" for key in BY_KEY} <= named


def test_names() -> None:
    """Each case has a name of its own."""
    assert len({case.name for case in CASES}) == len(CASES)


def test_the_page_shows_the_table() -> None:
    """The documentation has this very table; `PYTHONPATH=tests python tests/torture/cases.py` writes it anew."""
    text = PAGE.read_text("utf-8")
    assert text == page(text)
