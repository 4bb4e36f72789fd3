"""Policy: what each module may do, decided in one place.

A native module runs in the host's own process and is trusted: the policy bounds what it does *through* hostcore,
not what its Python code could do otherwise.  The default policy allows everything; `Policy("deny")` allows each
module what it was granted and nothing else.  What a module asks for in its manifest is a request, not a grant.

A module in a sandbox can do nothing else, so for it the policy is all there is.  Where everything is allowed, it gets
what its manifest asks for and no more: whoever reads the manifest knows what it may do.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from hostcore.contract.manifest import Limits
from hostcore.contract.permissions import Permission

_REMEMBERED = 4096


class ModuleGrants:
    """What one module may do; answers are remembered, so that a check costs one dict lookup.

    Attributes:
        granted: The permissions, each written as it was granted.
        everything: There are no bounds; `granted` then says nothing.
    """

    def __init__(self, granted: Iterable[Permission], *, everything: bool) -> None:
        self.granted = tuple(granted)
        self.everything = everything
        self._answers: dict[tuple[str, str], bool] = {}

    def __repr__(self) -> str:
        return f"<ModuleGrants {'everything' if self.everything else list(map(str, self.granted))}>"

    def allows(self, kind: str, target: str) -> bool:
        """Tell whether `kind:target` is granted; `target` is "" for kinds without one."""
        if self.everything:
            return True
        key = (kind, target)
        answer = self._answers.get(key)
        if answer is None:
            if len(self._answers) >= _REMEMBERED:
                self._answers.clear()
            asked = _permission(kind, target)
            answer = self._answers[key] = asked is not None and any(g.covers(asked) for g in self.granted)
        return answer


def _permission(kind: str, target: str) -> Permission | None:
    try:
        return Permission(f"{kind}:{target}" if target else kind)
    except ValueError:
        return None


ALL = ModuleGrants((), everything=True)


class Policy:
    """What modules are allowed.

    Args:
        default: What a module without an entry in `grants` may do.  "allow": everything, or in a sandbox what its
            manifest asks for; "deny": nothing.
        grants: Module name -> permissions, as in {"counter": ["bus.send:log.*"]}.
        ceiling: The highest that any module's limits may be, with a manifest's keys, as in {"memory": "64MiB"}.

    Raises:
        ValueError: A permission does not parse, or `default` is neither of the two.
        ConfigError: A limit of the ceiling is wrong; every mistake is listed.
    """

    def __init__(
        self,
        default: Literal["allow", "deny"] = "allow",
        grants: Mapping[str, Iterable[str | Permission]] | None = None,
        ceiling: Limits | Mapping[str, Any] | None = None,
    ) -> None:
        if default not in ("allow", "deny"):
            raise ValueError(f"default must be 'allow' or 'deny', not {default!r}")
        self.default = default
        self.ceiling = ceiling if isinstance(ceiling, Limits) else Limits().merged(ceiling or {})
        self.grants = {
            module: tuple(p if isinstance(p, Permission) else Permission(p) for p in permissions)
            for module, permissions in (grants or {}).items()
        }

    def __repr__(self) -> str:
        return f"Policy({self.default!r}, grants for {len(self.grants)} modules)"

    def grants_for(self, module: str, asked: Iterable[Permission] | None = None) -> ModuleGrants:
        """Return what `module` may do.

        Args:
            module: Its name.
            asked: For a module in a sandbox, the permissions that its manifest asks for; None for any other.
        """
        if module in self.grants:
            return ModuleGrants(self.grants[module], everything=False)
        if self.default == "deny":
            return ModuleGrants((), everything=False)
        return ALL if asked is None else ModuleGrants(asked, everything=False)
