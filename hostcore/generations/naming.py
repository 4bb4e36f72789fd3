"""Say where an object is held, as a person would write it.

A `Label` is the name of one object, made step by step: that of `logging` and the step to its attribute `root` make
`logging.root`, and so on down.  Where names end (a task, a thread, a running function), the label has words
instead, and what follows is a path within them: "local variable `jobs[0]` of function acme.work in thread 'x'".

Labels hold text and the ids of objects, never an object.
"""

from __future__ import annotations

import collections
import contextvars
import functools
import gc
import threading
import types
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from hostcore.generations.belonging import is_class
from hostcore.generations.frames import content, variable_of
from hostcore.generations.looking import (
    class_dict,
    code_name,
    entry,
    frame_of,
    instance_dict,
    is_static,
    items,
    module_dict,
    short,
    slots,
    text,
    type_name,
)

_LRU = type(functools.lru_cache(lambda: 0))
_ODD = 3.0
_NONE: Mapping[int, str] = types.MappingProxyType({})


class Label(NamedTuple):
    """What one object is called.

    Attributes:
        path: How one would write it in Python, if `words` is empty; else the way to it from what `words` name.
        words: What no Python expression names, such as "task 'poll'".
        base: Of something that runs: what it runs in.
        noun: What the path begins with, such as "local variable"; nothing if it is an attribute.
        tail: What is to be added behind a path without words.
        cost: How bad a name it is; among several the cheapest is told.
        names: What the next step leads to, by the ids of the objects, where the step alone does not tell.
        namespace: The object is the namespace of what the label names: its entries are attributes of that.
        closed: No step from here on adds anything.
    """

    path: str
    words: str = ""
    base: str = ""
    noun: str = ""
    tail: str = ""
    cost: float = 0.0
    names: Mapping[int, str] = _NONE
    namespace: bool = False
    closed: bool = False

    def __str__(self) -> str:
        if not self.words:
            return self.path + self.tail
        if not self.path:
            return self.words
        return f"{self.noun + ' ' if self.noun else ''}`{self.path}` of {self.words}"

    def then(self, suffix: str, cost: float = 1.0, **changes: Any) -> Label:
        """Return the label of what the step `suffix` leads to; a step that adds nothing to it costs nothing."""
        path = self.path if self.closed else self.path + (suffix if self.path else suffix.removeprefix("."))
        plain: dict[str, Any] = {"names": _NONE, "namespace": False}
        return self._replace(path=path, cost=self.cost + (cost if path != self.path else 0), **(plain | changes))

    def within(self, words: str, noun: str, names: Mapping[int, str] = _NONE) -> Label:
        """Return the label of something that has variables: what it holds is called by them."""
        base = str(self) if self.words or not self.path else f"`{self}`"
        if self.base and not self.path:
            base = self.base  # a coroutine that another one awaits: the inner one and the task say enough
        full = f"{words} of {base}" if base else words
        return Label("", words=full, base=base, noun=noun, cost=self.cost + 1, names=names)


def step(label: Label, parent: Any, child: Any) -> Label:
    """Return the label of `child`, which `parent`, called `label`, refers to."""
    if label.closed:
        return label.then("")
    if id(child) in label.names:
        return _named(label, label.names[id(child)])
    return _step(label, parent, child)


def enter(label: Label, obj: Any) -> Label:
    """Return the label of `obj`, so far called `label`: what has variables of its own, these now name."""
    if type(obj) is types.FrameType or frame_of(obj) is not None:
        return label.within(code_name(obj), "local variable")
    if type(obj) is contextvars.Context:
        names = {id(value): text(variable.name) for variable, value in obj.items()}
        return label.within("a live context", "context variable", names)
    return label


def _step(label: Label, parent: Any, child: Any) -> Label:
    for cls, rule in _RULES:
        if issubclass(type(parent), cls):
            found = rule(label, parent, child)
            if found is not None:
                return found
            break
    if label.names and label.noun and not label.path:
        return label  # between a context and the values in it lie the nodes of a tree
    found = _attribute(label, parent, child)
    if found is None and (type(child) is contextvars.Context or frame_of(child) is not None):
        return label  # a task's
    return found if found is not None else label.then(f".<{type_name(type(child))}>", _ODD)


def _named(label: Label, name: str) -> Label:
    return label.then(name, namespace=not name)


def _entry(label: Label, parent: dict[Any, Any], child: Any) -> Label | None:
    entries = items(parent)
    keys = [key for key, value in entries if value is child]
    if label.namespace and (names := [text(key) for key in keys if type(key) is str]):
        return _shortest(label, names)
    if keys:
        return label.then(f"[{short(keys[0])}]")
    return label.then(".<key>", 1.5) if any(key is child for key, _ in entries) else None


def _shortest(label: Label, names: list[str]) -> Label:
    """Return the label of an attribute that has several names: a public one, and the shortest, is told."""
    name = min(names, key=lambda name: (name.startswith("_"), len(name)))
    return label.then(f".{name}", 1.2 if name.startswith("_") else 1.0)


