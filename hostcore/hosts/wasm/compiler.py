"""Compile one WebAssembly module; this file is run as a script, in a process of its own.

It is handed a job (JSON, as its only argument) and the module (standard input), and writes the compiled code to a new
file.  How it ended stands in its exit status, the rest in the one line or text that it prints: the digest of what it
wrote, or what was wrong.

The module is not trusted: compiling one can take memory and time without bound, or reveal a fault of the compiler.
So the process first gives up what it does not need: memory and processor time beyond the limits, core dumps, and its
life when the host's ends.  It imports nothing of hostcore, and finds wasmtime where the host did, so that it needs
neither the host's `sys.path` nor its environment.
"""

from __future__ import annotations

import ctypes
import hashlib
import importlib.util
import json
import os
import resource
import signal
import sys
from typing import Any, Final

DONE: Final = 0
INVALID: Final = 10
NO_MEMORY: Final = 11
NOT_WRITTEN: Final = 12

_PR_SET_PDEATHSIG: Final = 1
_OWN: Final = 64 * 1024**2
"""Bytes of data of Python and wasmtime where the system does not tell: twice what they are on Linux."""
_NAMED: Final = 64 * 1024
"""The most characters of an error's text that are passed on; names in it are the module's, and as long as it likes."""


def main() -> int:
    """Do the job; return how it ended."""
    job: dict[str, Any] = json.loads(sys.argv[1])
    _die_with(job["parent"])
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_CPU, job["cpu"], more=1)  # at the first limit a signal that tells why, at the second SIGKILL
    sys.path.append(job["library"])
    # What wasmtime needs by itself is not limited: without room for that, loading it would crash.
    refusal = _refusal()
    _limit(resource.RLIMIT_DATA, _data() + job["memory"])
    try:
        code = _compile(job, sys.stdin.buffer.read())
    except MemoryError:
        return NO_MEMORY
    except refusal as error:
        _say(str(error)[:_NAMED])
        return INVALID
    try:
        _say(_write(job["out"], code))
    except OSError as error:
        _say(error.strerror or str(error))
        return NOT_WRITTEN
    return DONE


def _say(text: str) -> None:
    sys.stdout.buffer.write(text.encode("utf-8", "backslashreplace"))
    sys.stdout.buffer.flush()


def _die_with(parent: int) -> None:
    """Have the kernel end this process with its parent, where it can (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it was gone before it was asked for
        sys.exit(1)


def _limit(which: int, amount: int, more: int = 0) -> None:
    hard = resource.getrlimit(which)[1]
    most = amount + more if hard == resource.RLIM_INFINITY else min(amount + more, hard)
    resource.setrlimit(which, (min(amount, most), most))


def _data() -> int:
    """Return the bytes of data of this process, as its limit counts them."""
    if sys.platform != "linux":
        return _OWN
    with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123 (pathlib is not loaded here)
        return int(file.read().split()[5]) * resource.getpagesize()


def _refusal() -> type[Exception]:
    """Load wasmtime; return its error for a module that it does not take."""
    import wasmtime
    from wasmtime import component  # noqa: F401

    return wasmtime.WasmtimeError


def _compile(job: dict[str, Any], data: bytes) -> bytearray:
    import wasmtime
    from wasmtime import component

    engine = wasmtime.Engine(_settings(job).config())
    if job["kind"] == "component":
        return component.Component(engine, data).serialize()
    return wasmtime.Module(engine, data).serialize()


def _settings(job: dict[str, Any]) -> Any:
    """Return the engine's settings, by the host's own file of them."""
    spec = importlib.util.spec_from_file_location("settings", job["settings_file"])
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Settings(**job["settings"])


def _write(path: str, code: bytearray) -> str:
    """Write `code` to the new file `path`, down to the disk; return its digest."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(code)
        file.flush()
        os.fsync(descriptor)
    return hashlib.sha256(code).hexdigest()


if __name__ == "__main__":
    sys.exit(main())
