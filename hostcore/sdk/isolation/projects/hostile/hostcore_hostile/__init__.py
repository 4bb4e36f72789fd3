"""A module that does what a module must not be able to do, to show that it is not.

Nothing here may harm the machine, even where nothing holds it, which is what is to be found out: it reaches only for
what was made for the test, uses up no more than a machine can spare, and signals only processes of the test.

Each act is a function in one of the files here.  A message names it and brings what it needs to know, such as the path
of a file that it must not read; the option `in_hook` has one done in another hook than `handle_message`.  An act that
tries several ways returns what became of each, see `trying`.  `hostcore modules test-isolation` loads this, and judges
by what it finds, never by what is said here.
"""

from __future__ import annotations

import inspect
from typing import Any

import hostcore
from hostcore import hookimpl

from . import crashing, eating, flooding, forging, hanging, reaching, signalling, spoiling
from .trying import Stage

ACTS = {
    name.replace("_", "-"): function
    for file in (crashing, eating, flooding, forging, hanging, reaching, signalling, spoiling)
    for name, function in vars(file).items()
    if inspect.isfunction(function) and function.__module__ == file.__name__ and not name.startswith("_")
}


class Hostile:
    """Behaves, until it is told to do something else."""

    def __init__(self) -> None:
        self.count = 0
        self.hook, self.act = "", ""
        self.context: Any = None

    @hookimpl
    def initialize(self, context: hostcore.Context) -> None:
        """Take note of what is to be done, and where."""
        self.context = context
        self.hook, _, self.act = context.config["in_hook"].partition(": ")
        self._misbehave("initialize")

    @hookimpl
    async def handle_message(self, message: hostcore.Message[Any]) -> Any:
        """Do what the message says; one without an act is answered as by any module."""
        self.count += 1
        facts = message.payload or {}
        if not facts.get("act"):
            return {"count": self.count}
        result = ACTS[facts["act"]](Stage(self.context, facts))
        return await result if inspect.isawaitable(result) else result

    @hookimpl
    def get_state(self) -> Any:
        """Return the count, or something that is no state."""
        found = self._misbehave("get_state")
        return {"count": self.count} if found is None else found

    @hookimpl
    def restore_state(self, state: dict[str, Any]) -> None:
        """Take the count over."""
        self._misbehave("restore_state")
        self.count = state["count"]

    @hookimpl
    def shutdown(self) -> None:
        """Leave, or not."""
        self._misbehave("shutdown")

    def _misbehave(self, hook: str) -> Any:
        return ACTS[self.act](Stage(self.context, {})) if hook == self.hook else None
