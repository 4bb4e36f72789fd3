"""How worker processes are run: `[worker]`."""

from __future__ import annotations

from typing import Annotated

import msgspec

from hostcore.contract.checking import doc
from hostcore.contract.units import Duration

Nice = Annotated[int, msgspec.Meta(ge=0, le=19, description="an integer from 0 to 19")]


class WorkerConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How worker processes are run."""

    preload: Annotated[
        tuple[str, ...], doc("Packages that are imported once, before any worker starts, so that all share them.")
    ] = ()
    nice: Annotated[Nice, doc("How much workers give way to the host: their niceness.")] = 5
    grace: Annotated[
        Duration,
        doc("How long a call past its time gets to end, once cancelled and once terminated."),
    ] = 0.25
    start_time: Annotated[Duration, doc("How long the process that workers are forked from may take to start.")] = 30.0
