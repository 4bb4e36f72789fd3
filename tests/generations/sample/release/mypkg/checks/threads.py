"""Threads that import at the same time, and code that goes on in the background."""

import importlib
import pickle
import threading

from . import VERSION, equal


def wait_for_half_loaded():
    """Threads that import a half-loaded module all wait until it is whole."""
    from mypkg import slow_gate

    found = []

    def run():
        import mypkg.slow

        found.append(mypkg.slow.B)
        from mypkg import slow

        found.append(slow.VERSION)
        found.append(importlib.import_module("mypkg.slow").B)

    threads = [threading.Thread(target=run) for _ in range(6)]
    for thread in threads:
        thread.start()
    assert slow_gate.entered.wait(30)
    slow_gate.release.set()
    for thread in threads:
        thread.join()
    equal(found.count(2), 12)
    equal(found.count(VERSION), 6)


def background_thread():
    """A thread that outlives the call that started it goes on with its own generation."""
    go, found = threading.Event(), []
    thread = _start_background(go, found)
    go.set()
    thread.join()
    equal(found, [("mypkg.core", 6, VERSION, True)])


def _start_background(go, found):
    """Start a thread that waits for `go`, then looks at its own generation in all ways."""

    def run():
        assert go.wait(30)
        try:
            found.append(_look_around())
        except BaseException as error:
            found.append(repr(error))

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def _look_around():
    """Import, pickle and call within the own generation; tell what was found."""
    import mypkg.sub as sub
    from mypkg import models
    from mypkg.circ_b import back

    whole = type(pickle.loads(pickle.dumps(models.Leaf()))) is models.Leaf
    return sub.Base.__module__, back(), __import__("mypkg.lazy0").lazy0.VERSION, whole
