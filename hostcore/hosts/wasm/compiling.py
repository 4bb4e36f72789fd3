"""Turn a module's WebAssembly into code that an engine can run: from the cache, or compiled once.

    path = await compiled(data, settings, kind, cache, module="m", label="m 1.0", seconds=120, memory=2**31)
    guest = load_compiled(engine, path, kind)
    guest = await loaded(engine, data, settings, kind, cache, ...)   # both, and again if wasmtime refuses the file

All who ask for the same code at the same time share one compilation; it is given up when the last of them is.  What
became of it is an `Outcome`, plain data, and each of them makes an error of its own from that.
"""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable, Coroutine, Hashable
from pathlib import Path
from typing import TYPE_CHECKING, Final
from weakref import WeakKeyDictionary

from hostcore.contract.units import format_duration, format_size
from hostcore.errors import HostcoreError, LimitError, LoadError, WorkerDiedError
from hostcore.hosts.wasm import compiler
from hostcore.hosts.wasm.cache import Cache, entry_name
from hostcore.hosts.wasm.confined import Limits, Outcome, compile_confined
from hostcore.hosts.wasm.kinds import INVALID, Kind
from hostcore.hosts.wasm.sealing import CODE
from hostcore.hosts.wasm.settings import Settings

if TYPE_CHECKING:
    import wasmtime
    from wasmtime import component

log = logging.getLogger("hostcore")

TOO_MUCH: Final = "HC510"
"""The code of the error for a compilation that takes more than it may."""
LARGE: Final = 1_000_000
"""Bytes of a module from which on compiling takes long enough to be told of."""

DIGEST: Final = 64
"""The length of the digest with which a successful compiler ends its output."""

_TOLD: Final = 1000
_CRASHES: Final = (signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGABRT, signal.SIGTRAP)
_NO_MEMORY: Final = (
    "memory allocation of", "out of memory", "Cannot allocate memory", "Resource temporarily unavailable", "MemoryError"
)  # fmt: skip
"""What Rust, wasmtime, the system and Python print when there is none; a thread without room for its stack counts."""


Data = bytes | Callable[[], bytes]


async def compiled(
    data: Data, settings: Settings, kind: Kind, cache: Cache, *, module: str, label: str, seconds: float, memory: int,
    digest: str = "",
) -> Path:  # fmt: skip
    """Return the verified compiled code of the module in `data`; it is compiled if it is not in the cache.

    Args:
        data: The WebAssembly, or, with `digest`, what returns it: called only if it has to be compiled.
        settings: How it is compiled.
        kind: What `kind_of` says of it.
        cache: Where compiled code is kept.
        module: The module's name, for errors.
        label: The module's label, for errors.
        seconds: The time that compiling may take.
        memory: The bytes that the compiling process may use.
        digest: The SHA-256 of `data`, in hexadecimal, where it is known already.

    Raises:
        LoadError: wasmtime does not take the WebAssembly, or crashed over it (HC211).
        LimitError: Compiling it took too much time, memory or disk (HC510).
        WorkerDiedError: The compiling process could not be started, or was killed (HC501).
    """
    limits = Limits(seconds, memory)
    known = data if isinstance(data, bytes) else b""
    name = await asyncio.to_thread(entry_name, known, settings, kind, digest)

    async def job() -> Path | Outcome:
        found = await asyncio.to_thread(cache.find, name)
        if found is not None:
            return found
        code = data if isinstance(data, bytes) else await asyncio.to_thread(data)
        if len(code) > LARGE:
            log.info("%s: compiling %.1f MB of WebAssembly, once", label, len(code) / 1e6)
        return await _compile(code, settings, kind, cache, name, limits)

    result = await _shared(cache, (asyncio.get_running_loop(), name, limits), job)
    if isinstance(result, Path):
        return result
    raise _error(result, limits, module, label)


def load_compiled(engine: wasmtime.Engine, path: Path, kind: Kind) -> component.Component | wasmtime.Module:
    """Return what `compiled` left at `path`, ready to run on `engine`.

    Raises:
        wasmtime.WasmtimeError: The file is gone, or the engine is set up differently.
    """
    import wasmtime
    from wasmtime import component

    form = component.Component if kind is Kind.COMPONENT else wasmtime.Module
    try:
        return form.deserialize_file(engine, str(path))
    except UnicodeEncodeError:  # a path that is not UTF-8
        return form.deserialize(engine, path.read_bytes())


async def loaded(
    engine: wasmtime.Engine, data: Data, settings: Settings, kind: Kind, cache: Cache, *, module: str, label: str,
    seconds: float, memory: int, digest: str = "",
) -> component.Component | wasmtime.Module:  # fmt: skip
    """Return the module in `data`, ready to run on `engine`, which was made with `settings`.

    An entry of the cache that wasmtime does not take is dropped, and compiled anew, once.

    Raises:
        LoadError: As with `compiled`, or wasmtime does not take its own output.
        LimitError: As with `compiled`.
        WorkerDiedError: As with `compiled`.
    """
    import wasmtime

    text = ""
    for _ in range(2):
        path = await compiled(
            data, settings, kind, cache, module=module, label=label, seconds=seconds, memory=memory, digest=digest
        )
        try:
            return load_compiled(engine, path, kind)
        except (wasmtime.WasmtimeError, OSError) as error:
            text = _short(str(error))
            log.warning("%s: its compiled code in %s is not used, and compiled anew: %s", label, path.parent, text)
            await asyncio.to_thread(cache.drop, path.parent.name)
    raise LoadError(module, f"wasmtime does not take what it compiled itself: {text}", code=INVALID, label=label,
                    hint="report this to hostcore")  # fmt: skip


