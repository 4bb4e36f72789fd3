"""Systems that run guests, and guests that are built and compiled once for all processes.

    async with hosted("plain", grants={"g": ["kv"]}) as system:
        await system.load("g", source=ready("c"))

Compiled code is kept beside the built guests: compiling one in Python takes some 10 s.  The cache is safe for several
processes; a lock keeps two from compiling the same large guest at a time.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any

from guests.building import Guest, build_as, cache_directory
from support.guests import guest
from support.python_guests import CONFORMANCE, python_guest

import hostcore
from hostcore.hosts.wasm.cache import Cache
from hostcore.hosts.wasm.compiling import compiled
from hostcore.hosts.wasm.kinds import kind_of
from hostcore.hosts.wasm.settings import Settings

SETTINGS = {"index": False, "handler_timeout": 5.0, "load_timeout": 20.0, "request_timeout": 20.0}
PATIENCE = 30.0
"""Seconds after which a test gives up on what ought to come; no test waits for it to pass."""
LARGE = 500_000


def compiled_directory() -> Path:
    """Return what $HOSTCORE_CACHE_DIR is set to, for compiled code to be shared."""
    return cache_directory() / "compiled"


HOSTILE = {
    "files.c": Guest(
        tools=("zig",),
        commands=("python -m ziglang cc -target wasm32-wasi -mexec-model=reactor -O2 -s files.c -o module.wasm",),
        sources=(),
    ),
    "app.py": Guest(
        tools=("componentize-py",),
        commands=(
            "python -m venv --without-pip empty",
            "VIRTUAL_ENV=$PWD/empty componentize-py -d $GUEST/interface -w module componentize app -o module.wasm",
        ),
        sources=(),
    ),
}
"""The guests in `hostile/`, by their source."""


@cache
def ready(name: str) -> Path:
    """Return the path of a guest that is built and compiled.

    Args:
        name: One of `tests/guests/`, or "python", that of the SDK, or the source of one in `hostile/`.
    """
    if name in HOSTILE:
        path = build_as(f"hostile-{name}", HOSTILE[name], {name: Path(__file__).parent / "hostile" / name})
    else:
        path = python_guest(CONFORMANCE, "conformance") if name == "python" else guest(name)
    if path.stat().st_size > LARGE:
        _compile(path)
    return path


def _compile(path: Path) -> None:
    data, directory = path.read_bytes(), compiled_directory()
    directory.mkdir(parents=True, exist_ok=True)
    kind = kind_of(data, module=path.stem, label=path.stem)
    limits = {"seconds": 600.0, "memory": 4 << 30}
    with (directory / f"{path.stem}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        cache = Cache(directory / "wasm", 4 << 30)

        async def work() -> None:
            await compiled(data, Settings(), kind, cache, module=path.stem, label=path.stem, **limits)

        with ThreadPoolExecutor(1) as pool:  # the test's own loop may be running in this thread
            pool.submit(lambda: asyncio.run(work())).result()


@asynccontextmanager
async def hosted(
    calls: str = "auto", *, grants: Mapping[str, Iterable[str]] | None = None,
    services: Mapping[str, Any] | None = None, ceiling: Mapping[str, Any] | None = None, **settings: Any,
) -> AsyncIterator[hostcore.ModuleSystem]:  # fmt: skip
    """A running system whose guests are called on that path."""
    config = {**SETTINGS, "wasm": {"calls": calls}, **settings}
    policy = hostcore.Policy("allow", grants, ceiling)
    async with hostcore.ModuleSystem(config, policy=policy, services=services) as system:
        yield system


async def soon(awaitable: Any) -> Any:
    """Await with the test's patience."""
    async with asyncio.timeout(PATIENCE):
        return await awaitable


async def until(condition: Callable[[], object]) -> None:
    """Let everything else go on until `condition` holds."""
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - nothing else tells of it
            await asyncio.sleep(0.001)


def memory_of_process() -> tuple[int, int]:
    """Return this process's resident memory and its address space, in bytes."""
    pages = Path("/proc/self/statm").read_text().split()
    size = os.sysconf("SC_PAGE_SIZE")
    return int(pages[1]) * size, int(pages[0]) * size
