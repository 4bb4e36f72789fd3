"""Ask the threads of a generation to stop.

A thread is a generation's if its class, its target or what it is to call is, or if it works for an executor that its
code keeps.  Any other thread is the host's, also one that runs hosted code at the moment: it is named, and let be.

`Stopping` asks at once and never waits; who waits, in whatever way suits him, looks at `alive`.  Timers are cancelled
and executors shut down.  A thread of an own class with a `stop`, or the like, has it called, in a thread apart, since
it may well wait for its thread's end.  Those that live on can be interrupted: `Stopped`, a SystemExit, is raised in
them, which ends a thread silently and runs its `finally`; one that waits in C code gets it when it comes back.
"""

from __future__ import annotations

import inspect
import sys
import threading
import types
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from hostcore.generations import table
from hostcore.generations.belonging import belongs_to

if TYPE_CHECKING:
    from hostcore.generations.generation import Generation

_WAYS = ("stop", "request_stop", "shutdown", "close", "cancel", "terminate")
_DEPTH = 2


class Stopping:
    """The threads of one generation, which have been asked to stop."""

    def __init__(self, generation: Generation, roots: Iterable[Any] = ()) -> None:
        """Ask them.

        Args:
            generation: Whose threads they are.
            roots: Objects of the generation that keep executors, besides its modules.
        """
        self._generation = generation
        executors = list(_executors(generation, roots))
        self._threads = [thread for thread in threading.enumerate() if self._is_own(thread, executors)]
        self._asking: list[threading.Thread] = []
        for executor in executors:
            executor.shutdown(wait=False, cancel_futures=True)
        for thread in self._threads:
            self._ask(thread)

    def alive(self) -> list[threading.Thread]:
        """Return those that have not ended yet."""
        return [thread for thread in (*self._threads, *self._asking) if thread.is_alive()]

    def interrupt(self) -> None:
        """Raise SystemExit in those that run the generation's code now."""
        frames = sys._current_frames()
        for thread in self.alive():
            if thread.ident is not None and runs(frames.get(thread.ident), self._generation):
                _silence(thread)
                _raise_in(thread.ident)

    def _is_own(self, thread: threading.Thread, executors: list[Any]) -> bool:
        if thread is threading.current_thread() or thread is threading.main_thread():
            return False
        own: list[Any] = [type(thread), getattr(thread, "_target", None)]
        own += [thread.function] if isinstance(thread, threading.Timer) else []
        return any(belongs_to(part, self._generation) for part in own) or any(
            thread is worker for executor in executors for worker in list(getattr(executor, "_threads", ()))
        )

    def _ask(self, thread: threading.Thread) -> None:
        if isinstance(thread, threading.Timer):
            thread.cancel()
            return
        ask = _way(thread) if belongs_to(type(thread), self._generation) else None
        if ask is not None:
            asking = threading.Thread(target=_quietly, args=(ask,), name=f"{thread.name} (stopping)", daemon=True)
            self._asking.append(asking)
            asking.start()


def _way(thread: threading.Thread) -> Callable[[], object] | None:
    """Return the method that stops a thread, if its class has one that can be called without arguments."""
    for name in _WAYS:
        function = getattr(type(thread), name, None)
        if type(function) is types.FunctionType:
            try:
                inspect.signature(function).bind(thread)
            except (TypeError, ValueError):
                continue
            return types.MethodType(function, thread)
    return None


def _quietly(ask: Callable[[], object]) -> None:
    try:
        ask()
    except BaseException:  # noqa: BLE001 - the thread that lives on is what gets reported
        pass


def _executors(generation: Generation, roots: Iterable[Any]) -> Iterator[Any]:
    """Yield the executors that the generation's modules, and objects in them, keep."""
    futures = table.real.get("concurrent.futures._base")
    if futures is None:
        return
    todo = [(root, 0) for root in roots]
    for module in list(generation.modules.values()):
        if type(module) is types.ModuleType and vars(module).get("__builtins__") is generation.builtins:
            todo += [(value, 0) for value in list(vars(module).values())]
    seen: set[int] = set()
    while todo:
        value, depth = todo.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        if issubclass(type(value), futures.Executor):
            yield value
        elif depth < _DEPTH and type(value) in (dict, list, tuple, set):
            todo += [(item, depth + 1) for item in (list(value.values()) if type(value) is dict else list(value))]
        elif depth < _DEPTH and type(value) is not types.FunctionType and belongs_to(value, generation):
            todo += [(item, depth + 1) for item in list(getattr(value, "__dict__", {}).values())]


def runs(frame: types.FrameType | None, generation: Generation) -> bool:
    """Tell whether code of `generation` is on the stack that ends in `frame`."""
    while frame is not None and frame.f_builtins is not generation.builtins:
        frame = frame.f_back
    return frame is not None


class Stopped(SystemExit):
    """Ends a thread of a generation that is unloaded."""


def _silence(thread: threading.Thread) -> None:
    """Let nobody hear of `Stopped`: Python's own `threading.excepthook` ignores it, a program's may report it."""
    report = getattr(thread, "_invoke_excepthook", None)
    if report is not None:
        thread._invoke_excepthook = lambda _: sys.exc_info()[0] is Stopped or report(thread)  # type: ignore[attr-defined]


def _raise_in(ident: int) -> None:
    import ctypes  # rarely needed

    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(ident), ctypes.py_object(Stopped))