class _Job:
    """A compilation, and how many wait for it."""

    def __init__(self, task: asyncio.Task[Path | Outcome]) -> None:
        self.task = task
        self.waiting = 0


_running: WeakKeyDictionary[Cache, dict[Hashable, _Job]] = WeakKeyDictionary()
"""The compilations in hand, by their cache and what is compiled; only touched on the loop that is part of the key."""


async def _shared(
    cache: Cache, key: Hashable, make: Callable[[], Coroutine[None, None, Path | Outcome]]
) -> Path | Outcome:
    """Return the result of the job `key`, which `make` starts; the last asker to be cancelled ends it."""
    jobs = _running.setdefault(cache, {})
    job = jobs.get(key)
    if job is None:
        job = jobs[key] = _Job(asyncio.create_task(make(), name="hostcore: compiling"))
        job.task.add_done_callback(lambda _: _forget(jobs, key, job))
    job.waiting += 1
    try:
        return await asyncio.shield(job.task)
    finally:
        job.waiting -= 1
        if not job.waiting and not job.task.done():
            _forget(jobs, key, job)  # who asks from now on is not cancelled with it
            job.task.cancel()
            await asyncio.wait({job.task})


def _forget(jobs: dict[Hashable, _Job], key: Hashable, job: _Job) -> None:
    if jobs.get(key) is job:  # not the one that came after it
        del jobs[key]


async def _compile(
    data: bytes, settings: Settings, kind: Kind, cache: Cache, name: str, limits: Limits
) -> Path | Outcome:
    """Compile, and keep what came of it; where the cache has no room for it, in a private directory."""
    outcome = await _attempt(data, settings, kind, cache, name, limits)
    if isinstance(outcome, Outcome) and outcome.status == compiler.NOT_WRITTEN:
        try:
            cache.retreat(f"cannot hold what was compiled ({_short(outcome.text)})")
        except OSError:
            return outcome
        outcome = await _attempt(data, settings, kind, cache, name, limits)
    return outcome


async def _attempt(
    data: bytes, settings: Settings, kind: Kind, cache: Cache, name: str, limits: Limits
) -> Path | Outcome:
    draft = None
    try:
        draft = cache.draft()
        outcome = await compile_confined(data, settings, kind, draft / CODE, limits)
        if outcome.status != compiler.DONE:
            return outcome
        await asyncio.to_thread(cache.publish, name, draft, outcome.text[-DIGEST:])  # after any warnings
        found = await asyncio.to_thread(cache.find, name)
        return found or Outcome(compiler.NOT_WRITTEN, "what was written there is not what is read")
    except OSError as error:
        return Outcome(compiler.NOT_WRITTEN, error.strerror or str(error))
    finally:
        if draft is not None:
            cache.discard(draft)


def _error(outcome: Outcome, limits: Limits, module: str, label: str) -> HostcoreError:
    """Return the error for a compilation that failed."""
    status, text = outcome
    if status is None or status == -signal.SIGXCPU:
        return _too_much(label, f"took longer than {format_duration(limits.seconds)}", "compile_time")
    if status == compiler.NOT_WRITTEN:
        message = f"{label}: what its WebAssembly was compiled to cannot be stored: {_short(text)}"
        return LimitError(message, code=TOO_MUCH, hint="make room on the disk, or set HOSTCORE_CACHE_DIR and TMPDIR")
    if status == compiler.NO_MEMORY or (status != 0 and any(sign in text for sign in _NO_MEMORY)):
        return _too_much(label, f"took more than {format_size(limits.memory)} of memory", "compile_memory")
    if status == compiler.INVALID:
        return LoadError(module, f"wasmtime refuses its WebAssembly: {_short(text)}", code=INVALID, label=label,
                         hint="check the file: wasm-tools validate MODULE.wasm")  # fmt: skip
    if -status in _CRASHES:
        crash = f"wasmtime's compiler crashed over its WebAssembly ({signal.Signals(-status).name}): {_short(text)}"
        return LoadError(module, crash.rstrip(": "), code=INVALID, label=label,
                         hint="do not trust the file; report it to the Wasmtime project")  # fmt: skip
    return WorkerDiedError(
        f"{label}: the process that compiles its WebAssembly {_ending(status)}: {_short(text)}".rstrip(": "),
        hint="load it again; if the system was out of memory, lower compile_memory in [wasm] of hostcore.toml",
    )


def _too_much(label: str, what: str, setting: str) -> LimitError:
    return LimitError(f"{label}: compiling its WebAssembly {what}", code=TOO_MUCH,
                      hint=f"if you trust the module, raise {setting} in [wasm] of hostcore.toml")  # fmt: skip


def _ending(status: int) -> str:
    if status < 0:
        return f"was ended by {signal.Signals(-status).name}"
    return f"ended with status {status}"


def _short(text: str) -> str:
    """Return the text on one line, its end if it is long, without what a terminal would obey."""
    line = " ".join(text.split())
    line = line if len(line) <= _TOLD else f"...{line[-_TOLD:]}"
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)
