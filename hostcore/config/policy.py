"""What modules are allowed: `[policy]`."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from hostcore.contract.checking import doc
from hostcore.contract.manifest import Asked, Limits, ModuleName


class PolicyConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What modules are allowed."""

    default: Annotated[Literal["allow", "deny"], doc("What a module that has no grants may do.")] = "allow"
    grants: Annotated[dict[ModuleName, tuple[Asked, ...]], doc("What each named module may do.")] = {}
    ceiling: Annotated[Limits, doc("The highest that a module's limits may be, with the same keys.")] = Limits()
