"""The command line and running hosts, as processes of their own.

cli = Cli(tmp_path, site)
done = cli("modules", "list", "--json")          # done.code, done.out, done.err, done.json
with cli.host() as host:                         # `hostcore run --json`, once it is ready
    host.ready["loaded"]
    host.signal(signal.SIGINT); host.wait()
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from support.distributions import libraries

TIME = 30.0
"""Seconds after which a test gives up on a process."""


class Done(NamedTuple):
    """What became of a command."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.out)


class HostProcess:
    """A `hostcore run`, which reports in lines of JSON."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process = process
        self.log = log
        self.ready: dict[str, Any] = {}
        self._unread = b""

    @property
    def pid(self) -> int:
        return self.process.pid

    def event(self) -> dict[str, Any]:
        """Return the next line that it prints."""
        assert self.process.stdout is not None
        limit = time.monotonic() + TIME
        while b"\n" not in self._unread:
            readable, _, _ = select.select([self.process.stdout], [], [], max(0, limit - time.monotonic()))
            chunk = os.read(self.process.stdout.fileno(), 65536) if readable else b""
            assert chunk, f"the host said nothing more: {self.errors()}"
            self._unread += chunk
        line, _, self._unread = self._unread.partition(b"\n")
        return msgspec.json.decode(line)

    def rest(self) -> list[dict[str, Any]]:
        """Return what it prints until it ends."""
        assert self.process.stdout is not None
        self._unread += self.process.stdout.read()
        return [msgspec.json.decode(line) for line in self._unread.splitlines()]

    def errors(self) -> str:
        """Return what it has printed on standard error."""
        return self.log.read_text()

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def wait(self) -> int:
        return self.process.wait(TIME)

    def catches(self, number: int) -> bool:
        """Tell whether it has a handler of its own for a signal."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        mask = next(line.split()[1] for line in status.splitlines() if line.startswith("SigCgt"))
        return bool(int(mask, 16) >> (number - 1) & 1)

    def maps(self, library: str) -> bool:
        """Tell whether it has loaded a binary library of that name."""
        return library in Path(f"/proc/{self.pid}/maps").read_text()

    def watches(self, directory: Path) -> bool:
        """Tell whether it has a directory watched by the kernel."""
        mark = f" ino:{directory.stat().st_ino:x} "
        return any(mark in _text(info) for info in Path(f"/proc/{self.pid}/fdinfo").iterdir())

    def end(self) -> None:
        """End it, whatever it is doing."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(TIME)
        if self.process.stdout is not None:
            self.process.stdout.close()


def _text(file: Path) -> str:
    try:
        return file.read_text()
    except OSError:  # closed meanwhile
        return ""


class Cli:
    """Runs `hostcore` in a directory, with the distributions in `site` installed."""

    def __init__(self, directory: Path, site: Path | None = None) -> None:
        self.directory = directory
        self.site = site
        self.environment: dict[str, str] = {"COLUMNS": "200"}

    def env(self) -> dict[str, str]:
        paths = [*libraries(), *([str(self.site)] if self.site else [])]
        unset = ("NO_COLOR", "FORCE_COLOR", "PYTHONUNBUFFERED")
        kept = {name: value for name, value in os.environ.items() if name not in unset}
        return {**kept, "PYTHONPATH": os.pathsep.join(paths), **self.environment}

    def command(self, *arguments: str | Path) -> list[str]:
        return [sys.executable, "-m", "hostcore", *map(str, arguments)]

    def __call__(self, *arguments: str | Path, stdin: str | bytes = b"") -> Done:
        done = subprocess.run(
            self.command(*arguments), cwd=self.directory, env=self.env(), capture_output=True, timeout=TIME,
            input=stdin.encode() if isinstance(stdin, str) else stdin,
        )  # fmt: skip
        return Done(done.returncode, done.stdout.decode(), done.stderr.decode())

    def start(self, *arguments: str | Path, command: str = "run") -> HostProcess:
        """Start `hostcore run --json`, or `dev`; it is not ready yet."""
        log = self.directory / f"host-{time.monotonic_ns()}.log"
        with log.open("wb") as errors:
            process = subprocess.Popen(
                self.command(command, "--json", *arguments), cwd=self.directory, env=self.env(),
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors,
            )  # fmt: skip
        return HostProcess(process, log)

    @contextmanager
    def host(self, *arguments: str | Path, command: str = "run") -> Iterator[HostProcess]:
        """Run a host; it is ready when the block begins."""
        host = self.start(*arguments, command=command)
        try:
            host.ready = host.event()
            assert host.ready["event"] == "ready", host.errors()
            yield host
        finally:
            if host.process.poll() is None:
                host.signal(signal.SIGTERM)
                try:
                    host.process.wait(5)
                except subprocess.TimeoutExpired:
                    pass
            host.end()


def until(condition: Callable[[], object], what: str = "it") -> None:
    """Wait for `condition`, looking again and again."""
    limit = time.monotonic() + TIME
    while not condition():
        assert time.monotonic() < limit, f"{what} did not happen"
        time.sleep(0.005)
