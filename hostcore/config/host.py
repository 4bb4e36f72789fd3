"""The configuration of a host: all its tables."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

import msgspec

from hostcore.config.forms import HostName, PathText
from hostcore.config.modules import ModuleConfig
from hostcore.config.policy import PolicyConfig
from hostcore.config.reload import ReloadConfig
from hostcore.config.supervision import SupervisionConfig
from hostcore.config.wasm import WasmConfig
from hostcore.config.worker import WorkerConfig
from hostcore.contract.checking import doc
from hostcore.contract.documents import KeyPath
from hostcore.contract.isolation import gives_less
from hostcore.contract.manifest import Entries, Limits, ModuleName
from hostcore.contract.patterns import fits
from hostcore.contract.spec import HOOKS
from hostcore.contract.units import Duration, Size
from hostcore.errors import Problem


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
    supervision: Annotated[SupervisionConfig, doc("What becomes of modules that crash, or hold the event loop.")] = (
        SupervisionConfig()
    )
    policy: Annotated[PolicyConfig, doc("What modules are allowed.")] = PolicyConfig()
    wasm: Annotated[WasmConfig, doc("How WebAssembly modules are compiled.")] = WasmConfig()
    worker: Annotated[WorkerConfig, doc("How worker processes are run.")] = WorkerConfig()

    def mistakes(self) -> Iterator[tuple[KeyPath, Problem]]:
        """Yield each module that is told to run in a host which the policy forbids for it."""
        for name, module in self.modules.items():
            for pattern, floor in self.policy.isolate.items():
                if module.isolation is not None and fits(name, [pattern]) and gives_less(module.isolation, floor):
                    yield ("modules", name, "isolation"), Problem(
                        f"isolation {module.isolation!r} is weaker than {floor!r}, which policy.isolate demands",
                        hint=f"correct either this, or policy.isolate.{pattern}",
                    )  # fmt: skip


def usual_limits(config: HostConfig) -> Limits:
    """Return what a host with that configuration takes where a module's limits say nothing."""
    usual = Limits(message=config.message_limit, mailbox=config.mailbox, state=config.state_limit)
    return msgspec.structs.replace(usual, **dict.fromkeys(HOOKS, config.handler_timeout))
