"""Python guests for tests: built once for each state of the sources, kept between runs.

The first build of a guest takes some 15 s and its compilation as long; whoever comes while another process is at it
waits for that.  Kept in $HOSTCORE_TEST_GUESTS, or `.cache/guests` of the checkout.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from importlib.metadata import version
from pathlib import Path

from hostcore import guest
from hostcore.sdk import building, componentizing, dependencies, staging

ROOT = Path(__file__).parents[2]
CONFORMANCE = ROOT / "tests" / "guests" / "python"


def python_guest(project: Path, module: str) -> Path:
    """Return the component of a project's module, built where it is not there yet."""
    folder = Path(os.environ.get("HOSTCORE_TEST_GUESTS") or ROOT / ".cache" / "guests")
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{module}-{_key(project)}.wasm"
    with (folder / f"{module}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.is_file():
            building.build_wasm(project, module=module, output=target)
    return target


def _key(project: Path) -> str:
    tools = [Path(it.__file__) for it in (building, componentizing, dependencies, staging)]
    parts = {path: path.relative_to(project).parts for path in project.rglob("*") if path.suffix in (".py", ".toml")}
    own = [path for path in parts if "tests" not in parts[path]]
    files = [*staging.sources_of_inside().values(), *tools, *own, guest.interface_dir() / "hostcore-module.wit"]
    digest = hashlib.sha256(version("componentize-py").encode())
    for file in sorted(files):
        digest.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()[:16]
