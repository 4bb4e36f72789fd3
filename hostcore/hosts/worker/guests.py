"""WebAssembly guests in workers: what time slices cannot end, and a fault of the sandbox itself, ends with a process.

The guest is compiled by the host, as ever, in a child that is made for that; the worker only reads what came of it.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec

from hostcore.config import cache_dir
from hostcore.hosts.base import Job, Tools
from hostcore.hosts.wasm.cache import Cache
from hostcore.hosts.wasm.compiling import compiled
from hostcore.hosts.wasm.files import Changed, GuestFile
from hostcore.hosts.wasm.kinds import kind_of
from hostcore.hosts.wasm.settings import STACK, Settings
from hostcore.hosts.worker.host import WorkerHost
from hostcore.hosts.worker.instance import WorkerInstance
from hostcore.packages.locating import Release

_ROOM = 128 * 1024**2
"""Bytes of memory that wasmtime, the stacks and the code of a guest may take beside the guest's own."""


class WasmWorkerHost(WorkerHost):
    """Loads guests into processes of their own."""

    inside = "wasm"
    mapped = None  # a guest's memories are reserved at their largest, which takes gigabytes of addresses

    def __init__(self, tools: Tools) -> None:
        super().__init__(tools)
        self._cache = Cache(cache_dir() / "wasm", tools.config.wasm.cache_size)
        self._compiled: dict[int, Path] = {}

    def _preload(self) -> list[str]:
        return ["wasmtime", "hostcore.hosts.wasm.host", *super()._preload()]

    async def load(self, job: Job) -> WorkerInstance:
        """Load a release as a new generation; see `Host.load`."""
        code = await self._code(job)
        self._compiled[id(job)] = code
        try:
            return await super().load(job)
        finally:
            del self._compiled[id(job)]

    async def _code(self, job: Job) -> Path:
        """Return the directory of its compiled code."""
        release, config = job.release, self._tools.config.wasm
        settings = Settings(job.limits.stack or STACK, fuel=job.limits.fuel is not None)
        while True:
            try:
                file = await asyncio.to_thread(GuestFile, release)
                path = await self._compile(file, release, settings, config.compile_time, config.compile_memory)
            except Changed:
                continue  # it was installed anew in this very moment
            return path.parent

    async def _compile(
        self, file: GuestFile, release: Release, settings: Settings, seconds: float, memory: int
    ) -> Path:
        kind = kind_of(file.head, module=release.name, label=release.label)
        return await compiled(
            file.read, settings, kind, self._cache, module=release.name, label=release.label, seconds=seconds,
            memory=memory, digest=file.digest,
        )  # fmt: skip

    def _readable(self, job: Job) -> tuple[str, ...]:
        return (job.release.wasm, str(self._compiled[id(job)]))

    def _memory(self, job: Job) -> int | None:
        return None if job.limits.memory is None else job.limits.memory + _ROOM

    def _inside_config(self, job: Job) -> dict[str, object]:
        return {"wasm": msgspec.to_builtins(self._tools.config.wasm), "cache": str(self._compiled[id(job)].parent)}
