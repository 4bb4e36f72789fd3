"""After its unload a generation is garbage, whatever it had registered in the process.

The registrations are the functions of `sample/release/pins`; each test makes one, unloads, collects, and wants every
module, class and function of the generation dead.
"""

from __future__ import annotations

import asyncio
import builtins
import codecs
import copyreg
import gc
import importlib
import logging
import signal
import sys
import threading
import warnings
import weakref
from collections.abc import Iterator
from typing import Any

import pytest
from generations.support import PRIVATE, Sample, declared, living, survivors

from hostcore.generations import Generation

SWEPT = declared("pins/swept.py")
HARMLESS = declared("pins/harmless.py")
SILENT = {"swept.fork_hook", "swept.lines_of_an_own_loader"}
"""Recorded by generation only, or mere lines of source: there is nothing to take out and to report."""

Watched = list[tuple[str, str, "weakref.ref[Any]"]]
SLOTS: tuple[tuple[Any, tuple[str, ...]], ...] = (
    (sys, ("excepthook", "displayhook", "unraisablehook", "breakpointhook", "stdin", "stdout", "stderr")),
    (warnings, ("showwarning", "formatwarning")),
    (threading, ("excepthook",)),
)
TABLES: tuple[list[Any], ...] = (
    sys.meta_path,
    sys.path_hooks,
    gc.callbacks,
    logging.root.handlers,
    logging.root.filters,
)


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    """Put the process's slots and tables back, so that a registration that is not swept spoils one test only."""
    slots = [(owner, name, getattr(owner, name)) for owner, names in SLOTS for name in names]
    tables = [(table, list(table)) for table in TABLES]
    reducers, builtin_names = dict(copyreg.dispatch_table), set(vars(builtins))
    ascii_before = builtins.ascii
    handler = signal.getsignal(signal.SIGUSR2)
    logger_class, record_factory, loggers = logging.getLoggerClass(), logging.getLogRecordFactory(), known_loggers()
    with warnings.catch_warnings():
        yield
    for owner, name, value in slots:
        setattr(owner, name, value)
    for table, content in tables:
        table[:] = content
    copyreg.dispatch_table.clear()
    copyreg.dispatch_table.update(reducers)
    for added in set(vars(builtins)) - builtin_names - {"_"}:
        delattr(builtins, added)
    signal.signal(signal.SIGUSR2, handler)
    builtins.ascii = ascii_before
    logging.setLoggerClass(logger_class)
    logging.setLogRecordFactory(record_factory)
    for name in known_loggers() - loggers:
        del logging.root.manager.loggerDict[name]


def known_loggers() -> set[str]:
    """Return the names of all loggers of the process."""
    return set(logging.root.manager.loggerDict)


def pinned(sample: Sample, registration: str) -> tuple[Watched, list[tuple[str, str]]]:
    """Load pins, make one registration, unload; return what must die and what the unload removed."""
    module, _, function = registration.partition(".")
    with living(Generation("pins", [sample.v1], owned={"pins"})) as generation:
        getattr(generation.load(f"pins.{module}"), function)()
        watched = generation.watch()
        return watched, generation.unload()


@pytest.mark.parametrize("registration", SWEPT)
def test_swept(sample: Sample, registration: str) -> None:
    """A registration that would keep a generation alive is removed by its unload, reported, and all is collected."""
    watched, found = pinned(sample, registration)
    assert len(watched) > 20
    assert survivors(watched) == [], SWEPT[registration]
    assert bool(found) == (registration not in SILENT)
    assert all(isinstance(part, str) and registry for registry, *what in found for part in (registry, *what))


@pytest.mark.parametrize("registration", HARMLESS)
def test_harmless(sample: Sample, registration: str) -> None:
    """What does not keep a generation alive needs no sweeping: all is collected."""
    watched, _ = pinned(sample, registration)
    assert len(watched) > 10
    assert survivors(watched) == [], HARMLESS[registration]


def test_every_registration_says_what_it_is() -> None:
    """Every registration has a docstring."""
    assert len(SWEPT) > 30
    assert [name for name, description in {**SWEPT, **HARMLESS}.items() if not description] == []


def test_exit_handlers_run_at_unload(sample: Sample) -> None:
    """Exit handlers run when their generation is unloaded, last registered first, and those taken back do not."""
    order: list[int] = []
    with living(Generation("pins", [sample.v1], owned={"pins"})) as generation:
        code = (
            "import atexit\n"
            "def note(number): order.append(number)\n"
            "def taken_back(): order.append(0)\n"
            "atexit.register(note, 1); atexit.register(taken_back); atexit.register(note, number=2)\n"
            "atexit.unregister(taken_back)\n"
        )
        module = generation.load("pins")
        module.order = order
        exec(code, vars(module))
    assert order == [2, 1]


def test_failing_exit_handler(sample: Sample) -> None:
    """An exit handler that raises, SystemExit included, is reported; the others still run."""
    order: list[int] = []
    with living(Generation("pins", [sample.v1], owned={"pins"})) as generation:
        module = generation.load("pins")
        module.order = order
        exec(
            "import atexit, sys\n"
            "atexit.register(lambda: order.append(1))\n"
            "atexit.register(lambda: 1 / 0)\n"
            "atexit.register(lambda: sys.exit(1))\n"
            "atexit.register(lambda: order.append(2))\n",
            vars(module),
        )
        found = generation.unload()
    assert order == [2, 1]
    assert [what for _, what in found if "ZeroDivisionError" in what]


