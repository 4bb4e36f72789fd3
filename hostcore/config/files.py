"""Find and read the file that a configuration stands in, and check it."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from hostcore.config.host import HostConfig
from hostcore.contract.checking import check
from hostcore.contract.documents import Document, KeyPath, Unreadable, read_document, show_path
from hostcore.errors import ConfigError

FILE = "hostcore.toml"
PYPROJECT = "pyproject.toml"
POLICY = "policy.toml"
"""May stand beside either, and is then their table `policy`."""
BUILD = "build"
"""The table in a `pyproject.toml` that is about building the project's modules, not about a host."""


def load_config(source: HostConfig | Mapping[str, Any] | str | os.PathLike[str] | None = None) -> HostConfig:
    """Return the configuration in `source`.

    Args:
        source: A `HostConfig` (returned as it is), a mapping with the same keys, the path of a TOML file (one
            called `pyproject.toml` has them in `[tool.hostcore]`), or None for the defaults.

    Raises:
        ConfigError: Every mistake, or that the file cannot be read.
    """
    if source is None:
        return HostConfig()
    if isinstance(source, HostConfig):
        return source
    if isinstance(source, Mapping):
        return _checked(source, (), show_path, Path.cwd())
    return _from_file(Path(source))


def find_config(directory: str | os.PathLike[str] = ".") -> Path | None:
    """Return the configuration file for `directory`: its own, else that of the nearest parent that has one."""
    start = Path(directory).absolute()
    for folder in (start, *start.parents):
        if os.path.isfile(folder / FILE):  # noqa: PTH113 (unlike Path.is_file, false where access is denied)
            return folder / FILE
        if _has_table(folder / PYPROJECT):
            return folder / PYPROJECT
    return None


def config_schema() -> dict[str, Any]:
    """Return the JSON Schema of a `hostcore.toml`."""
    from hostcore.contract.schema import document_schema

    return document_schema(HostConfig, title="hostcore.toml", description="The configuration of a hostcore host.")


def _from_file(path: Path) -> HostConfig:
    document = _read(path)
    at: KeyPath = ("tool", "hostcore") if path.name == PYPROJECT else ()
    table = _table(document, at)
    if at and isinstance(table, Mapping):
        table = {key: value for key, value in table.items() if key != BUILD}
    where: Callable[[KeyPath], str] = document.where
    beside = path.with_name(POLICY)
    if isinstance(table, Mapping) and os.path.lexists(beside):
        table, where = _with_policy(dict(table), (*at, "policy"), document, _read(beside))
    return _checked(table, at, where, path.absolute().parent)


def _read(path: Path) -> Document:
    try:
        return read_document(path)
    except Unreadable as error:
        problem = error.problem
        if path.is_dir():
            problem = problem._replace(hint=f"name the file, as in {str(path / FILE)!r}")
        elif not path.exists():
            problem = problem._replace(hint="create it, or name no file to have the defaults")
        raise ConfigError(problems=[problem]) from None


def _with_policy(
    table: dict[str, Any], at: KeyPath, document: Document, policy: Document
) -> tuple[dict[str, Any], Callable[[KeyPath], str]]:
    """Return the configuration with the policy of a file of its own, and where each key of the two stands."""
    if "policy" in table:
        raise ConfigError(
            f"the policy stands in two places: here, and in {policy.name!r}", where=document.where(at),
            hint="keep one of the two; neither comes before the other",
        )  # fmt: skip

    def where(path: KeyPath) -> str:
        return policy.where(path[len(at) :]) if path[: len(at)] == at else document.where(path)

    return {**table, "policy": policy.data}, where


def _table(document: Document, at: KeyPath) -> Any:
    table: Any = document.data
    for key in at:
        if not isinstance(table, Mapping) or key not in table:
            header = f"[{show_path(at)}]"
            raise ConfigError(f"there is no table {header}", where=document.name, hint=f"add a line {header}")
        table = table[key]
    return table


def _checked(data: Any, at: KeyPath, where: Callable[[KeyPath], str], folder: Path) -> HostConfig:
    config, problems = check(data, HostConfig, at=at, where=where)
    if config is None:
        raise ConfigError(problems=problems)
    return _anchored(config, folder)


def _anchored(config: HostConfig, folder: Path) -> HostConfig:
    """Return `config` with its paths absolute, relative ones being meant from `folder`."""

    def anchor(text: str | None) -> str | None:
        return None if text is None else str(folder / text)

    modules = {
        name: msgspec.structs.replace(module, source=anchor(module.source)) for name, module in config.modules.items()
    }
    return msgspec.structs.replace(config, state_dir=anchor(config.state_dir), modules=modules)


def _has_table(path: Path) -> bool:
    """Tell whether `path` has a [tool.hostcore]; one that mentions it but cannot be parsed counts, to be reported."""
    try:
        data = path.read_bytes() if path.is_file() else b""
    except OSError:
        return False
    if b"hostcore" not in data:
        return False
    try:
        tool = tomllib.loads(data.decode()).get("tool")
    except (ValueError, RecursionError):
        return b"[tool.hostcore" in data
    table = tool.get("hostcore") if isinstance(tool, dict) else None
    return table is not None and not (isinstance(table, dict) and table.keys() == {BUILD})
