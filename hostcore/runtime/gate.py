"""The gate: a release is tried in a host of its own before it may serve, where the policy says so.

It is what `hostcore modules test-isolation NAME --quick` does, in a process that the host starts and waits for, so that
whatever a release does there is no harm to the host.  A release that has passed is not tried again: a note of its
digest is kept.  The digest of a working tree does not tell one edit from another, so that one is always tried.

A release that does not come up there is not judged: without the program's services and its permissions it may not be
able to.  It is let through with a warning, and its real load says what is wrong with it, if anything is.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from hostcore.config import HostConfig
from hostcore.errors import DeniedError, Problem
from hostcore.packages.identity import release_digest
from hostcore.packages.locating import Release

_PATIENCE = 300.0
"""Seconds that all of a release's trials may take."""
_END_TIME = 10.0
_REMEMBERED = 1000
_START = (
    "import json, sys; told = json.loads(sys.argv[1]); sys.path[:] = told['path']; "
    "sys.prefix, sys.exec_prefix = told['prefix'], told['exec_prefix']; "
    "from hostcore.sdk.isolation.runner import serve; serve()"
)
log = logging.getLogger("hostcore")


class Gate:
    """Tries releases, if it is wanted.

    Args:
        config: The host's configuration.
        wanted: The policy demands it.
        folder: Tells the directory in which it keeps which releases have passed.
    """

    def __init__(self, config: HostConfig, wanted: bool, folder: Callable[[], Path]) -> None:
        self._config, self._wanted, self._folder = config, wanted, folder
        self._busy = asyncio.Lock()  # one at a time: each takes the machine for some seconds

    async def check(self, release: Release, host: str, options: Mapping[str, Any]) -> None:
        """Make sure that a release is contained in `host`; `options` are those that it is loaded with.

        Raises:
            DeniedError: It is not (HC608); all that got through is listed.
            LoadError: Its files cannot be read.
        """
        if not self._wanted:
            return
        async with self._busy:
            mark = f"{await asyncio.to_thread(release_digest, release)} {host}"
            if not release.editable and mark in self._passed():
                return
            report = await self._tried(release, host, options)
            if report.get("error"):
                log.warning("the isolation of %r could not be tested: %s", release.name, report["error"])
                return
            if problems := report["problems"]:
                raise _refused(release, host, problems)
            if not release.editable:
                self._note(mark)

    async def _tried(self, release: Release, host: str, options: Mapping[str, Any]) -> dict[str, Any]:
        told = {
            "name": release.name, "source": release.source or None, "isolation": host, "options": dict(options),
            "config": msgspec.to_builtins(self._config, enc_hook=str),
        }  # fmt: skip
        try:
            async with asyncio.timeout(_PATIENCE):
                answer = await _run(msgspec.json.encode(told))
            report: dict[str, Any] = msgspec.json.decode(answer, type=dict)
        except TimeoutError:
            report = {"problems": [f"the test did not end within {_PATIENCE:.0f} s"]}
        except (OSError, msgspec.DecodeError) as error:
            report = {"problems": [f"the test could not be made: {error}"]}
        return report

    # --- what has passed ---------------------------------------------------------------------------------------

    def _file(self) -> Path:
        return self._folder() / "gate.json"

    def _passed(self) -> list[str]:
        try:
            passed = msgspec.json.decode(self._file().read_bytes(), type=list[str])
        except (OSError, msgspec.DecodeError):
            return []  # then they are tried again
        return passed

    def _note(self, mark: str) -> None:
        """Write down that a release has passed; that this fails costs only another test."""
        passed = [*self._passed(), mark][-_REMEMBERED:]
        file = self._file()
        with contextlib.suppress(OSError):
            file.parent.mkdir(parents=True, exist_ok=True)
            new = file.with_suffix(f".{os.getpid()}")
            new.write_bytes(msgspec.json.encode(passed))
            new.replace(file)


async def _run(order: bytes) -> bytes:
    """Have a process try what `order` says; return what it came to.  If this is cancelled, the process ends."""
    told = {"path": [os.path.abspath(path) for path in sys.path], "prefix": sys.prefix,  # noqa: PTH100
            "exec_prefix": sys.exec_prefix}  # fmt: skip
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-I", "-S", "-c", _START, json.dumps(told), stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    try:
        return (await process.communicate(order))[0]
    finally:
        if process.returncode is None:
            await _end(process)


async def _end(process: asyncio.subprocess.Process) -> None:
    """Have it clean up and end; kill it if it does not."""
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
        try:
            async with asyncio.timeout(_END_TIME):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


def _refused(release: Release, host: str, problems: list[str]) -> DeniedError:
    hint = f"look at it: hostcore modules test-isolation {release.name}"
    return DeniedError(
        f"{release.name!r} was not contained in the host {host!r}, which the policy demands: {'; '.join(problems)}",
        problems=[
            Problem(f"{release.name!r} was not contained in the host {host!r}: {problem}", "HC608", hint=hint)
            for problem in problems
        ],
        code="HC608",
    )  # fmt: skip
