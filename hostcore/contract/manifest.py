"""The manifest: what a release says of itself without being run.

A `module.toml` beside a package's `__init__.py` has one table for each module that the package holds.  It is read
without importing anything, so a host can list, resolve and refuse modules before any of their code runs.  A
module without a manifest works; it has the defaults below.  All mistakes of a manifest come in one error.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from hostcore.contract.checking import check, doc, text_form
from hostcore.contract.documents import Document, KeyPath, Unreadable, read_document
from hostcore.contract.options import Option, configure
from hostcore.contract.permissions import Permission
from hostcore.contract.restarting import Restart, SnapshotRule
from hostcore.contract.spec import INTERFACE
from hostcore.contract.units import Duration, Size
from hostcore.contract.versions import NAME, Capability, Requirement, parse_range, shorten
from hostcore.errors import ConfigError, ManifestError, Problem, did_you_mean


def _interface(text: str) -> str:
    if not parse_range(text).contains(INTERFACE):
        raise ValueError(f"{text!r} leaves out {INTERFACE}, the version of the contract that this hostcore speaks")
    return text


def _module_name(text: str) -> str:
    if not NAME.fullmatch(text) or len(text) > 128:
        raise ValueError(f"{shorten(text)} is not a module's name")
    return text


Isolation = Literal["native", "worker", "wasm", "wasm+worker"]
Activation = Literal["startup", "on-demand"]
ModuleName = Annotated[
    str, text_form(_module_name, "a name of letters, digits and . _ : - within", pattern=f"^{NAME.pattern}$")
]
Provided = Annotated[Capability, text_form(Capability, "a capability such as 'parser:python/1.2'")]
Required = Annotated[Requirement, text_form(Requirement, "a requirement such as 'clock>=2,<3' or 'clock?'")]
Asked = Annotated[Permission, text_form(Permission, "a permission such as 'fs.read:/data'")]
InterfaceRange = Annotated[
    str, text_form(_interface, f"a range of contract versions such as '>=1,<2', with {INTERFACE} in it")
]
Entries = Annotated[int, Meta(ge=1, le=1_000_000, description="an integer from 1 to 1000000")]
Positive = Annotated[int, Meta(ge=1, le=2**31 - 1, description="an integer of at least 1")]
Many = Annotated[int, Meta(ge=1, le=2**62, description="an integer of at least 1")]


class Limits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a module may use; where nothing is said, the host's default."""

    memory: Annotated[Size | None, doc("The most memory, all of a guest's together, where the host can tell.")] = None
    message: Annotated[Size | None, doc("The largest payload of one message.")] = None
    cpu: Annotated[Duration | None, doc("The most processor time of one call, of a worker.")] = None
    files: Annotated[Entries | None, doc("How many files a worker may have open.")] = None
    file_size: Annotated[Size | None, doc("The most bytes that a worker may make a file grow to.")] = None
    mailbox: Annotated[Entries | None, doc("How many messages may wait.")] = None
    state: Annotated[Size | None, doc("The largest snapshot.")] = None
    initialize: Annotated[Duration | None, doc("The longest that `initialize` may take.")] = None
    handle_message: Annotated[Duration | None, doc("The longest that `handle_message` may take.")] = None
    execute: Annotated[Duration | None, doc("The longest that `execute` may take.")] = None
    get_capabilities: Annotated[Duration | None, doc("The longest that `get_capabilities` may take.")] = None
    check_health: Annotated[Duration | None, doc("The longest that `check_health` may take.")] = None
    get_state: Annotated[Duration | None, doc("The longest that `get_state` may take.")] = None
    migrate_state: Annotated[Duration | None, doc("The longest that `migrate_state` may take.")] = None
    restore_state: Annotated[Duration | None, doc("The longest that `restore_state` may take.")] = None
    shutdown: Annotated[Duration | None, doc("The longest that `shutdown` may take.")] = None
    memories: Annotated[Entries | None, doc("How many memories a guest may have.")] = None
    tables: Annotated[Entries | None, doc("How many tables a guest may have.")] = None
    table_elements: Annotated[Positive | None, doc("How many elements a table of a guest may have.")] = None
    instances: Annotated[Entries | None, doc("How many instances a guest may be made of.")] = None
    stack: Annotated[Size | None, doc("The most stack that a guest's calls may take.")] = None
    fuel: Annotated[Many | None, doc("How many instructions a guest's call may take, always the same.")] = None
    log_rate: Annotated[Entries | None, doc("How many lines a guest may log in a second; others are dropped.")] = None
    output: Annotated[Size | None, doc("The longest line kept of a guest's stdout, stderr and log.")] = None

    def merged(self, overrides: Mapping[str, Any]) -> Limits:
        """Return these limits with those of `overrides` in their place, written as in a manifest.

        Raises:
            ConfigError: Every mistake in `overrides`.
        """
        changes, problems = check(overrides, Limits, at=("limits",))
        if changes is None:
            raise ConfigError("the limits are wrong", problems=problems)
        return msgspec.structs.replace(self, **{name: getattr(changes, name) for name in overrides})

    def bounded(self, ceiling: Limits, usual: Limits | None = None) -> Limits:
        """Return these limits, each cut down to that of `ceiling`; what is unset gets that of `ceiling`.

        Args:
            ceiling: The highest that each limit may be; where it says nothing, there is no bound.
            usual: What the host takes where a limit is unset: if that is lower than the ceiling, unset it stays.
        """
        changes = {}
        for name in self.__struct_fields__:
            top, own = getattr(ceiling, name), getattr(self, name)
            default = getattr(usual, name) if usual is not None and own is None else None
            given = own if own is not None else default
            if top is not None and (given is None or given > top):
                changes[name] = top
        return msgspec.structs.replace(self, **changes) if changes else self


