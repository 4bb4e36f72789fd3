"""The peers of a reload: Python's own import, and `importlib.reload` of every module of a package."""

from __future__ import annotations

import gc
import importlib
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

PACKAGE = "bench_echo"


def _modules() -> list[str]:
    return [name for name in sys.modules if name.partition(".")[0] == PACKAGE]


def _forget() -> None:
    for name in _modules():
        del sys.modules[name]


@contextmanager
def _importable(source: Path, *, compiled: bool) -> Iterator[None]:
    sys.path.insert(0, str(source))
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, not compiled
    try:
        yield
    finally:
        _forget()
        sys.path.remove(str(source))
        sys.dont_write_bytecode = before
        shutil.rmtree(source / PACKAGE / "__pycache__", ignore_errors=True)


def _timed(times: int, prepare: Callable[[], None], work: Callable[[], object]) -> list[float]:
    """Return the milliseconds of each `work`, after one that does not count."""
    taken = []
    for _ in range(times + 1):
        prepare()
        importlib.invalidate_caches()
        gc.collect()
        began = time.perf_counter()
        work()
        taken.append((time.perf_counter() - began) * 1000)
    return taken[1:]


def import_plainly(source: Path, times: int, *, compiled: bool) -> list[float]:
    """Return the milliseconds of each import of the package below `source`, from source or from `.pyc`."""
    with _importable(source, compiled=compiled):
        return _timed(times, _forget, lambda: importlib.import_module(PACKAGE))


def reload_in_place(source: Path, times: int) -> list[float]:
    """Return the milliseconds of each round of `importlib.reload` over the package's modules, from source."""

    def work() -> None:
        for module in modules:
            importlib.reload(module)

    with _importable(source, compiled=False):
        importlib.import_module(PACKAGE)
        modules = [sys.modules[name] for name in sorted(_modules(), reverse=True)]  # the package itself comes last
        return _timed(times, lambda: None, work)
