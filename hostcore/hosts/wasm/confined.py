"""Run the compiler in a child process that cannot take more than it may.

wasmtime's compiler has no limits of its own: a hostile module of a megabyte can take gigabytes and minutes, and a fault
of the compiler would end the host.  The child (`compiler` is what runs in it) gets limits on its memory and time, an
environment without the host's secrets, and a process group of its own, so that a Ctrl-C meant for the host does not
reach it first.  It is killed when its time is over or when the caller is cancelled, and never outlives the host.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE, STDOUT, Process
from pathlib import Path
from typing import Final, NamedTuple

from hostcore.hosts.wasm import compiler
from hostcore.hosts.wasm import settings as settings_module
from hostcore.hosts.wasm.kinds import Kind
from hostcore.hosts.wasm.settings import Settings

THREADS: Final = 8
"""The most threads of one compilation: each needs memory, and a limit should mean the same on every machine."""
NOT_STARTED: Final = 127

_OUTPUT: Final = 256 * 1024
_KEPT_VARIABLES: Final = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "PYTHONHOME")


class Limits(NamedTuple):
    """What one compilation may take.

    Attributes:
        seconds: Wall-clock time.
        memory: Bytes of data, beyond the 30 MB or so of Python and wasmtime themselves.
    """

    seconds: float
    memory: int


class Outcome(NamedTuple):
    """How a compilation ended.

    Attributes:
        status: The exit status (those of `compiler`, or `NOT_STARTED`), negative for a signal; None: out of time.
        text: What it printed: the digest of the code, or what was wrong.
    """

    status: int | None
    text: str


async def compile_confined(data: bytes, settings: Settings, kind: Kind, out: Path, limits: Limits) -> Outcome:
    """Compile the module in `data` to the new file `out`, in a child process.

    The child is gone when this returns or raises.
    """
    command = _command(settings, kind, out, limits)
    try:
        process = await asyncio.create_subprocess_exec(
            *command, stdin=PIPE, stdout=PIPE, stderr=STDOUT, start_new_session=True, cwd="/", env=_environment()
        )
    except OSError as error:
        return Outcome(NOT_STARTED, f"{error.strerror}: {command[0]}")
    try:
        async with asyncio.timeout(limits.seconds):
            _, text, status = await asyncio.gather(_feed(process, data), _output(process), process.wait())
    except TimeoutError:
        return Outcome(None, "")
    finally:
        await _end(process)
    return Outcome(status, text)


def _command(settings: Settings, kind: Kind, out: Path, limits: Limits) -> list[str]:
    library = importlib.util.find_spec("wasmtime")
    job = {
        "kind": kind.value,
        "settings": settings._asdict(),
        "settings_file": settings_module.__file__,
        "library": str(Path(library.origin).parents[1]) if library and library.origin else "",
        "out": str(out.absolute()),
        "parent": os.getpid(),
        "memory": limits.memory,
        # Only for a host that is stopped and cannot watch the clock: all threads at work for the whole time.
        "cpu": int(limits.seconds * _threads()) + 1,
    }
    # Isolated and without `site`: what the host's environment and its .pth files do is no business of the child.
    return [sys.executable, "-I", "-S", compiler.__file__, json.dumps(job)]


def _environment() -> dict[str, str]:
    kept = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
    return kept | {"RAYON_NUM_THREADS": str(_threads())}


def _threads() -> int:
    affinity = getattr(os, "sched_getaffinity", None)
    return min(THREADS, len(affinity(0)) if affinity else os.cpu_count() or 1)


async def _feed(process: Process, data: bytes) -> None:
    assert process.stdin is not None
    try:
        process.stdin.write(data)
        await process.stdin.drain()
    except (BrokenPipeError, ConnectionResetError):
        pass  # it ended early; its status says why
    process.stdin.close()


async def _output(process: Process) -> str:
    """Return the first and last of what the child prints, all of which is read, so that it can end."""
    assert process.stdout is not None
    head, tail = b"", b""
    while chunk := await process.stdout.read(_OUTPUT):
        head, tail = (head + chunk, b"") if len(head) < _OUTPUT else (head, (tail + chunk)[-_OUTPUT:])
    return (head + tail).decode("utf-8", "backslashreplace").strip()


async def _end(process: Process) -> None:
    """Kill the child if it runs, and wait until it is gone."""
    if process.returncode is None:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        # Nobody else reads any more, and its end is only noticed once its output is read.
        await _output(process)
    await process.wait()
