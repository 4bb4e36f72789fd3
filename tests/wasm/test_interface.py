"""The interface as the host checks it, and as authors get it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from hostcore.guest import interface_dir
from hostcore.hosts.wasm import choosing, interface
from hostcore.hosts.wasm.fast import library

TOOL = shutil.which("wasm-tools", path=str(Path(sys.executable).parent)) or shutil.which("wasm-tools")


class Wit:
    """What wasm-tools reads in the WIT file."""

    def __init__(self, tool: str) -> None:
        command = [tool, "component", "wit", "--json", str(interface_dir() / "hostcore-module.wit")]
        told = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        self.types, self.package = told["types"], told["packages"][0]["name"]
        self.interfaces = {
            each["name"]: {name: self.signature(function) for name, function in each["functions"].items()}
            for each in told["interfaces"]
        }

    def signature(self, function: Any) -> str:
        parameters = ", ".join(self.text(each["type"]) for each in function["params"])
        return f"({parameters})" + (f" -> {self.text(function['result'])}" if function.get("result") else "")

    def text(self, kind: Any) -> str:
        if kind is None:
            return "_"
        if isinstance(kind, str):
            return kind
        ((form, of),) = self.types[kind]["kind"].items()
        if form == "type":
            return self.text(of)
        if form in ("option", "list"):
            return f"{form}<{self.text(of)}>"
        if form == "result":
            return f"result<{self.text(of['ok'])}, {self.text(of['err'])}>"
        if form == "record":
            fields = (f"{each['name']}: {self.text(each['type'])}" for each in of["fields"])
            return f"record{{{', '.join(fields)}}}"
        assert form == "enum"
        return f"enum{{{', '.join(each['name'] for each in of['cases'])}}}"


@pytest.mark.skipif(TOOL is None, reason="wasm-tools is not installed")
def test_the_host_checks_what_the_file_says() -> None:
    """Names and types of the host's tables are those of the WIT file, and so is the version."""
    assert TOOL is not None
    wit = Wit(TOOL)
    assert wit.interfaces == {**interface.IMPORTS, **interface.EXPORTS}
    assert wit.package == f"{interface.PACKAGE}@{interface.SPEAKS}.0"


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("hostcore:module/kv@1.0.0", ("kv", (1, 0))),
        ("hostcore:module/lifecycle@1.12.3-rc.1", ("lifecycle", (1, 12))),
        ("hostcore:module/kv", None),
        ("hostcore:module/kv@1", None),
        ("other:module/kv@1.0.0", None),
        ("", None),
    ],
)
def test_names_are_taken_apart(name: str, found: object) -> None:
    """An interface's name is its package, its own name and a full version; others are not ours."""
    assert interface.split(name) == found


@pytest.mark.parametrize(
    ("version", "spoken"), [((1, 0), True), ((1, 1), False), ((0, 9), False), ((2, 0), False), ((1, 10**9), False)]
)
def test_versions_that_are_spoken(version: tuple[int, int], spoken: bool) -> None:
    """A host speaks its own major version up to its own minor one."""
    assert interface.is_spoken(version) is spoken


def test_the_fast_path_knows_this_wasmtime() -> None:
    """The range of wasmtime that hostcore declares is one that the fast call path was written for."""
    path, reason = choosing.choose()
    assert (path.name, reason) == ("fast", "")


def test_another_layout_means_the_plain_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where values are laid out otherwise, guests run on the plain path, and the reason names the difference."""
    monkeypatch.setattr(library, "VAL", 40)
    path, reason = choosing.choose()
    assert path.name == "plain"
    assert "a component value is 32, not 40" in reason
    with pytest.raises(RuntimeError, match="does not know this wasmtime"):
        choosing.choose("fast")
    assert choosing.choose("plain")[0].name == "plain"
