"""The module in every host: what it renders, refuses and counts is the same, wherever the operator puts it.

The component is built once and kept, by `tests/support/python_guests.py`.  The policy is the usual one: the module
asks for no permission, so that nobody has to consent to anything.
"""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path
from typing import Any

import pytest
from support.python_guests import keep_compiled, python_guest

import hostcore
from hostcore import errors
from hostcore_synthesis.messages import GetCounts
from hostcore_synthesis.rendering import Renderer
from hostcore_synthesis.shape import read_spec
from hostcore_synthesis.specs import SpecError

pytestmark = pytest.mark.once

HOSTS = ("native", "worker", "wasm", "wasm+worker")
GOOD = (
    {
        "kind": "dataclass", "name": "Point", "doc": "Where \"it\" is: é.", "imports": ["from decimal import Decimal"],
        "fields": [{"name": "x", "type": "Decimal"}, {"name": "tags", "type": "list[str]", "default": "['a']"}],
    },
    {"kind": "function", "name": "add", "parameters": [{"name": "a"}], "returns": "int", "body": "if a:\n  return 1"},
    {"kind": "enum", "name": "Color", "base": "Flag", "members": [{"name": "RED", "value": 2**62}]},
    {"kind": "test", "target": "f", "module": "m", "cases": [{"expected": "1"}, {"raises": "ValueError"}]},
)  # fmt: skip
BAD = (
    None,
    {"kind": "enum", "nme": "Color"},
    {"kind": "test", "module": 3, "cases": [{"argments": []}, 3, {"arguments": ["1", 2.5]}], "doc": ["x"]},
    {"kind": "dataclass", "name": "class", "fields": [{"name": "a b"}, {"name": "x", "type": "("}]},
    {"kind": "function", "name": "f", "body": "await x"},
    {"kind": "function", "name": "f", "body": "x" * 20_001},
    {"kind": "function", "name": "f", "returns": "1" + "+1" * 5_000},
    {"kind": "function", "name": "f", "returns": "x" + "()" * 5_000},
)
"""The last two nest deeper than CPython's parser goes, which must not end who parses."""


@pytest.fixture
def project(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The project, with the component built, as `hostcore build --wasm` leaves it."""
    if importlib.util.find_spec("componentize_py") is None:
        pytest.skip("it takes componentize-py to build a Python guest")
    keep_compiled(monkeypatch)
    guest = python_guest(project, "synthesis")
    copy = shutil.copytree(project, tmp_path / "project", ignore=shutil.ignore_patterns("tests", "__pycache__"))
    shutil.copy(guest, copy / "src" / "hostcore_synthesis" / "synthesis.wasm")
    return copy


def config(project: Path, tmp_path: Path, host: str) -> Path:
    """Write the configuration of a host whose only word on the module is where it runs."""
    file = tmp_path / "hostcore.toml"
    file.write_text(
        f'load_timeout = "120s"\nstate_dir = "state"\n[modules.synthesis]\nsource = "{project}"\nisolation = "{host}"\n'
    )
    return file


def expected(spec: dict[str, Any]) -> dict[str, str]:
    """Return what the module answers, as its functions do when they are called right here."""
    kind, read = read_spec(spec)
    return {"kind": kind, "code": Renderer().render(kind, read)}


def places_of(spec: Any) -> list[str]:
    """Return where a spec is wrong; CPython's words for why differ from version to version, also inside a guest."""
    with pytest.raises(SpecError) as caught:
        expected(spec)
    return [problem.partition(": ")[0] for problem in caught.value.problems]


@pytest.mark.parametrize("host", HOSTS)
async def test_one_line_moves_it(project: Path, tmp_path: Path, host: str) -> None:
    """One line of configuration puts it into any host, where it renders, refuses, counts and reloads alike."""
    async with hostcore.ModuleSystem(config(project, tmp_path, host)) as system:
        await system.load("synthesis")
        assert system.modules["synthesis"].host == host
        for spec in GOOD:
            assert await system.execute("synthesis", spec) == expected(spec)
        for spec in BAD:
            with pytest.raises(errors.HookError) as caught:
                await system.execute("synthesis", spec)
            assert caught.value.exception == "SpecError"
            assert all(place in str(caught.value) for place in places_of(spec))
        assert not (await system.reload("synthesis")).rolled_back
        assert system.modules["synthesis"].host == host
        await system.execute("synthesis", GOOD[0])
        counts = {"dataclass": 2, "enum": 1, "function": 1, "test": 1}
        assert await system.request("synthesis", {}, topic="synthesis.counts") == counts
        assert await system.request("synthesis", GetCounts()) == counts
        with pytest.raises(errors.HookError, match=r"unknown topic 'synthesis\.cuonts'"):
            await system.request("synthesis", {}, topic="synthesis.cuonts")


async def test_it_moves_while_it_runs(project: Path, tmp_path: Path) -> None:
    """A reload takes it from host to host, and the counts go with it."""
    async with hostcore.ModuleSystem(config(project, tmp_path, "native")) as system:
        await system.load("synthesis")
        for number, host in enumerate((*HOSTS[1:], "native"), 1):
            await system.execute("synthesis", GOOD[2])
            report = await system.reload("synthesis", isolation=host)
            assert (report.rolled_back, system.modules["synthesis"].host) == (False, host)
            assert (await system.request("synthesis", GetCounts()))["enum"] == number
