"""What generations put into the process, from the first one loaded to the last one unloaded.

* a finder first on `sys.meta_path`, so that `importlib` used by shared libraries finds hosted modules, and
  `importlib.metadata` a generation's own distributions;
* `importlib.import_module`, which waits for a hosted module that another thread is still loading;
* `atexit`, `codecs` and fork registrations, and those of `recorders`, recorded by generation, so that an unload can
  run or undo them;
* `sys.modules`, by `placing`, only while a name has two owners.
"""

from __future__ import annotations

import atexit
import codecs
import importlib
import importlib.machinery as machinery
import importlib.util
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from hostcore.generations import patches, recorders, table
from hostcore.generations.importlib_bootstrap import load, strip
from hostcore.generations.table import GenerationUnloadedError

if TYPE_CHECKING:
    from hostcore.generations.generation import Generation

_originals = recorders.originals
_installed = False
_fork_hook_installed = False


class AdoptLoader(machinery.SourceFileLoader):
    """Lets importlib "load" a hosted module by handing it the generation's own."""

    def __init__(self, generation: Generation, spec: Any) -> None:
        super().__init__(spec.name, spec.origin)
        self._generation: Generation | None = generation

    def create_module(self, spec: Any) -> Any:
        """Return the generation's module, loading it if need be."""
        assert self._generation is not None
        module = load(self._generation, spec.name)
        self._spec = module.__spec__
        return module

    def exec_module(self, module: Any) -> None:
        """Give the module its own spec back: importlib has just replaced it."""
        module.__spec__ = self._spec
        self._generation = None


class GenerationFinder:
    """The meta path finder."""

    @staticmethod
    def find_spec(name: str, path: Any = None, target: Any = None) -> Any:
        """Return a spec that hands out the module of the generation that `name` means here, or None."""
        generation = table.owner_of(name, 2)
        if generation is None:
            return None
        parent = generation.modules.get(name.rpartition(".")[0])  # its own: `path` may be that of the host's copy
        spec = generation.find_spec(name, getattr(parent, "__path__", path))
        if spec is None or target is not None or spec.origin is None:  # target: importlib.reload
            return spec
        return importlib.util.spec_from_file_location(
            name,
            spec.origin,
            loader=AdoptLoader(generation, spec),
            submodule_search_locations=spec.submodule_search_locations,
        )

    @staticmethod
    def find_distributions(context: Any = None) -> Iterable[Any]:
        """Yield the distributions in the asking generation's own directories, if they are not the host's too."""
        import importlib.metadata as metadata

        generation = table.generation_on_stack(2)
        asked = vars(context) if context is not None else {}
        if generation is None or "path" in asked or table.asked_by_host(sys._getframe(1)):
            return iter(())
        own = [path for path in generation.paths if path not in sys.path]
        if not own:
            return iter(())
        return metadata.MetadataPathFinder.find_distributions(
            metadata.DistributionFinder.Context(**{**asked, "path": own})
        )

    @staticmethod
    def invalidate_caches() -> None:
        """Forget the directory listings of all generations' finders."""
        for generation in list(table.by_id.values()):
            generation.finders.clear()


def install() -> None:
    """Put everything in place.  Call with `table.lock` held; a second call does nothing."""
    global _fork_hook_installed, _installed
    if _installed:
        return
    _installed = True
    for module, name, replacement in _REPLACED:
        _originals[f"{module.__name__}.{name}"] = getattr(module, name)
        setattr(module, name, replacement)
    sys.meta_path.insert(0, GenerationFinder)
    if not _fork_hook_installed and hasattr(os, "register_at_fork"):
        _fork_hook_installed = True  # it cannot be taken back, and does nothing while there is no generation
        _originals["os.register_at_fork"](
            before=lambda: _run_at_fork(0, reversed),
            after_in_child=lambda: _run_at_fork(1, iter),
            after_in_parent=lambda: _run_at_fork(2, iter),
        )


def uninstall() -> None:
    """Take everything out again.  Call with `table.lock` held and no generation left."""
    global _installed
    _installed = False
    for module, name, replacement in _REPLACED:
        original = _originals.get(f"{module.__name__}.{name}")
        if original is not None and getattr(module, name) is replacement:
            setattr(module, name, original)
    if GenerationFinder in sys.meta_path:
        sys.meta_path.remove(GenerationFinder)


