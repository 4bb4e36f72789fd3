"""Tell of each place that holds something of a generation what it is called and what it holds.

The names are made from the roots down; of several names for one object the best is told.  Whatever is held right
below an owner, or through carriers below it, is one place: all of it if the owner is a collection, and else each of
its attributes by itself.
"""

from __future__ import annotations

import heapq
from collections import deque
from itertools import pairwise
from types import CodeType
from typing import NamedTuple

from hostcore.generations import roots
from hostcore.generations.climbing import Climb
from hostcore.generations.looking import describe
from hostcore.generations.naming import Label, enter, step

Place = tuple[str, str, tuple[str, ...]]
_COLLECTIONS = (list, set, dict, deque)
_NOT_FOUND = 30.0
_HERE = "_"


class _Way(NamedTuple):
    """Numbers: the steps down to an object of the region, and all such objects that are held there."""

    steps: list[int]
    held: list[int]


class Report:
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

    def places(self, limit: int) -> list[Place]:
        """Return the places that hold something of the region, the best named first."""
        found = [place for number in self._heads() for place in self._places(number)]
        found += [(label, [number]) for number, label in self._last.items() if number in self._region.members]
        found.sort(key=lambda place: place[0].cost)
        merged: dict[str, dict[int, None]] = {}
        for label, held in found:
            merged.setdefault(str(label), {}).update(dict.fromkeys(held))
        told = [self._tell(root, list(held)) for root, held in [*merged.items()][:limit]]
        if len(merged) > limit:
            told.append(("the generation", f"{len(merged) - limit} more places", ()))
        return told or [self._nothing()]

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
            ways = [_Way(ways[0].steps, [number for way in ways for number in way.held])]
        return [(self._along(label, [head, *way.steps]), way.held) for way in ways]

    def _reach(self, number: int, seen: set[int]) -> _Way:
        """Return the way to the nearest object of the region that an object is or carries; and all, that one first."""
        if number in self._region.members:
            return _Way([number], [number])
        if number in seen or number in self._starts or number not in self._climb.carriers:
            return _Way([], [])
        seen.add(number)
        ways = [way for way in (self._reach(child, seen) for child in self._climb.below(number)) if way.held]
        shortest = min((way.steps for way in ways), key=len, default=None)
        if shortest is None:
            return _Way([], [])
        return _Way([number, *shortest], [shortest[-1], *(held for way in ways for held in way.held)])

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

    def _tell(self, root: str, held: list[int]) -> Place:
        first, *others = held
        kept = {number for number, _ in self._region.kept_by(held) if number in self._region.names}
        more = len((kept | set(others)) - {first})
        what = self._name(first)
        return f"{what} (and {more} more)" if more else what, root, (root, what, *self._way(first))

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
            if self._region.owns(self._objects[child]):
                suffix = label.path.removeprefix(_HERE)
                steps += [suffix] if suffix and suffix != ".__class__" else []
                steps.append(self._name(child))
                label = Label(_HERE)
        return steps

    def _nothing(self) -> Place:
        held = list(self._region.names)
        held_outside = any(number in self._region.names for number in self._region.held())
        root = "something that could not be found" if held_outside else "nothing but itself, until garbage is collected"
        return self._tell(root, held)
