"""Import a module into a generation: what `importlib._bootstrap` does, for a table other than `sys.modules`.

`load` imports one dotted name, parents first, under a lock per name.  `make_import` makes the `__import__` that a
generation's code runs with.  A failed import leaves nothing: not in the table, not on the parent, not in the
process.

Child modules are bound on their parents before they run.  `from . import b` in a circular import otherwise falls
back, in C, to the real `sys.modules`, which may hold another generation's `b`.

The file's name holds "importlib" and "_bootstrap", so that `warnings` skips these frames as it skips the
interpreter's own; tracebacks are stripped of them in the same spirit.
"""

from __future__ import annotations

import _frozen_importlib
import _imp
import builtins
import importlib
import importlib.machinery as machinery
import importlib.util
import threading
import types
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from hostcore.generations import appearing, patches, placing, table
from hostcore.generations.table import GenerationUnloadedError
from hostcore.generations.views import Facade, OneShot

if TYPE_CHECKING:
    from hostcore.generations.generation import Generation

_MISSING: Any = object()
_import_module = importlib.import_module
_module_lock = _frozen_importlib._ModuleLock  # type: ignore[attr-defined]
_DeadlockError = _frozen_importlib._DeadlockError  # type: ignore[attr-defined]
_extensions: dict[tuple[str, str], types.ModuleType] = {}
_extension_lock = threading.RLock()


def is_initializing(module: Any) -> bool:
    """Tell whether `module` is still running its body."""
    return bool(getattr(getattr(module, "__spec__", None), "_initializing", False))


def load(generation: Generation, name: str) -> Any:
    """Import `name` into `generation` and return the module of exactly that name.

    Raises:
        GenerationUnloadedError: The generation is no longer alive.
        ModuleNotFoundError: There is no such module.
        BaseException: Whatever the module's body raises.
    """
    placing.follow(generation, name)  # code may have changed sys.modules itself
    module = generation.modules.get(name, _MISSING)
    if module is None:
        raise ModuleNotFoundError(f"import of {name} halted; None in sys.modules", name=name)
    if module is not _MISSING and not is_initializing(module):
        return module
    if not generation.alive:
        raise GenerationUnloadedError(f"{generation!r} was unloaded; it can't import {name!r}", name=name)
    parent_name, _, child = name.rpartition(".")
    parent = load(generation, parent_name) if parent_name else None
    if not generation.owns(name):  # the host's portion of a namespace that both have part in
        module = _import_module(name)
        if parent is not None:
            setattr(parent, child, module)
        return module
    return _load_locked(generation, name, parent, child)


def _load_locked(generation: Generation, name: str, parent: Any, child: str) -> Any:
    lock = generation.locks.get(name) or generation.locks.setdefault(name, _module_lock(f"{generation.id}:{name}"))
    try:
        lock.acquire()
    except _DeadlockError:  # as importlib: in a circle of threads, accept a half-loaded module
        module = generation.modules.get(name)
        if module is None:
            raise
        return module
    try:
        module = generation.modules.get(name, _MISSING)
        return _load_new(generation, name, parent, child) if module is _MISSING else module
    finally:
        lock.release()


def _load_new(generation: Generation, name: str, parent: Any, child: str) -> Any:
    path = None
    if parent is not None:
        path = getattr(parent, "__path__", None)
        if path is None:
            raise ModuleNotFoundError(f"No module named {name!r}; {parent.__name__!r} is not a package", name=name)
    spec = generation.find_spec(name, path)
    if spec is None:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)
    if isinstance(spec.loader, machinery.ExtensionFileLoader):
        module = _load_extension(generation, spec)
    else:
        module = _run(generation, spec, parent, child)
    if parent is not None:
        _bind(parent, child, module)
    return module


def _run(generation: Generation, spec: Any, parent: Any, child: str) -> Any:
    name = spec.name
    module = importlib.util.module_from_spec(spec)
    module.__dict__["__builtins__"] = generation.builtins
    spec._initializing = True
    generation.loading += 1
    before = appearing.around(generation)
    generation.modules[name] = module
    placing.show(generation, name, module)
    early = parent is not None and child not in vars(parent)
    if early:
        setattr(parent, child, module)
    try:
        _execute(spec.loader, name, module)
    except BaseException:
        below = f"{name}."
        for gone in [n for n in list(generation.modules) if n == name or n.startswith(below)]:
            placing.hide(generation, gone, generation.modules.pop(gone))
        placing.hide(generation, name, module)
        if early and vars(parent).get(child) is module:
            delattr(parent, child)
        raise
    finally:
        spec._initializing = False
        generation.loading -= 1
        if before is not None:
            appearing.after(generation, before)
    return placing.settle(generation, name)


def _execute(loader: Any, name: str, module: types.ModuleType) -> None:
    get_code = getattr(loader, "get_code", None)
    code = get_code(name) if get_code is not None else None
    if code is not None:
        exec(code, module.__dict__)
    elif hasattr(loader, "exec_module"):
        loader.exec_module(module)


def _load_extension(generation: Generation, spec: Any) -> Any:
    """Load an extension module once for the process: most cannot be initialised twice."""
    name, key = spec.name, (spec.name, spec.origin)
    with _extension_lock:
        module = _extensions.get(key)
        if module is None:
            module = _extensions[key] = _create_extension(generation, spec)
        generation.modules[name] = module
        placing.show(generation, name, module)
        return module


