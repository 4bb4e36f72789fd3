"""While a guest is built: import everything, check the module, and leave the memory ready.

What is imported now is all that can ever be imported: a guest has no files.  So all submodules of the module's package
are imported, whatever its project names besides, and what the standard library imports only when it is needed.
"""

from __future__ import annotations

import gc
import json
import linecache
import pkgutil
import sys
from collections.abc import Iterable, Iterator
from importlib import import_module
from typing import Any

from hostcore.errors import HostcoreError
from hostcore.guest.inside import surroundings
from hostcore.guest.inside.dispatch import Guest
from hostcore.guest.inside.exports import exports_of
from hostcore.guest.inside.hooks import collect, find_object, make_plugin
from hostcore.guest.inside.ports import GuestPorts
from hostcore.guest.inside.wit import WitImports
from hostcore.hosts import faults

MARK = "hostcore-build: "
"""What begins a line on standard error that is meant for `hostcore build`."""

LATER = (
    "_ast_unparse", "_strptime", "asyncio", "calendar", "copy", "dataclasses", "datetime", "decimal", "difflib",
    "functools", "heapq", "json", "linecache", "locale", "logging", "queue", "random", "re", "string", "textwrap",
    "time", "tokenize", "traceback", "tracemalloc", "typing", "unicodedata", "uuid", "warnings",
    "encodings.ascii", "encodings.idna", "encodings.latin_1", "encodings.punycode", "encodings.raw_unicode_escape",
    "encodings.unicode_escape", "encodings.utf_16", "encodings.utf_32", "encodings.utf_8", "encodings.utf_8_sig",
)  # fmt: skip
"""What the standard library, or nearly every module, may import only when it is needed."""


def prepare(module: str, value: str, packages: Iterable[str], include: Iterable[str]) -> tuple[type, type]:
    """Import and check a module; return the classes that the bindings look for.

    Args:
        module: The module's name.
        value: Its entry point, as in "acme_counter:Counter".
        packages: The packages and modules of its distribution.
        include: Further modules that are imported only when they are needed.
    """
    try:
        ports = GuestPorts(module, WitImports())
        surroundings.prepare(ports.sleep)
        for name in LATER:
            _try(name)
        found = find_object(module, value)
        for name in include:
            import_module(name)
        for name in packages:
            _tell_left_out(name)
        collect(module, make_plugin(module, found, value))  # a trial: each guest makes its own
        _warm_up(packages)
        return exports_of(Guest(module, value, ports))
    except BaseException as exc:
        _tell({"error": _told(exc)})
        raise


def _try(name: str) -> str:
    """Import a module; return why it cannot be had, or ""."""
    try:
        import_module(name)
    except (Exception, SystemExit) as exc:  # noqa: BLE001 - an import runs anything
        return faults.summary_of(exc)
    return ""


def _tell_left_out(package: str) -> None:
    for name in (package, *_submodules(package)):
        reason = _try(name)
        if reason:
            _tell({"left_out": name, "reason": reason})


def _submodules(package: str) -> Iterator[str]:
    """Yield the dotted names of all that is below `package`, but for its `__main__`s."""
    path: Any = getattr(sys.modules.get(package), "__path__", None)
    for found in pkgutil.iter_modules(path) if path is not None else ():
        name = f"{package}.{found.name}"
        if found.name != "__main__":
            yield name
            if found.ispkg and not _try(name):
                yield from _submodules(name)


def _warm_up(packages: Iterable[str]) -> None:
    """Do once what would import, compile or fill caches later; keep the module's sources for its tracebacks."""
    try:
        raise ValueError
    except ValueError as exc:
        faults.traceback_of(exc)
    roots = tuple(packages)
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if file and name.startswith(roots):
            lines = linecache.getlines(file)
            linecache.cache[file] = (sum(map(len, lines)), None, lines, file)  # None: never look for the file again
    gc.collect()
    gc.freeze()  # what is there now lives as long as the guest: the collector need not look at it


def _told(error: BaseException) -> dict[str, Any]:
    if isinstance(error, HostcoreError):
        return error.as_data()
    place, text = faults.place_of(error), faults.traceback_of(error)
    missing = error.name if isinstance(error, ModuleNotFoundError) else None
    return {"text": faults.summary_of(error), "where": place, "traceback": text, "missing": missing}


def _tell(data: dict[str, Any]) -> None:
    print(MARK + json.dumps(data), file=sys.stderr, flush=True)  # noqa: T201 - the one way out while a guest is built
