"""A generation's threads are asked to stop, then interrupted, and the host's are let be."""

from __future__ import annotations

import concurrent.futures
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from generations.support import Sample, living, survivors

from hostcore.generations import Generation
from hostcore.generations.threads import Stopping

PATIENCE = 20.0


@pytest.fixture
def one(sample: Sample) -> Iterator[Generation]:
    """A generation of pins."""
    with living(Generation("pins", [sample.v1], owned={"pins"})) as generation:
        yield generation


def run(generation: Generation, code: str) -> Any:
    """Run code as the generation's; return its module."""
    module = generation.load("pins")
    exec(code, vars(module))
    return module


def ended(stopping: Stopping) -> bool:
    """Wait for the threads; tell whether all have ended."""
    for thread in stopping.alive():
        thread.join(PATIENCE)
    return not stopping.alive()


BUSY = """
import threading, time
started, cleaned = threading.Event(), []
def spin():
    try:
        started.set()
        while True:
            time.sleep(0.001)
    finally:
        cleaned.append(1)
"""


def test_nothing_to_stop(one: Generation) -> None:
    """A generation without threads has nothing to wait for."""
    assert Stopping(one).alive() == []


def test_a_timer_is_cancelled(one: Generation) -> None:
    """A timer never fires, and its function is garbage."""
    run(one, "import threading\nthreading.Timer(3600, own).start()")
    stopping = Stopping(one)
    assert ended(stopping)
    watched = one.watch()
    one.unload()
    del stopping
    assert survivors(watched) == []


@pytest.mark.parametrize("way", ["stop", "request_stop", "shutdown", "close", "cancel", "terminate"])
def test_a_thread_with_a_way_to_stop(one: Generation, way: str) -> None:
    """A thread of an own class is stopped by its own method, which may wait for it."""
    code = f"""
import threading
class Worker(threading.Thread):
    def __init__(self):
        super().__init__(daemon=True)
        self.asked = threading.Event()
        self.orderly = False
    def run(self):
        self.asked.wait()
        self.orderly = True
    def {way}(self, timeout=None):
        self.asked.set()
        self.join(timeout)
worker = Worker()
worker.start()
"""
    worker = run(one, code).worker
    assert ended(Stopping(one))
    assert worker.orderly


@pytest.mark.parametrize("body", ["raise OSError('no')", "pass", "threading.Event().wait(0.001)"])
def test_a_way_to_stop_that_does_not(one: Generation, body: str) -> None:
    """A thread whose way to stop raises or does nothing is interrupted; its `finally` runs."""
    module = run(
        one,
        f"{BUSY}\nclass Worker(threading.Thread):\n    run = staticmethod(spin)\n    def stop(self): {body}\n"
        "Worker(daemon=True).start()\nstarted.wait()",
    )
    stopping = Stopping(one)
    assert [thread for thread in stopping.alive() if not thread.name.endswith("(stopping)")]
    stopping.interrupt()
    assert ended(stopping)
    assert module.cleaned == [1]


def test_a_way_to_stop_with_arguments_is_none(one: Generation) -> None:
    """A method that wants arguments is not called."""
    run(
        one,
        f"{BUSY}\ncalled = []\nclass Worker(threading.Thread):\n    run = staticmethod(spin)\n"
        "    def stop(self, why): called.append(why)\nWorker(daemon=True).start()\nstarted.wait()",
    )
    stopping = Stopping(one)
    stopping.interrupt()
    assert ended(stopping)
    assert one.load("pins").called == []


