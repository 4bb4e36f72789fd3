"""Find what still holds a generation that was unloaded, and name it.

`region` tells which of its objects are held from outside; there are few.  From these the search climbs: one call of
`gc.get_referrers` a level, until `roots` knows the place.  Each call passes over the whole heap while it holds the
GIL, and compares each reference there with each object asked about, so a level asks about a few dozen objects at
most.  Then `telling` makes the names.

One pin usually keeps the whole generation alive, so a report is about places, not about objects: of a list with a
hundred instances in it, the first is named and the others are counted.  Two places are two reports if emptying one
would not empty the other.

Nothing here keeps anything alive or raises, and no code of a leaked object runs; `looking` tells how.  What loses its
last other reference during the search dies at its end, in the thread that searched.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from hostcore.generations.climbing import Climb
from hostcore.generations.region import Known, Region, Survivors
from hostcore.generations.telling import Report

_LIMIT = 20
_DEPTH = 12
_PATH = re.compile(r"([^\W\d][\w.]*(?:$|[\[.<]).*?)(, of module .*)?")


class Holder(NamedTuple):
    """A place that keeps objects of an unloaded generation alive.

    Attributes:
        what: The object nearest to the place, and how many more it keeps: "class acme.Handler (and 3 more)".
        root: The place, as in "logging.root.handlers[2]" or "task 'poll'".
        chain: From the root to an object that was to die, one readable step each.
    """

    what: str
    root: str
    chain: tuple[str, ...]

    def __str__(self) -> str:
        path = _PATH.fullmatch(self.root)
        place = f"`{path[1]}`{path[2] or ''}" if path else self.root
        return f"{self.what}, kept alive by {place}"


def find_holders(survivors: Survivors, *, limit: int = _LIMIT, depth: int = _DEPTH) -> list[Holder]:
    """Return the places that keep an unloaded generation alive; collect garbage before.

    Args:
        survivors: (kind, dotted name, object or weak reference) of what was to die, as `Generation.watch` gives it.
        limit: At most so many places are named; a last entry says how many more there are.
        depth: At most so many levels are climbed, each a pass over the heap.

    Returns:
        The places, the best named first; all text.  Empty if nothing is alive.  A failure is an entry too.
    """
    known = Known()
    try:
        region = Region(known, survivors)
        climb = Climb(known, region, survivors)
        climb.climb(depth)
        report = Report(climb, find_holders.__code__)
        return [Holder(*place) for place in report.places(limit)] if region.names else []
    except Exception as exc:  # noqa: BLE001 - a report must come, whatever it meets
        return [Holder("the generation", f"something that could not be found ({type(exc).__name__})", ())]
    finally:
        known.objects.clear()
