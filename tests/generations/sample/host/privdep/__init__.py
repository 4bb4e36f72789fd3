"""The host's own privdep: another release of what the modules bring along privately."""

VERSION = "host"

import dataclasses  # noqa: E402
import typing  # noqa: E402

from privdep.sub import S as S  # noqa: E402


@dataclasses.dataclass
class Annotated:
    k: "typing.ClassVar[int]" = 1
    own: "HostOnly | None" = None


class HostOnly:
    pass
