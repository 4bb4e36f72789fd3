"""How modules are reloaded: `[reload]`."""

from __future__ import annotations

from typing import Annotated

import msgspec

from hostcore.config.forms import Count, Share
from hostcore.contract.checking import doc
from hostcore.contract.units import Duration


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
