"""What modules are allowed: `[policy]`, or a `policy.toml` beside the host's configuration, with the same keys."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

import msgspec

from hostcore.contract.checking import doc
from hostcore.contract.documents import KeyPath
from hostcore.contract.manifest import Asked, Isolation, Limits, ModuleName
from hostcore.contract.patterns import Chosen, Pattern, Publisher, WhichModules, matches_all
from hostcore.errors import Problem

Default = Literal["ask", "allow", "deny"]
Sandbox = Literal["none", "limits", "files", "full"]


class TrustConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which modules may do what they ask for, and run in the host's process, without anybody's consent."""

    modules: Annotated[tuple[Pattern, ...], doc("Names of modules, or patterns.")] = ()
    distributions: Annotated[tuple[Pattern, ...], doc("Names of distributions, or patterns.")] = ()
    publishers: Annotated[
        tuple[Publisher, ...], doc("Authors or maintainers as metadata has them; what it says is not proved.")
    ] = ()

    def mistakes(self) -> Iterator[tuple[KeyPath, Problem]]:
        """Yield each pattern that trusts everybody: that is said by the default, where everybody sees it."""
        for key in ("modules", "distributions", "publishers"):
            for index, pattern in enumerate(getattr(self, key)):
                if matches_all(pattern):
                    yield (key, index), Problem(
                        f"{pattern!r} trusts everybody", hint="if that is meant, say it: default = \"allow\""
                    )  # fmt: skip


class PolicyConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What modules are allowed."""

    default: Annotated[Default, doc("What a module may do that has no grants and is not trusted.")] = "ask"
    grants: Annotated[dict[ModuleName, tuple[Asked, ...]], doc("What each named module may do.")] = {}
    trust: Annotated[TrustConfig, doc("Who needs no consent.")] = TrustConfig()
    isolation: Annotated[Isolation, doc("The weakest host that modules may run in that are not trusted.")] = "native"
    isolate: Annotated[
        dict[Pattern, Isolation], doc("The weakest host for modules or distributions of that name, trusted or not.")
    ] = {}
    observe: Annotated[WhichModules, doc("Whose attempts are counted and none refused.")] = Chosen()
    sandbox: Annotated[Sandbox, doc("The weakest sandbox of the operating system that workers may run in.")] = "none"
    gate: Annotated[bool, doc("Test a release's isolation before it is installed or reloaded.")] = False
    ceiling: Annotated[Limits, doc("The highest that a module's limits may be, with the same keys.")] = Limits()

    def mistakes(self) -> Iterator[tuple[KeyPath, Problem]]:
        """Yield what contradicts itself."""
        for pattern, host in self.isolate.items():
            if host == "native":
                yield ("isolate", pattern), Problem(
                    f"{pattern!r} is to run at least in the host 'native', which every host is",
                    hint="isolate only tightens; to let a module run in the host's process, trust it",
                )  # fmt: skip
        for index, name in enumerate(self.trust.modules):
            if name in self.grants:
                yield ("trust", "modules", index), Problem(
                    f"{name!r} is trusted with what it asks for, and has grants of its own",
                    hint=f"take one of the two away; with grants.{name} it has exactly those",
                )  # fmt: skip
