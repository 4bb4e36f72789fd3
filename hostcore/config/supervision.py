"""What becomes of modules that crash, or hold the event loop: `[supervision]`."""

from __future__ import annotations

from typing import Annotated

import msgspec

from hostcore.config.forms import Count, Share
from hostcore.contract.checking import doc
from hostcore.contract.units import Duration

Tries = Annotated[int, msgspec.Meta(ge=1, le=1000, description="an integer from 1 to 1000")]
Factor = Annotated[float, msgspec.Meta(ge=0, le=100, description="a number from 0 to 100")]


class SupervisionConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What becomes of modules that crash, or hold the event loop."""

    enabled: Annotated[bool, doc("Bring crashed modules back; else they fail, and crashes are only listed.")] = True
    tries: Annotated[Tries, doc("Restarts without stable health in between, before something stronger is done.")] = 5
    backoff: Annotated[Duration, doc("The wait before the second restart in a row; it doubles with each.")] = 0.1
    backoff_max: Annotated[Duration, doc("The longest wait before a restart.")] = 30.0
    jitter: Annotated[Share, doc("The share by which a wait is made shorter or longer at random.")] = 0.2
    stable: Annotated[Duration, doc("A module that ran for so long since it was started is healthy.")] = 60.0
    quarantine: Annotated[Duration, doc("The wait before a start of a quarantined module on trial.")] = 300.0
    rollback: Annotated[bool, doc("After too many restarts, go back to the generation before, if one is kept.")] = True
    demote: Annotated[bool, doc("After that, move the module to a process of its own.")] = True
    hung: Annotated[
        Count,
        doc("A native handler that has ignored its cancellation so often has hung; 0: it never has."),
    ] = 3
    throttle: Annotated[
        Factor, doc("A module that held the event loop rests for so many times as long; 0: it does not.")
    ] = 1.0
    move_blocking: Annotated[
        Count, doc("A module that held the event loop so often moves to a process of its own; 0: never.")
    ] = 0
    blocking_window: Annotated[Duration, doc("The time within which that counts.")] = 60.0
    crashes: Annotated[Tries, doc("How many crashes are remembered.")] = 200
