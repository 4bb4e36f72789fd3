"""What a running module has done to the process is undone when it is unloaded, reloaded or rolled back."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import signal
import sys
import threading
import types
import weakref
from collections.abc import Iterator
from typing import Any

import pytest
from support.modules import ModuleWriter

import hostcore

SPINNER = """
@hookimpl
def initialize(self, context):
    threading.Thread(target=spin, name="spinner", daemon=True).start()
    self.pool = ThreadPoolExecutor(1)
    self.pool.submit(spin)
    self.pool.submit(spin)
    self.timer = threading.Timer(3600, spin)
    self.timer.start()
"""
SPINNER_TOP = """
import threading, time
from concurrent.futures import ThreadPoolExecutor

def spin():
    while True:
        time.sleep(0.001)
"""


async def test_threads_end(system: hostcore.ModuleSystem, write: ModuleWriter) -> None:
    """Threads, timers and executors of a module end when it is unloaded, while the event loop goes on."""
    before = _others(set())
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            ticks += 1
            await asyncio.sleep(0)

    await system.load("spinner", source=write(SPINNER, "spinner", top=SPINNER_TOP))
    assert len(_others(before)) == 3
    ticking = asyncio.create_task(tick())
    reference = weakref.ref(sys.modules["acme_spinner"].Module)
    assert await system.unload("spinner") == ()
    ticking.cancel()
    assert _others(before) == set()
    assert ticks > 10
    gc.collect()
    assert reference() is None


def _others(known: set[int | None]) -> set[int | None]:
    """Return the threads that run and are neither known nor the host's own."""
    return {thread.ident for thread in threading.enumerate() if not thread.name.startswith("hostcore:")} - known


VARIABLE = contextvars.ContextVar[Any]("of_a_library")


@pytest.fixture
def library() -> Iterator[None]:
    """A library of the host's with a context variable."""
    module: Any = types.ModuleType("shared_library")
    module.VARIABLE = VARIABLE
    sys.modules["shared_library"] = module
    yield
    del sys.modules["shared_library"]


SETTER = """
@hookimpl
def initialize(self, context):
    self.seen = [VARIABLE.get(None)]
    VARIABLE.set(Value("initialize"))

@hookimpl
async def handle_message(self, message):
    self.seen.append(VARIABLE.get(None))
    VARIABLE.set(Value(message.topic))
    if message.topic == "suspends":
        await asyncio.sleep(0)
        asyncio.get_running_loop().call_soon(VARIABLE.set, Value("later"))
        await asyncio.create_task(self.task())
    return [str(value) for value in self.seen]

async def task(self):
    VARIABLE.set(Value("task"))

@hookimpl(blocking=True)
def execute(self, request):
    VARIABLE.set(Value("blocking"))

@hookimpl
def shutdown(self):
    VARIABLE.set(Value("shutdown"))
"""
SETTER_TOP = """
from shared_library import VARIABLE

class Value(str):
    def __init__(self, text): created.append(text)

created = []
VARIABLE.set(Value("import"))
"""


async def test_context_variables(system: hostcore.ModuleSystem, write: ModuleWriter, library: None) -> None:
    """What a module sets in a context variable of a library is its own affair: unseen elsewhere, gone with it."""
    token = VARIABLE.set("the host's")
    try:
        await system.load("setter", source=write(SETTER, "setter", top=SETTER_TOP))
        await system.request("setter", topic="direct")
        assert await system.request("setter", topic="suspends") == ["None", "initialize", "direct"]
        await system.send("setter", topic="sent")
        await system.execute("setter", {})
        await system.request("setter", topic="last")
        assert VARIABLE.get() == "the host's"
        created = list(sys.modules["acme_setter"].created)
        value = weakref.ref(sys.modules["acme_setter"].Value)
        assert {"import", "initialize", "direct", "suspends", "later", "task", "sent", "blocking"} <= set(created)
        assert await system.unload("setter") == ()
        await asyncio.sleep(0)
        assert VARIABLE.get() == "the host's"
        gc.collect()
        assert value() is None
    finally:
        VARIABLE.reset(token)


PATCHER = """
@hookimpl
def initialize(self, context):
    signal.signal(signal.SIGUSR2, handle)
    self.original = shared_library.greet
    shared_library.greet = lambda name: f"{version}({self.original(name)})"
    sys.path.insert(0, directory)
    if context.version == "3.0":
        raise ValueError("no")

@hookimpl
def get_state(self):
    return None

@hookimpl
def restore_state(self, state):
    if version == "4.0":
        raise ValueError("no")
"""
PATCHER_TOP = """
import os, signal, sys
import shared_library

version = "@V@"
directory = os.path.join(os.path.dirname(__file__), "vendored")

def handle(*_): ...
"""


def patcher(write: ModuleWriter, version: str) -> Any:
    """Write the release of that version."""
    return write(PATCHER, "patcher", version=version, top=PATCHER_TOP.replace("@V@", version))


@pytest.fixture
def surroundings(library: None) -> Iterator[Any]:
    """The library, with something to patch, in a process that must be the same in the end."""
    shared: Any = sys.modules["shared_library"]
    shared.greet = greet = lambda name: f"hello {name}"
    handler = signal.signal(signal.SIGUSR2, lambda *_: None)
    path, own = list(sys.path), signal.getsignal(signal.SIGUSR2)
    yield shared
    assert shared.greet is greet
    assert sys.path == path
    assert signal.signal(signal.SIGUSR2, handler) is own


async def test_reloads(surroundings: Any, write: ModuleWriter) -> None:
    """Through reloads only the newest generation's patch is in place, and in the end the process is as before."""
    before = len(sys.path)
    async with hostcore.ModuleSystem({"index": False}) as system:
        await system.load("patcher", source=patcher(write, "1.0"))
        assert surroundings.greet("you") == "1.0(hello you)"
        report = await system.reload("patcher", source=patcher(write, "2.0"), strict=True)
        assert report.leaks == ()
        assert surroundings.greet("you") == "2.0(hello you)"
        assert len(sys.path) == before + 1


@pytest.mark.parametrize("version", ["3.0", "4.0"])
async def test_failed_reload(surroundings: Any, write: ModuleWriter, version: str) -> None:
    """A reload that fails leaves the old generation's patch, signal handler and path in place."""
    async with hostcore.ModuleSystem({"index": False}) as system:
        await system.load("patcher", source=patcher(write, "1.0"))
        greet, handler, path = surroundings.greet, signal.getsignal(signal.SIGUSR2), list(sys.path)
        report = await system.reload("patcher", source=patcher(write, version))
        assert report.rolled_back
        assert surroundings.greet is greet
        assert signal.getsignal(signal.SIGUSR2) is handler
        assert sys.path == path
        await system.unload("patcher")
