"""Python guests of the tests: built by `hostcore build --wasm`'s own function, once for each state of the sources.

They lie in the cache of `guests.building`, beside the guests that are written in other languages or without hostcore's
help.  The first build of one takes some 15 s; whoever comes while another process is at it waits for that.
"""

from __future__ import annotations

import hashlib
from importlib.metadata import version
from pathlib import Path

import pytest
from guests.building import cache_directory, locked

from hostcore import guest
from hostcore.sdk import building, componentizing, dependencies, staging

ROOT = Path(__file__).parents[2]
CONFORMANCE = ROOT / "tests" / "guests" / "python"
CODE = (".py", ".toml", ".jinja")
"""What of a project goes into its component."""


def python_guest(project: Path, module: str) -> Path:
    """Return the component of a project's module, built where it is not there yet."""
    cache = cache_directory()
    target = cache / f"{module}-{_key(project)}.wasm"
    with locked(cache / f"{module}.lock"):
        if not target.is_file():
            building.build_wasm(project, module=module, output=target)
    return target


def keep_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the host keep what it compiles beside the guests: compiling one takes as long as building it."""
    monkeypatch.setenv("HOSTCORE_CACHE_DIR", str(cache_directory() / "compiled"))


def _key(project: Path) -> str:
    tools = [Path(it.__file__) for it in (building, componentizing, dependencies, staging)]
    parts = {path: path.relative_to(project).parts for path in project.rglob("*") if path.suffix in CODE}
    own = [path for path in parts if "tests" not in parts[path]]
    files = [*staging.sources_of_inside().values(), *tools, *own, guest.interface_dir() / "hostcore-module.wit"]
    digest = hashlib.sha256(version("componentize-py").encode())
    for file in sorted(files):
        digest.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()[:20]
