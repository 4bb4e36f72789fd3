"""Climb from what is held of a generation to the places that hold it.

The graph has the objects outside of the region that lead to something in it, found from below.  A level asks
`gc.get_referrers` once.  What turns out to be the generation's after all (an instance that only the host holds)
joins the region, and the question becomes who holds that.

An owner is climbed from only until a root above it is known, and one level more for a better one; a carrier until all
of its holders are known.
"""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from hostcore.generations.naming import Label
from hostcore.generations.region import Known, Region
from hostcore.generations.roots import Roots, is_carrier

_BREADTH = 32
"""Objects asked about in one pass over the heap; twice as many take nearly twice as long."""
_CLIMBING = 24
"""How many of these may be outside of the region."""


class Climb:
    """The graph, by numbers in `known`.

    Attributes:
        up: Object -> what outside of the region refers to it, of what has been asked about.
        carriers: Those outside that just wrap what they refer to.
        roots: The labels of the named places that were reached.
        owners: Those outside that are right above the region or a carrier.
        unseen: Object -> how many references to it come from nothing that the garbage collector sees.
    """

    def __init__(self, known: Known, region: Region, ignored: Iterable[Any]) -> None:
        self.known = known
        self.region = region
        self.up: dict[int, dict[int, None]] = {}
        self._down: dict[int, dict[int, None]] = {}
        self.carriers: set[int] = set()
        self.roots: dict[int, Label] = {}
        self.unseen: dict[int, int] = {}
        self._asked: set[int] = set()
        self.owners: dict[int, None] = {}
        self._settled: set[int] = set()
        self._places = Roots()
        for number in region.members:
            self._places.forget(known.objects[number])
        self._ignored = set(map(id, ignored))

    def climb(self, depth: int) -> None:
        """Climb at most `depth` levels."""
        for _ in range(depth):
            frontier = self._frontier()
            if not frontier:
                return
            settled = self._named()
            self._ask(frontier)
            self._settled = settled

    def _frontier(self) -> list[int]:
        held = [number for number in self.region.held() if number not in self._asked]
        return [*list(self.unfinished())[:_CLIMBING], *held][:_BREADTH]

    def unfinished(self) -> Iterator[int]:
        """Yield the objects outside that are still to be asked about."""
        yield from sorted(self.carriers - self._asked - self.roots.keys())
        for number in self.above(owner for owner in self.owners if not self._is_settled(owner)):
            if number not in self._asked and number not in self.roots and number not in self.carriers:
                yield number

    def _is_settled(self, owner: int) -> bool:
        """Tell whether no better name is to come: the first one found has had a level more to be surpassed."""
        return owner in self._settled or not self.roots.keys().isdisjoint((owner, *self.up[owner]))

    def unnamed(self) -> list[int]:
        """Return the owners that no root leads to."""
        named = self._named()
        return [owner for owner in self.owners if owner not in named]

    def _named(self) -> set[int]:
        found = set(self.roots)
        queue = list(found)
        while queue:
            for number in self._down.get(queue.pop(), ()):
                if number not in found and number not in self.region.members:
                    found.add(number)
                    queue.append(number)
        return found

    def above(self, numbers: Iterable[int]) -> list[int]:
        """Return `numbers` and all known holders of theirs, the nearest first."""
        found = dict.fromkeys(numbers)
        queue = list(found)
        for number in queue:  # grows while it is walked
            fresh = [holder for holder in self.up.get(number, ()) if holder not in found]
            found.update(dict.fromkeys(fresh))
            queue += fresh
        return queue

    def _ask(self, frontier: list[int]) -> None:
        self._asked.update(frontier)
        visible: Counter[int] = Counter()
        for holder, referred in self._referrers(frontier):
            visible.update(referred)
            if holder is not None and holder not in self.region.members:
                self._place(holder, referred)
        for number in frontier:
            unseen = self.known.references(number) - visible[number]
            if unseen > 0:
                self.unseen[number] = unseen
        self.region.grow()

    def _referrers(self, frontier: list[int]) -> list[tuple[int | None, list[int]]]:
        """Return what refers to `frontier`, each with what of it; None stands for what is not to be told."""
        objects = self.known.objects
        targets = tuple(objects[number] for number in frontier)
        found = gc.get_referrers(*targets)
        asked = {id(objects[number]): number for number in frontier}
        result: list[tuple[int | None, list[int]]] = []
        for holder in found:
            if holder is not objects and holder is not found and holder is not targets:
                referred = [asked[id(obj)] for obj in gc.get_referents(holder) if id(obj) in asked]
                result.append((None if id(holder) in self._ignored else self.known.number(holder), referred))
        found.clear()  # it may be among what it holds
        return result

    def _place(self, holder: int, referred: list[int]) -> None:
        if holder not in self.up and self._joins_region(holder):
            return
        self._note(holder)
        for number in referred:
            self.up.setdefault(number, {})[holder] = None
            self._down.setdefault(holder, {})[number] = None
            if number in self.region.members or number in self.carriers:
                self.owners[holder] = None

    def _joins_region(self, holder: int) -> bool:
        mine = self.region.owns(self.known.objects[holder])
        if mine:
            self.region.join(holder)
            self._places.forget(self.known.objects[holder])
        return mine

    def _note(self, holder: int) -> None:
        """Take a new object outside into the graph."""
        if holder in self.up:
            return
        self.up[holder] = {}
        obj = self.known.objects[holder]
        label = self._places.label(obj)
        if label is not None:
            self.roots[holder] = label
        if is_carrier(obj):
            self.carriers.add(holder)
        del obj
        for number in self._referred(holder):
            if number in self.region.members:
                self.region.account(number, 1)

    def below(self, holder: int) -> list[int]:
        """Return what of the region and of the graph an object outside refers to."""
        known = self._down.get(holder, {})
        found = [n for n in self._referred(holder) if n in known or n in self.region.members]
        return list(dict.fromkeys([*found, *known]))  # those found from below may be hidden from above by now

    def _referred(self, holder: int) -> list[int]:
        found = [self.known.get(obj) for obj in gc.get_referents(self.known.objects[holder])]
        if issubclass(type(self.known.objects[holder]), (list, tuple)):
            found.reverse()  # these are looked through from behind
        return [number for number in found if number is not None]

    def is_dead(self, owner: int) -> bool:
        """Tell whether an owner that no root leads to is held by nothing but the region, or is garbage."""
        above = self.above([owner])
        return all(number in self._asked and number not in self.unseen for number in above)
