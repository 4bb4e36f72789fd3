"""Has attacks made in a process of their own, hears what became of each, and cleans up after all.

If that process ends in the middle of an attack, or says nothing more, the attack has got through: that is its row, and
another process goes on with the next.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import msgspec

from hostcore.sdk.isolation import processes
from hostcore.sdk.isolation.arena import Order, Said
from hostcore.sdk.isolation.attacks import ATTACKS
from hostcore.sdk.isolation.places import Trial
from hostcore.sdk.isolation.ring import Attack
from hostcore.sdk.isolation.rows import THROUGH, Report, Row
from hostcore.sdk.isolation.trials import trials

PATIENCE = 120.0
"""Seconds of silence after which an attack is taken to have hung the host."""
_LONGEST = 48
_START = (
    "import json, sys; told = json.loads(sys.argv[1]); sys.path[:] = told['path']; "
    "sys.prefix, sys.exec_prefix = told['prefix'], told['exec_prefix']; "
    "from hostcore.sdk.isolation.arena import main; main(told['out'])"
)
Progress = Callable[[str, int, int], object]
"""Is called at the beginning of each attack: its name, its place among all, and how many there are."""
_read_said = msgspec.json.Decoder(Said).decode


class Stopped(Exception):
    """Nothing can be tried; the text says why."""


def run(
    names: Sequence[str] | None = None, *, trial: Trial | None = None, without: Sequence[str] = (),
    quick: bool = False, progress: Progress = lambda *_: None, patience: float = PATIENCE,
) -> Report:  # fmt: skip
    """Make attacks, and return what became of them.

    To be called in a process that starts nothing else meanwhile: whatever new is below it at the end is killed.

    Args:
        names: Those of the attacks; None: all.
        trial: The module that is tried; None: the built-in attacks.
        without: Layers of the sandbox to switch off.
        quick: Do less often what is done often.
        progress: Is told of each attack that begins.
        patience: Seconds of silence after which an attack has hung the host.
    """
    began = time.monotonic()
    known = ATTACKS if trial is None else trials(trial.name, trial.isolation or "")
    chosen = list(known if names is None else names)
    processes.adopt_orphans()
    signal.signal(signal.SIGTERM, _leave)
    before = processes.below(os.getpid()).keys()
    rows: list[Row] = []
    error = ""
    with tempfile.TemporaryDirectory(prefix="hostcore-isolation-", dir=_place(), ignore_cleanup_errors=True) as folder:
        try:
            while len(rows) < len(chosen):
                order = Order(chosen[len(rows) :], folder, tuple(without), quick, trial)
                process = _Process(order, known, patience)
                for row in process.rows(lambda name: progress(name, len(rows) + 1, len(chosen))):
                    rows.append(row)
        except Stopped as exc:
            error = str(exc)
        finally:
            left = processes.end_all(os.getpid(), but=before)
    name = "" if trial is None else trial.name
    return Report(name, rows, round(time.monotonic() - began, 2), left, error)


def serve() -> None:
    """Try the module that standard input describes, and print what came of it: what `runtime.gate` starts."""
    trial = msgspec.json.decode(sys.stdin.buffer.read(), type=Trial)
    report = run(trial=trial, quick=True)
    sys.stdout.buffer.write(msgspec.json.encode(report.as_data()))
    sys.stdout.buffer.flush()


def _leave(number: int, _: object) -> None:
    """Clean up on the way out, as after Ctrl-C."""
    sys.exit(128 + number)


def _place() -> str | None:
    """Return where to put things: the usual place, unless its name is too long for sockets."""
    return "/tmp" if len(tempfile.gettempdir()) > _LONGEST else None


class _Process:
    """One process that attacks are made in; it need not come to all."""

    def __init__(self, order: Order, known: Mapping[str, Attack], patience: float) -> None:
        self._order, self._known, self._patience = order, known, patience

    def rows(self, begins: Callable[[str], object]) -> Iterator[Row]:
        """Yield what became of attacks, until it has ended; raises Stopped if it can make none."""
        reader, writer = os.pipe()
        with Path(self._order.folder, "stderr").open("w+b") as errors:
            process = self._start(writer, errors)
            os.close(writer)
            current = made = ""
            try:
                for said in self._said(reader):
                    if said.error:
                        raise Stopped(said.error)
                    if said.row is not None:
                        made, current = current, ""
                        yield said.row
                    else:
                        current = said.begins
                        begins(current)
                if current or not made:
                    yield self._fatal(current, process, errors)
            finally:
                os.close(reader)
                process.kill()
                process.wait()

    def _start(self, writer: int, errors: IO[bytes]) -> subprocess.Popen[bytes]:
        told: dict[str, Any] = {
            "path": [os.path.abspath(path) for path in sys.path], "prefix": sys.prefix,  # noqa: PTH100
            "exec_prefix": sys.exec_prefix, "out": writer,
        }  # fmt: skip
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _START, json.dumps(told)], pass_fds=[writer], stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL, stderr=errors, start_new_session=True,
            env={**os.environ, "TMPDIR": self._order.folder},
        )  # fmt: skip
        assert process.stdin is not None
        with contextlib.suppress(BrokenPipeError), process.stdin as stdin:
            stdin.write(msgspec.json.encode(self._order))
        return process

    def _said(self, reader: int) -> Iterator[Said]:
        """Yield what the process says, until it ends or says nothing for too long."""
        rest = b""
        while select.select([reader], [], [], self._patience)[0]:
            data = os.read(reader, 1 << 16)
            if not data:
                return
            *lines, rest = (rest + data).split(b"\n")
            yield from map(_read_said, lines)

    def _fatal(self, name: str, process: subprocess.Popen[bytes], errors: IO[bytes]) -> Row:
        """Return the row of an attack that took the host with it."""
        try:
            code = process.wait(0.5)
        except subprocess.TimeoutExpired:
            how = "the host hung"
        else:
            how = f"the host was ended by signal {-code}" if code < 0 else f"the host ended with code {code}"
        errors.seek(0)
        last = errors.read().decode("utf-8", "replace").strip().rpartition("\n")[2]
        how += f": {last[:200]}" if last else ""
        if not name:
            raise Stopped(f"before anything could be tried {how}")
        attack = self._known[name]
        return Row(name, attack.tried, attack.isolation, THROUGH, how)