def original(name: str) -> Any:
    """Return the function that stood in the process before `install`, as in `original("atexit.unregister")`."""
    return _originals[name]


def installed() -> list[str]:
    """Return what is in the process now because of generations, as `hostcore doctor` lists it."""
    found = [f"{module.__name__}.{name}" for module, name, own in _REPLACED if getattr(module, name, None) is own]
    if GenerationFinder in sys.meta_path:
        found.append("sys.meta_path finder")
    if sys.modules is not table.real:
        found.append(f"sys.modules view ({', '.join(sorted(table.contested))})")
    return found


# --- the replacements ------------------------------------------------------------------------------------------


def _import_module(name: str, package: str | None = None) -> Any:
    if not name.startswith(".") or package:
        absolute = importlib.util.resolve_name(name, package)
        generation = table.owner_of(absolute, 2)
        if generation is not None and not (generation.is_private(absolute) and table.asked_by_host(sys._getframe(1))):
            try:
                return load(generation, absolute)
            except BaseException as exc:
                if type(exc) is GenerationUnloadedError and table.owner_of(absolute, 2) not in (generation, None):
                    return _import_module(absolute)  # it was unloaded in between, and another has the name now
                exc.__traceback__ = strip(exc.__traceback__)
                raise
    module = _originals["importlib.import_module"](name, package)
    asking = _asking()
    if asking is not None:
        patches.touch(asking, importlib.util.resolve_name(name, package))
    return module


def _asking() -> Generation | None:
    generation: Generation | None = sys._getframe(2).f_builtins.get(table.MARK)
    return generation if generation is not None and generation.alive else None


class AtExit:
    """A hosted atexit callback: it runs when its generation is unloaded, or at exit."""

    __slots__ = ("args", "func", "kwargs")

    def __init__(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.func, self.args, self.kwargs = func, args, kwargs

    def __call__(self) -> None:  # noqa: D102
        self.func(*self.args, **self.kwargs)

    def __eq__(self, other: object) -> bool:
        return self is other or (type(other) is not AtExit and self.func == other)

    __hash__ = None  # type: ignore[assignment]


def _register(func: Any, /, *args: Any, **kwargs: Any) -> Any:
    generation = _asking()
    if generation is None:
        return _originals["atexit.register"](func, *args, **kwargs)
    entry = AtExit(func, args, kwargs)
    generation.at_exit.append(entry)
    _originals["atexit.register"](entry)
    return func


def _unregister(func: Any) -> None:
    generation = _asking()
    if generation is not None:
        generation.at_exit[:] = [entry for entry in generation.at_exit if entry.func != func]
    _originals["atexit.unregister"](func)


def _register_at_fork(*, before: Any = None, after_in_child: Any = None, after_in_parent: Any = None) -> None:
    generation = _asking()
    hooks = {"before": before, "after_in_child": after_in_child, "after_in_parent": after_in_parent}
    if generation is None:
        _originals["os.register_at_fork"](**{key: hook for key, hook in hooks.items() if hook is not None})
    else:
        generation.at_fork.append((before, after_in_child, after_in_parent))


def _run_at_fork(index: int, order: Callable[[list[Any]], Iterator[Any]]) -> None:
    for generation in order(list(table.by_id.values())):
        for hooks in order(list(generation.at_fork)):
            if hooks[index] is not None:
                hooks[index]()


def _codecs_register(search_function: Any, /) -> None:
    generation = _asking()
    if generation is not None:
        generation.codecs.append(search_function)
    _originals["codecs.register"](search_function)


def _codecs_register_error(errors: str, handler: Any, /) -> None:
    generation = _asking()
    if generation is not None:
        generation.codec_errors[errors] = handler
    _originals["codecs.register_error"](errors, handler)


_REPLACED: list[tuple[Any, str, Any]] = [
    (importlib, "import_module", _import_module),
    (atexit, "register", _register),
    (atexit, "unregister", _unregister),
    (codecs, "register", _codecs_register),
    (codecs, "register_error", _codecs_register_error),
    *recorders.REPLACED,
]
if hasattr(os, "register_at_fork"):
    _REPLACED.append((os, "register_at_fork", _register_at_fork))
