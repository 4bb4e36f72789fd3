"""The host's configuration: `hostcore.toml`, or `[tool.hostcore]` in a `pyproject.toml`.

A program may as well pass the same keys as a mapping.  All mistakes come in one error, each with its line.  Paths
in a file are relative to that file, so that a host starts the same from anywhere; in a mapping, to the working
directory of the moment.
"""

from __future__ import annotations

import os
import re
import tomllib
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from hostcore.contract.checking import check, doc, show, text_form
from hostcore.contract.documents import Document, KeyPath, Unreadable, read_document, show_path
from hostcore.contract.manifest import Activation, Asked, Entries, Isolation, Limits, ModuleName
from hostcore.contract.spec import HOOKS
from hostcore.contract.units import Duration, Size
from hostcore.contract.versions import shorten
from hostcore.errors import ConfigError

FILE = "hostcore.toml"
PYPROJECT = "pyproject.toml"
BUILD = "build"
"""The table in a `pyproject.toml` that is about building the project's modules, not about a host."""
_HOST_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"


def _host_name(text: str) -> str:
    if not re.fullmatch(_HOST_NAME, text):
        raise ValueError(f"{shorten(text)} is not a host's name")
    return text


def _path(value: object) -> str:
    text = os.fspath(value) if isinstance(value, os.PathLike) else value
    if not isinstance(text, str) or not text or "\0" in text:
        raise ValueError(f"{show(value)} is not a path")
    try:
        return str(Path(text).expanduser())
    except RuntimeError:
        raise ValueError(f"{text!r} names a home directory that is not known") from None


HostName = Annotated[str, text_form(_host_name, "at most 64 letters, digits and . _ -", pattern=f"^{_HOST_NAME}$")]
PathText = Annotated[
    str, msgspec.Meta(description="a path", extra={"parse": _path}, extra_json_schema={"type": "string"})
]


class ModuleConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the host says of one module."""

    source: Annotated[PathText | None, doc("A project, wheel or file to load it from; none: what is installed.")] = None
    enabled: Annotated[bool, doc("Whether it loads with the host.")] = True
    isolation: Annotated[Isolation | None, doc("The host it runs in; none: as its manifest says.")] = None
    activate: Annotated[Activation | None, doc("When to load it; none: as its manifest says.")] = None
    config: Annotated[dict[str, Any], doc("Its options; checked against its manifest when it loads.")] = {}
    limits: Annotated[
        dict[str, Any],
        msgspec.Meta(extra={"shape": Limits}),
        doc("Limits in place of its manifest's, with the same keys."),
    ] = {}


class PolicyConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What modules are allowed."""

    default: Annotated[Literal["allow", "deny"], doc("What a module that has no grants may do.")] = "allow"
    grants: Annotated[dict[ModuleName, tuple[Asked, ...]], doc("What each named module may do.")] = {}
    ceiling: Annotated[Limits, doc("The highest that a module's limits may be, with the same keys.")] = Limits()


Count = Annotated[int, msgspec.Meta(ge=0, le=1000, description="an integer from 0 to 1000")]
Share = Annotated[float, msgspec.Meta(ge=0, le=1, description="a number from 0 to 1")]


class ReloadConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How modules are reloaded."""

    prepare: Annotated[Duration | None, doc("Time to make the new copy ready; none: twice load_timeout.")] = None
    drain: Annotated[Duration | None, doc("Time for the message in hand; none: handler_timeout.")] = None
    snapshot: Annotated[Duration | None, doc("Time to take the old copy's state; none: handler_timeout.")] = None
    migrate: Annotated[Duration | None, doc("Time to bring it into the new shape; none: handler_timeout.")] = None
    restore: Annotated[Duration | None, doc("Time for the new copy to take it over; none: handler_timeout.")] = None
    verify: Annotated[Duration | None, doc("Time for health check and probe; none: handler_timeout.")] = None
    retire: Annotated[Duration | None, doc("Time for the old copy's shutdown; none: handler_timeout.")] = None
    waiting: Annotated[Count, doc("How many reloads of one module may wait for the one in hand.")] = 16
    keep: Annotated[Count, doc("How many earlier generations of a module can be rolled back to.")] = 1
    probation: Annotated[Duration, doc("How long a new copy is watched after the switch.")] = 10.0
    failures: Annotated[Count, doc("Failed messages in that time that roll it back; 0: none do.")] = 5
    failure_share: Annotated[Share, doc("The share of its messages that must have failed, too.")] = 0.5


class WasmConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How WebAssembly modules are compiled, which is done once for each, and called."""

    calls: Annotated[
        Literal["auto", "fast", "plain"],
        doc("How guests are called; auto: fast, if that knows this wasmtime."),
    ] = "auto"
    compile_time: Annotated[Duration, doc("How long compiling one module may take.")] = 120.0
    compile_memory: Annotated[Size, doc("How much memory compiling one module may take.")] = 2 * 1024**3
    cache_size: Annotated[Size, doc("How much compiled code is kept on disk.")] = 2 * 1024**3


class HostConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The configuration of a host."""

    name: Annotated[HostName, doc("The host's name; names its control socket.")] = "default"
    autoload: Annotated[bool, doc("Load every installed module when the host starts.")] = True
    disabled: Annotated[tuple[ModuleName, ...], doc("Modules that never load.")] = ()
    safe_mode: Annotated[bool, doc("Load nothing by itself, to repair a host that a module keeps from working.")] = (
        False
    )
    mailbox: Annotated[Entries, doc("How many messages may wait for one module.")] = 1024
    message_limit: Annotated[Size, doc("The largest payload of one message.")] = 16 * 1024**2
    state_limit: Annotated[Size, doc("The largest snapshot.")] = 64 * 1024**2
    request_timeout: Annotated[Duration, doc("How long a request waits where its caller says nothing.")] = 30.0
    handler_timeout: Annotated[Duration, doc("How long one hook may take where the manifest says nothing.")] = 30.0
    load_timeout: Annotated[Duration, doc("How long importing and initialising a module may take.")] = 30.0
    blocked_after: Annotated[Duration, doc("A handler that holds the loop for longer is reported.")] = 0.1
    guard: Annotated[
        Literal["auto", "signal", "thread", "off"], doc("How a handler that overruns its time is broken.")
    ] = "auto"
    state_dir: Annotated[PathText | None, doc("Where modules' persistent data is kept; none: the user's own.")] = None
    index: Annotated[bool, doc("Keep an index of the installed modules on disk.")] = True
    modules: Annotated[dict[ModuleName, ModuleConfig], doc("What the host says of single modules.")] = {}
    reload: Annotated[ReloadConfig, doc("How modules are reloaded.")] = ReloadConfig()
    policy: Annotated[PolicyConfig, doc("What modules are allowed.")] = PolicyConfig()
    wasm: Annotated[WasmConfig, doc("How WebAssembly modules are compiled.")] = WasmConfig()


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


def usual_limits(config: HostConfig) -> Limits:
    """Return what a host with that configuration takes where a module's limits say nothing."""
    usual = Limits(message=config.message_limit, mailbox=config.mailbox, state=config.state_limit)
    return msgspec.structs.replace(usual, **dict.fromkeys(HOOKS, config.handler_timeout))


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


def state_dir(config: HostConfig | None = None) -> Path:
    """Return where modules' persistent data is kept: as configured, else $HOSTCORE_STATE_DIR, else the user's."""
    if config is not None and config.state_dir is not None:
        return Path(config.state_dir)
    return _user_dir("HOSTCORE_STATE_DIR", "user_state_path")


def cache_dir() -> Path:
    """Return where what can be made again is kept: $HOSTCORE_CACHE_DIR, else the user's cache."""
    return _user_dir("HOSTCORE_CACHE_DIR", "user_cache_path")


def runtime_dir() -> Path:
    """Return where sockets are: $HOSTCORE_RUNTIME_DIR, else the user's runtime directory."""
    return _user_dir("HOSTCORE_RUNTIME_DIR", "user_runtime_path")


def _user_dir(variable: str, function: str) -> Path:
    chosen = os.environ.get(variable)
    if chosen:
        return Path(chosen).expanduser().absolute()
    import platformdirs

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns where XDG_RUNTIME_DIR is not set, and falls back
        path: Path = getattr(platformdirs, function)("hostcore", appauthor=False)
    return path


def _from_file(path: Path) -> HostConfig:
    try:
        document = read_document(path)
    except Unreadable as error:
        problem = error.problem
        if path.is_dir():
            problem = problem._replace(hint=f"name the file, as in {str(path / FILE)!r}")
        elif not path.exists():
            problem = problem._replace(hint="create it, or name no file to have the defaults")
        raise ConfigError(problems=[problem]) from None
    at: KeyPath = ("tool", "hostcore") if path.name == PYPROJECT else ()
    table = _table(document, at)
    if at and isinstance(table, Mapping):
        table = {key: value for key, value in table.items() if key != BUILD}
    return _checked(table, at, document.where, path.absolute().parent)


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
