"""A module that crashes when it is told to, for tests of supervision.

await system.load("counter", source=crashing(write), isolation="worker")
await system.request("counter")                      # counts: [generation, version, count]
await system.send("counter", topic="die")            # ends its process, exit code 3

It keeps what it counts as its state.  With `mark`, it does not come up while that file is there.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

from support.modules import ModuleWriter
from system.support import soon, until

import hostcore

BODY = """
@hookimpl
def initialize(self, context):
    if MARK and os.path.exists(MARK):
        raise ValueError("no luck")
    self.context, self.count = context, 0

@hookimpl
async def handle_message(self, message):
    if message.topic == "die":
        os._exit(3 if message.payload is None else message.payload)
    if message.topic == "pid":
        return os.getpid()
    if message.topic == "ask":
        return await self.context.request(message.payload)
    if message.topic == "spoil":
        self.count = os
        return None
    self.count += 1
    return [self.context.generation, self.context.version, self.count]

@hookimpl
def get_state(self):
    return self.count

@hookimpl
def restore_state(self, state):
    self.count = state
"""


def crashing(
    write: ModuleWriter, name: str = "counter", *, version: str = "1.0", manifest: str = "", mark: Path | str = ""
) -> Path:
    """Write a release of the module and return its source."""
    body = BODY.replace("MARK", repr(str(mark)))
    return write(body, name, version=version, manifest=manifest, top="import os")


async def kill(system: hostcore.ModuleSystem, name: str = "counter", number: int = signal.SIGKILL) -> int:
    """Kill the module's process, which has nothing to do, and wait until that is noticed; return its number."""
    pid: int = await soon(system.request(name, topic="pid"))
    known = system.crashes(name)
    os.kill(pid, number)
    await until(lambda: system.crashes(name) != known)
    return pid


def state_of(system: hostcore.ModuleSystem, name: str = "counter") -> str:
    """Return the module's state in the lifecycle."""
    return system.modules[name].state.value


def done(system: hostcore.ModuleSystem, name: str = "counter") -> list[str]:
    """Return what was done about each crash."""
    return [entry.done for entry in system.crashes(name)]


async def count(system: hostcore.ModuleSystem, name: str = "counter") -> Any:
    """Have the module count, and return its generation, version and count."""
    return await soon(system.request(name))
