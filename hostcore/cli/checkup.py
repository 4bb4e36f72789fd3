"""The checks of `hostcore doctor`; each yields what it found."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from hostcore import __version__
from hostcore.cli.commands import find_config
from hostcore.cli.policycheck import grants_findings, policy_findings
from hostcore.config import HostConfig, cache_dir, runtime_dir, state_dir
from hostcore.control.client import Client
from hostcore.control.inventory import Inventory
from hostcore.control.places import check_directory, socket_path
from hostcore.errors import ConfigError, HostcoreError, NoHostError
from hostcore.packages.discovery import Discovery, Scan
from hostcore.packages.index import read_index

if TYPE_CHECKING:
    from hostcore.hosts.worker.sandbox.cage import Layer

OLDEST = (3, 11)
PATIENCE = 3.0

_SANDBOX_HINTS = {
    "namespaces": "let users make namespaces: sysctl user.max_user_namespaces, kernel.unprivileged_userns_clone and "
                  "kernel.apparmor_restrict_unprivileged_userns, or the seccomp profile of the container",
    "landlock": "use Linux 5.13 or newer (6.12 for all of it), with 'landlock' among its lsm= modules",
    "seccomp": "use a kernel with seccomp filters, on x86_64 or aarch64",
}  # fmt: skip


class Finding(NamedTuple):
    """What a check found.

    Attributes:
        about: What was looked at.
        status: "ok", "note" (worth knowing) or "wrong".
        text: What was found.
        hint: What to do, or "".
    """

    about: str
    status: str
    text: str
    hint: str = ""


def checks(config_file: Path | None, host_name: str | None) -> list[tuple[str, Iterator[Finding]]]:
    """Return all checks, each made when it is iterated over, with what it is about.

    A wrong configuration is a finding of its own; the other checks then go by the defaults.
    """
    configuration = Finding("configuration", "ok", "none: the defaults hold")
    config = HostConfig()
    try:
        config, file = find_config(config_file, host_name)
        configuration = configuration._replace(text=file or configuration.text)
    except ConfigError as error:
        configuration = _from_error("configuration", error)
    scan = Discovery().scan()
    return [
        ("versions", _versions()), ("configuration", iter([configuration])), ("dependencies", _dependencies()),
        ("guard", _guard(config)), ("webassembly", _webassembly(config)), ("sandbox", _sandbox(config)),
        ("directories", _directories(config)),
        ("policy", (Finding("policy", *each) for each in policy_findings(config))),
        ("grants", (Finding("grants", *each) for each in grants_findings(config))),
        ("index", _index(config)), ("discovery", _discovery(scan)), ("modules", _modules(config, scan)),
        ("host", _host(config)), ("generations", _generations()),
    ]  # fmt: skip


def _versions() -> Iterator[Finding]:
    good = sys.version_info >= OLDEST
    version = f"{platform.python_implementation()} {platform.python_version()}, {sys.executable}"
    yield Finding("python", "ok" if good else "wrong", version, "" if good else "hostcore needs Python 3.11 or newer")
    yield Finding("platform", "ok", platform.platform())
    yield Finding("hostcore", "ok", f"{__version__}, {Path(__file__).parents[1]}")


def _dependencies() -> Iterator[Finding]:
    import importlib_metadata
    from packaging.requirements import Requirement

    try:
        declared = importlib_metadata.requires("hostcore") or []
    except importlib_metadata.PackageNotFoundError:
        yield Finding("dependencies", "note", "hostcore is not installed as a distribution, only on sys.path",
                      "python -m pip install hostcore")  # fmt: skip
        return
    for requirement in map(Requirement, declared):
        if requirement.marker is None or requirement.marker.evaluate():
            yield _dependency(requirement.name, str(requirement.specifier))


def _dependency(name: str, wanted: str) -> Finding:
    import importlib_metadata
    from packaging.specifiers import SpecifierSet

    hint = f"python -m pip install '{name}{wanted}'"
    try:
        version = importlib_metadata.version(name)
    except importlib_metadata.PackageNotFoundError:
        return Finding(name, "wrong", f"is not installed; {wanted} is needed", hint)
    if not SpecifierSet(wanted).contains(version, prereleases=True):
        return Finding(name, "wrong", f"{version}; {wanted} is needed", hint)
    return Finding(name, "ok", version)


def _guard(config: HostConfig) -> Iterator[Finding]:
    from hostcore.messaging.guard import make_guard

    guard = make_guard(config.guard)
    guard.close()
    means = {
        "signal": "by signal: handlers that overrun are stopped in most C calls too",
        "thread": "by thread: handlers that overrun are stopped in Python code only",
        "off": "off: a handler that overruns is not stopped",
    }
    yield Finding("guard", "note" if guard.kind == "off" else "ok", means[guard.kind])


def _webassembly(config: HostConfig) -> Iterator[Finding]:
    try:
        from hostcore.hosts.wasm.choosing import choose

        path, reason = choose(config.wasm.calls)
    except (ImportError, OSError, RuntimeError) as error:
        yield Finding("webassembly", "wrong", f"guests cannot run: {error}", "python -m pip install --upgrade hostcore")
        return
    if path.name == "fast":
        yield Finding("webassembly", "ok", "guests are called on the fast path")
    else:
        yield Finding("webassembly", "note", f"guests are called on the plain path, which is slower: {reason}",
                      "install a wasmtime in the range that hostcore names, or set wasm.calls to 'auto'")  # fmt: skip


def _sandbox(config: HostConfig) -> Iterator[Finding]:
    from hostcore.hosts.worker.sandbox.probing import probe

    yield from about_sandbox(probe(), config.policy.sandbox)


def about_sandbox(layers: Mapping[str, Layer], demanded: str) -> Iterator[Finding]:
    """Yield what workers are confined to here: the level, which must be at least `demanded`, and each layer."""
    from hostcore.hosts.worker.sandbox.levels import LEVELS, at_least, lacking, level_of

    reached, most = level_of(layers), LEVELS[-1]
    text = f"level {reached!r} can be enforced on workers here"
    if not at_least(reached, demanded):
        missing = ", ".join(lacking(layers, demanded))
        yield Finding("sandbox", "wrong", f"{text}, but policy.sandbox is {demanded!r}: {missing} cannot be had",
                      "workers do not start: mend what the lines of these layers say, or lower it")  # fmt: skip
    elif reached == most:
        yield Finding("sandbox", "ok", text)
    else:
        missing = ", ".join(lacking(layers, most))
        yield Finding("sandbox", "note", f"{text}, not {most!r}: {missing} cannot be had")
    for name, layer in layers.items():
        status, hint = ("ok", "") if layer.in_force else ("note", _SANDBOX_HINTS.get(name, ""))
        yield Finding(f"sandbox: {name}", status, layer.detail, hint)


def _directories(config: HostConfig) -> Iterator[Finding]:
    places = (
        ("state", state_dir(config), "set HOSTCORE_STATE_DIR, or state_dir in the configuration"),
        ("cache", cache_dir(), "set HOSTCORE_CACHE_DIR"),
        ("runtime", runtime_dir(), "set HOSTCORE_RUNTIME_DIR"),
    )
    for name, directory, hint in places:
        yield _directory(f"{name} directory", directory, hint)
    try:
        check_directory(runtime_dir())
        socket_path(config.name)
    except FileNotFoundError:
        pass
    except HostcoreError as error:
        yield _from_error("runtime directory", error)


def _directory(about: str, directory: Path, hint: str) -> Finding:
    if directory.is_dir():
        if os.access(directory, os.R_OK | os.W_OK | os.X_OK):
            return Finding(about, "ok", str(directory))
        return Finding(about, "wrong", f"{directory} cannot be read and written", hint)
    if directory.exists():
        return Finding(about, "wrong", f"{directory} is not a directory", hint)
    above = next(parent for parent in directory.parents if parent.exists())
    if above.is_dir() and os.access(above, os.W_OK | os.X_OK):
        return Finding(about, "ok", f"{directory}, made when it is needed")
    return Finding(about, "wrong", f"{directory} cannot be made in {above}", hint)


def _index(config: HostConfig) -> Iterator[Finding]:
    path = cache_dir() / "index.msgpack"
    if not config.index:
        yield Finding("index", "note", "off in the configuration: each scan reads every distribution")
    elif not path.exists():
        yield Finding("index", "ok", f"{path}, made by the first scan")
    else:
        folders = read_index(path)
        damaged = Finding("index", "note", f"{path} is damaged or of another version; the next scan makes it anew")
        yield Finding("index", "ok", f"{path}, {len(folders)} folders") if folders else damaged


def _discovery(scan: Scan) -> Iterator[Finding]:
    for problem in scan.problems:
        yield Finding("distribution", "wrong", f"{problem.code} {problem.message}: {problem.where}", problem.hint)
    for name, entries in scan.duplicates.items():
        first, *others = (f"{entry.label} in {entry.metadata or 'an archive'}" for entry in entries)
        text = f"{name!r} is there {len(entries)} times: {first} counts, hidden: {'; '.join(others)}"
        yield Finding("duplicate", "wrong", text, f"uninstall all but one distribution that declares {name!r}")


def _modules(config: HostConfig, scan: Scan) -> Iterator[Finding]:
    inventory = Inventory(config, scan)
    names = inventory.names
    for name in names:
        error = inventory.describe(name).error
        if error is not None:
            yield _from_error(f"module {name}", error)
    yield Finding("modules", "ok", f"{len(names)} found: {', '.join(names)}" if names else "none found")


def _host(config: HostConfig) -> Iterator[Finding]:
    try:
        told = Client(config.name, socket_path(config.name)).call("host.info", timeout=PATIENCE)
    except NoHostError as error:
        yield Finding("host", "ok", error.message)
        return
    except HostcoreError as error:
        yield _from_error("host", error)
        return
    text = f"{told['name']!r} is running: pid {told['pid']}, version {told['version']}, Python {told['python']}"
    if told["version"] != __version__:
        yield Finding("host", "wrong", text, f"this is hostcore {__version__}: use the one the host was started with")
        return
    yield Finding("host", "ok", f"{text}; it has put in place: {', '.join(told['generations']) or 'nothing'}")


def _generations() -> Iterator[Finding]:
    from hostcore.generations import installed

    yield Finding("this process", "ok", f"generations have put in place: {', '.join(installed()) or 'nothing'}")


def _from_error(about: str, error: HostcoreError) -> Finding:
    return Finding(about, "wrong", str(error), error.hint)