def test_codec_error_handler_goes_to_the_next(sample: Sample) -> None:
    """An error handler of codecs that two generations registered is the other's after the unload of one."""
    with living(Generation("pins", [sample.v1], owned={"pins"})) as first:
        first.load("pins.swept").codec_error_handler()
        handler = codecs.lookup_error("pins.errors")
        with living(Generation("pins", [sample.v2], owned={"pins"})) as second:
            second.load("pins.swept").codec_error_handler()
            assert codecs.lookup_error("pins.errors") is not handler
        assert codecs.lookup_error("pins.errors") is handler
    assert codecs.lookup_error("pins.errors") is not handler
    del handler


def test_other_generations_registrations_stay(sample: Sample) -> None:
    """An unload removes the own registrations only: another generation's and the host's stay."""
    host_handler = logging.NullHandler()
    logging.root.addHandler(host_handler)
    with living(Generation("pins", [sample.v1], owned={"pins"})) as first:
        with living(Generation("pins", [sample.v2], owned={"pins"})) as second:
            for generation in (first, second):
                for registration in ("logging_handler", "meta_path_finder", "gc_callback", "copyreg_pickle"):
                    getattr(generation.load("pins.swept"), registration)()
        swept = first.load("pins.swept")
        assert [h for h in logging.root.handlers if type(h) is swept.OwnHandler]
        assert [finder for finder in sys.meta_path if type(finder) is swept.OwnFinder]
        assert first.load("pins").Own in copyreg.dispatch_table
        assert host_handler in logging.root.handlers
    assert host_handler in logging.root.handlers


def test_what_the_host_holds_is_seen(sample: Sample) -> None:
    """A class that the host's own code holds survives the unload, watch() tells so, and it dies when let go."""
    with living(Generation("pins", [sample.v1], owned={"pins"})) as generation:
        held = [generation.load("pins").Own]
        watched = generation.watch()
    assert "class pins.Own" in survivors(watched)
    held.clear()
    assert survivors(watched) == []


def test_whole_package_dies(sample: Sample) -> None:
    """A generation that ran through all the checks of the sample is collected, whether another lives or not."""
    with living(Generation("mypkg", [sample.v2], private=PRIVATE)) as staying:
        staying.load("mypkg.models")
        watched = used(sample)
        assert survivors(watched) == []
        assert survivors(staying.watch()) != []
    assert survivors(used(sample)) == []


def used(sample: Sample) -> Watched:
    """Load, publish, use and unload a generation of mypkg."""
    with living(Generation("mypkg", [sample.v1], private=PRIVATE)) as generation:
        generation.publish()
        for check, description in declared("mypkg/checks/[!_]*.py").items():
            module, _, function = check.partition(".")
            if module != "extensions" and description:
                getattr(generation.load(f"mypkg.checks.{module}"), function)()
        importlib.import_module("mypkg.lazy1")
        return generation.watch()


def test_failed_load_dies(sample: Sample) -> None:
    """What a failing load had made is collected once its error is gone."""
    watched: list[Any] = []
    with living(Generation("mypkg", [sample.v1], owned={"mypkg"})) as generation:
        with pytest.raises(ValueError, match="half way") as caught:
            generation.load("mypkg.half")
        traceback = caught.value.__traceback__
        while traceback is not None:
            child = traceback.tb_frame.f_globals
            watched += [("module", "half.child", weakref.ref(child["child"]))] if "child" in child else []
            traceback = traceback.tb_next
        del caught, child
        assert len(watched) == 1
        assert survivors(watched) == []


async def test_finished_task_dies(sample: Sample) -> None:
    """A generation whose asyncio tasks are done, or cancelled, is collected."""
    with living(Generation("pins", [sample.v1], owned={"pins"})) as generation:
        module = generation.load("pins")
        exec("import asyncio\nasync def work(seconds): await asyncio.sleep(seconds)", vars(module))
        done, cancelled = asyncio.create_task(module.work(0)), asyncio.create_task(module.work(3600))
        await done
        cancelled.cancel()
        await asyncio.wait([cancelled])
        watched = generation.watch()
        del module, done, cancelled
    await asyncio.sleep(0)
    assert survivors(watched) == []


def test_generation_itself_dies(sample: Sample) -> None:
    """The generation object is garbage too, loaded or not."""
    fresh = Generation("pins", [sample.v1], owned={"pins"})
    loaded = Generation("pins", [sample.v2], owned={"pins"})
    loaded.load("pins.swept")
    refs = [("generation", repr(g), weakref.ref(g)) for g in (fresh, loaded)]
    fresh.unload()
    loaded.unload()
    del fresh, loaded
    assert survivors(refs) == []


def test_many_lives_leave_nothing(sample: Sample) -> None:
    """Loading and unloading over and over leaves no object behind: not in modules, not in the collector's count."""

    def live() -> None:
        with living(Generation("pins", [sample.v1], owned={"pins"})) as generation:
            generation.load("pins.swept").logging_handler()
            generation.publish()

    def objects_after(lives: int) -> int:
        for _ in range(lives):
            live()
        gc.collect()
        return len(gc.get_objects())

    objects_after(5)
    before = objects_after(5)
    assert objects_after(20) - before < 20
