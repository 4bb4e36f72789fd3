"""Permissions are decided in one place: the code itself is looked through for others."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import hostcore

PACKAGE = Path(hostcore.__file__).parent
DECIDES = {"contract/grants.py", "contract/permissions.py", "contract/topics.py"}
"""Here permissions are compared, and nowhere else."""
DENIES = {
    "contract/grants.py": "what a module lacks",
    "runtime/consents.py": "a file that others could have written",
    "runtime/isolating.py": "a host that the policy forbids",
    "runtime/gate.py": "a release whose isolation did not hold when it was tested",
    "hosts/worker/host.py": "a machine whose sandbox is weaker than the policy demands",
    "runtime/permits.py": "what a release does not ask for",
    "guest/inside/ports.py": "in a guest, which the host refuses again",
}
"""Where a DeniedError is made, and of what."""
TARGETS = {"fs.read", "fs.write", "net", "env", "bus.send", "bus.subscribe", "bus.request", "cap", "kv", "clock",
           "random", "spawn"}  # fmt: skip
ASK = {"allows", "require", "has", "given", "names", "targets", "advice"}


def files() -> Iterator[tuple[str, ast.AST]]:
    """Yield every file of the package, parsed."""
    for path in sorted(PACKAGE.rglob("*.py")):
        yield str(path.relative_to(PACKAGE)), ast.parse(path.read_text(encoding="utf-8"))


def calls(tree: ast.AST, *names: str) -> list[ast.Call]:
    """Return the calls of functions, classes and methods of these names."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            function = node.func
            name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
            if name in names:
                found.append(node)
    return found


def test_permissions_are_compared_in_one_place() -> None:
    """Nobody but the grants asks whether one permission covers another."""
    assert {name for name, tree in files() if calls(tree, "covers", "includes")} <= DECIDES


def test_denials_are_made_in_few_places() -> None:
    """What a module is told that may not do something is made by its grants."""
    assert {name for name, tree in files() if calls(tree, "DeniedError")} == DENIES.keys()


def test_nobody_looks_into_the_grants() -> None:
    """Outside of the runtime that makes them, `granted` is only passed on, as a whole."""
    for name, tree in files():
        if name.startswith(("contract/", "runtime/", "control/", "cli/", "system/")):
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.comprehension):
                looks = [n for n in ast.walk(node) if isinstance(n, ast.Attribute) and n.attr in ("kind", "target")]
                assert not [n for n in looks if node.ifs and "grant" in ast.unparse(node.iter)], name


def test_every_kind_is_asked_for_somewhere() -> None:
    """No kind of permission is only a word: for each there is a check, or it is set up beforehand."""
    asked = set()
    for name, tree in files():
        if name not in DECIDES:
            for call in calls(tree, *ASK):
                asked |= {a.value for a in call.args[:1] if isinstance(a, ast.Constant) and isinstance(a.value, str)}
            for call in calls(tree, "partial"):
                asked |= {a.value for a in call.args if isinstance(a, ast.Constant) and a.value in TARGETS}
    assert asked >= TARGETS


@pytest.mark.parametrize("name", ["messaging/bus.py", "runtime/ports.py", "runtime/egress.py", "hosts/wasm/stores.py",
                                  "hosts/wasm/imports.py", "hosts/worker/host.py"])  # fmt: skip
def test_each_tier_asks_the_grants(name: str) -> None:
    """Whoever reaches something for a module asks the same object."""
    tree = ast.parse((PACKAGE / name).read_text(encoding="utf-8"))
    asked = [call for call in calls(tree, *ASK) if isinstance(call.func, ast.Attribute)]
    assert any("grants" in ast.unparse(call.func) for call in asked)
