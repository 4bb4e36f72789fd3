"""The worker host: each module in a process of its own."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from functools import lru_cache
from pathlib import Path

from hostcore.config import state_dir
from hostcore.contract.manifest import Limits
from hostcore.errors import DeniedError, HostError, LoadError
from hostcore.hosts.base import Job, Refusal, Tools
from hostcore.hosts.ending import to_its_end
from hostcore.hosts.lines import LINES_PER_SECOND, RateLimit
from hostcore.hosts.text import LINE
from hostcore.hosts.worker import folders, messages
from hostcore.hosts.worker.child import Order
from hostcore.hosts.worker.desk import Desk
from hostcore.hosts.worker.frames import OVERHEAD
from hostcore.hosts.worker.instance import WorkerInstance
from hostcore.hosts.worker.link import Gone
from hostcore.hosts.worker.nursery import Nursery
from hostcore.hosts.worker.process import WorkerProcess
from hostcore.hosts.worker.sandbox.cage import LAYERS, MAPPED, Cage
from hostcore.hosts.worker.sandbox.levels import lacking, level_of
from hostcore.hosts.worker.sandbox.reading import default_read, without
from hostcore.messaging.deadlines import Deadlines

_FILES = 256
_FILE_SIZE = 1 << 30
_OWN_MEMORY = 1024**2
"""Bytes that the worker itself takes once it is confined: its loop, and buffers."""


@lru_cache(maxsize=4)
def _python(path: tuple[str, ...]) -> tuple[str, ...]:
    """Return what Python itself must be able to read, for this search path."""
    return default_read(path)


class WorkerHost:
    """Loads modules into processes of their own, all forked from one that has imported what they share."""

    inside = "native"
    """The host that runs the module within the worker."""
    mapped: int | None = MAPPED
    layers: tuple[str, ...] = LAYERS
    """Those of the sandbox; fewer only where somebody wants to see what they hold."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._config = tools.config.worker
        self._deadlines = Deadlines(tools.loop)
        self._swept = False
        self._nursery = Nursery(tools.loop, self._preload(), self._config.start_time)

    def _preload(self) -> list[str]:
        return list(self._config.preload)

    async def load(self, job: Job) -> WorkerInstance:
        """Load a release as a new generation; see `Host.load`."""
        if sys.platform != "linux":
            raise LoadError(
                job.release.name, f"workers need Linux, and this is {sys.platform}", code="HC209",
                label=job.release.label, hint="run it with isolation 'native', or as a guest with 'wasm'",
            )  # fmt: skip
        if not self._swept:
            self._swept = True
            await asyncio.to_thread(folders.remove_abandoned)
        name, loop = job.release.name, self._tools.loop
        log = logging.getLogger(f"hostcore.module.{name}")
        lines = RateLimit(
            LINES_PER_SECOND if job.limits.log_rate is None else job.limits.log_rate, job.limits.output or LINE
        )
        desk = Desk(name, loop, lines)
        process = WorkerProcess(loop, desk, log, lines)
        limit = max(self._tools.config.message_limit, self._state_limit(job)) + OVERHEAD
        await process.start(self._nursery, self._order(job, process.folder, limit), limit)
        instance = WorkerInstance(job, process, desk, loop, self._deadlines, self._config.grace)
        if self.inside != "native":  # of Python code in a worker only the end of its process is a crash
            desk.crashed = instance.guest_crashed
        try:
            await self._confined(job, process)
            instance.sandbox = level_of(process.ready.result())
            await instance.load(self._told(job, log))
        except BaseException as exc:
            process.signal(signal.SIGKILL)  # whatever it is in the middle of
            await to_its_end(instance.close())
            if isinstance(exc, Refusal):
                raise exc.error from None
            raise
        return instance

    def _state_limit(self, job: Job) -> int:
        return self._tools.config.state_limit if job.limits.state is None else job.limits.state

    async def _confined(self, job: Job, process: WorkerProcess) -> None:
        """Wait until it is confined, as far as the policy demands.

        Raises:
            HostError: It ended before that.
            DeniedError: The platform does not give what the policy demands (HC607).
        """
        name = job.release.name
        try:
            async with asyncio.timeout(self._config.start_time):
                layers = await process.ready
        except (Gone, TimeoutError):
            said = " ".join(process.tail.lines()[-1:]) or "it said nothing"
            raise HostError(f"the worker of {name!r} did not come up: {said}", code="HC513",
                            hint="hostcore doctor shows what workers need of this machine") from None  # fmt: skip
        missing = lacking(layers, job.sandbox)
        if missing:
            reasons = "; ".join(f"{layer}: {reason}" for layer, reason in missing.items())
            raise DeniedError(
                f"{name!r} may not run here: the policy demands a sandbox of level {job.sandbox!r}, and this machine "
                f"reaches {level_of(layers)!r} ({reasons})", code="HC607",
                hint="hostcore doctor shows what can be enforced; or lower policy.sandbox",
            )  # fmt: skip

    def _order(self, job: Job, folder: Path, limit: int) -> Order:
        release = job.release
        readable, writable = sorted(job.grants.targets("fs.read")), sorted(job.grants.targets("fs.write"))
        needed, listed = without((*_python(tuple(sys.path)), *release.paths), [str(state_dir(self._tools.config))])
        cage = Cage(
            read=(*needed, *readable, *self._readable(job)), listed=listed,
            write=(str(folder), *writable), mapped=self.mapped, shared_memory=False, layers=self.layers,
            memory=self._memory(job), files=job.limits.files or _FILES, file_size=job.limits.file_size or _FILE_SIZE,
            processes=job.grants.given("spawn", ""),
        )  # fmt: skip
        return Order(
            name=release.name, cage=cage, folder=str(folder), nice=self._config.nice, path=release.paths, limit=limit,
        )  # fmt: skip

    def _readable(self, job: Job) -> tuple[str, ...]:
        """Return what it must be able to read besides its own code."""
        return ()

    def _memory(self, job: Job) -> int | None:
        return None if job.limits.memory is None else job.limits.memory + _OWN_MEMORY

    def _inside_config(self, job: Job) -> dict[str, object]:
        """Return what the host within the worker is told."""
        return {}

    def _environment(self, job: Job) -> dict[str, str]:
        """Return the variables that it was granted."""
        variables = job.grants.targets("env")
        names = os.environ.keys() if "*" in variables else variables
        return {name: os.environ[name] for name in names if name in os.environ}

    def _told(self, job: Job, log: logging.Logger) -> messages.Load:
        limits = {name: value for name in Limits.__struct_fields__ if (value := getattr(job.limits, name)) is not None}
        return messages.Load(
            release=job.release, number=job.number, limits=limits, hook_time=job.hook_time, load_time=job.load_time,
            message_limit=job.message_limit, third_party=dict(job.third_party), state_version=job.state_version,
            host=self.inside, kept=job.kept or b"", log_level=log.getEffectiveLevel(),
            granted=[str(permission) for permission in job.grants.granted], observed=job.grants.observed,
            config=self._inside_config(job), environment=self._environment(job),
        )  # fmt: skip

    def close(self) -> None:
        """End the process that workers are forked from."""
        self._nursery.close()
        self._deadlines.close()
