"""Find what still holds a generation that was unloaded, and name it.

`region` tells which of its objects are held from outside; there are few.  From these the search climbs: one call of
`gc.get_referrers` a level, until `roots` knows the place.  Each call passes over the whole heap while it holds the
GIL, and compares each reference there with each object asked about, so a level asks about a few dozen objects at
most.  Then the names are made, from the roots down, and of several names for one thing the best is told.

One pin usually keeps the whole generation alive, so a report is about places, not about objects: of a list with a
hundred instances in it, the first is named and the others are counted.  Two places are two reports if emptying one
would not empty the other.

Nothing here keeps anything alive or raises, and no code of a leaked object runs; `looking` tells how.
"""

from __future__ import annotations

import heapq
import re
from collections import deque
from itertools import pairwise
from types import CodeType
from typing import NamedTuple

from hostcore.generations import roots
from hostcore.generations.climbing import Climb
from hostcore.generations.looking import describe
from hostcore.generations.naming import Label, enter, step
from hostcore.generations.region import Known, Region, Survivors

_LIMIT = 20
_DEPTH = 12
_NOT_FOUND = 30.0
_HERE = "_"

_PATH = re.compile(r"([^\W\d][\w.]*(?:$|[\[.<]).*?)(, of module .*)?")
_COLLECTIONS = (list, set, dict, deque)


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
        return _Report(climb, find_holders.__code__).holders(limit) if region.names else []
    except Exception as exc:  # noqa: BLE001 - a report must come, whatever it meets
        return [Holder("the generation", f"something that could not be found ({type(exc).__name__})", ())]
    finally:
        known.objects.clear()


class _Way(NamedTuple):
    """Numbers: the steps down to an object of the region, and all such objects that are held there."""

    steps: list[int]
    held: list[int]


class _Report:
    """Makes the names, from the roots down, and says for each place what it holds."""

    def __init__(self, climb: Climb, own: CodeType) -> None:
        self._climb = climb
        self._region = climb.region
        self._objects = climb.known.objects
        self._labels: dict[int, Label] = {}
        self._last = self._last_resorts(own)
        outside = {number: label for number, label in self._last.items() if number not in self._region.members}
        self._spread(outside | climb.roots)
        self._starts = outside.keys() | climb.roots.keys()

    def _last_resorts(self, own: CodeType) -> dict[int, Label]:
        """Return the labels of what nothing visible holds, where that matters."""
        climb, members = self._climb, self._region.members
        wanted = {n for n in climb.unseen if n in members or n in climb.carriers}
        wanted |= climb.unseen.keys() & set(climb.above(climb.unnamed()))
        found = roots.last_resorts({n: self._objects[n] for n in wanted}, climb.unseen, own)
        for number in climb.up:
            context = roots.context(self._objects[number])
            if context is not None:
                found[number] = context
        return found

    def _spread(self, roots: dict[int, Label]) -> None:
        """Label all objects outside, the best names first."""
        queue = [(label.cost, len(str(label)), number, label) for number, label in roots.items()]
        heapq.heapify(queue)
        while queue:
            _, _, number, label = heapq.heappop(queue)
            if number in self._labels:
                continue
            self._labels[number] = label
            for child in self._climb.below(number):
                if child not in self._labels and child not in self._region.members:
                    named = enter(step(label, self._objects[number], self._objects[child]), self._objects[child])
                    heapq.heappush(queue, (named.cost, len(str(named)), child, named))

    def holders(self, limit: int) -> list[Holder]:
        """Return the places that hold something of the region, the best named first."""
        places = [place for number in self._heads() for place in self._places(number)]
        places += [(label, [number]) for number, label in self._last.items() if number in self._region.members]
        places.sort(key=lambda place: place[0].cost)
        merged: dict[str, list[int]] = {}
        for label, held in places:
            merged.setdefault(str(label), []).extend(held)
        found = [self._holder(root, list(dict.fromkeys(held))) for root, held in [*merged.items()][:limit]]
        if len(merged) > limit:
            found.append(Holder("the generation", f"{len(merged) - limit} more places", ()))
        return found or [self._nothing()]

    def _heads(self) -> list[int]:
        """Return what holds something of the region, or carriers of it, and carries nothing itself."""
        inner = self._region.members | (self._climb.carriers - self._starts)
        return [number for number in self._climb.up if number not in inner]

    def _places(self, head: int) -> list[tuple[Label, list[int]]]:
        """Return what a head holds, by places; a collection is one place."""
        label = self._labels.get(head) or self._not_found(head)
        if label is None:
            return []
        ways = [way for way in (self._reach(child, {head}) for child in self._climb.below(head)) if way.held]
        if ways and not label.namespace and issubclass(type(self._objects[head]), _COLLECTIONS):
            ways = [_Way(ways[0].steps, list(dict.fromkeys(number for way in ways for number in way.held)))]
        return [(self._along(label, [head, *way.steps]), way.held) for way in ways]

    def _reach(self, number: int, seen: set[int]) -> _Way:
        """Return the way to the nearest object of the region that an object is or carries, and all of them."""
        if number in self._region.members:
            return _Way([number], [number])
        if number in seen or number in self._starts or number not in self._climb.carriers:
            return _Way([], [])
        seen.add(number)
        ways = [way for way in (self._reach(child, seen) for child in self._climb.below(number)) if way.held]
        shortest = min((way.steps for way in ways), key=len, default=None)
        return _Way([number, *shortest], [n for way in ways for n in way.held]) if shortest else _Way([], [])

    def _along(self, label: Label, way: list[int]) -> Label:
        for parent, child in pairwise(way):
            label = step(label, self._objects[parent], self._objects[child])
            if child not in self._region.members:
                label = enter(label, self._objects[child])
        return label

    def _not_found(self, head: int) -> Label | None:
        """Return words for a head that no root leads to; None if it is garbage, or the region's own."""
        if self._climb.is_dead(head) or head not in self._climb.owners:
            return None
        return Label("", words=f"{describe(self._objects[head])}, whose own holder was not found", cost=_NOT_FOUND)

    def _holder(self, root: str, held: list[int]) -> Holder:
        first, *others = held
        kept = {number for number, _ in self._region.kept_by(held) if number in self._region.names}
        more = len((kept | set(others)) - {first})
        what = self._name(first)
        return Holder(f"{what} (and {more} more)" if more else what, root, (root, what, *self._way(first)))

    def _name(self, number: int) -> str:
        return self._region.names.get(number) or describe(self._objects[number])

    def _way(self, number: int) -> list[str]:
        """Return the steps from an object of the region to the nearest survivor."""
        before: dict[int, int] = {}
        end = number if number in self._region.names else None
        for found, via in self._region.kept_by([number]) if end is None else ():
            before[found] = via
            if found in self._region.names:
                end = found
                break
        way: list[int] = []
        while end is not None and end != number:
            way.append(end)
            end = before[end]
        return self._steps([number, *reversed(way)])

    def _steps(self, way: list[int]) -> list[str]:
        steps: list[str] = []
        label = Label(_HERE)
        for parent, child in pairwise(way):
            label = step(label, self._objects[parent], self._objects[child])
            if label.words or self._region.owns(self._objects[child]):
                steps += [
                    part
                    for part in (label.path.removeprefix(_HERE),)
                    if part not in ("", ".__class__") and not label.words
                ]
                steps.append(self._name(child))
                label = Label(_HERE)
        return steps

    def _nothing(self) -> Holder:
        held = list(self._region.names)
        held_outside = any(number in self._region.names for number in self._region.held())
        root = "something that could not be found" if held_outside else "nothing but itself, until garbage is collected"
        return self._holder(root, held)
