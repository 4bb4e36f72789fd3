"""Policy: what each module may do and where it may run, decided from what the operator said beforehand.

Whoever is *trusted* gets what its manifest asks for.  A native module runs in the host's own process: there its Python
code could do anything, whatever is checked, so it is trusted unless the policy says where else it has to run.  Outside
of that process a module reaches nothing but what it is granted, and for it the policy is all there is:

    default    native                       outside of the host's process
    "ask"      everything                   what an operator has consented to (`consents`)
    "allow"    everything                   what its manifest asks for
    "deny"     nothing through hostcore     nothing

An entry in `grants` comes before all that, and trust before the default.  What a manifest asks for is a request.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from hostcore.config.policy import Default, PolicyConfig, Sandbox, TrustConfig
from hostcore.contract.checking import check
from hostcore.contract.isolation import is_confined, joined
from hostcore.contract.manifest import Limits
from hostcore.contract.patterns import distribution_fits, fits, publisher_fits
from hostcore.contract.permissions import Permission
from hostcore.errors import ConfigError

IN_PROCESS = "trusted (in process)"
TRUSTED = "trusted (policy)"
GRANTED = "granted"
NOT_GRANTED = "not granted"
"""It does not load: somebody has to agree to what it asks for."""
OBSERVED = "observed"
CONFINED = "confined"
"""It has nothing: it asks for nothing, or the policy gives it nothing."""


class Asker(NamedTuple):
    """Whose module it is: what trust and consent are bound to.

    `publisher` is what the distribution's metadata says of its author, which nothing proves; "" if it says nothing.
    """

    module: str
    distribution: str = ""
    publisher: str = ""


class Bounds(NamedTuple):
    """What the policy gives a module by itself; `consent`: someone has to be asked for the rest."""

    trust: str
    granted: tuple[Permission, ...] = ()
    everything: bool = False
    consent: bool = False


class Policy:
    """What modules are allowed.

    Args:
        default: What a module may do that has no entry in `grants` and is not trusted: "ask", "allow" or "deny".
        grants: Module name -> permissions, as in {"counter": ["bus.send:log.*"]}.
        ceiling: The highest that any module's limits may be, with a manifest's keys, as in {"memory": "64MiB"}.
        more: The other keys of `[policy]` in a host's configuration, as in isolation="worker".

    Raises:
        ValueError: A permission does not parse, or `default` is none of the three.
        ConfigError: Something else is wrong; every mistake is listed.
    """

    def __init__(
        self,
        default: Default = "ask",
        grants: Mapping[str, Iterable[str | Permission]] | None = None,
        ceiling: Limits | Mapping[str, Any] | None = None,
        **more: Any,
    ) -> None:
        if default not in ("ask", "allow", "deny"):
            raise ValueError(f"default must be 'ask', 'allow' or 'deny', not {default!r}")
        granted = {
            module: tuple(p if isinstance(p, Permission) else Permission(p) for p in permissions)
            for module, permissions in (grants or {}).items()
        }
        limits = ceiling if isinstance(ceiling, Limits) else Limits().merged(ceiling or {})
        config, problems = check({**more, "default": default, "ceiling": limits, "grants": granted}, PolicyConfig)
        if config is None:
            raise ConfigError(problems=problems)
        self._config = config

    @classmethod
    def configured(cls, config: PolicyConfig) -> Policy:
        """Return the policy that a configuration states."""
        policy = cls.__new__(cls)
        policy._config = config
        return policy

    def __repr__(self) -> str:
        return f"Policy({self.default!r}, grants for {len(self.grants)} modules)"

    @property
    def default(self) -> Default:
        """What a module may do of which nothing else is said."""
        return self._config.default

    @property
    def grants(self) -> Mapping[str, tuple[Permission, ...]]:
        """Module name -> what the configuration grants it."""
        return self._config.grants

    @property
    def ceiling(self) -> Limits:
        """The highest that any module's limits may be."""
        return self._config.ceiling

    @property
    def sandbox(self) -> Sandbox:
        """The weakest sandbox of the operating system that workers may run in."""
        return self._config.sandbox

    @property
    def gate(self) -> bool:
        """Whether a release's isolation is tested before it is installed or reloaded."""
        return self._config.gate

    # --- judging -----------------------------------------------------------------------------------------------

    def trusts(self, asker: Asker) -> bool:
        """Tell whether a module gets what it asks for without anybody's consent."""
        trust: TrustConfig = self._config.trust
        return (
            fits(asker.module, trust.modules)
            or distribution_fits(asker.distribution, trust.distributions)
            or publisher_fits(asker.publisher, trust.publishers)
        )

    def observes(self, module: str) -> bool:
        """Tell whether a module is refused nothing, and what it would have been is counted."""
        return self._config.observe.has(module)

    @property
    def asks_for_publishers(self) -> bool:
        """Whether the publisher of a release makes a difference to trust."""
        return bool(self._config.trust.publishers)

    def floor(self, asker: Asker) -> str:
        """Return the weakest host that a module may run in."""
        forced = [
            host for pattern, host in self._config.isolate.items()
            if fits(asker.module, [pattern]) or distribution_fits(asker.distribution, [pattern])
        ]  # fmt: skip
        return joined("native", *forced, *([] if self.trusts(asker) else [self._config.isolation]))

    def bounds(self, asker: Asker, host: str, asked: Iterable[Permission]) -> Bounds:
        """Return what a module that runs in `host` may do, as far as the policy says it."""
        confined, wanted = is_confined(host), tuple(asked)
        given = self.grants.get(asker.module)
        if given is not None:
            return Bounds(GRANTED if confined else IN_PROCESS, given)
        trusted = self.trusts(asker)
        if self.default == "deny" and not trusted:
            return Bounds(CONFINED if confined else IN_PROCESS)
        if not confined:
            return Bounds(IN_PROCESS, everything=True)
        if not wanted:
            return Bounds(TRUSTED if trusted else CONFINED)
        if trusted or self.default == "allow":
            return Bounds(TRUSTED, wanted)
        return Bounds(GRANTED, consent=True)