def _index(label: Label, found: list[Any], child: Any) -> Label | None:
    for position, item in enumerate(found):
        if item is child:
            return label.then(f"[{position}]")
    return None


def _tuple_item(label: Label, parent: tuple[Any, ...], child: Any) -> Label | None:
    """Name an item without touching the tuple: it may be under construction, with holes in it."""
    found = gc.get_referents(parent)[::-1]
    if len(found) == tuple.__len__(parent):
        return _index(label, found, child)
    fields = entry(class_dict(type(parent)), "_fields")
    for position, item in enumerate(tuple.__iter__(parent)):
        if item is child:
            named = type(fields) is tuple and position < len(fields) and type(fields[position]) is str
            return label.then(f".{fields[position]}" if named else f"[{position}]")
    return None


def _list_item(label: Label, parent: list[Any], child: Any) -> Label | None:
    return _index(label, list(list.__iter__(parent)), child)


def _deque_item(label: Label, parent: collections.deque[Any], child: Any) -> Label | None:
    return _index(label, list(collections.deque.__iter__(parent)), child)


def _set_item(label: Label, parent: Any, child: Any) -> Label | None:
    return label.then(".<item>", 1.5)


def _of_function(label: Label, parent: types.FunctionType, child: Any) -> Label | None:
    if child is parent.__closure__:
        variables = zip(child or (), parent.__code__.co_freevars, strict=False)
        return label.then("", names={id(cell): f".<closure {name}>" for cell, name in variables})
    if type(child) is dict and child is parent.__dict__:
        return label.then("", namespace=True)
    for name in ("__defaults__", "__kwdefaults__", "__globals__"):
        if child is getattr(parent, name):
            return label.then(f".{name}")
    return None


def _of_wrapper(label: Label, parent: Any, child: Any) -> Label | None:
    return label.then("")


def _of_frame(label: Label, parent: Any, child: Any) -> Label | None:
    if issubclass(type(child), (types.FrameType, types.TracebackType)) or frame_of(child) is not None:
        return label  # what called it, what it awaits or delegates to
    frame = parent if type(parent) is types.FrameType else frame_of(parent)
    variable = variable_of(frame, content(child))
    return label.then(variable or "<value in use>", 1.0 if variable else _ODD)


def _of_traceback(label: Label, parent: types.TracebackType, child: Any) -> Label | None:
    return label.then("")


def _of_exception(label: Label, parent: BaseException, child: Any) -> Label | None:
    getters: Any = BaseException.__dict__
    for name in ("__traceback__", "__context__", "__cause__", "args"):
        if getters[name].__get__(parent) is child:
            return label.then(f".{name}")
    return None


def _of_local(label: Label, parent: threading.local, child: Any) -> Label | None:
    """Name the table of a thread-local object's dictionaries: by the thread each, which is left out."""
    if type(child) is not dict:
        return None
    return label.then("", names={id(value): "" for value in list(child.values())})


def _of_module(label: Label, parent: types.ModuleType, child: Any) -> Label | None:
    return label.then("", namespace=True) if child is module_dict(parent) else label.then(".<registered>")


def _of_cache(label: Label, parent: Any, child: Any) -> Label | None:
    return label.then(".<cache>", closed=True)


_RULES: tuple[tuple[Any, Callable[[Label, Any, Any], Label | None]], ...] = (
    (dict, _entry),
    (list, _list_item),
    (tuple, _tuple_item),
    ((set, frozenset), _set_item),
    (collections.deque, _deque_item),
    (types.FunctionType, _of_function),
    ((types.CellType, staticmethod, classmethod), _of_wrapper),
    ((types.FrameType, types.GeneratorType, types.CoroutineType, types.AsyncGeneratorType), _of_frame),
    (types.TracebackType, _of_traceback),
    (BaseException, _of_exception),
    (threading.local, _of_local),
    (types.ModuleType, _of_module),
    (_LRU, _of_cache),
)


def _attribute(label: Label, parent: Any, child: Any) -> Label | None:
    if is_class(parent):
        return _of_class(label, parent, child)
    if child is type(parent):
        return label.then(".__class__", 1.5)
    attributes = instance_dict(parent)
    if attributes is child and child is not None:
        return label.then("", namespace=True)
    names = [name for name, value in _attributes(parent, attributes) if value is child]
    return _shortest(label, names) if names else None


def _attributes(parent: Any, attributes: Any) -> Iterator[tuple[str, Any]]:
    if type(attributes) is dict:
        yield from ((text(name), value) for name, value in items(attributes))
    yield from slots(parent)


def _of_class(label: Label, parent: type, child: Any) -> Label | None:
    if type(child) is dict and not is_static(parent):
        return label.then("", namespace=True)
    if type(child) is tuple or is_class(child):  # its bases, its resolution order, or one of them
        return label.then(".<base>", closed=True)
    return None
