"""A module in a worker that tries to reach what its test says."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

from support.modules import ModuleWriter
from support.webserver import Reply, Seen
from system.support import running
from worker.puppet import PUPPET, run

import hostcore

TELL = """
def tell(work):
    try:
        return work()
    except Exception as exc:
        return [type(exc).__name__, getattr(exc, "errno", None), str(exc)]
"""


@asynccontextmanager
async def reaching(write: ModuleWriter, grants: Iterable[str]) -> AsyncIterator[hostcore.ModuleSystem]:
    """A system with a puppet in a worker that was granted this."""
    policy = {"default": "deny", "grants": {"puppet": list(grants), "echo": []}}
    async with running(policy=policy, worker={"grace": "100ms"}) as system:
        await system.load("puppet", source=write(PUPPET, "puppet"), isolation="worker")
        yield system


async def tries(system: hostcore.ModuleSystem, work: str, top: str = "") -> Any:
    """Evaluate an expression in the worker; return its value, or what it raised: type, errno and text."""
    return await run(system, f"import socket\n{top}\n{TELL.strip()}\nreturn tell(lambda: {work})")


def hello(seen: Seen) -> Reply:
    return 200, {"Content-Type": "text/plain"}, b"hello"


DOOR = "import gc\ndoor = next(o for o in gc.get_objects() if type(o).__name__ == 'SideDoor')\n"
