"""The generation itself: what it owns, its table of modules, and its life."""

from __future__ import annotations

import builtins
import os
import sys
import threading
import types
import weakref
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Literal

from hostcore.generations import (
    appearing,
    finding,
    hooks,
    importlib_bootstrap,
    patches,
    placing,
    recorders,
    slots,
    table,
    threads,
)
from hostcore.generations.belonging import belongs_to, builtins_of, class_belongs, is_class, is_static, unwrap
from hostcore.generations.sweeping import sweep


class Generation:
    """One numbered, collectable copy of a distribution's modules.

    Attributes:
        id: Unique in the process, growing.
        label: Whose it is, for people.
        alive: False once unloaded; its code can then import nothing new.
        modules: Dotted name -> module object.
    """

    def __init__(self, label: str, paths: Iterable[str | os.PathLike[str]], owned: Collection[str] | None = None,
                 private: Collection[str] = (), shared: Collection[str] = (),
                 extensions: Literal["share", "pure"] = "share") -> None:  # fmt: skip
        """Register the generation as an owner of its names; nothing is imported yet.

        Args:
            label: A name for people, such as the module's.
            paths: Directories to import from, in order.
            owned: Dotted names that it loads for itself; None: all that `paths` hold.
            private: Those that only its own code may import.
            shared: Names to leave to the host although `paths` hold them.
            extensions: "share": an extension module is loaded once for the process; "pure": only Python files are
                looked at, and an extension without a Python twin is a `PrivateExtensionError`.
        """
        self.id = next(table.ids)
        self.label = label
        self.alive = True
        self.paths = [os.path.abspath(path) for path in paths]  # noqa: PTH100 - no symlinks resolved
        names = set(owned) if owned is not None else set().union(*map(finding.scan_names, self.paths))
        self.owned = {n for n in names if n not in shared and table.top_of(n) not in sys.stdlib_module_names}
        self.prefixes = {n.rsplit(".", i)[0] for n in self.owned for i in range(1, n.count(".") + 1)}
        self.tops = {table.top_of(n) for n in self.owned}
        self.private = frozenset(map(table.top_of, private))
        self.extensions = extensions
        self.modules: dict[str, Any] = {}
        self.locks: dict[str, Any] = {}
        self.finders: dict[str, Any] = {}
        self.loading = 0
        self.at_exit: list[Any] = []
        self.at_fork: list[tuple[Any, Any, Any]] = []
        self.codecs: list[Any] = []
        self.codec_errors: dict[str, Any] = {}
        self.recorded = recorders.Recorded()
        self.touched = patches.Touched()
        self.appeared = appearing.Appeared()
        self._owns: dict[str, bool] = {}
        self.builtins = dict(vars(builtins))  # an exact dict keeps LOAD_GLOBAL specialised (a subclass: 2.5-6x slower)
        self.builtins[table.MARK] = self
        self.builtins["__import__"] = importlib_bootstrap.make_import(self)
        self._enter()

    def __repr__(self) -> str:
        return f"<Generation {self.label}#{self.id}{'' if self.alive else ' unloaded'}>"

    # --- names

    def owns(self, name: str) -> bool:
        """Tell whether the generation loads `name` for itself."""
        try:
            return self._owns[name]
        except KeyError:
            parts = name.split(".")
            result = name in self.prefixes or any(".".join(parts[:i]) in self.owned for i in range(1, len(parts) + 1))
            if len(self._owns) < 10_000:
                self._owns[name] = result
            return result

    def is_private(self, name: str) -> bool:
        """Tell whether only this generation's own code may import `name`."""
        return table.top_of(name) in self.private

    def find_spec(self, name: str, path: Iterable[Any] | None = None) -> Any:
        """Return the spec of `name` in this generation, or None."""
        found = finding.search(name, self.paths if path is None else path, self._finder, pure=self.extensions == "pure")
        if not isinstance(found, list):
            return found
        if found:
            return finding.namespace_spec(name, found)
        for finder in sys.meta_path:  # importers that hosted code put there
            if belongs_to(finder, self):
                spec = finder.find_spec(name, path)  # type: ignore[arg-type]
                if spec is not None:
                    return spec
        return None

    def _finder(self, entry: str) -> Any:
        finder = self.finders.get(entry)
        if finder is None:
            finder = self.finders[entry] = finding.make_finder(entry)
        return finder

    # --- life

    def _enter(self) -> None:
        with table.lock:
            hooks.install()
            table.by_id[self.id] = self
            for top in self.tops:
                placing.note_host_copy(top)
                table.owners[top] = (*table.owners.get(top, ()), self)
                if top not in self.private:
                    table.published.setdefault(top, self)
                placing.arrange(top)
        patches.touch(self, "builtins")
        slots.look()

    def load(self, name: str) -> Any:
        """Import `name`, if it is not loaded yet, and return the module of exactly that name.

        Raises:
            GenerationUnloadedError: The generation has been unloaded.
            BaseException: Whatever the module raises; nothing is left of it then.
        """
        try:
            return importlib_bootstrap.load(self, name)
        except BaseException as exc:
            exc.__traceback__ = importlib_bootstrap.strip(exc.__traceback__)
            raise

    @contextmanager
    def activate(self) -> Iterator[Generation]:
        """Let contested names mean this generation in this context, where no hosted frame says otherwise."""
        token = table.current.set(self)
        try:
            yield self
        finally:
            table.current.reset(token)

    def publish(self) -> None:
        """Let contested names mean this generation for the host's own code."""
        with table.lock:
            for top in self.tops:
                others = {g.label for g in table.owners.get(top, ())} - {self.label}
                if top in self.private and others:
                    table.published.pop(top, None)  # two modules' private copies: there is no default
                else:
                    table.published[top] = self
        slots.look()

    def watch(self) -> list[tuple[str, str, weakref.ref[Any]]]:
        """Return (kind, dotted name, weak reference) of every module, class and function that must die with it.

        It walks the namespaces; `gc.get_objects()` is not safe beside running threads.
        """
        watched: list[tuple[str, str, weakref.ref[Any]]] = []
        seen: set[int] = set()
        for name, module in list(self.modules.items()):
            if type(module) is types.ModuleType and vars(module).get("__builtins__") is self.builtins:
                watched.append(("module", name, weakref.ref(module)))
                self._watch(vars(module), watched, seen)
        return watched

    def _watch(self, namespace: Any, watched: list[Any], seen: set[int]) -> None:
        for value in map(unwrap, list(namespace.values())):
            if id(value) in seen:
                continue
            seen.add(id(value))
            if type(value) is types.FunctionType:
                if builtins_of(value) is self.builtins:
                    watched.append(("function", f"{value.__module__}.{value.__qualname__}", weakref.ref(value)))
            elif is_class(value) and not is_static(value) and class_belongs(value, self):
                watched.append(("class", f"{value.__module__}.{value.__qualname__}", weakref.ref(value)))
                self._watch(type.__getattribute__(value, "__dict__"), watched, seen)

    def threads(self) -> list[str]:
        """Return the names of the threads that run this generation's code now."""
        names = {thread.ident: thread.name for thread in threading.enumerate()}
        found = []
        for ident, frame in sys._current_frames().items():
            if threads.runs(frame, self):
                found.append(names.get(ident, str(ident)))
        return found

    def unload(self) -> list[tuple[str, str]]:
        """Forget the generation; its objects die once nobody else holds them.

        The caller has stopped its threads, tasks and timers.  A second call does nothing.

        Returns:
            (registry, what) for each thing that it had left in a registry of the process and that was removed.
        """
        if not self.alive:
            return []
        found = sweep(self)
        with table.lock:
            self.alive = False
            placing.remove(self)
            del table.by_id[self.id]
            for top in self.tops:
                self._leave(top)
            if not table.by_id:
                hooks.uninstall()
        self.modules = {}  # replaced, not cleared: a reader may just be using it
        for cleared in (self.finders, self.locks, self.codec_errors):
            cleared.clear()
        for emptied in (self.at_exit, self.at_fork, self.codecs):
            emptied.clear()
        return found

    def _leave(self, top: str) -> None:
        left = tuple(g for g in table.owners[top] if g is not self)
        if left:
            table.owners[top] = left
            if table.published.get(top) is self:
                del table.published[top]
                if top not in left[-1].private:
                    table.published[top] = left[-1]
        else:
            del table.owners[top]
        placing.arrange(top)
