"""What a manifest says of crashes: whether a module is brought back, who goes with it, and when its state is kept."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from hostcore.contract.checking import doc, text_form
from hostcore.contract.units import Duration
from hostcore.contract.versions import NAME, shorten

RestartPolicy = Literal["permanent", "transient", "temporary"]
Messages = Annotated[int, Meta(ge=1, le=2**31 - 1, description="an integer of at least 1")]


def _name(text: str) -> str:
    if not NAME.fullmatch(text):
        raise ValueError(f"{shorten(text)} is not a name")
    return text


Followed = Annotated[str, text_form(_name, "a name that stands in requires", pattern=f"^{NAME.pattern}$")]


class Restart(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What becomes of it when it crashes."""

    policy: Annotated[
        RestartPolicy,
        doc("Whether it is restarted: always; unless it ended by itself and well; never."),
    ] = "permanent"
    follows: Annotated[
        tuple[Followed, ...], doc("What it requires and restarts together with; others only wait until it is back.")
    ] = ()


class SnapshotRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When its state is kept for a restart; where nothing is said, only by a reload."""

    messages: Annotated[Messages | None, doc("After so many messages.")] = None
    interval: Annotated[Duration | None, doc("After so long, if it handled any message in that time.")] = None
