"""What the host says of single modules: `[modules.NAME]`."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from hostcore.config.forms import PathText
from hostcore.contract.checking import doc
from hostcore.contract.manifest import Activation, Isolation, Limits
from hostcore.contract.restarting import RestartPolicy


class ModuleConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the host says of one module."""

    source: Annotated[PathText | None, doc("A project, wheel or file to load it from; none: what is installed.")] = None
    enabled: Annotated[bool, doc("Whether it loads with the host.")] = True
    isolation: Annotated[Isolation | None, doc("The host it runs in; none: as its manifest says.")] = None
    activate: Annotated[Activation | None, doc("When to load it; none: as its manifest says.")] = None
    restart: Annotated[RestartPolicy | None, doc("Whether it is restarted; none: as its manifest says.")] = None
    config: Annotated[dict[str, Any], doc("Its options; checked against its manifest when it loads.")] = {}
    limits: Annotated[
        dict[str, Any],
        msgspec.Meta(extra={"shape": Limits}),
        doc("Limits in place of its manifest's, with the same keys."),
    ] = {}
