"""What is alive of a generation, and which of it is held from outside.

The garbage collector's own arithmetic: of each object, subtract from its reference count the references that come
from the generation itself; what is left comes from elsewhere.  So the few objects that are really held are found
without a pass over the heap.

The *region* is all that belongs to the generation: its modules, classes, functions and instances, and whatever
else is referred to by nothing but the region, such as the list in a global of its.  What it shares with the host
is not in it and is not entered.
"""

from __future__ import annotations

import gc
import sys
import types
import weakref
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any

from hostcore.generations import table
from hostcore.generations.belonging import builtins_of, is_class
from hostcore.generations.looking import (
    class_dict,
    entry,
    frame_of,
    is_static,
    items,
    module_dict,
    module_of,
    shortest_name,
    text,
)

Survivors = Sequence[tuple[str, str, Any]]
_LIMIT = 300_000


def _own_references() -> int:
    probe = [object()]
    return sys.getrefcount(probe[0])


class Known:
    """Objects by number.

    Invariant: `objects` is the one thing of the search that refers to them between two calls; all other tables hold
    numbers.  Reference counts can then be trusted, and all is let go of by emptying it.
    """

    def __init__(self) -> None:
        self.objects: list[Any] = []
        self._numbers: dict[int, int] = {}
        self._own = _own_references()

    def number(self, obj: Any) -> int:
        """Return the number of `obj`, a new one if it has none."""
        known = self._numbers.get(id(obj))
        if known is None:
            known = self._numbers[id(obj)] = len(self.objects)
            self.objects.append(obj)
        return known

    def get(self, obj: Any) -> int | None:
        """Return the number of `obj`, if it has one."""
        return self._numbers.get(id(obj))

    def references(self, number: int) -> int:
        """Return how many references there are to an object, not counting the search's own."""
        return sys.getrefcount(self.objects[number]) - self._own


class Region:
    """The objects of one generation, by their numbers in `known`.

    Attributes:
        members: Those that are in it.
        names: What the survivors are called, as in "class acme.Thing".
    """

    def __init__(self, known: Known, survivors: Survivors) -> None:
        self.known = known
        self.members: set[int] = set()
        self.names: dict[int, str] = {}
        self._counts: dict[int, int] = {}  # references from members, and from what else is accounted for
        self._queue: deque[int] = deque()
        self._builtins: set[int] = set()
        self._modules: set[str] = set()
        self._classes: dict[int, bool] = {}
        self._namespaces: set[int] = set()
        for kind, name, obj in survivors:
            self._take(f"{kind} {name}", obj)
        self.grow()

    def _take(self, name: str, obj: Any) -> None:
        given = type(obj) is not weakref.ref
        obj = obj if given else obj()
        if obj is None:
            return
        number = self.known.number(obj)
        self.names.setdefault(number, name)
        if given:
            self.account(number, 1)
        if is_class(obj):
            self._classes[id(obj)] = True
        self._learn(obj)
        self.join(number)

    def _learn(self, obj: Any) -> None:
        """Note by which builtins and module names the generation is known."""
        members: Any = ()
        if is_class(obj):
            self._modules.add(module_of(obj))
            members = [value for _, value in items(class_dict(obj)) if type(value) is types.FunctionType]
        elif type(obj) is types.FunctionType:
            self._modules.add(module_of(obj))
            members = [obj]
            self._namespaces.add(id(obj.__globals__))
        elif type(obj) is types.ModuleType:
            namespace = module_dict(obj) or {}
            self._namespaces.add(id(namespace))
            self._modules.add(text(entry(namespace, "__name__")))
            self._learn_builtins(entry(namespace, "__builtins__"))
        for function in members:
            self._learn_builtins(builtins_of(function))

    def _learn_builtins(self, namespace: Any) -> None:
        if id(namespace) not in self._builtins and type(namespace) is dict and entry(namespace, table.MARK) is not None:
            self._builtins.add(id(namespace))

    def owns(self, obj: Any) -> bool:
        """Tell whether `obj` was made by the generation's code."""
        kind = type(obj)
        if kind is types.FunctionType:
            if id(builtins_of(obj)) not in self._builtins:
                return False
            self._namespaces.add(id(obj.__globals__))
            return True
        if kind is types.MethodType:
            return self.owns(obj.__func__) or self.owns(obj.__self__)
        if kind is types.ModuleType:
            return self._is_namespace(module_dict(obj))
        if kind is dict:
            return id(obj) in self._namespaces
        frame = obj if kind is types.FrameType else frame_of(obj)
        if frame is not None:
            return id(frame.f_builtins) in self._builtins
        return self._owns_class(obj if is_class(obj) else kind)

    def _is_namespace(self, namespace: Any) -> bool:
        if namespace is None or id(entry(namespace, "__builtins__")) not in self._builtins:
            return False
        self._namespaces.add(id(namespace))
        return True

    def _owns_class(self, cls: type) -> bool:
        known = self._classes.get(id(cls))
        if known is None:
            if is_static(cls):
                return False
            known = self._classes[id(cls)] = self._made_class(cls)
            self.known.number(cls)  # stays alive, so that its id stays its own
        return known

    def _made_class(self, cls: type) -> bool:
        if module_of(cls) not in self._modules or shortest_name(cls):
            return False
        functions = [value for _, value in items(class_dict(cls)) if type(value) is types.FunctionType]
        return not functions or any(id(builtins_of(function)) in self._builtins for function in functions)

    def join(self, number: int) -> None:
        """Make an object a member; `grow` then follows what it refers to."""
        if number not in self.members and len(self.members) < _LIMIT:
            self.members.add(number)
            self._queue.append(number)

    def grow(self) -> None:
        """Take in all that the members refer to and that is the generation's, or nobody else's."""
        while self._queue:
            for number in self._count(self._queue.popleft()):
                if number not in self.members and (self._owns_numbered(number) or self.outside(number) == 0):
                    self.join(number)

    def _owns_numbered(self, number: int) -> bool:
        return self.owns(self.known.objects[number])

    def _count(self, number: int) -> list[int]:
        found = [self.known.number(obj) for obj in gc.get_referents(self.known.objects[number]) if gc.is_tracked(obj)]
        for referred in found:
            self.account(referred, 1)
        return found

    def account(self, number: int, references: int) -> None:
        """Take note of references to an object whose holder is known."""
        self._counts[number] = self._counts.get(number, 0) + references

    def outside(self, number: int) -> int:
        """Return how many references to an object are not accounted for."""
        return self.known.references(number) - self._counts.get(number, 0)

    def held(self) -> Iterator[int]:
        """Yield the members that something unaccounted for holds."""
        return (number for number in sorted(self.members) if self.outside(number) > 0)

    def kept_by(self, numbers: Sequence[int]) -> Iterator[tuple[int, int]]:
        """Yield all members that `numbers` reach within the region, breadth first, each with the one before it."""
        seen = set(numbers)
        queue = deque(numbers)
        while queue:
            here = queue.popleft()
            for referred in self._members_of(here):
                if referred not in seen:
                    seen.add(referred)
                    queue.append(referred)
                    yield referred, here

    def _members_of(self, number: int) -> list[int]:
        found = (self.known.get(obj) for obj in gc.get_referents(self.known.objects[number]))
        return [referred for referred in found if referred is not None and referred in self.members]
