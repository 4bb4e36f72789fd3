"""Take a generation out of the caches of the standard library and of msgspec.

A cache may be emptied at any time: nothing is lost but the time to fill it again.
"""

from __future__ import annotations

import functools
import gc
import linecache
import re
import sys
import types
import typing
import weakref
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from hostcore.generations import table
from hostcore.generations.belonging import belongs_to, class_belongs, is_class, is_static, unwrap

if TYPE_CHECKING:
    from hostcore.generations.generation import Generation

Swept = Iterator[tuple[str, str]]
Mine = Callable[[Any], bool]
_LRU = type(functools.lru_cache(lambda: 0))
_SEARCH_LIMIT = 5_000
_PLAIN_PATTERNS = (str, bytes)
_GENERIC = ("functools", "typing", "types")
_generic_function: Any = functools.singledispatch(lambda _: None)
_SINGLEDISPATCH = _generic_function.__code__  # of the wrapper that every generic function is


def clear_caches(generation: Generation, mine: Mine) -> Swept:
    """Clear what caches hold of `generation`; yield (cache, what)."""
    for clear in (_linecache, _re, _typing, _lru_caches, _generic_functions, _msgspec):
        yield from clear(generation, mine)


def _linecache(generation: Generation, mine: Mine) -> Swept:
    roots = tuple(f"{path}/" for path in generation.paths if path not in sys.path)
    files = {getattr(module, "__file__", None) for module in list(generation.modules.values())}
    for filename, entry in linecache.cache.copy().items():
        hosted = len(entry) == 1 and mine(entry[0])  # not read yet: it holds a loader's method
        if hosted or filename in files or filename.startswith(roots):
            linecache.cache.pop(filename, None)
    yield from ()


def _re(generation: Generation, mine: Mine) -> Swept:
    """A pattern of a class of its own is a key of the compiled ones; its expanded templates are in an lru_cache."""
    for name in ("_cache", "_cache2"):
        cache: dict[Any, Any] = getattr(re, name, {})
        for key in [key for key in list(cache) if key[0] not in _PLAIN_PATTERNS and any(map(mine, key))]:
            cache.pop(key, None)
            yield "re cache", repr(str(key[1]))


def _typing(generation: Generation, mine: Mine) -> Swept:
    cleanups: list[Any] = getattr(typing, "_cleanups", [])
    for clear in list(cleanups):
        clear()
        if mine(getattr(getattr(clear, "__self__", None), "__wrapped__", None)):
            cleanups.remove(clear)  # the caches of a private typing_extensions
            yield "typing caches", ""
    caches: dict[Any, Any] = getattr(typing, "_caches", {})
    for function in [f for f in list(caches) if mine(f)]:
        del caches[function]
    yield from _overloads(generation, mine)
    dummy = vars(getattr(typing, "_overload_dummy", _typing))
    transform = dummy.get("__dataclass_transform__")  # @dataclass_transform over @overload
    if transform and any(map(mine, transform.get("field_specifiers", ()))):
        del dummy["__dataclass_transform__"]
        yield "typing.dataclass_transform", ""


def _overloads(generation: Generation, mine: Mine) -> Swept:
    registry: dict[str, Any] = getattr(typing, "_overload_registry", {})
    for module in [m for m in list(registry) if generation.owns(m)]:
        for name, by_line in list(registry[module].items()):
            for line in [n for n, function in by_line.items() if mine(unwrap(function))]:
                del by_line[line]
                yield "typing.overload", f"{module}.{name}"
            if not by_line:
                del registry[module][name]
        if not registry[module]:
            del registry[module]


def _lru_caches(generation: Generation, mine: Mine) -> Swept:
    for cache in {id(cache): cache for _, found in _shared() for cache in found.caches}.values():
        if cache.cache_info().currsize and not mine(unwrap(cache)) and _holds(cache, generation):
            cache.cache_clear()  # a cache: safe to empty
            yield "lru_cache", getattr(cache, "__qualname__", "")