def test_a_plain_thread(one: Generation, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread with a hosted target is interrupted, and no excepthook hears of it."""
    heard: list[Any] = []
    monkeypatch.setattr(threading, "excepthook", heard.append)
    module = run(one, f"{BUSY}\nthreading.Thread(target=spin, daemon=True).start()\nstarted.wait()")
    stopping = Stopping(one)
    assert len(stopping.alive()) == 1
    stopping.interrupt()
    assert ended(stopping)
    assert (module.cleaned, heard) == ([1], [])
    watched = one.watch()
    one.unload()
    del module, stopping
    assert survivors(watched) == []


def test_an_error_while_it_ends_is_heard(one: Generation, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a thread raises of its own, when it is interrupted, goes where it always does."""
    heard: list[Any] = []
    monkeypatch.setattr(threading, "excepthook", lambda args: heard.append(args.exc_type))
    code = BUSY.replace("cleaned.append(1)", "1 / 0")
    run(one, f"{code}\nthreading.Thread(target=spin, daemon=True).start()\nstarted.wait()")
    stopping = Stopping(one)
    stopping.interrupt()
    assert ended(stopping)
    assert heard == [ZeroDivisionError]


def test_a_thread_that_waits_in_c(one: Generation) -> None:
    """A thread that waits in C code is named until it comes back, and ends then."""
    module = run(
        one,
        "import threading\nstarted, lock, after = threading.Event(), threading.Lock(), []\nlock.acquire()\n"
        "def wait():\n    started.set()\n    lock.acquire()\n    after.append(1)\n"
        "threading.Thread(target=wait, name='pins-waits', daemon=True).start()\nstarted.wait()",
    )
    stopping = Stopping(one)
    stopping.interrupt()
    assert [thread.name for thread in stopping.alive()] == one.threads() == ["pins-waits"]
    module.lock.release()
    assert ended(stopping)
    assert module.after == []


KEEPERS = {
    "module": "pool = Pool(1)\n",
    "table": "pools = {'one': [Pool(1)]}\npool = pools['one'][0]\n",
    "object": "class Keeper:\n    def __init__(self): self.pool = Pool(1)\nkeeper = Keeper()\npool = keeper.pool\n",
    "root": "class Keeper:\n    def __init__(self): self.pool = Pool(1)\nkeeper = Keeper()\npool = keeper.pool\n",
}


@pytest.mark.parametrize("keeper", KEEPERS)
def test_executors_are_shut_down(one: Generation, keeper: str) -> None:
    """An executor that the generation keeps takes no more work, drops what waits, and its thread is interrupted."""
    forget = "" if keeper == "module" else "\ndel pool"
    module = run(
        one,
        f"{BUSY}\nfrom concurrent.futures import ThreadPoolExecutor as Pool\n{KEEPERS[keeper]}"
        f"first, second = pool.submit(spin), pool.submit(spin)\nstarted.wait(){forget}",
    )
    stopping = Stopping(one, [vars(module).pop("keeper")] if keeper == "root" else ())
    assert module.second.cancelled()
    stopping.interrupt()
    assert ended(stopping)
    assert module.cleaned == [1]
    assert one.threads() == []


def test_executors_of_the_host_are_let_be(one: Generation) -> None:
    """A thread of an executor of the host's that runs hosted code is named, not interrupted, and goes on."""
    module = run(one, "import threading\nstarted, go = threading.Event(), threading.Event()\ndef work():\n"
                 "    started.set()\n    while not go.wait(0.001): pass\n    return 'done'")  # fmt: skip
    with concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="pins-host") as pool:
        future = pool.submit(module.work)
        assert module.started.wait(PATIENCE)
        stopping = Stopping(one)
        assert stopping.alive() == []
        stopping.interrupt()
        assert one.threads() == ["pins-host_0"]
        module.go.set()
        assert future.result(PATIENCE) == "done"


def test_other_generations_are_let_be(one: Generation, sample: Sample) -> None:
    """The threads of another generation go on."""
    with living(Generation("other", [sample.v2], owned={"pins"})) as two:
        code = f"{BUSY}\nthread = threading.Thread(target=spin, daemon=True)\nthread.start()\nstarted.wait()"
        run(one, code)
        others = run(two, code).thread
        stopping = Stopping(one)
        stopping.interrupt()
        assert ended(stopping)
        assert others.is_alive()
        stopping = Stopping(two)
        stopping.interrupt()
        assert ended(stopping)


def test_its_own_thread_is_let_be(one: Generation) -> None:
    """Who unloads from a thread of the generation itself is not asked to stop."""
    result: list[Any] = []
    module = run(one, "def call(function, result): result.append(function())")
    thread = threading.Thread(target=module.call, args=(lambda: Stopping(one).alive(), result))
    thread.start()
    thread.join()
    assert result == [[]]
    assert sys.exc_info() == (None, None, None)
