"""Hosts that are told to end, or killed, while they reload: they end, and nothing of theirs is left."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import pytest
from support.hosting import TIME, Cli, until
from support.modules import install
from worker.puppet import is_alive

BODY = """
@hookimpl
def initialize(self, context):
    self.generation = context.generation

@hookimpl
def handle_message(self, message):
    return message.payload

@hookimpl
async def get_state(self):
    await self.wait_in("get_state")
    return {}

@hookimpl
async def restore_state(self, state):
    await self.wait_in("restore_state")

async def wait_in(self, hook):
    if hook == "HOOK":
        import pathlib
        pathlib.Path("MARK").touch()
        HANG
"""
HANGS = {"native": "await asyncio.Event().wait()", "worker": "sum(range(10**12))"}


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """The command line, in a directory with a configuration that lets workers do what they ask for."""
    for name in ("site", "work", "marks"):
        (tmp_path / name).mkdir()
    (tmp_path / "work" / "hostcore.toml").write_text(
        'handler_timeout = "60s"\n[policy]\ndefault = "allow"\n[reload]\nsnapshot = "60s"\nrestore = "60s"\n'
    )
    return Cli(tmp_path / "work", tmp_path / "site")


def below(pid: int) -> set[int]:
    """Return the processes that a process has started, and those that they have."""
    parents: dict[int, int] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(path.parent.name)] = int(path.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    found, grown = {pid}, True
    while grown:
        more = {child for child, parent in parents.items() if parent in found} - found
        found, grown = found | more, bool(more)
    return found - {pid}


QUICK = ("worker", "restore_state", signal.SIGTERM)
ENDS = [
    pytest.param(tier, hook, number, marks=[] if (tier, hook, number) == QUICK else pytest.mark.slow)
    for tier, numbers in {"native": [signal.SIGTERM], "worker": [signal.SIGTERM, signal.SIGKILL]}.items()
    for hook in ("get_state", "restore_state")
    for number in numbers
]


@pytest.mark.parametrize(("tier", "hook", "number"), ENDS)
def test_ended_while_it_reloads(cli: Cli, tmp_path: Path, tier: str, hook: str, number: signal.Signals) -> None:
    """A host that is ended while a reload hangs ends, cleanly if it was asked to, with all its processes.

    Who has asked for the reload is told.
    """
    mark = tmp_path / "marks" / "hangs"
    body = BODY.replace("HOOK", hook).replace("MARK", str(mark)).replace("HANG", HANGS[tier])
    manifest = f'isolation = "{tier}"\npermissions = ["fs.write:{mark.parent}"]'
    install(tmp_path / "site", "stuck", body, manifest=manifest)
    install(tmp_path / "site", "other", body.replace(hook, "never"), manifest=manifest)
    with cli.host() as host:
        command = cli.command("modules", "reload", "stuck", "--json")
        asking = subprocess.Popen(command, cwd=cli.directory, env=cli.env(), stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE)  # fmt: skip
        until(mark.exists, "the hang")
        left = below(host.pid)
        assert len(left) >= (3 if tier == "worker" else 0)
        host.signal(number)
        assert host.wait() == (0 if number == signal.SIGTERM else -number), host.errors()
        asking.communicate(timeout=TIME)
        assert asking.returncode in (1, 10, 13)
        until(lambda: not any(map(is_alive, left)), "the end of its processes")
