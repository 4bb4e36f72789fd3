"""A module that runs, in its worker, whatever code a message holds: what a hostile author could have written."""

from __future__ import annotations

import os
from typing import Any

import hostcore

PUPPET = """
@hookimpl
def initialize(self, context):
    self.context = context
    self.state = {"kept": 0}

@hookimpl
async def handle_message(self, message):
    if message.topic == "call":
        return await self.context.request(message.payload["target"], message.payload["payload"], topic="asked")
    names = {"context": self.context, "message": message, "asyncio": asyncio, "state": self.state}
    body = "".join(f"    {line}\\n" for line in message.payload.splitlines())
    exec(f"async def run():\\n{body}", names)
    return await names["run"]()

@hookimpl
def get_state(self):
    return self.state

@hookimpl
def restore_state(self, state):
    self.state = state
"""

EVERYTHING = """
permissions = ["bus.request:>", "bus.send:>", "bus.subscribe:>", "kv", "cap:*"]
"""

LINK = """
import gc
link = next(o for o in gc.get_objects() if type(o).__name__ == "Link")
raw = link._transport.get_extra_info("socket")
"""
"""What puts a hostile puppet in control of its connection to the host."""


async def run(system: hostcore.ModuleSystem, code: str, *, timeout: float | None = None) -> Any:
    """Run `code`, the body of a coroutine function, in the puppet; return what it returns."""
    return await system.request("puppet", code, topic="run", timeout=timeout)


async def pid_of(system: hostcore.ModuleSystem, name: str = "puppet") -> int:
    """Return the number of a module's process."""
    pid: int = await system.request(name, "import os\nreturn os.getpid()", topic="run")
    return pid


def is_alive(pid: int) -> bool:
    """Tell whether there is a process of that number that has not ended."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def descriptors() -> set[str]:
    """Return what this process has open."""
    return {f"{name}: {os.readlink(f'/proc/self/fd/{name}')}" for name in os.listdir("/proc/self/fd")
            if os.path.lexists(f"/proc/self/fd/{name}")}  # fmt: skip
