"""Has the attacks done in a process of their own, hears what became of each, and cleans up after all.

If that process ends in the middle of an attack, or says nothing more, the attack has got through: that is its row, and
another process goes on with the next.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec

from hostcore.sdk.isolation import processes
from hostcore.sdk.isolation.arena import Order, Said
from hostcore.sdk.isolation.attacks import ATTACKS
from hostcore.sdk.isolation.rows import THROUGH, Report, Row

PATIENCE = 45.0
"""Seconds of silence after which an attack is taken to have hung the host."""
_START = (
    "import json, sys; told = json.loads(sys.argv[1]); sys.path[:] = told['path']; "
    "sys.prefix, sys.exec_prefix = told['prefix'], told['exec_prefix']; "
    "from hostcore.sdk.isolation.arena import main; main(told['out'])"
)
Progress = Callable[[str, int, int], None]
"""Is called at the beginning of each attack: its name, its place among all, and how many there are."""
_read_said = msgspec.json.Decoder(Said).decode


def run(
    names: Sequence[str], *, without: Sequence[str] = (), progress: Progress = lambda *_: None,
    patience: float = PATIENCE,
) -> Report:  # fmt: skip
    """Run attacks, and return what became of them.

    To be called in a process that has no other children: whatever is below it at the end is killed.

    Args:
        names: Those of the attacks.
        without: Layers of the sandbox to switch off.
        progress: Is told of each attack that begins.
        patience: Seconds of silence after which an attack has hung the host.
    """
    began = time.monotonic()
    processes.adopt_orphans()
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="hostcore-isolation-", ignore_cleanup_errors=True) as folder:
        try:
            while len(rows) < len(names):
                order = Order(list(names[len(rows) :]), folder, tuple(without))
                rows += _one_process(order, patience, lambda name: progress(name, len(rows) + 1, len(names)))
        finally:
            left = processes.end_all(os.getpid())
    return Report("", rows, round(time.monotonic() - began, 2), left)


def _one_process(order: Order, patience: float, begins: Callable[[str], None]) -> Iterator[Row]:
    """Yield the rows that one process comes to; it need not come to all."""
    reader, writer = os.pipe()
    with Path(order.folder, "stderr").open("w+b") as errors:
        process = _start(order, writer, errors)
        os.close(writer)
        current = order.attacks[0]
        try:
            for said in _said(reader, patience):
                if said.row is not None:
                    yield said.row
                    current = ""
                else:
                    current = said.begins
                    begins(current)
            if current:
                yield _fatal(current, process, errors)
        finally:
            os.close(reader)
            process.kill()
            process.wait()


def _start(order: Order, writer: int, errors: object) -> subprocess.Popen[bytes]:
    told = {"path": [os.path.abspath(path) for path in sys.path], "prefix": sys.prefix,  # noqa: PTH100
            "exec_prefix": sys.exec_prefix, "out": writer}  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", _START, json.dumps(told)], pass_fds=[writer], stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL, stderr=errors, start_new_session=True, cwd=order.folder,  # type: ignore[call-overload]
    )  # fmt: skip
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError), process.stdin as stdin:
        stdin.write(msgspec.json.encode(order))
    return process


def _said(reader: int, patience: float) -> Iterator[Said]:
    """Yield what the process says, until it ends or says nothing for too long."""
    rest = b""
    while select.select([reader], [], [], patience)[0]:
        data = os.read(reader, 1 << 16)
        if not data:
            return
        *lines, rest = (rest + data).split(b"\n")
        yield from map(_read_said, lines)


def _fatal(name: str, process: subprocess.Popen[bytes], errors: object) -> Row:
    """Return the row of an attack that took the host with it."""
    try:
        code = process.wait(0.5)
    except subprocess.TimeoutExpired:
        how = "the host hung"
    else:
        how = f"the host was ended by signal {-code}" if code < 0 else f"the host ended with code {code}"
    errors.seek(0)  # type: ignore[attr-defined]
    text = errors.read().decode("utf-8", "replace").strip()  # type: ignore[attr-defined]
    attack = next(each for each in ATTACKS if each.name == name)
    last = text.rpartition("\n")[2]
    return Row(name, attack.tried, attack.isolation, THROUGH, f"{how}{': ' if last else ''}{last[:200]}")