class Probe(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A request that a new copy must answer before it may serve; it should change nothing."""

    topic: Annotated[str, doc("The topic of the request.")] = ""
    payload: Annotated[Any, doc("The payload of the request.")] = None
    reply: Annotated[Any, doc("What the reply must be; none: any reply will do.")] = None


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one module says of itself."""

    interface: Annotated[InterfaceRange, doc("The versions of hostcore's contract that it works with.")] = ">=1,<2"
    summary: Annotated[str, doc("One line for people.")] = ""
    provides: Annotated[tuple[Provided, ...], doc("Capabilities that others can ask for.")] = ()
    requires: Annotated[tuple[Required, ...], doc("Modules or capabilities it needs; '?': if they are there.")] = ()
    after: Annotated[tuple[ModuleName, ...], doc("Modules that load before it, where they are loaded at all.")] = ()
    permissions: Annotated[tuple[Asked, ...], doc("What it asks to be allowed.")] = ()
    isolation: Annotated[Isolation, doc("The host it needs; a policy may only tighten it.")] = "native"
    state_version: Annotated[Positive, doc("The version of the shape of its state.")] = 1
    activate: Annotated[Activation, doc("When to load it: with the host, or at the first message.")] = "startup"
    probe: Annotated[Probe | None, doc("A request that a new copy must answer before it may serve.")] = None
    restart: Annotated[Restart, doc("What becomes of it when it crashes.")] = Restart()
    snapshot: Annotated[SnapshotRule, doc("When its state is kept for a restart.")] = SnapshotRule()
    limits: Annotated[Limits, doc("What it may use.")] = Limits()
    config: Annotated[dict[str, Option], doc("The options it can be configured with.")] = {}

    def configure(self, values: Mapping[str, Any], *, at: KeyPath = ("config",)) -> dict[str, Any]:
        """Return the module's configuration: `values` held against the declared options, defaults filled in.

        A module that declares no options takes any plain data.  The result shares nothing with `values`.

        Args:
            values: What the user gives.
            at: The keys that lead to `values`, for messages.

        Raises:
            ConfigError: Every mistake in `values`.
        """
        return configure(self.config, values, at)

    def mistakes(self) -> Iterator[tuple[KeyPath, Problem]]:
        """Yield modules that are required twice, and those that it follows without requiring them."""
        seen: set[str] = set()
        for index, requirement in enumerate(self.requires):
            if requirement.name in seen:
                hint = "write one range, as in '>=2,<3'"
                yield ("requires", index), Problem(f"{requirement.name!r} is required twice", hint=hint)
            seen.add(requirement.name)
        for index, name in enumerate(self.restart.follows):
            if name not in seen:
                hint = did_you_mean(name, seen) or f'requires = ["{name}"]'
                yield ("restart", "follows", index), Problem(f"{name!r} is followed but not required", hint=hint)


def parse_manifest(text: str, module: str, *, where: str = "module.toml", label: str = "") -> Manifest:
    """Return the manifest of `module` from the text of a `module.toml`; the defaults where it has no tables.

    Args:
        text: The file's text.
        module: The module's name.
        where: What to call the file in messages.
        label: The release, as in "counter 1.4.0 (acme-counter)", for messages.

    Raises:
        ManifestError: Every mistake in the module's table, or that the text is not TOML, or has tables of other
            modules only.
    """
    try:
        document = Document(text, where)
    except Unreadable as error:
        raise ManifestError(module, label=label, problems=[error.problem]) from None
    return _manifest(document, module, label)


def read_manifest(path: str, module: str, label: str = "") -> Manifest:
    """Return the manifest of `module` from the file at `path`; the defaults where `path` is "".

    Raises:
        ManifestError: As for `parse_manifest`, or the file cannot be read.
    """
    if not path:
        return Manifest()
    try:
        document = read_document(path)
    except Unreadable as error:
        raise ManifestError(module, label=label, problems=[error.problem]) from None
    return _manifest(document, module, label)


def manifest_schema() -> dict[str, Any]:
    """Return the JSON Schema of a `module.toml`."""
    from hostcore.contract.schema import document_schema

    description = "One table for each module of the package, called as its entry point."
    return document_schema(dict[ModuleName, Manifest], title="module.toml", description=description)


def _manifest(document: Document, module: str, label: str) -> Manifest:
    if not document.data:
        return Manifest()
    if module not in document.data:
        raise ManifestError(module, label=label, problems=list(_misplaced(document, module)))
    manifest, problems = check(document.data[module], Manifest, at=(module,), where=document.where)
    if manifest is None:
        raise ManifestError(module, label=label, problems=problems)
    return manifest


def _misplaced(document: Document, module: str) -> Iterator[Problem]:
    """Yield what explains that the file has no table for `module`."""
    header = f"[{module}]" if "." not in module and ":" not in module else f'["{module}"]'
    loose = [key for key, value in document.data.items() if not isinstance(value, dict) and key in _KEYS]
    if loose:
        message = f"{loose[0]!r} stands outside of any table"
        yield Problem(message, where=document.where((loose[0],)), hint=f"put it below a line {header}")
        return
    tables = sorted(key for key, value in document.data.items() if isinstance(value, dict))
    hint = did_you_mean(module, tables)
    if "." in module and module.split(".")[0] in tables:
        hint = f"a name with dots needs quotes: {header}"
    found = f"tables found: {', '.join(tables)}" if tables else ""
    hint = hint or f"add a table {header}, or name the entry point as the table"
    yield Problem(f"no table for module {module!r}", where=document.name, expected=found, hint=hint)


_KEYS = frozenset(Manifest.__struct_fields__)