class _Found(NamedTuple):
    """What one of the host's modules holds that can remember other people's objects."""

    size: int
    caches: tuple[Any, ...]
    generics: tuple[tuple[str, Any], ...]


_found: weakref.WeakKeyDictionary[types.ModuleType, _Found] = weakref.WeakKeyDictionary()


def _shared() -> Iterator[tuple[types.ModuleType, _Found]]:
    """Yield the host's modules with their caches; looked through again only when a module's size changed."""
    for module in list(table.real.values()):
        if type(module) is not types.ModuleType:
            continue
        namespace = vars(module)
        own = namespace.get("__builtins__")
        if type(own) is dict and table.MARK in own:
            continue  # a generation's: it goes with its generation
        found = _found.get(module)
        if found is None or found.size != len(namespace):
            found = _found[module] = _look_through(namespace)
        yield module, found


def _look_through(namespace: dict[str, Any]) -> _Found:
    caches: dict[int, Any] = {}
    generics: list[tuple[str, Any]] = []
    for name, value in namespace.copy().items():
        if type(value) is _LRU:
            caches[id(value)] = value
        elif type(value) is types.FunctionType and value.__code__ is _SINGLEDISPATCH:
            generics.append((name, value))
        elif is_class(value) and not is_static(value):
            for member in list(type.__getattribute__(value, "__dict__").values()):
                inner = member.__func__ if type(member) in (staticmethod, classmethod) else member
                if type(inner) is _LRU:
                    caches[id(inner)] = inner
                elif type(inner) is functools.singledispatchmethod:
                    generics.append((f"{value.__qualname__}.{inner.func.__name__}", inner.dispatcher))
    return _Found(len(namespace), tuple(caches.values()), tuple(generics))


def _generic_functions(generation: Generation, mine: Mine) -> Swept:
    for module, found in _shared():
        for name, function in found.generics:
            dispatch = function.dispatch
            inner = dict(zip(dispatch.__code__.co_freevars, dispatch.__closure__, strict=True))
            registry = inner["registry"].cell_contents
            own = [cls for cls, target in list(registry.items()) if mine(cls) or mine(target)]
            for cls in own:
                del registry[cls]
                yield "functools.singledispatch", f"{module.__name__}.{name}: {cls.__qualname__}"
            if own:
                function._clear_cache()


def _holds(cache: Any, generation: Generation) -> bool:
    stack: list[Any] = [d for d in gc.get_referents(cache) if type(d) is dict and d is not cache.__dict__]
    for _ in range(_SEARCH_LIMIT):
        if not stack:
            return False
        obj = stack.pop()
        if is_class(obj) or type(obj) is types.FunctionType:
            if belongs_to(obj, generation):
                return True
        elif isinstance(obj, (dict, tuple, list, frozenset)) or type(obj).__module__ in _GENERIC:
            stack.extend(gc.get_referents(obj))
        elif class_belongs(type(obj), generation):
            return True
    return True  # too large to look through: emptying it costs only time


def _msgspec(generation: Generation, mine: Mine) -> Swept:
    """Msgspec keeps the last 64 unions of tagged Structs that it has read, and so their classes."""
    classes = [
        value
        for module in list(generation.modules.values())
        if type(module) is types.ModuleType
        for value in list(vars(module).values())
        if is_class(value) and getattr(getattr(value, "__struct_config__", None), "tag", None) and mine(value)
    ]
    unions = [r for r in gc.get_referrers(*classes) if type(r) is frozenset] if classes else []
    for cache in gc.get_referrers(*unions) if unions else ():
        if type(cache) is dict and cache and all(type(key) is frozenset for key in list(cache)):
            for key in [key for key in list(cache) if not key.isdisjoint(classes)]:
                del cache[key]
                yield "msgspec union", " | ".join(sorted(cls.__qualname__ for cls in key))
