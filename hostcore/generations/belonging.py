"""Tell whether an object was made by a generation's code.

A hosted function knows its builtins, and those are the generation's.  A class is the generation's if its module's
name is owned and one of its functions is, or if the generation's own module reaches it by its qualified name.
"""

from __future__ import annotations

import functools
import types
from typing import TYPE_CHECKING, Any

from hostcore.generations import table

if TYPE_CHECKING:
    from hostcore.generations.generation import Generation

_HEAP_TYPE = 1 << 9  # Py_TPFLAGS_HEAPTYPE
_DEPTH = 3
_LRU = type(functools.lru_cache(lambda: 0))


def is_static(cls: type) -> bool:
    """Tell whether `cls` is compiled into the interpreter or an extension, so can't be a generation's."""
    return not cls.__flags__ & _HEAP_TYPE


def is_class(obj: Any) -> bool:
    """Tell whether `obj` is a class; unlike isinstance, a proxy that claims to be one does not pass."""
    return issubclass(type(obj), type)


def builtins_of(function: Any) -> Any:
    """Return the builtins that a Python function runs with."""
    return function.__builtins__


def unwrap(obj: Any) -> Any:
    """Return the function behind wrappers, bound methods and properties."""
    for _ in range(20):
        inner = getattr(obj, "__wrapped__", None) or getattr(obj, "__func__", None) or getattr(obj, "fget", None)
        if inner is None:
            break
        obj = inner
    return obj


def _function_owner(value: Any) -> Any:
    function = getattr(value, "__func__", None) or getattr(value, "fget", None) or value
    if type(function) is not types.FunctionType:
        return None
    return builtins_of(function).get(table.MARK)


def class_belongs(cls: type, generation: Generation) -> bool:
    """Tell whether `generation`'s code defined the class `cls`."""
    members = type.__getattribute__(cls, "__dict__")
    name = members.get("__module__")
    if not isinstance(name, str) or not generation.owns(name):
        return False
    for value in list(members.values()):
        owner = _function_owner(value)
        if owner is not None:
            return owner is generation
    module = generation.modules.get(name)
    if getattr(module, "__builtins__", None) is not generation.builtins:
        return False  # an extension module's class is the process's
    found: Any = module
    for part in type.__getattribute__(cls, "__qualname__").split("."):
        found = vars(found).get(part) if hasattr(found, "__dict__") else None
    return found is cls


def belongs_to(obj: Any, generation: Generation, depth: int = 0) -> bool:
    """Tell whether `obj` is a function, method, class, module, partial or instance of `generation`'s making."""
    if type(obj) is types.FunctionType:
        return builtins_of(obj) is generation.builtins
    if type(obj) is types.MethodType:
        return belongs_to(obj.__func__, generation) or belongs_to(obj.__self__, generation)
    if is_class(obj):
        return any(class_belongs(c, generation) for c in type.__dict__["__mro__"].__get__(obj))
    if type(obj) is types.ModuleType:
        return vars(obj).get("__builtins__") is generation.builtins
    if depth < _DEPTH and isinstance(obj, functools.partial):
        return any(belongs_to(part, generation, depth + 1) for part in (obj.func, *obj.args))
    if depth < _DEPTH and type(obj) is types.BuiltinMethodType and not isinstance(obj.__self__, types.ModuleType):
        return belongs_to(obj.__self__, generation, depth + 1)
    return any(class_belongs(c, generation) for c in type(obj).__mro__)


def maker_of(obj: Any, depth: int = 0) -> Generation | None:
    """Return the generation whose code made `obj`, dead or alive; None: it is the host's.

    Nothing of `obj` itself is run, not even its `__class__`: it may be anybody's proxy.
    """
    kind = type(obj)
    if kind is types.FunctionType:
        return _marked(builtins_of(obj))
    if depth < _DEPTH:
        parts = _parts_of(obj, kind)
        if parts is not None:
            return next((found for found in (maker_of(part, depth + 1) for part in parts) if found is not None), None)
    if kind is types.ModuleType:
        return _marked(vars(obj).get("__builtins__"))
    classes = type.__dict__["__mro__"].__get__(obj) if is_class(obj) else kind.__mro__
    return next((found for found in map(_class_maker, classes) if found is not None), None)


def _parts_of(obj: Any, kind: type) -> tuple[Any, ...] | None:
    """Return what `obj` is a mere wrapper of, if it is one."""
    if kind is types.MethodType:
        return obj.__func__, obj.__self__
    if kind is staticmethod or kind is classmethod or kind is _LRU:
        return (obj.__wrapped__,)
    if kind is property:
        return obj.fget, obj.fset, obj.fdel
    if issubclass(kind, functools.partial):
        return kind, obj.func, *obj.args, *obj.keywords.values()
    if kind is types.BuiltinMethodType and not isinstance(obj.__self__, types.ModuleType):
        return (obj.__self__,)
    return None


def _marked(builtins: Any) -> Generation | None:
    return builtins.get(table.MARK) if type(builtins) is dict else None


def _class_maker(cls: type) -> Generation | None:
    if is_static(cls):
        return None
    name = type.__getattribute__(cls, "__dict__").get("__module__")
    owners = table.owners.get(table.top_of(name), ()) if isinstance(name, str) else ()
    return next((generation for generation in owners if class_belongs(cls, generation)), None)
