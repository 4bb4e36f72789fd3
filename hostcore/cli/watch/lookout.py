"""The lookout: a thread that watches sources and tells which modules changed.

watchfiles tells when to look; what changed is told by two views, one after the other (see `views`).  The order makes
that no change is missed: directories are watched first, then looked at.  Whenever others are to be watched than are,
because some were made, replaced, or removed, or because a module came, it begins anew with those.

The first view is taken when the lookout is aimed at a module, so it should be aimed before the module is loaded: what
changes while a module is being imported is a change like any other.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping

from hostcore.cli.watch.bursts import QUIET, Burst
from hostcore.cli.watch.sources import Sources, concerned
from hostcore.cli.watch.views import Place, Stamp, View

_STEP = 50
"""Milliseconds between two looks of watchfiles at what the kernel told; also how soon the thread can be stopped."""
_POLL = 1.0
"""Seconds between two checks of what no notification tells, such as a parent directory that was renamed."""
log = logging.getLogger("hostcore")
Found = Callable[[dict[str, list[str]]], object]


class Scene:
    """What is watched, what it looked like when last looked at, and the changes not told of yet.

    Args:
        clock: Tells the time, in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.view = View()
        self.modules: dict[str, Sources] = {}
        self._clock = clock
        self._bursts: dict[str, Burst] = {}

    def aim(self, modules: Mapping[str, Sources]) -> None:
        """Watch these modules from now on; what was watched already is compared with how it looked before."""
        now = View(modules.values())
        changes = self.view.changes(now)
        known = {path for paths in concerned(changes, self.modules).values() for path in paths}
        self.modules = dict(modules)
        self._bursts = {name: burst for name, burst in self._bursts.items() if name in modules}
        self.view = now
        self._note({path: stamp for path, stamp in changes.items() if path in known})

    def look(self) -> None:
        """Look again."""
        now = View(self.modules.values())
        changes = self.view.changes(now)
        self.view = now
        self._note(changes)

    def _note(self, changes: Mapping[str, Stamp | None]) -> None:
        clock = self._clock()
        for module, paths in concerned(changes, self.modules).items():
            self._bursts.setdefault(module, Burst(clock)).note(changes, paths, clock)
        for module, burst in self._bursts.items():
            if not self._complete(module):
                burst.hold(clock)

    @property
    def restless(self) -> bool:
        """Whether to look again at once: a burst goes on, or may be over."""
        clock = self._clock()
        return any(not burst.over(clock) or self._complete(name) for name, burst in self._bursts.items())

    def due(self) -> dict[str, list[str]]:
        """Return the modules whose changes are over, with the paths, once; those being installed are held."""
        clock = self._clock()
        over = [name for name, burst in self._bursts.items() if burst.over(clock) and self._complete(name)]
        told = {name: self._bursts.pop(name).changed(self.view) for name in over}
        return {name: paths for name, paths in told.items() if paths}

    def _complete(self, name: str) -> bool:
        return self.modules[name].installs <= self.view.installed


class Lookout:
    """Watches modules' sources in a thread of its own.

    Args:
        found: Is called in that thread with the modules that changed, and the paths.
    """

    def __init__(self, found: Found) -> None:
        self._found = found
        self._scene = Scene()
        self._lock = threading.Lock()  # holds the scene
        self._ended = threading.Event()
        self._nudged = threading.Event()
        self._thread = threading.Thread(target=self._run, name="hostcore:watch", daemon=True)
        self._told = False

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def aim(self, modules: Mapping[str, Sources]) -> None:
        """Watch these modules from now on; when this returns, the first view of those that are new has been taken."""
        with self._lock:
            if modules == self._scene.modules:
                return
            self._scene.aim(modules)
        self._nudged.set()

    def close(self) -> None:
        """Stop watching; waits for the thread."""
        self._ended.set()
        self._nudged.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        logging.getLogger("watchfiles").setLevel(logging.WARNING)  # it logs every burst
        while True:
            self._nudged.clear()
            if self._ended.is_set():  # asked after the nudge was cleared: neither can be missed
                return
            try:
                with self._lock:
                    self._scene.look()
                    places = self._scene.view.places
                self._watch(places)
            except Exception:
                log.exception("watching was interrupted")
                self._ended.wait(_POLL)

    def _watch(self, places: Mapping[str, Place]) -> None:
        """Look whenever there is a reason to, until other directories are to be watched."""
        scene, checked = self._scene, 0.0
        for woken in self._wakes(list(places)):
            clock = time.monotonic()
            check = clock - checked >= _POLL
            with self._lock:
                if woken or scene.restless or (check and scene.view.moved()):
                    scene.look()
                due = scene.due()
                same = scene.view.places == places
            checked = clock if check else checked
            if due:
                self._found(due)
            if not same:
                return

    def _wakes(self, places: list[str]) -> Iterator[bool]:
        """Yield at every step whether something happened in `places`, first when they are watched; ends if nudged."""
        from watchfiles import watch

        armed = False
        try:
            for changes in watch(
                *places, watch_filter=None, debounce=_STEP, step=_STEP, rust_timeout=_STEP, yield_on_timeout=True,
                stop_event=self._nudged, raise_interrupt=False, recursive=False, ignore_permission_denied=True,
            ):  # fmt: skip
                yield bool(changes) or not armed
                armed = True
        except FileNotFoundError:
            return  # gone before it was watched
        except (OSError, RuntimeError) as error:
            if armed:  # a file name that is not UTF-8, or a queue that ran over: something happened
                yield True
                self._ended.wait(QUIET)
                return
            yield from self._poll(error)

    def _poll(self, error: Exception) -> Iterator[bool]:
        """Do without the kernel's help, which it refuses beyond so many directories."""
        if not self._told:
            self._told = True
            log.warning("watching by looking every second, for: %s", error)
        while not self._nudged.wait(_POLL):
            yield True
