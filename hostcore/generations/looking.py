"""Look at objects without running any code of theirs.

What is left of a generation may be hostile or half torn down: its `__repr__`, `__eq__`, `__hash__`, `__getattr__`
and metaclasses are never called.  Types are compared by identity and through C slots, attributes are read out of
dictionaries and through the descriptors of C types, names are copied into plain strings.
"""

from __future__ import annotations

import types
from collections.abc import Iterator
from typing import Any

from hostcore.generations import table
from hostcore.generations.belonging import is_class

_SHORT = 40
_TRIES = 5
_GENERATORS = (types.CoroutineType, types.GeneratorType, types.AsyncGeneratorType)
_HEAP_TYPE = 1 << 9  # Py_TPFLAGS_HEAPTYPE
_type_members: Any = type.__dict__
_module_members: Any = type.__getattribute__(types.ModuleType, "__dict__")


def is_a(obj: Any, cls: type) -> bool:
    """Tell whether `obj` is really an instance of `cls`, whose metaclass must be `type`; `__class__` is not asked."""
    return issubclass(type(obj), cls)


def is_static(cls: type) -> bool:
    """Tell whether `cls` is compiled into the interpreter or an extension."""
    return not _type_members["__flags__"].__get__(cls) & _HEAP_TYPE


def mro(cls: type) -> tuple[type, ...]:
    """Return the classes that `cls` is made of."""
    found: tuple[type, ...] = _type_members["__mro__"].__get__(cls)
    return found


def class_dict(cls: type) -> Any:
    """Return the namespace of a class."""
    return type.__getattribute__(cls, "__dict__")


def items(namespace: Any) -> list[tuple[Any, Any]]:
    """Return the items of a dictionary, or of a class's namespace; none if it changes again and again meanwhile."""
    for _ in range(_TRIES):
        try:
            return list(dict.items(namespace) if is_a(namespace, dict) else namespace.items())
        except RuntimeError:  # the garbage collector ran, and with it code that changed the size
            continue
    return []


def entry(namespace: Any, name: str) -> Any:
    """Return `namespace[name]`, or None; keys of other types than `str` are not compared."""
    for key, value in items(namespace):
        if type(key) is str and key == name:
            return value
    return None


def module_dict(module: types.ModuleType) -> dict[Any, Any] | None:
    """Return the namespace of a module, of whatever class it is."""
    found: dict[Any, Any] | None = _module_members["__dict__"].__get__(module)
    return found


def instance_dict(obj: Any) -> dict[Any, Any] | None:
    """Return the attributes of an instance of a Python class; None if it has none, or hides them."""
    attributes: Any
    for cls in mro(type(obj)):
        if not is_static(cls):
            descriptor = entry(class_dict(cls), "__dict__")
            if type(descriptor) is types.GetSetDescriptorType:
                attributes = descriptor.__get__(obj)
                return attributes if type(attributes) is dict else None
    return None


def slots(obj: Any) -> Iterator[tuple[str, Any]]:
    """Yield the name and value of each filled slot; the attributes of C types that are plain members are such too."""
    for cls in mro(type(obj)):
        for name, descriptor in items(class_dict(cls)):
            if type(name) is str and type(descriptor) is types.MemberDescriptorType:
                try:
                    value = descriptor.__get__(obj)
                except (AttributeError, TypeError):  # an empty slot, or a descriptor put where it does not belong
                    continue
                yield name, value


def frame_of(generator: Any) -> types.FrameType | None:
    """Return the frame of a generator, a coroutine or an async generator; None if it is finished, or none of them."""
    frame: types.FrameType | None = None
    if type(generator) is types.CoroutineType:
        frame = generator.cr_frame
    elif type(generator) is types.GeneratorType:
        frame = generator.gi_frame
    elif type(generator) is types.AsyncGeneratorType:
        frame = generator.ag_frame
    return frame


def text(value: Any) -> str:
    """Return a string's plain copy; "?" for anything else."""
    if type(value) is str:
        return value
    return str.__str__(value) if is_a(value, str) else "?"


