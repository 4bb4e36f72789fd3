"""The WebAssembly host: from a release's file to an instance that can be called."""

from __future__ import annotations

import asyncio
import time
import weakref
from math import inf
from pathlib import Path
from typing import Any

from wasmtime import Engine

from hostcore.config import cache_dir
from hostcore.errors import LoadError
from hostcore.hosts.base import Job, Tools
from hostcore.hosts.lines import LINES_PER_SECOND, RateLimit
from hostcore.hosts.text import LINE
from hostcore.hosts.wasm.cache import Cache
from hostcore.hosts.wasm.choosing import choose
from hostcore.hosts.wasm.compiling import loaded
from hostcore.hosts.wasm.components import ComponentCode
from hostcore.hosts.wasm.core import CoreCode
from hostcore.hosts.wasm.counting import memories_of
from hostcore.hosts.wasm.files import Changed, GuestFile
from hostcore.hosts.wasm.guests import Code, Guest
from hostcore.hosts.wasm.imports import HostCalls
from hostcore.hosts.wasm.instance import WasmInstance
from hostcore.hosts.wasm.kinds import Kind, kind_of
from hostcore.hosts.wasm.outcomes import TimeUp
from hostcore.hosts.wasm.settings import STACK, Settings
from hostcore.hosts.wasm.stores import Streams, make_store
from hostcore.hosts.wasm.ticker import Ticker
from hostcore.hosts.wasm.translating import translate
from hostcore.packages.locating import Release


class WasmHost:
    """Loads guests; all of them live on the event loop's thread.

    Args:
        tools: What the system lends.
        cache: Where compiled code is; None: in the user's cache.
    """

    def __init__(self, tools: Tools, cache: Path | None = None) -> None:
        self._tools = tools
        self._config = tools.config.wasm
        self._cache = Cache(cache or cache_dir() / "wasm", self._config.cache_size)
        self._ticker = Ticker()
        self._engines: dict[Settings, Engine] = {}
        self._path, self.why_plain = choose(self._config.calls)
        # Linked once for all instances of the same bytes; it lives as long as one of them, or what was kept of one.
        self._codes: weakref.WeakValueDictionary[tuple[str, Settings], Code] = weakref.WeakValueDictionary()

    async def load(self, job: Job) -> WasmInstance:
        """Load a release as a new generation; see `Host.load`."""
        release = job.release
        settings = Settings(job.limits.stack or STACK, fuel=job.limits.fuel is not None)
        code = job.kept if job.kept is not None else await self._code(release, settings)
        if code.problems:
            raise LoadError(release.name, label=release.label, problems=code.problems)
        per_second = LINES_PER_SECOND if job.limits.log_rate is None else job.limits.log_rate
        lines = RateLimit(per_second, job.limits.output or LINE)
        host = HostCalls(release.name, release.version, job.number, job.grants, lines, job.message_limit)

        async def make(host: HostCalls, until: float) -> Guest:
            streams = Streams(release.name, lines)
            store = make_store(self._engine(settings), job, streams, code.memories)
            guest: Guest = await code.instantiate(store, host, until, fuel=job.limits.fuel, streams=streams)
            return guest

        instance = WasmInstance(job, make, host, code, self._tools.loop)
        seconds = job.load_time
        try:
            async with asyncio.timeout(None if seconds == inf else seconds):  # it may wait, too, while it is made
                await instance.open(time.monotonic() + seconds)
        except BaseException as exc:
            await instance.close()
            if isinstance(exc, Exception):
                raise self._failed(exc, job) from None
            raise
        return instance

    def _failed(self, error: Exception, job: Job) -> Exception:
        release = job.release
        error.__traceback__ = None
        if isinstance(error, (TimeUp, TimeoutError)):
            return LoadError(
                release.name, f"its start did not end within {job.load_time:.3g} s", code="HC206", label=release.label,
                hint="raise load_timeout, or do slow work after initialize()",
            )  # fmt: skip
        return translate(error, release, "start", job.load_time)

    async def _code(self, release: Release, settings: Settings) -> Code:
        while True:
            try:
                return await self._code_of(await asyncio.to_thread(GuestFile, release), release, settings)
            except Changed:
                continue  # it was installed anew in this very moment

    async def _code_of(self, file: GuestFile, release: Release, settings: Settings) -> Code:
        key = (file.digest, settings)
        code: Code | None = self._codes.get(key)
        if code is None:
            kind = kind_of(file.head, module=release.name, label=release.label)
            engine = self._engine(settings)
            made: Any = await loaded(
                engine, file.read, settings, kind, self._cache, module=release.name, label=release.label,
                seconds=self._config.compile_time, memory=self._config.compile_memory, digest=file.digest,
            )  # fmt: skip
            make: Any = ComponentCode if kind is Kind.COMPONENT else CoreCode
            code = make(engine, made, self._ticker, self._path, memories_of(file, kind))
            assert code is not None
            self._codes[key] = code
        return code

    def _engine(self, settings: Settings) -> Engine:
        engine = self._engines.get(settings)
        if engine is None:
            engine = self._engines[settings] = Engine(settings.config())
            self._ticker.add(engine)
        return engine

    def close(self) -> None:
        """End the thread that measures time slices."""
        self._ticker.close()
