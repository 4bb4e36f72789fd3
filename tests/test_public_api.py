"""The public interface: exactly these names, and an import that costs next to nothing."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import hostcore

NAMES = [
    "Capability", "Context", "Manifest", "Message", "ModuleInfo", "ModuleSystem", "Payload", "Permission", "Policy",
    "ReloadReport", "State", "errors", "hookimpl", "hookspec",
]  # fmt: skip


def fresh(code: str) -> str:
    """Run `code` in a fresh interpreter and return what it prints."""
    root = str(Path(hostcore.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {root!r})\n{code}"],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_names():
    """Adding a public name is a decision: it is made here too."""
    assert hostcore.__all__ == NAMES
    assert set(NAMES) <= set(dir(hostcore))


@pytest.mark.parametrize("name", NAMES)
def test_every_name_is_there(name):
    """Each public name can be had, and is the same each time."""
    assert getattr(hostcore, name) is getattr(hostcore, name)


def test_star_import():
    """`from hostcore import *` gives the public names and no more."""
    namespace: dict[str, object] = {}
    exec("from hostcore import *", namespace)
    assert sorted(set(namespace) - {"__builtins__"}) == sorted(NAMES)


def test_an_unknown_name():
    """A name that is not there is an AttributeError as anywhere."""
    with pytest.raises(AttributeError, match="module 'hostcore' has no attribute 'Modul'"):
        hostcore.Modul
    with pytest.raises(ImportError):
        exec("from hostcore import Modul")


def test_type_checkers_see_the_same_names():
    """The names for type checkers, the lazy ones and the public ones are the same."""
    tree = ast.parse(Path(hostcore.__file__).read_text(encoding="utf-8"))
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    typed = [alias.name for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names]
    assert sorted(typed) == sorted(hostcore._HOMES) == sorted(NAMES)


def test_importing_costs_next_to_nothing():
    """`import hostcore` loads none of the libraries that it needs later, and nothing of itself."""
    loaded = fresh("import hostcore; print(*sys.modules)").split()
    heavy = {"wasmtime", "stevedore", "asyncio", "msgspec", "pluggy", "packaging", "importlib_metadata", "rich"}
    assert heavy.isdisjoint(loaded)
    assert [name for name in loaded if name.startswith("hostcore.")] == []


def test_what_a_module_author_imports_is_light():
    """Markers and payload types load neither asyncio nor any host."""
    loaded = fresh("import hostcore; hostcore.hookimpl, hostcore.Payload, hostcore.errors; print(*sys.modules)").split()
    assert {"wasmtime", "stevedore", "asyncio", "rich", "hostcore.system"}.isdisjoint(loaded)


def test_the_version():
    """The version is the distribution's."""
    assert fresh("import hostcore; print(hostcore.__version__)").strip() == hostcore.__version__


def test_typed():
    """The package tells type checkers that it is typed."""
    assert (Path(hostcore.__file__).parent / "py.typed").is_file()