def short(key: Any) -> str:
    """Return a dictionary's key as one would write it, shortened."""
    if type(key) is str or type(key) is bytes:
        shown = repr(key[:_SHORT])
        return shown if len(key) <= _SHORT else f"{shown[:-1]}...{shown[-1]}"
    if key is None or type(key) is int or type(key) is float or type(key) is bool:
        return repr(key)[:_SHORT]
    if is_a(key, str):
        return short(text(key))
    if type(key) is tuple:
        return f"({', '.join(map(short, key[:3]))}{', ...' if len(key) > 3 else ''})"
    if is_class(key) or type(key) is types.FunctionType:
        return dotted(key).rpartition(".")[2]
    return f"<{type_name(type(key))}>"


def type_name(cls: type) -> str:
    """Return the bare name of a class."""
    return text(_type_members["__name__"].__get__(cls))


def module_of(obj: Any) -> str:
    """Return the name of the module that a class or function says it is of."""
    if is_class(obj):
        if is_static(obj):
            return text(_type_members["__module__"].__get__(obj))
        return text(entry(class_dict(obj), "__module__"))
    return text(obj.__module__)


def qualname(obj: Any) -> str:
    """Return the qualified name of a class or function."""
    return text(_type_members["__qualname__"].__get__(obj) if is_class(obj) else obj.__qualname__)


def dotted(obj: Any) -> str:
    """Return "module.qualified.name" of a class or function."""
    return f"{module_of(obj)}.{qualname(obj)}"


def describe(obj: Any) -> str:
    """Return what `obj` is, as in "class acme.Thing", "function acme.work", "a Thing of acme"."""
    if is_class(obj):
        return f"class {dotted(obj)}"
    if type(obj) is types.FunctionType:
        return f"function {dotted(obj)}"
    if type(obj) is types.MethodType:
        return f"method {dotted(obj.__func__)}" if type(obj.__func__) is types.FunctionType else "a method"
    if is_a(obj, types.ModuleType):
        return f"module {text(entry(module_dict(obj) or {}, '__name__'))}"
    if type(obj) is dict and (name := entry(obj, "__name__")) is not None and entry(obj, "__builtins__") is not None:
        return f"the namespace of {text(name)}"
    if issubclass(type(obj), _GENERATORS):
        return code_name(obj)
    return f"{_article(type_name(type(obj)))} of {module_of(type(obj))}"


def _article(name: str) -> str:
    return f"{'an' if name[:1] in 'AEIOUaeiou' else 'a'} {name}"


def code_name(obj: Any) -> str:
    """Return what a frame, a generator or a coroutine runs, as in "coroutine acme.work"."""
    frame = obj if type(obj) is types.FrameType else frame_of(obj)
    kind = "function" if frame is obj else type_name(type(obj)).replace("_", " ")
    if frame is None:
        return f"{kind} {text(obj.__qualname__)}"
    return f"{kind} {text(entry(frame.f_globals, '__name__'))}.{frame.f_code.co_qualname}"


def shortest_name(obj: Any) -> str:
    """Return a dotted name that leads to a class or function: that of a package which exports it, or its own; or ""."""
    path, parts = qualname(obj), module_of(obj).split(".")
    names = (".".join(parts[:count]) for count in range(1, len(parts) + 1))
    return next((f"{name}.{path}" for name in names if _leads_to(name, path, obj)), "")


def _leads_to(name: str, path: str, obj: Any) -> bool:
    places = [table.real.get(name), *(generation.modules.get(name) for generation in list(table.by_id.values()))]
    return any(_holds(place, path, obj) for place in places if is_a(place, types.ModuleType))


def _holds(module: Any, path: str, obj: Any) -> bool:
    namespace: Any = module_dict(module)
    found: Any = None
    for part in path.split("."):
        found = entry(namespace, part) if namespace is not None else None
        namespace = class_dict(found) if is_class(found) else None
    return found is obj