def _create_extension(generation: Generation, spec: Any) -> types.ModuleType:
    name = spec.name
    before = table.real.get(name, _MISSING)  # single-phase initialisation writes to the real dict
    # From a frame with the generation's builtins: what the C code imports meanwhile is the generation's too.
    run = types.FunctionType(_call.__code__, {"__builtins__": generation.builtins, "__name__": name})
    try:
        module: types.ModuleType = run(_imp.create_dynamic, spec)
        _frozen_importlib._init_module_attrs(spec, module)
        generation.modules[name] = module
        run(_imp.exec_dynamic, module)
    except BaseException:
        generation.modules.pop(name, None)
        raise
    finally:
        table.real.pop(name, None)
        if before is not _MISSING:
            table.real[name] = before
    return module


def _call(function: Callable[[Any], Any], argument: Any) -> Any:
    return function(argument)


def _bind(parent: Any, child: str, module: Any) -> None:
    try:
        setattr(parent, child, module)
    except AttributeError:  # an object without attributes took the parent's place
        pass


# --- the __import__ of a generation's code ---------------------------------------------------------------------


def make_import(generation: Generation) -> Callable[..., Any]:
    """Return the `__import__` for code of `generation`; names it does not own go to the host's."""
    noted = generation.touched.imports

    def __import__(
        name: str, globals: Any = None, locals: Any = None, fromlist: Sequence[str] | None = (), level: int = 0
    ) -> Any:
        absolute = _absolute(name, globals, level)
        if table.top_of(absolute) not in generation.tops:
            module = builtins.__import__(name, globals, locals, fromlist or (), level)
            statement = (absolute, fromlist) if type(fromlist) is tuple else absolute
            if statement not in noted:
                noted.add(statement)
                patches.touch(generation, absolute, fromlist)
            return module
        try:
            return _import(generation, name, absolute, fromlist, level)
        except BaseException as exc:
            exc.__traceback__ = strip(exc.__traceback__)
            raise

    return __import__


def _import(generation: Generation, name: str, absolute: str, fromlist: Sequence[str] | None, level: int) -> Any:
    module = load(generation, absolute)
    top = table.top_of(absolute)
    if absolute != top:
        _bind_late(generation, absolute)
    if fromlist:
        if hasattr(module, "__path__"):
            _handle_fromlist(generation, module, fromlist)
        return module
    if not level:
        if type(fromlist) is list and type(table.real.get(absolute)) is not Facade and top in table.contested:
            module = load(generation, top)
            table.real[absolute] = OneShot(absolute, generation)  # PyImport_Import reads it back; must come last
            return module
        return load(generation, top)
    if not name:
        return module
    return load(generation, absolute[: len(absolute) - len(name) + len(table.top_of(name))])


def _absolute(name: str, globals: Any, level: int) -> str:
    if not isinstance(name, str):
        raise TypeError(f"module name must be str, not {type(name)}")
    if level:
        package = _package_of(globals)
        bits = package.rsplit(".", level - 1)
        if len(bits) < level:
            raise ImportError("attempted relative import beyond top-level package")
        return f"{bits[0]}.{name}" if name else bits[0]
    if not name:
        raise ValueError("Empty module name")
    return name


def _package_of(globals: Any) -> str:
    package = spec = None
    if globals is not None:
        package, spec = globals.get("__package__"), globals.get("__spec__")
    if package is None and spec is not None:
        package = spec.parent
    elif package is None and globals is not None:
        package = globals["__name__"]
        if "__path__" not in globals:
            package = package.rpartition(".")[0]
    if not package:
        raise ImportError("attempted relative import with no known parent package")
    return str(package)


def _bind_late(generation: Generation, name: str) -> None:
    """Bind a module that was put straight into `sys.modules` (as six does) on its parent."""
    parent_name, _, child = name.rpartition(".")
    parent, module = generation.modules.get(parent_name), generation.modules.get(name)
    if parent is not None and module is not None and child not in getattr(parent, "__dict__", (child,)):
        _bind(parent, child, module)


def _handle_fromlist(generation: Generation, module: Any, fromlist: Sequence[str], *, star: bool = False) -> None:
    for item in fromlist:
        if not isinstance(item, str):
            raise TypeError(f"Item in ``from list'' must be str, not {type(item).__name__}")
        name = f"{module.__name__}.{item}"
        if item == "*":
            if not star and hasattr(module, "__all__"):
                _handle_fromlist(generation, module, module.__all__, star=True)
        elif not hasattr(module, item) or (
            generation.loading and is_initializing(generation.modules.get(name))  # bound early: wait for it
        ):
            try:
                load(generation, name)
                _bind_late(generation, name)
            except ModuleNotFoundError as exc:
                if exc.name != name or generation.modules.get(name, _MISSING) is None:
                    raise


def strip(tb: types.TracebackType | None) -> types.TracebackType | None:
    """Return `tb` without this file's frames."""
    while tb is not None and tb.tb_frame.f_code.co_filename == __file__:
        tb = tb.tb_next
    last = tb
    while last is not None:
        following = last.tb_next
        while following is not None and following.tb_frame.f_code.co_filename == __file__:
            following = following.tb_next
        if following is not last.tb_next:
            last.tb_next = following
        last = following
    return tb
